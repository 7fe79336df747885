package engine

import (
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// TestCeilingHoldsBackNewCreditOnly: RFC 9000, section 4.1: "Once a receiver advertises a limit for the connection or a stream, it
// is not an error to advertise a smaller limit, but the smaller limit has no effect."
func TestCeilingHoldsBackNewCreditOnly(t *testing.T) {
	x := newExchange(t, true, withConfig(func(c *Config) { c.StreamWindow, c.ConnWindow = 50_000, 50_000 })).handshake()
	x.drain()
	x.queue = nil
	send := func(off, n int64) {
		t.Helper()
		for end := off + n; off < end; off += 1000 {
			x.receive(wire.AppSpace, streamFrame(0, off, string(make([]byte, 1000)), false))
		}
		x.drain()
	}
	read := func(n int64) {
		t.Helper()
		if got, _, err := x.conn.Read(x.now, 0, make([]byte, n)); int64(got) != n || err != nil {
			t.Fatalf("%d bytes of %d, %v", got, n, err)
		}
	}
	want := func(when string, want Receiving) {
		t.Helper()
		got := x.conn.Receiving()
		got.Wanted, got.Consumed = 0, 0
		if got != want {
			t.Fatalf("%s: %+v, want %+v", when, got, want)
		}
	}
	want("at first", Receiving{Promised: 50_000})
	send(0, 40_000)
	want("received", Receiving{Buffered: 40_000, Promised: 50_000})

	x.conn.SetReceiveCeiling(20_000)
	want("a ceiling takes nothing back", Receiving{Buffered: 40_000, Promised: 50_000})
	read(30_000)
	want("what is read is not promised anew", Receiving{Buffered: 10_000, Promised: 20_000})
	read(10_000)
	want("nor by reading what was within the ceiling", Receiving{Promised: 10_000})
	x.conn.SetReceiveCeiling(20_000)
	want("but by the next ceiling", Receiving{Promised: 20_000})
	send(40_000, 20_000)
	if x.conn.Err() != nil {
		t.Fatal(x.conn.Err())
	}
	read(20_000)
	x.conn.SetReceiveCeiling(20_000)
	want("so it goes on", Receiving{Promised: 20_000})

	x.drain()
	x.queue = nil
	x.conn.SetReceiveCeiling(0)
	x.drain()
	x.wantAmong("a ceiling that is lifted is told at once", "max_data 135000")
}

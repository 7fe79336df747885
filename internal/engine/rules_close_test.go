package engine

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// What RFC 9000, section 10, demands of the end of a connection, as far as no other test says it.

func TestClosingAndDrainingLastThreeProbeTimeouts(t *testing.T) {
	// Rules: 9000:10.2/1, 9000:10.2/2, 9000:10.2/3
	for _, c := range []struct {
		sentence string
		end      func(x *exchange)
	}{
		{"closing", func(x *exchange) { x.conn.Close(x.now, 7, "bye"); x.drain() }},
		{"draining", func(x *exchange) {
			x.receive(wire.AppSpace, wire.AppendConnectionClose(nil, wire.ConnectionClose{App: true}))
		}},
	} {
		for _, server := range []bool{false, true} {
			x := newExchange(t, server).handshake()
			period := 3 * x.conn.ledger.PTO()
			c.end(x)
			x.events = nil
			x.advance(period - time.Millisecond)
			if has(x.events, EventDrained) || has(x.events, EventIDRetired) {
				t.Errorf("%s ends early", c.sentence)
			}
			x.advance(2 * time.Millisecond)
			if !has(x.events, EventDrained) || !has(x.events, EventIDRetired) {
				t.Errorf("%s does not end", c.sentence)
			}
		}
	}
}

func TestClosingIsNoAmplifier(t *testing.T) {
	// Rules: 9000:10.2.1/2, 9000:10.2.1/3
	// What comes is not opened any more, so that anyone who has seen a connection ID can have a close sent.
	x := newExchange(t, true).handshake()
	x.conn.Close(x.now, 7, strings.Repeat("a long reason ", 30))
	x.drain()
	x.sizes = nil
	received, answers := 0, 0
	for size := 22; size < 60; size++ {
		x.receiveDatagram(append(append([]byte{0x40}, x.dst.Bytes()...), make([]byte, size-9)...))
		received += size
		sent := 0
		for _, n := range x.sizes {
			sent += n
		}
		if sent > 3*received {
			t.Fatalf("%d bytes were sent for %d received", sent, received)
		}
	}
	if answers = len(x.sizes); answers == 0 {
		t.Error("nothing was answered at all")
	}
}

func TestAStatelessResetIsAByteShorterThanItsCause(t *testing.T) {
	// Rules: 9000:10.3/4, 9000:10.3/5, 9000:10.3/2, 9000:10.3/7
	a := Acceptor{Server: true, ResetKey: seal.ResetKey{1}}
	seen := map[byte]int{}
	for size := minStatelessReset + 1; size < 1200; size += 1 + size/43 {
		reply := make([]byte, 1200)
		b := append([]byte{0x40, 1, 2, 3, 4, 5, 6, 7, 8}, make([]byte, size-9)...)
		v := a.Receive(0, Datagram{Payload: b}, reply, uint64(size)*0x9e3779b97f4a7c15)
		if want := min(size-1, maxStatelessReset); v.Kind != Reply || v.Size != want || v.Size >= 3*size {
			t.Errorf("%d bytes are answered with %+v", size, v)
		}
		if reply[0]&0xc0 != 0x40 {
			t.Errorf("it begins with %#x", reply[0])
		}
		seen[reply[0]]++
	}
	if len(seen) < 10 {
		t.Errorf("first bytes are %v", seen)
	}
}

func TestAStatelessResetMayLookLikeAnything(t *testing.T) {
	// Rules: 9000:10.3/8, 9000:10.3.1/1
	token := resetToken(9)
	for _, first := range []byte{0x40, 0x7f, 0x00, 0xc0, 0xe5, 0xff, 0x80} {
		x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.HasResetToken, p.ResetToken = true, token })).handshake()
		b := append([]byte{first, 0, 0, 0, 1, 8}, bytes.Repeat([]byte{0xee}, 40)...)
		x.receiveDatagram(append(b, token[:]...))
		if x.conn.Err() != ErrStatelessReset {
			t.Errorf("one that begins with %#x: %v", first, x.conn.Err())
		}
		x.queue = nil
		x.receive(wire.AppSpace, ping)
		x.wantNothing("the connection drains")

		var m Demux[string]
		m.AddToken(token, "reset")
		if h, ok := m.FindReset(append(b, token[:]...)); !ok || h != "reset" {
			t.Errorf("one that begins with %#x leads nowhere", first)
		}
	}
}

func TestAFirstCloseKeepsToTheLimitToo(t *testing.T) {
	// Rules: 9000:8.1/1, 9000:10.2.1/3
	// A server that may send its client sixty bytes more, as its address is not proved.
	x := newExchange(t, true)
	x.drain()
	x.sayInitial()
	p := &x.conn.path
	if p.sent = 3*p.received - 60; p.validated {
		t.Fatal("the address is validated")
	}
	x.sizes = nil
	x.conn.Close(x.now, 7, "a reason that is longer than what may be said of it")
	x.drain()
	for _, n := range x.sizes {
		if n > 60 {
			t.Errorf("%d bytes were sent", n)
		}
	}
}

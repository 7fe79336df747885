package engine

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// TestRefusalsAreBelievedWhileNothingElseIsHeard tells ICMP messages to clients and servers in all stages.
func TestRefusalsAreBelievedWhileNothingElseIsHeard(t *testing.T) {
	quote := func(x *exchange) []byte {
		return append(append([]byte{0xc0, 0, 0, 0, 1, 8}, x.conn.ids.original.Bytes()...), 8, 1, 2, 3)
	}
	timeout := func(x *exchange) {
		x.advance(2100 * time.Millisecond) // the second probe timeout is twice the first
		x.drain()
	}
	for _, c := range []struct {
		sentence string
		server   bool
		patience int
		story    func(x *exchange, refuse func())
		refused  bool
	}{
		{"one is not enough", false, 2, func(_ *exchange, refuse func()) { refuse() }, false},
		{"nor are two of one flight", false, 2, func(_ *exchange, refuse func()) { refuse(); refuse() }, false},
		{"two flights are", false, 2, func(x *exchange, refuse func()) { refuse(); timeout(x); refuse() }, true},
		{"one flight is, when that is asked for", false, 1, func(_ *exchange, refuse func()) { refuse() }, true},
		{"what was sent before does not matter", false, 2, func(x *exchange, refuse func()) { timeout(x); refuse(); timeout(x); refuse() }, true},
		{"a server that has spoken is there", false, 1, func(x *exchange, refuse func()) {
			x.receive(wire.InitialSpace, ping)
			refuse()
		}, false},
		{"after the handshake it is nothing", false, 1, func(x *exchange, refuse func()) { x.handshake(); refuse() }, false},
		{"servers are not told", true, 1, func(_ *exchange, refuse func()) { refuse() }, false},
	} {
		x := newExchange(t, c.server)
		x.drain()
		c.story(x, func() { x.conn.Refused(x.now, quote(x), c.patience) })
		if got := x.conn.Err() == ErrRefused; got != c.refused {
			t.Errorf("%s: the error is %v", c.sentence, x.conn.Err())
		}
	}
}

func TestRefusalsOfOthersAreNotBelieved(t *testing.T) {
	x := newExchange(t, false)
	x.drain()
	id := x.conn.ids.original.Bytes()
	ours := append([]byte{0xc0, 0, 0, 0, 1, byte(len(id))}, id...)
	wrong := append([]byte(nil), ours...)
	wrong[len(wrong)-1] ^= 1
	short := append([]byte{0x40}, id...)
	for _, quote := range [][]byte{wrong, short, {0xc0, 0, 0, 0, 1, 4}} {
		if x.conn.Refused(x.now, quote, 1); x.conn.Err() != nil {
			t.Fatalf("%x: %v", quote, x.conn.Err())
		}
	}
	for _, quote := range [][]byte{nil, ours[:1], ours[:8], ours} {
		x := newExchange(t, false)
		x.drain()
		if x.conn.Refused(x.now, quote, 1); x.conn.Err() != ErrRefused {
			t.Fatalf("%x: %v", quote, x.conn.Err())
		}
	}
}

package engine

import (
	"strings"
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

func TestPacketNumbersEnd(t *testing.T) {
	// Rules: 9000:12.3/3
	for _, server := range []bool{false, true} {
		x := newExchange(t, server).handshake()
		if x.conn.life.numbersEnd != 1<<62-1 {
			t.Fatalf("the end is %d", x.conn.life.numbersEnd)
		}
		const left = 3
		next := x.conn.ledger.Next(wire.AppSpace)
		x.conn.life.numbersEnd = next + left
		id := x.open()
		x.conn.Write(x.now, id, make([]byte, 10*minDatagramSize))
		x.drain()
		if n := x.conn.ledger.Next(wire.AppSpace); n != next+left || len(x.sizes) != left {
			t.Errorf("server %v: %d numbers were left, and %d datagrams sent", server, left, len(x.sizes))
		}
		if x.conn.Err() != errNumbersSpent {
			t.Errorf("it ends with %v", x.conn.Err())
		}
		for _, f := range x.queue {
			if !strings.HasPrefix(f.text, "stream") {
				t.Errorf("it sent %q", f.text)
			}
		}
		x.wantEvent("the connection IDs lead nowhere, so that what comes is answered with a stateless reset", EventDrained)
		x.receive(wire.AppSpace, ping)
		if len(x.sizes) != left {
			t.Error("something is sent after the end")
		}
	}
}

func TestACloseWithoutANumberIsNotSaid(t *testing.T) {
	// Rules: 9000:12.3/3
	x := newExchange(t, true).handshake()
	x.conn.Close(x.now, 7, "")
	x.conn.life.numbersEnd = x.conn.ledger.Next(wire.AppSpace)
	x.drain()
	x.receive(wire.AppSpace, ping)
	if len(x.sizes) > 0 {
		t.Errorf("sent was %q", x.texts())
	}
}

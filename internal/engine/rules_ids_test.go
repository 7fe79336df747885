package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// What RFC 9000, sections 5.1, 19.15 and 19.16, demand of connection IDs, as far as no other test says it.

func TestIssuedIDsAreNumberedAndDifferent(t *testing.T) {
	// Rules: 9000:5.1/1, 9000:5.1/2, 9000:5.1.1/1, 9000:5.1.1/6, 9000:10.3.2/5
	x := newExchange(t, true, withConfig(func(c *Config) { c.ResetKey = seal.ResetKey{5} }))
	x.playHandshake()
	first := x.conn.ids.local[0].id
	ids, tokens := map[wire.ConnID]bool{first: true}, map[[16]byte]bool{x.learned.ResetToken: true}
	next := int64(1)
	for range 50 {
		for _, f := range x.queue {
			if !strings.HasPrefix(f.text, "new_connection_id") {
				continue
			}
			id, _ := wire.ConsumeNewConnectionID(f.raw)
			if id.Seq != next || ids[id.ID] || tokens[id.ResetToken] || id.ID.Len() != first.Len() {
				t.Fatalf("after %d IDs comes %+v", next, id)
			}
			next++
			ids[id.ID], tokens[id.ResetToken] = true, true
			x.dst = id.ID
		}
		x.queue = nil
		x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, next-2), x.acks())
	}
	if next < 50 {
		t.Errorf("%d IDs were issued", next)
	}
}

func TestEveryIDThatWasIssuedIsGoodUntilItIsRetired(t *testing.T) {
	// Rules: 9000:5.1.1/2, 9000:5.1.2/2
	x := newExchange(t, true, withParams(func(p *wire.TransportParams) { p.ActiveConnIDLimit = 4 })).handshake()
	for range 3 {
		locals := slices.Clone(x.conn.ids.local)
		for _, l := range locals {
			before := x.conn.Stats().PacketsReceived
			x.dst = l.id
			x.receive(wire.AppSpace, ping)
			if x.conn.Stats().PacketsReceived != before+1 {
				t.Errorf("a packet to ID %d is dropped", l.seq)
			}
		}
		x.dst = locals[1].id
		x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, locals[0].seq))
		x.advance(3*x.conn.ledger.PTO() + time.Millisecond) // packets that were on their way are read
		x.dst = locals[0].id
		x.wantDropped("one to an ID that was retired", x.packet(wire.AppSpace, ping))
		x.dst = locals[1].id
	}
}

func TestAPeerWithAnEmptyIDIssuesNoOther(t *testing.T) {
	// Rules: 9000:19.15/3
	for _, server := range []bool{false, true} {
		x := newExchange(t, server, withEmptyID).handshake()
		x.receive(wire.AppSpace, newID(1, 0))
		x.wantClose("a connection ID of a peer that has none", wire.ProtocolViolation)
	}
}

func TestALowerRetirePriorToIsIgnored(t *testing.T) {
	// Rules: 9000:19.15/7
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, newID(3, 2))
	x.wantAmong("ID 0 is given up", "retire_connection_id 0")
	x.receive(wire.AppSpace, newID(2, 0), newID(4, 1))
	x.wantNothing("the demand is older than what it was")
	x.receive(wire.AppSpace, newID(1, 1))
	x.want("what is below the highest is given up all the same", wire.AppSpace, "retire_connection_id 1")
	if got := x.conn.ids.remoteID(); got != peerID(3) || x.conn.Err() != nil {
		t.Errorf("the ID in use is %v: %v", got, x.conn.Err())
	}
}

func TestOurFramesAboutIDsAreInOrder(t *testing.T) {
	// Rules: 9000:19.15/5, 9000:5.1.2/7
	x := newExchange(t, true)
	x.playHandshake()
	n := 0
	for range 10 {
		for _, f := range x.queue {
			if strings.HasPrefix(f.text, "new_connection_id") {
				id, _ := wire.ConsumeNewConnectionID(f.raw)
				if n++; id.RetirePriorTo > id.Seq || id.RetirePriorTo != 0 {
					t.Errorf("it sent %+v", id)
				}
				x.dst = id.ID
			}
		}
		x.queue = nil
		if oldest := x.conn.ids.local[0]; oldest.id != x.dst {
			x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, oldest.seq), x.acks())
		}
	}
	if n < 5 {
		t.Errorf("%d IDs were issued", n)
	}
}

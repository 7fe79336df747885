package engine

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// given returns the NEW_CONNECTION_ID frames that the connection has sent, and forgets what it sent.
func (x *exchange) given() (list []wire.NewConnectionID) {
	for _, f := range x.queue {
		if n, size := wire.ConsumeNewConnectionID(f.raw); size > 0 && f.raw[0] == byte(wire.FrameNewConnectionID) {
			list = append(list, n)
		}
	}
	x.queue = nil
	return list
}

func TestRenewedIDsTakeThePlaceOfAll(t *testing.T) {
	x := newExchange(t, true).handshake()
	old := x.conn.ids.local[1].id
	x.dst = old
	x.conn.RenewIDs(x.now)
	x.drain()
	list := x.given()
	if len(list) != 2 || list[0].Seq != 2 || list[0].RetirePriorTo != 2 || list[1].Seq != 3 || list[1].RetirePriorTo != 2 {
		t.Fatalf("given are %+v", list)
	}
	x.receive(wire.AppSpace, ping)
	if n := x.conn.Stats().PacketsDropped; n != 0 {
		t.Error("a packet to an old ID is dropped before that is given up")
	}
	x.conn.RenewIDs(x.now)
	x.drain()
	if list := x.given(); len(list) != 0 {
		t.Errorf("while the old are not given up, %+v are given", list)
	}
	x.dst = list[0].ID
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 0))
	if again := x.given(); len(again) != 0 {
		t.Errorf("for one of them %+v are given: the peer has its new ones", again)
	}
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 1))
	if again := x.given(); len(again) != 2 || again[0].Seq != 4 || again[1].RetirePriorTo != 4 {
		t.Errorf("then, since they were to be renewed twice, %+v are", again)
	}
	if x.advance(10 * time.Second); x.conn.ids.isLocal(old.Bytes()) {
		t.Error("an ID that was given up leads here")
	}
}

func TestRenewalIsRepeatedWhenItIsLost(t *testing.T) {
	x := newExchange(t, true, withParams(func(p *wire.TransportParams) { p.ActiveConnIDLimit = 4 })).handshake()
	x.acking = false
	x.conn.ids.local[3].send.set() // one of the old has not arrived either
	x.conn.RenewIDs(x.now)
	x.drain()
	first := x.given()
	x.advanceToDeadline()
	second := x.given()
	if len(first) != 5 || len(second) != 5 {
		t.Fatalf("given are %d, and again %d", len(first), len(second))
	}
	for i, f := range second {
		if want := min(f.Seq, 4); f != first[i] || f.RetirePriorTo != want {
			t.Errorf("first %+v, then %+v", first[i], f)
		}
	}
}

func TestIDsAreRenewedOnceTheHandshakeIsConfirmed(t *testing.T) {
	p := newPair(t, nil, &Config{IDConfig: IDConfig{IDs: lengthy(11)}})
	p.acceptor.IDs = lengthy(11)
	p.until("the server begins", func() bool { return p.server != nil })
	p.server.RenewIDs(p.now)
	p.handshake()
	p.until("the client has none of the first IDs", func() bool {
		for _, r := range p.client.ids.remote {
			if r.seq < 4 {
				return false
			}
		}
		return len(p.client.ids.remote) == 4 && len(p.server.ids.local) == 4
	})
}

func TestWhoHasNoIDsRenewsNone(t *testing.T) {
	x := newExchange(t, false, withConfig(func(c *Config) { c.IDs = lengthy(0) })).handshake()
	x.conn.RenewIDs(x.now)
	x.wantNothing("an empty ID")
	x = newExchange(t, true).handshake()
	x.conn.config.ClaimID = func(wire.ConnID) bool { return false }
	x.conn.RenewIDs(x.now)
	x.drain()
	x.wantNothing("there is no other")
	x.receive(wire.AppSpace, ping)
	if x.conn.Err() != nil || x.conn.ids.priorTo != 0 {
		t.Error(x.conn.Err())
	}
	x.conn.Close(x.now, 0, "")
	x.conn.RenewIDs(x.now)
}

package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/wire"
)

// The judges of whole connections, told of things that a correct engine does not do.
func TestBadConnectionsAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *World, p *pair)
		want string
	}{
		{"talk that leads nowhere", func(w *World, p *pair) { p.idle = maxIdleTalk + 1; w.checkTurn() }, "got nowhere"},
		{"a standstill without a reason", func(w *World, p *pair) {
			w.now = w.now.Add(w.config.Heal)
			w.heal()
			w.now = w.now.Add(p.patience + 1)
			w.checkTurn()
		}, "nothing is wrong, and for"},
		{"more promised than there is", func(w *World, p *pair) {
			h := p.ends[client].host
			h.budget = 1000
			h.balance(p.ends[client])
		}, "more than its budget of 1000"},
		{"too much for an address that nobody is at", func(w *World, p *pair) {
			c := &conn{Conn: p.ends[client].Conn, host: w.server, server: true, audit: newAudit(engine.Incoming{})}
			c.audit.receive(simnet.Packet{From: spoofAddr(0, 0), Payload: make([]byte, 100)}, nil)
			w.server.check(c, c.Stats(), engine.Transmit{Path: engine.Path{Remote: spoofAddr(0, 0)}, Size: 301, Segment: 301})
		}, "sent 301 bytes to an unvalidated address"},
		{"a fault of the engine's in a hard world", func(w *World, p *pair) {
			c := p.ends[client]
			w.config.Hard = true
			c.Abort(w.now, wire.InternalError, "a fault")
			c.checkClose()
		}, "ended before its work was done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(Config{Work: up(1000), Topology: Topology{Heal: time.Second}})
			c.do(w, w.pairs[0])
			if w.err == nil || !strings.Contains(w.err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", w.err, c.want)
			}
		})
	}
}

func TestAnAddressIsProvedByAHandshakePacketOrAnAnswerAndNothingElse(t *testing.T) {
	first, other := clientAddr(0), outsideAddr(0, 0)
	a := newAudit(engine.Incoming{Path: engine.Path{Remote: first}})
	reached := map[netip.AddrPort]bool{first: true}
	a.receive(simnet.Packet{From: first, Payload: []byte{0x40}}, reached)
	a.receive(simnet.Packet{From: other, Payload: []byte{0x40}}, reached)
	if a.of(first).proved || a.of(other).proved {
		t.Error("proved by a short header")
	}
	reached[other] = true
	a.receive(simnet.Packet{From: first, Payload: []byte{0x40}}, reached)
	if a.of(first).proved || !a.of(other).proved {
		t.Errorf("reached and answered: %v, %v", a.of(first).proved, a.of(other).proved)
	}
	b, at := wire.AppendLongHeader(nil, wire.LongHeader{Type: wire.PacketHandshake, Version: wire.Version1}, 0, 1)
	wire.SetLength(b, at, 1)
	a.receive(simnet.Packet{From: first, Payload: b}, reached)
	if !a.of(first).proved {
		t.Error("a Handshake packet proves nothing")
	}
}

func TestTheSameSeedIsTheSameTraceToTheLastByte(t *testing.T) {
	for _, seed := range []uint64{1, 2, 7, 11} {
		run := func() (r Result) {
			t.Run("traced", func(t *testing.T) {
				c := Random(seed)
				c.Trace = true
				r = live(t, c)
			})
			return r
		}
		first, second := run(), run()
		if first.Hash != second.Hash || len(first.Traces) == 0 || len(first.Traces) != len(second.Traces) {
			t.Fatalf("seed %d: two worlds, with %d and %d traces", seed, len(first.Traces), len(second.Traces))
		}
		for i := range first.Traces {
			if string(first.Traces[i].Data) != string(second.Traces[i].Data) {
				t.Errorf("seed %d: %s differs", seed, first.Traces[i].Name)
			}
		}
	}
}

package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// losing makes a pair whose path loses the datagrams of one end that lost names, counted from 0 as they are sent.
func losing(t *testing.T, lost func(fromClient bool, n int) bool) *pair {
	p := newPair(t, nil, nil)
	var sent [2]int
	p.rewrite = func(d *Datagram) bool {
		fromClient := d.Path.Local == serverAddr
		i := 0
		if fromClient {
			i = 1
		}
		sent[i]++
		return !lost(fromClient, sent[i]-1)
	}
	return p
}

// TestHandshakeSurvivesTheLossOfAnyDatagrams loses each run of up to four datagrams of either end, or of both: the first
// flights, the answer to a client that the amplification limit blocks, Finished, HANDSHAKE_DONE.
func TestHandshakeSurvivesTheLossOfAnyDatagrams(t *testing.T) {
	// Rules: 9000:13.3/3
	for first := range 8 {
		for run := 1; run <= 4; run++ {
			for who := range 3 {
				p := losing(t, func(fromClient bool, n int) bool {
					return n >= first && n < first+run && (who == 2 || fromClient == (who == 0))
				})
				what := fmt.Sprintf("datagrams [%d,%d) of %s are lost", first, first+run, []string{"the client", "the server", "both"}[who])
				start := p.now
				p.until("the handshake is confirmed although "+what, func() bool {
					return p.client.shake.confirmed && p.server != nil && p.server.shake.confirmed
				})
				if took := p.now.Sub(start); took > 9*time.Second {
					t.Errorf("%s: it took %v", what, took)
				}
				p.requestResponse(what)
			}
		}
	}
}

// requestResponse has the client send a little, and the server answer.
func (p *pair) requestResponse(what string) {
	p.t.Helper()
	id, ok := p.client.Open(p.now, false)
	if !ok {
		p.t.Fatalf("%s: no stream to be had", what)
	}
	b := make([]byte, 16)
	p.client.Write(p.now, id, []byte("request"))
	p.client.Finish(p.now, id)
	p.until("the request arrives although "+what, func() bool {
		n, fin, _ := p.server.Read(p.now, id, b)
		return fin && n == 7 || fin
	})
	p.server.Write(p.now, id, []byte("response"))
	p.server.Finish(p.now, id)
	p.until("the response arrives although "+what, func() bool {
		_, fin, _ := p.client.Read(p.now, id, b)
		return fin
	})
}

func TestAClientThatHearsNothingProbesAlone(t *testing.T) {
	// Rules: 9000:8.1/3, 9000:8.1/4, 9000:8.1/5, 9002:6.2.2.1/2, 9002:6.2.2.1/3
	// RFC 9002, section 6.2.2.1: "When the PTO fires, the client MUST send a Handshake packet if it has Handshake keys,
	// otherwise it MUST send an Initial packet in a UDP datagram with a payload of at least 1200 bytes."
	x := newExchange(t, false)
	x.drain()
	x.receive(wire.InitialSpace, wire.AppendAck(nil, wire.Ack{}, x.seen[wire.InitialSpace], 100))
	x.queue, x.sizes = nil, nil
	x.advanceToDeadline()
	x.want("all is acknowledged, but the server may be blocked", wire.InitialSpace, "ping")
	if x.sizes[0] < wire.MinInitialSize {
		t.Errorf("with %d bytes", x.sizes[0])
	}
	x = newExchange(t, false)
	x.early(ping)
	x.ack(wire.InitialSpace)
	x.queue = nil
	x.advanceToDeadline()
	x.want("with Handshake keys, in a Handshake packet", wire.HandshakeSpace, "ping")
}

func TestAProbeRepeatsAFinishedThoughPINGsWentBefore(t *testing.T) {
	x := newExchange(t, false)
	x.early(ping)
	x.ack(wire.InitialSpace)
	x.queue, x.acking = nil, false
	for range 2 {
		x.advanceToDeadline()
		x.want("a probe while the server's flight is under way", wire.HandshakeSpace, "ping")
	}
	for !x.conn.HandshakeDone() {
		x.sayCrypto()
	}
	x.queue = nil
	x.advanceToDeadline()
	x.wantAmong("the Finished, of which nothing was heard", "crypto [0,36)")
}

func TestKeysAreDiscardedAsSoonAsTheyAreOfNoUse(t *testing.T) {
	// Rules: 9001:4.9.1/1, 9001:4.9.2/1
	// RFC 9001, section 4.9.
	x := newExchange(t, false)
	x.early(ping)
	if x.conn.spaces[wire.InitialSpace].discarded {
		t.Error("a client forgets its Initial keys before it sends a Handshake packet")
	}
	x.receive(wire.HandshakeSpace, ping)
	if !x.conn.spaces[wire.InitialSpace].discarded {
		t.Error("a client keeps its Initial keys although it sent a Handshake packet")
	}
	for !x.conn.HandshakeDone() {
		x.sayCrypto()
	}
	if x.conn.spaces[wire.HandshakeSpace].discarded {
		t.Error("a client forgets its Handshake keys before the handshake is confirmed")
	}
	x.receive(wire.AppSpace, []byte{byte(wire.FrameHandshakeDone)})
	if !x.conn.spaces[wire.HandshakeSpace].discarded {
		t.Error("a client keeps its Handshake keys although the handshake is confirmed")
	}

	x = newExchange(t, true)
	x.sayInitial()
	if x.conn.spaces[wire.InitialSpace].discarded || x.conn.path.validated {
		t.Error("a server forgets its Initial keys before it receives a Handshake packet")
	}
	x.receive(wire.HandshakeSpace, ping)
	if !x.conn.spaces[wire.InitialSpace].discarded || !x.conn.path.validated {
		t.Error("a Handshake packet has to validate the client's address and end the Initial keys")
	}
	x.sayCrypto()
	if !x.conn.spaces[wire.HandshakeSpace].discarded {
		t.Error("a server keeps its Handshake keys although the handshake is complete")
	}
}

func (x *exchange) sayInitial() {
	x.drain()
	for len(x.pending[wire.InitialSpace]) > 0 {
		x.receive(wire.InitialSpace, x.crypto(wire.InitialSpace))
	}
}

func TestA1RTTPacketIsNotTakenBeforeTheHandshakeIsComplete(t *testing.T) {
	// Rules: 9001:5.7/1, 9001:5.7/2
	// RFC 9001, section 5.7: a server waits for the client's Finished.
	x := newExchange(t, true)
	x.sayInitial()
	if x.write[wire.AppSpace] == nil {
		t.Fatal("the client has no 1-RTT keys yet")
	}
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false))
	for _, e := range x.events {
		if e.Kind == EventStreamOpened {
			t.Fatal("a stream was opened by a client that has proved nothing")
		}
	}
	x.sayCrypto()
	x.drain()
	x.wantRead("afterwards it is", 0, "abc", false)
}

// TestClosingBeforeTheHandshakeIsConfirmed: RFC 9000, section 10.2.3.
func TestClosingBeforeTheHandshakeIsConfirmed(t *testing.T) {
	// Rules: 9000:10.2.3/1, 9000:10.2.3/2, 9000:10.2.3/3, 9000:10.2.3/4, 9000:10.2.3/5, 9000:10.2.3/6, 9000:12.5/1
	type sent struct {
		space wire.Space
		text  string
	}
	hidden, open := "connection_close code=0xc app=false", "connection_close code=0x7 app=true"
	for _, c := range []struct {
		sentence string
		server   bool
		play     func(x *exchange)
		want     []sent
	}{
		{"a client that has heard nothing", false, func(x *exchange) { x.drain() }, []sent{{wire.InitialSpace, hidden}}},
		{"a client with Handshake keys", false, func(x *exchange) { x.early(ping) },
			[]sent{{wire.InitialSpace, hidden}, {wire.HandshakeSpace, hidden}}},
		{"a client that is done and waits", false, func(x *exchange) { x.drain(); x.sayCrypto(); x.drain() },
			[]sent{{wire.HandshakeSpace, hidden}, {wire.AppSpace, open}}},
		{"a server that has sent its flight", true, func(x *exchange) { x.sayInitial() },
			[]sent{{wire.InitialSpace, hidden}, {wire.HandshakeSpace, hidden}, {wire.AppSpace, open}}},
		{"a server after a Handshake packet", true, func(x *exchange) { x.sayInitial(); x.receive(wire.HandshakeSpace, ping) },
			[]sent{{wire.HandshakeSpace, hidden}, {wire.AppSpace, open}}},
		{"a server that is done", true, func(x *exchange) { x.handshake() }, []sent{{wire.AppSpace, open}}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			x := newExchange(t, c.server)
			c.play(x)
			x.queue, x.sizes = nil, nil
			x.conn.Close(x.now, 7, "a secret")
			x.drain()
			for _, s := range c.want {
				f := x.want(c.sentence, s.space, s.text)
				if got, _ := wire.ConsumeConnectionClose(f.raw); s.space != wire.AppSpace && len(got.Reason) > 0 {
					t.Errorf("the reason %q is in a %s packet", got.Reason, s.space)
				}
			}
			x.wantNothing("no more than that")
			if len(x.sizes) != 1 {
				t.Errorf("in %d datagrams", len(x.sizes))
			}
			if !c.server && c.want[0].space == wire.InitialSpace && x.sizes[0] < wire.MinInitialSize {
				t.Errorf("in a datagram of %d bytes", x.sizes[0])
			}
		})
	}
}

func TestIdleTimeoutIsTheSmallerOfBoth(t *testing.T) {
	// Rules: 9000:10.1/1
	// RFC 9000, section 10.1.
	for _, c := range []struct{ ours, theirs, want time.Duration }{
		{5 * time.Second, 30 * time.Second, 5 * time.Second},
		{30 * time.Second, 5 * time.Second, 5 * time.Second},
		{5 * time.Second, 0, 5 * time.Second},
		{-1, 5 * time.Second, 5 * time.Second},
		{-1, 0, 0},
	} {
		x := newExchange(t, true, withConfig(func(cfg *Config) { cfg.MaxIdleTimeout = c.ours }),
			withParams(func(p *wire.TransportParams) { p.MaxIdleTimeout = c.theirs })).handshake()
		x.receive(wire.AppSpace, []byte{0})
		if got := x.untilOver(time.Minute); got != c.want {
			t.Errorf("ours %v, theirs %v: over after %v, want %v", c.ours, c.theirs, got, c.want)
		}
	}
	// "To avoid excessively small idle timeout periods, endpoints MUST increase the idle timeout period to be at least three
	// times the current Probe Timeout (PTO)."
	x := newExchange(t, true, withConfig(func(cfg *Config) { cfg.MaxIdleTimeout = time.Millisecond }))
	x.playHandshake()
	x.ack(wire.AppSpace)
	x.receive(wire.AppSpace, []byte{0})
	if got, want := x.untilOver(time.Minute), 3*x.conn.ledger.PTO(); got != want {
		t.Errorf("a timeout of a millisecond became %v, want %v", got, want)
	}
}

// untilOver returns how long the connection lives from now on if nothing comes; 0: longer than limit.
func (x *exchange) untilOver(limit time.Duration) time.Duration {
	for start := x.now; x.now.Sub(start) < limit && x.conn.Deadline() != 0; {
		x.advanceToDeadline()
		if x.conn.Err() != nil {
			return x.now.Sub(start)
		}
	}
	return 0
}

package engine

import (
	"bytes"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// FuzzDatagram hands bytes that nobody sealed to live connections: nothing in them may be believed.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte{0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9}, uint8(0))
	f.Add([]byte{0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0}, uint8(7))
	f.Add([]byte{0xf0, 0, 0, 0, 1, 0, 0, 1, 2, 3}, uint8(15))
	f.Add([]byte{0x80, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4}, uint8(6))
	f.Add(append([]byte{0xe3, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 40}, make([]byte, 40)...), uint8(5))
	f.Add([]byte{0xd0, 0x6b, 0x33, 0x43, 0xcf, 8, 1, 2, 3, 4, 5, 6, 7, 8, 5, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0, 0x40, 40}, uint8(12))
	f.Add(append([]byte{0xf0, 0x6b, 0x33, 0x43, 0xcf, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 40}, make([]byte, 40)...), uint8(5))
	f.Fuzz(func(t *testing.T, b []byte, how uint8) {
		server, confirmed, addressed, large := how&1 != 0, how&2 != 0, how&4 != 0, how&8 != 0
		x := newExchange(t, server)
		x.drain()
		if x.receive(wire.InitialSpace, ping); confirmed {
			x.handshake()
		}
		if large {
			b = append(b, make([]byte, max(0, minDatagramSize-len(b)))...)
		}
		if addressed { // put an ID of ours where it belongs, so that more of it is looked at
			at := 1
			if len(b) > 0 && wire.IsLong(b[0]) {
				at = 6
			}
			if len(b) >= at+DefaultIDLen {
				copy(b[at:], x.conn.ids.local[0].id.Bytes())
			}
		}
		before := x.conn.Stats().PacketsReceived
		x.receiveDatagram(bytes.Clone(b))
		if x.conn.Err() != nil {
			t.Fatalf("closed: %v", x.conn.Err())
		}
		if x.conn.Stats().PacketsReceived != before {
			t.Fatal("a packet was believed")
		}
		if !confirmed {
			return
		}
		if x.receive(wire.AppSpace, ping); x.conn.Stats().PacketsReceived != before+1 {
			t.Error("the next packet is not taken")
		}
	})
}

// FuzzFrames hands frames in packets that are sealed as they should be to connections of both roles.
func FuzzFrames(f *testing.F) {
	seeds := [][]byte{
		ping, streamFrame(0, 0, "abc", true), streamFrame(1, 5, "abc", false), streamFrame(3, 0, "", true), newID(1, 1),
		wire.AppendAck(nil, wire.Ack{}, []rangeOf{{Start: 0, End: 2}}, 100), challengeFrame(),
		wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 5, FinalSize: 3}),
		wire.AppendStopSending(nil, wire.StopSending{ID: 0, Code: 5}), wire.AppendMaxData(nil, 1<<30),
		resetAt(0, 5, 3, 2), resetAt(0, 5, 3, 0), wire.AppendDatagram(nil, []byte("abc")),
		wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: 0, Max: 1 << 20}), wire.AppendMaxStreams(nil, wire.MaxStreams{Max: 100}),
		wire.AppendRetireConnectionID(nil, 1), wire.AppendConnectionClose(nil, wire.ConnectionClose{Code: 1}),
		wire.AppendCrypto(nil, wire.Crypto{Offset: 100, Data: []byte("abc")}), wire.AppendNewToken(nil, []byte("t")),
		wire.AppendStreamsBlocked(nil, wire.StreamsBlocked{Limit: 10}), wire.AppendDataBlocked(nil, 5),
		wire.AppendNewConnectionID(nil, wire.NewConnectionID{Seq: 1, RetirePriorTo: 1, ID: wire.MakeConnID([]byte{7})}),
	}
	for i, s := range seeds {
		f.Add(s, seeds[(i+3)%len(seeds)], uint8(i))
		f.Add(append(bytes.Clone(s), seeds[(i+1)%len(seeds)]...), s, uint8(8+i%8))
	}
	f.Fuzz(func(t *testing.T, first, second []byte, how uint8) {
		if len(first) > 1100 || len(second) > 1100 {
			return
		}
		server, early := how&1 != 0, how&2 != 0
		x := newExchange(t, server)
		space := wire.AppSpace
		if early {
			if space = wire.InitialSpace; how&4 != 0 {
				space = wire.HandshakeSpace
			}
			x.sayInitial()
		} else {
			x.handshake()
			id := x.open()
			x.conn.Write(x.now, id, []byte("some bytes of ours"))
			x.drain()
		}
		for _, frames := range [][]byte{first, second} {
			if x.write[space] == nil || x.conn.spaces[space].read == nil {
				break
			}
			x.tolerant = true
			x.receive(space, frames)
			x.checkInvariants()
			x.advance(30 * time.Millisecond)
			x.checkInvariants()
		}
		x.advance(2 * time.Minute)
		if x.conn.Deadline() != 0 || x.conn.life.state != lifeDone {
			t.Errorf("two minutes later it is %v", x.conn.life.state)
		}
	})
}

// checkInvariants holds a connection against what must always be so.
func (x *exchange) checkInvariants() {
	x.t.Helper()
	c := x.conn
	if e, ok := c.Err().(*TransportError); ok && !e.Remote {
		if e.Code > wire.VersionNegotiationError && (e.Code < 0x100 || e.Code > 0x1ff) {
			x.t.Fatalf("closed with a code that RFC 9000, section 20.1 does not have: %v", e)
		}
	}
	if c.life.state != lifeOpen {
		return
	}
	received, sent := int64(0), int64(0)
	for _, s := range c.streams.byID {
		r := &s.recv
		if r.end > r.window.limit || r.read > r.end || len(r.got) > maxStreamRanges || r.final >= 0 && r.end > r.final {
			x.t.Fatalf("stream %d: read %d, end %d, final %d, limit %d", s.id, r.read, r.end, r.final, r.window.limit)
		}
		p := &s.send
		if p.next > p.max || p.next > p.end {
			x.t.Fatalf("stream %d: sent %d of %d, limit %d", s.id, p.next, p.end, p.max)
		}
		received, sent = received+r.end, sent+p.next
	}
	f := &c.flow
	if received > f.received || f.received > f.window.limit || f.consumed > f.received || sent > f.sent || f.sent > f.max {
		x.t.Fatalf("received %d of %d, limit %d, consumed %d; sent %d of %d, limit %d",
			received, f.received, f.window.limit, f.consumed, sent, f.sent, f.max)
	}
	for dir := range c.streams.remote {
		if r := &c.streams.remote[dir]; r.opened > r.max || r.opened-r.ended > r.allowed {
			x.t.Fatalf("%d streams opened, %d ended, %d allowed", r.opened, r.ended, r.allowed)
		}
	}
	if len(c.ids.remote) > maxRemoteIDs || len(c.ids.local) > maxLocalIDs || len(c.ids.retire) > maxRetiring {
		x.t.Fatalf("%d IDs of the peer's, %d of ours, %d to retire", len(c.ids.remote), len(c.ids.local), len(c.ids.retire))
	}
	for space := range c.spaces {
		if n := len(c.spaces[space].acks.seen); n > maxAckRanges {
			x.t.Fatalf("%d ranges of packets", n)
		}
	}
}

// FuzzAcceptor judges datagrams of strangers.
func FuzzAcceptor(f *testing.F) {
	f.Add([]byte{0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0}, true, true)
	f.Add([]byte{0xc0, 1, 2, 3, 4, 255, 1, 2}, true, true)
	f.Add([]byte{0xd0, 0x6b, 0x33, 0x43, 0xcf, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0}, true, true)
	f.Add([]byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, true, true)
	f.Add(append([]byte{0x40}, make([]byte, 30)...), false, false)
	reply := make([]byte, 2048)
	f.Fuzz(func(t *testing.T, b []byte, server, large bool) {
		if large {
			b = append(b, make([]byte, max(0, minDatagramSize-len(b)))...)
		}
		d := Datagram{Payload: b, Path: Path{Local: serverAddr, Remote: clientAddr}}
		v := (&Acceptor{Server: server}).Receive(0, d, reply[:minDatagramSize], 7)
		switch v.Kind {
		case Drop:
			if v.Reason == "" {
				t.Error("dropped without a reason")
			}
		case Reply:
			if v.Size <= 0 || v.Size >= len(b) {
				t.Errorf("a reply of %d bytes to a datagram of %d", v.Size, len(b))
			}
		case Accept:
			if !server || len(b) < minDatagramSize || v.Incoming.DstID.Len() < minClientID {
				t.Fatalf("accepted %x: %+v", b[:20], v.Incoming)
			}
			c, err := NewServer(1e9, &Config{TLS: serverTLS()}, v.Incoming)
			if err != nil {
				t.Fatal(err)
			}
			c.Receive(1e9, d)
			c.Compose(1e9, reply)
			c.Close(1e9, 0, "")
		}
	})
}

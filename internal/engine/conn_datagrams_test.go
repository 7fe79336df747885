package engine

import (
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

var taking = withConfig(func(c *Config) { c.MaxDatagramFrame = 65535 })

func peerTakes(n int64) option {
	return withParams(func(p *wire.TransportParams) { p.MaxDatagramFrameSize = n })
}

func TestDatagramsGoOutOnceAndComeIn(t *testing.T) {
	// Rules: 9221:3/2, 9221:3/5, 9221:5/2
	x := newExchange(t, true, taking, peerTakes(1000)).handshake()
	if x.learned.MaxDatagramFrameSize != 65535 || x.conn.MaxDatagramSize() != 997 {
		t.Fatalf("%d declared, %d to send", x.learned.MaxDatagramFrameSize, x.conn.MaxDatagramSize())
	}
	if err := x.conn.SendDatagram(x.now, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := x.conn.SendDatagram(x.now, make([]byte, 998)); err != ErrDatagramTooLarge {
		t.Errorf("998 bytes: %v", err)
	}
	x.drain()
	f := x.want("it is sent", wire.AppSpace, "datagram")
	if data, _ := wire.ConsumeDatagram(f.raw); string(data) != "hello" {
		t.Errorf("as %q", data)
	}
	x.advanceToDeadline() // a probe timeout
	for _, f := range x.queue {
		if f.text == "datagram" {
			t.Error("it is sent again")
		}
	}
	x.queue, x.events = nil, nil
	x.receive(wire.AppSpace, wire.AppendDatagram(nil, []byte("one")), []byte{byte(wire.FrameDatagramLen), 3, 't', 'w', 'o'})
	x.wantEvent("they are told of", EventDatagramReady)
	for _, want := range []string{"one", "two"} {
		var p [10]byte
		if n, ok := x.conn.ReceiveDatagram(p[:]); !ok || string(p[:n]) != want {
			t.Errorf("%q, want %q", p[:n], want)
		}
	}
	if _, ok := x.conn.ReceiveDatagram(nil); ok {
		t.Error("a third one")
	}
}

func TestDatagramsThatAreNotAllowedCloseTheConnection(t *testing.T) {
	// Rules: 9221:3/1, 9221:3/3, 9221:3/4
	// RFC 9221, section 3.
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, wire.AppendDatagram(nil, []byte("x")))
	x.wantClose("we take none", wire.ProtocolViolation)

	x = newExchange(t, true, withConfig(func(c *Config) { c.MaxDatagramFrame = 10 })).handshake()
	x.receive(wire.AppSpace, wire.AppendDatagram(nil, make([]byte, 8)))
	x.receive(wire.AppSpace, wire.AppendDatagram(nil, make([]byte, 9)))
	x.wantClose("it is too large", wire.ProtocolViolation)

	x = newExchange(t, true, taking).handshake()
	if err := x.conn.SendDatagram(x.now, nil); err != ErrNoDatagrams {
		t.Errorf("to a peer that takes none: %v", err)
	}
	x.receive(wire.AppSpace, []byte{byte(wire.FrameDatagramLen), 5, 'x'})
	x.wantClose("it is cut off", wire.FrameEncodingError)
}

func TestDatagramQueuesDropTheOldest(t *testing.T) {
	x := newExchange(t, true, taking).handshake()
	for i := range maxDatagrams + 10 {
		x.receive(wire.AppSpace, wire.AppendDatagram(nil, []byte{byte(i), byte(i >> 8)}))
	}
	var p [2]byte
	for i := 10; i < maxDatagrams+10; i++ {
		if n, ok := x.conn.ReceiveDatagram(p[:]); n != 2 || !ok || int(p[0])|int(p[1])<<8 != i {
			t.Fatalf("%x where %d was expected", p, i)
		}
	}
	if got, want := x.conn.DatagramStats(), (DatagramStats{Received: maxDatagrams + 10, DroppedReceiving: 10}); got != want {
		t.Errorf("counted: %+v, want %+v", got, want)
	}
	var q datagramQueue
	for range 3 * maxDatagramBytes / 10_000 {
		q.push(make([]byte, 10_000))
		if q.bytes > maxDatagramBytes {
			t.Fatalf("%d bytes wait", q.bytes)
		}
	}
}

func TestDatagramsAndStreamsShareTheWay(t *testing.T) {
	x := newExchange(t, true, taking, peerTakes(65535)).handshake()
	id := x.open()
	x.acking = false
	for range 20 {
		x.conn.SendDatagram(x.now, make([]byte, 1100))
	}
	x.conn.Write(x.now, id, make([]byte, 20_000))
	x.drain()
	kinds := map[string]int{}
	for _, f := range x.queue[:min(8, len(x.queue))] {
		kinds[f.text[:3]]++
	}
	if kinds["dat"] == 0 || kinds["str"] == 0 {
		t.Errorf("the first frames are %v", kinds)
	}
	x.ack(wire.AppSpace)
	for range 20 {
		x.advance(30e6)
		x.ack(wire.AppSpace)
	}
	if x.conn.streams.datagrams.out.n != 0 {
		t.Errorf("%d are left", x.conn.streams.datagrams.out.n)
	}
}

func TestDatagramsDoNotAllocate(t *testing.T) {
	p := newPair(t, &Config{MaxDatagramFrame: 65535}, &Config{MaxDatagramFrame: 65535})
	p.handshake()
	x := newPipeline(p, 0)
	data, sink := make([]byte, 1000), make([]byte, 1500)
	received := 0
	round := func() {
		for range 20 {
			x.client.SendDatagram(x.now, data)
		}
		x.now = x.now.Add(1e6)
		x.move(x.client, x.server)
		for {
			if _, ok := x.server.ReceiveDatagram(sink); !ok {
				break
			}
			received++
		}
		x.now = x.now.Add(1e6)
		x.move(x.server, x.client)
		for _, c := range []*Conn{x.client, x.server} {
			if c.Deadline().Reached(x.now) {
				c.Expire(x.now)
			}
		}
	}
	for range 300 {
		round()
	}
	received = 0
	if got := testing.AllocsPerRun(200, round); got > 0 || received < 1000 {
		t.Errorf("%.2f allocations in a round of 20 datagrams, %d of which arrived in all", got, received)
	}
}

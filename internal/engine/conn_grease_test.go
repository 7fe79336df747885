package engine

import (
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// fixedBits counts the packets with and without the fixed bit that a connection sends.
func (x *exchange) fixedBits(packets int) (set, clear int) {
	id := x.open()
	for range packets {
		x.conn.Write(x.now, id, []byte("x"))
		n := x.conn.Compose(x.now, x.buf).Size
		if n == 0 {
			x.t.Fatal("nothing is sent")
		}
		if x.buf[0]&wire.FixedBit != 0 {
			set++
		} else {
			clear++
		}
		x.hear(append([]byte(nil), x.buf[:n]...))
		x.ack(wire.AppSpace)
	}
	return set, clear
}

func TestTheFixedBitIsGreasedForThoseWhoAllowIt(t *testing.T) {
	// Rules: 9287:3.1/1, 9287:3.1/5
	// RFC 9287, section 3.
	for _, server := range []bool{false, true} {
		x := newExchange(t, server).handshake()
		if !x.learned.GreaseQUICBit {
			t.Error("we do not say that we allow it")
		}
		if set, clear := x.fixedBits(50); set != 50 || clear != 0 {
			t.Errorf("server %v: the peer does not allow it, and %d packets are without it", server, clear)
		}
		x = newExchange(t, server, withParams(func(p *wire.TransportParams) { p.GreaseQUICBit = true })).handshake()
		if set, clear := x.fixedBits(100); set < 20 || clear < 20 {
			t.Errorf("server %v: %d packets with it, %d without", server, set, clear)
		}
	}
}

func TestPacketsWithoutTheFixedBitAreTaken(t *testing.T) {
	// Rules: 9287:3/2
	for _, server := range []bool{false, true} {
		x := newExchange(t, server)
		x.unfixed = true
		x.handshake()
		before := x.conn.Stats().PacketsReceived
		if x.receive(wire.AppSpace, ping); x.conn.Stats().PacketsReceived != before+1 {
			t.Errorf("server %v: a packet is dropped", server)
		}
	}
}

func TestPairsGreaseTheirPackets(t *testing.T) {
	p := newPair(t, nil, nil)
	var with, without int
	p.rewrite = func(d *Datagram) bool {
		if d.Payload[0]&wire.FixedBit != 0 {
			with++
		} else {
			without++
		}
		return true
	}
	p.handshake()
	id, _ := p.client.Open(p.now, false)
	p.client.Write(p.now, id, make([]byte, 100_000))
	for range 100 {
		p.step()
	}
	if with == 0 || without == 0 {
		t.Errorf("%d datagrams with the fixed bit, %d without", with, without)
	}
}

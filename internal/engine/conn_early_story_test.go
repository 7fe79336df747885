package engine

import (
	"bytes"
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// earlyPacket is a 0-RTT packet that a client has sent.
type earlyPacket struct {
	dst    string
	number int64
}

// watchEarly notes the 0-RTT packets of a client that is about to send its first flight.
func (p *pair) watchEarly() (seen *[]earlyPacket) {
	seen = new([]earlyPacket)
	keys := p.client.spaces[wire.AppSpace].write // those of 0-RTT, for now
	p.rewrite = func(d *Datagram) bool {
		for b := bytes.Clone(d.Payload); len(b) > 0 && wire.IsLong(b[0]); {
			h, n := wire.ConsumeLongHeader(b)
			if h.Type == wire.Packet0RTT && d.Path.Remote == clientAddr {
				truncated, pnLen, _ := keys.Unprotect(b[:n], h.PNOffset)
				number := wire.DecodePacketNumber(int64(len(*seen)), truncated, pnLen)
				if _, ok := keys.Open(b[:n], h.PNOffset+pnLen, number); !ok {
					p.t.Errorf("0-RTT packet %d does not open", number)
				}
				*seen = append(*seen, earlyPacket{string(h.DstID), number})
			}
			b = b[n:]
		}
		return true
	}
	return seen
}

func TestEarlyDataMeetsARetry(t *testing.T) {
	// RFC 9000, section 17.2.5.3: "A client MAY attempt 0-RTT after receiving a Retry packet by sending 0-RTT packets to the
	// connection ID provided by the server." And: "A client MUST NOT reset the packet number for any packet number space after
	// processing a Retry packet."
	for name, accepted := range map[string]bool{"accepted": true, "rejected": false} {
		w := newEarlyWorld(t)
		w.visit()
		if !accepted {
			w.server.Early.Admit = func([]byte) bool { return false }
		}
		p := w.dial()
		p.retries, p.acceptor.Validation, p.acceptor.Tokens = true, ValidateAlways, testTokens
		seen := p.watchEarly()
		original := string(p.client.ids.original.Bytes())
		text := string(bytes.Repeat([]byte("early "), 300)) // the pacer lets little go so soon after the first flight
		id := say(p, text)
		if got := hear(p, id); got != text {
			t.Errorf("%s: other bytes came out", name)
		}
		if !p.client.ids.wasRetry {
			t.Fatalf("%s: there was no Retry", name)
		}
		if p.server.Early() != accepted || p.server.HandshakeDone() == accepted {
			t.Errorf("%s: early %v, and the server's handshake was done: %v", name, p.server.Early(), p.server.HandshakeDone())
		}
		numbers, before, after := map[int64]bool{}, 0, 0
		for _, e := range *seen {
			if numbers[e.number] {
				t.Errorf("%s: 0-RTT packet %d was sent twice", name, e.number)
			}
			numbers[e.number] = true
			if e.dst == original {
				before++
			} else {
				after++
			}
		}
		if before == 0 || after == 0 {
			t.Errorf("%s: %d packets of 0-RTT before the Retry, %d after it", name, before, after)
		}
		p.handshake()
		if p.client.Err() != nil || p.server.Err() != nil {
			t.Errorf("%s: %v, %v", name, p.client.Err(), p.server.Err())
		}
	}
}

func TestDatagramsInEarlyData(t *testing.T) {
	for name, accepted := range map[string]bool{"accepted": true, "rejected": false} {
		w := newEarlyWorld(t)
		w.server.MaxDatagramFrame = 1000
		w.visit()
		if !accepted {
			w.server.Early.Admit = func([]byte) bool { return false }
		}
		w.server.MaxDatagramFrame = 1100
		p := w.dial()
		// RFC 9000, section 7.4.1: "a client MUST only use remembered transport parameters".
		if n := p.client.MaxDatagramSize(); n != 997 {
			t.Errorf("%s: a datagram may have %d bytes in 0-RTT, by what is remembered 997", name, n)
		}
		for i := range 5 {
			if err := p.client.SendDatagram(p.now, bytes.Repeat([]byte{byte(i)}, 900)); err != nil {
				t.Fatal(err)
			}
		}
		seen := p.watchEarly()
		id := say(p, "a stream beside them")
		hear(p, id)
		if len(*seen) < 5 {
			t.Errorf("%s: five large datagrams went in %d packets of 0-RTT", name, len(*seen))
		}
		if p.server.HandshakeDone() == accepted {
			t.Errorf("%s: the server's handshake is done: %v", name, !accepted)
		}
		p.handshake()
		p.until("everything is acknowledged", func() bool { return p.client.Stats().InFlight == 0 })
		// RFC 9221, section 5.2: "DATAGRAM frames are not retransmitted upon loss detection", nor are those of a rejected 0-RTT.
		got, b := 0, make([]byte, 2000)
		for _, ok := p.server.ReceiveDatagram(b); ok; _, ok = p.server.ReceiveDatagram(b) {
			got++
		}
		if want := map[bool]int{true: 5}[accepted]; got != want {
			t.Errorf("%s: %d datagrams arrived, want %d", name, got, want)
		}
		if s := p.client.DatagramStats(); s != (DatagramStats{Sent: 5}) {
			t.Errorf("%s: counted: %+v", name, s)
		}
		if n := p.client.MaxDatagramSize(); n != 1097 {
			t.Errorf("%s: a datagram may have %d bytes after the handshake, by this server 1097", name, n)
		}
		if err := p.client.SendDatagram(p.now, []byte("late")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p.until("a datagram after the handshake arrives", func() bool {
			n, ok := p.server.ReceiveDatagram(b)
			return ok && string(b[:n]) == "late"
		})
	}
}

func TestDatagramsWaitForAServerThatTookNoneBefore(t *testing.T) {
	w := newEarlyWorld(t)
	w.visit()
	w.server.MaxDatagramFrame = 1000
	p := w.dial()
	if err := p.client.SendDatagram(p.now, []byte("early")); err != ErrNoDatagrams {
		t.Errorf("in 0-RTT: %v", err)
	}
	hear(p, say(p, "early"))
	if !p.server.Early() {
		t.Error("0-RTT was rejected for a limit that has grown")
	}
	p.handshake()
	if err := p.client.SendDatagram(p.now, []byte("late")); err != nil {
		t.Errorf("after the handshake: %v", err)
	}
}

func TestAServerTellsThatItRejectedEarlyData(t *testing.T) {
	w := newEarlyWorld(t)
	w.visit()
	w.server.Early = nil
	p := w.dial()
	hear(p, say(p, string(bytes.Repeat([]byte("early "), 1000))))
	if a, b := p.client.EarlyOutcome(), p.server.EarlyOutcome(); a != "rejected" || b != "rejected" {
		t.Errorf("0-RTT is %q for the client, %q for the server", a, b)
	}
	told := 0
	for _, e := range p.events[p.server] {
		if e.Kind == EventEarlyRejected {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the server's application was told %d times", told)
	}
}

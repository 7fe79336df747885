package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// What RFC 9002, and RFC 9221 where it speaks of congestion, demand of a connection, as far as the transcripts of
// internal/recovery do not say it.

// clogged returns an exchange whose congestion window is full of a stream's bytes, and acknowledged is nothing of them.
func clogged(t *testing.T, opts ...option) *exchange {
	x := newExchange(t, true, append(opts, taking, peerTakes(65535))...).handshake()
	id := x.open()
	x.conn.Write(x.now, id, make([]byte, 60_000))
	for range 20 {
		x.drain()
		x.now = x.now.Add(time.Millisecond) // the pacer
	}
	if n := x.conn.ledger.InFlight(); n < x.conn.ledger.Window()-minDatagramSize || n > x.conn.ledger.Window() {
		t.Fatalf("%d bytes are in flight, in a window of %d", n, x.conn.ledger.Window())
	}
	x.queue, x.sizes = nil, nil
	return x
}

func TestAFullWindowHoldsEverythingButProbes(t *testing.T) {
	// Rules: 9002:7/2, 9002:7.5/1, 9002:7.5/2, 9002:6.2.4/1, 9002:6.2.4/2, 9002:6.2/1, 9221:5.4/1
	x := clogged(t)
	x.conn.SendDatagram(x.now, make([]byte, 100))
	x.conn.Write(x.now, x.open(), []byte("more"))
	x.drain()
	x.wantNothing("the window is full")
	before, lost := x.conn.ledger.InFlight(), x.conn.Stats().PacketsLost
	for x.conn.ledger.PTOCount() == 0 {
		x.advanceToDeadline()
	}
	packets := map[int64]bool{}
	for _, f := range x.queue {
		packets[f.number] = packets[f.number] || !strings.HasPrefix(f.text, "ack")
	}
	if len(packets) == 0 || len(packets) > 2 {
		t.Errorf("a probe timeout is answered with %d packets", len(packets))
	}
	for number, asks := range packets {
		if !asks {
			t.Errorf("packet %d asks for nothing", number)
		}
	}
	if after := x.conn.ledger.InFlight(); after <= before {
		t.Errorf("probes do not count: %d bytes are in flight, and %d were", after, before)
	}
	if got := x.conn.Stats().PacketsLost; got != lost {
		t.Errorf("%d packets are taken for lost", got-lost)
	}
}

func TestAFullWindowDelaysNoAcknowledgment(t *testing.T) {
	// Rules: 9002:7.7/4, 9000:13.2.1/2
	x := clogged(t)
	in := x.conn.ledger.InFlight()
	x.receive(wire.AppSpace, ping)
	x.receive(wire.AppSpace, ping)
	if text := x.ackText(); text == "" {
		t.Error("two packets are not acknowledged")
	}
	if got := x.conn.ledger.InFlight(); got != in {
		t.Errorf("an acknowledgment counts as %d bytes in flight", got-in)
	}
	// The same while the pacer holds packets back.
	x = newExchange(t, true).handshake()
	x.conn.Write(x.now, x.open(), make([]byte, 60_000))
	x.drain()
	x.queue = nil
	x.receive(wire.AppSpace, ping)
	x.receive(wire.AppSpace, ping)
	if text := x.ackText(); text == "" {
		t.Error("two packets are not acknowledged while the pacer waits")
	}
}

func TestAProbeWithNothingToSayIsAPING(t *testing.T) {
	// Rules: 9002:6.2.4/5, 9002:6.2.1/4
	x := newExchange(t, false).handshake()
	x.conn.idle.pingDue = true // the only packet in flight carries nothing that would be sent again
	x.drain()
	x.want("it is sent", wire.AppSpace, "ping")
	for x.conn.ledger.PTOCount() == 0 {
		x.advanceToDeadline()
	}
	x.want("a probe", wire.AppSpace, "ping")
	if x.conn.ledger.Deadline() == 0 {
		t.Error("the timer is not set again")
	}
}

func TestAProbeCarriesNewData(t *testing.T) {
	// Rules: 9002:6.2.4/4
	x := clogged(t)
	next := x.conn.streams.byID[1].send.next
	for x.conn.ledger.PTOCount() == 0 {
		x.advanceToDeadline()
	}
	probes := strings.Join(x.texts(), ", ")
	if !strings.Contains(probes, "stream 1 [") {
		t.Fatalf("a probe carries %s", probes)
	}
	// What was sent before goes first (RFC 9000, section 13.3).
	// Rules: 9000:13.3/4
	if got := x.conn.streams.byID[1].send.next; got != next && strings.Index(probes, "stream 1 [0,") != 0 {
		t.Errorf("new bytes go out before old ones: %s", probes)
	}
}

func TestPacketsWithDatagramsAreAcknowledgedLikeOthers(t *testing.T) {
	// Rules: 9221:5.2/1, 9000:19.21/3
	x := newExchange(t, true, taking).handshake()
	n := x.next[wire.AppSpace]
	x.receive(wire.AppSpace, wire.AppendDatagram(nil, []byte("x")))
	x.wantAck("one waits", "")
	x.advance(maxAckDelay)
	x.wantAck("for the delay", "ack [0,"+itoa(n+1)+")")
}

func TestDatagramsAreSentAtOnceAndProtected(t *testing.T) {
	// Rules: 9221:5/1, 9221:5/3, 9221:6/1, 9221:3/1
	x := newExchange(t, true, taking, peerTakes(1000))
	x.drain()
	if err := x.conn.SendDatagram(x.now, []byte("too early")); err == nil {
		x.drain()
	}
	x.playHandshake()
	for _, f := range x.queue {
		if f.text == "datagram" && f.space != wire.AppSpace {
			t.Errorf("a datagram is in a packet of the %s space", f.space)
		}
	}
	x.ack(wire.AppSpace)
	x.queue = nil
	if err := x.conn.SendDatagram(x.now, []byte("now")); err != nil {
		t.Fatal(err)
	}
	x.drain()
	x.want("it leaves with the next packet", wire.AppSpace, "datagram")
}

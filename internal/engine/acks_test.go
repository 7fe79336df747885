package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// ackText returns the first ACK frame that waits, and forgets all that waits.
func (x *exchange) ackText() (text string) {
	for _, f := range x.queue {
		if text == "" && strings.HasPrefix(f.text, "ack") {
			text = f.text
		}
	}
	x.queue = nil
	return text
}

func (x *exchange) wantAck(sentence, text string) {
	x.t.Helper()
	if got := x.ackText(); got != text {
		x.t.Fatalf("%s\n got %q\nwant %q", sentence, got, text)
	}
}

// fresh returns an exchange whose peer has sent packets up to, but without, the number that is returned.
func fresh(t *testing.T) (*exchange, int64) {
	x := newExchange(t, true).handshake()
	return x, x.next[wire.AppSpace]
}

func TestEverySecondPacketIsAcknowledgedAtOnce(t *testing.T) {
	// Rules: 9000:13.2.2/1
	x, n := fresh(t)
	x.receive(wire.AppSpace, ping)
	x.wantAck("one packet waits for another", "")
	x.receive(wire.AppSpace, ping)
	x.wantAck("which releases the acknowledgment", fmt.Sprintf("ack [0,%d)", n+2))
}

func TestASinglePacketIsAcknowledgedWithinTheDelay(t *testing.T) {
	// Rules: 9000:13.2.1/1, 9000:13.2.1/2
	x, n := fresh(t)
	start := x.now
	x.receive(wire.AppSpace, ping)
	x.advance(maxAckDelay - time.Millisecond)
	x.wantAck("not yet", "")
	x.advance(time.Millisecond)
	x.wantAck("after the delay", fmt.Sprintf("ack [0,%d)", n+1))
	if got := x.now.Sub(start); got != maxAckDelay {
		t.Errorf("after %v", got)
	}
}

func TestGapsAndReorderingAreAcknowledgedAtOnce(t *testing.T) {
	// Rules: 9000:13.2.1/7
	// RFC 9000, section 13.2.1.
	x, n := fresh(t)
	x.next[wire.AppSpace]++
	x.receive(wire.AppSpace, ping)
	x.wantAck("a packet behind a gap", fmt.Sprintf("ack [%d,%d) [0,%d)", n+1, n+2, n))
	x.receiveDatagram(x.packetNumbered(wire.AppSpace, n, ping))
	x.wantAck("the packet that was overtaken", fmt.Sprintf("ack [0,%d)", n+2))
}

func TestCongestionMarksAreAcknowledgedAtOnce(t *testing.T) {
	// Rules: 9000:13.2.1/8, 9000:13.4.1/1, 9000:19.3/1
	// RFC 9000, section 13.2.1: packets marked CE "SHOULD be acknowledged immediately".
	x, _ := fresh(t)
	x.conn.Receive(x.now, Datagram{Payload: x.packet(wire.AppSpace, ping), Path: x.path, ECN: 3})
	x.drain()
	f := x.queue[0]
	a, _, _ := wire.ConsumeAck(f.raw, nil)
	if !a.ECN || a.CE != 1 || a.ECT0 != 0 {
		t.Errorf("the acknowledgment is %+v", a)
	}
	x.conn.Receive(x.now, Datagram{Payload: x.packet(wire.AppSpace, ping), Path: x.path, ECN: 2})
	x.conn.Receive(x.now, Datagram{Payload: x.packet(wire.AppSpace, ping), Path: x.path, ECN: 1})
	x.queue = nil
	x.drain()
	a, _, _ = wire.ConsumeAck(x.queue[0].raw, nil)
	if a.CE != 1 || a.ECT0 != 1 || a.ECT1 != 1 {
		t.Errorf("the acknowledgment is %+v", a)
	}
}

func TestAcknowledgmentsAreNotAcknowledged(t *testing.T) {
	// Rules: 9000:13.2.1/4
	// RFC 9000, section 13.2.1: "An endpoint MUST NOT send a non-ack-eliciting packet in response to a non-ack-eliciting
	// packet".
	x, _ := fresh(t)
	for range 10 {
		x.ack(wire.AppSpace)
	}
	x.advance(time.Second)
	if len(x.queue) != 0 {
		t.Errorf("it answered with %s", x.queue[0].text)
	}
}

func TestHandshakePacketsAreAcknowledgedAtOnce(t *testing.T) {
	// Rules: 9000:13.2.1/2
	// RFC 9000, section 13.2.1: "An endpoint MUST acknowledge all ack-eliciting Initial and Handshake packets immediately".
	x := newExchange(t, true)
	x.receive(wire.InitialSpace, ping)
	x.wantAck("the first Initial packet", "ack [0,1)")
}

func TestAcknowledgedAcknowledgmentsAreForgotten(t *testing.T) {
	// Rules: 9000:13.2.3/2, 9000:13.2.3/3
	// RFC 9000, section 13.2.4.
	x, n := fresh(t)
	x.next[wire.AppSpace]++
	x.receive(wire.AppSpace, ping)
	x.receive(wire.AppSpace, streamFrame(0, 0, "a", false))
	x.conn.Stop(x.now, 0, 0) // makes a packet that is acknowledged, and an acknowledgment goes along
	x.drain()
	x.ack(wire.AppSpace)
	x.receive(wire.AppSpace, ping)
	x.receive(wire.AppSpace, ping)
	x.wantAmong("the ranges before the gap are not repeated", fmt.Sprintf("ack [%d,%d)", n+1, x.next[wire.AppSpace]))
	x.wantDropped("and a packet from the gap counts as one that came before", x.packetNumbered(wire.AppSpace, n, ping))
}

func TestAReceiverAsksForAnAcknowledgmentNowAndThen(t *testing.T) {
	// Rules: 9000:13.2.1/6
	// RFC 9000, section 13.2.4: "In such a case, a receiver could send a PING or other small ack-eliciting frame occasionally,
	// such as once per round trip, to elicit an ACK from the peer." Without it, it would repeat old ranges for ever.
	x, _ := fresh(t)
	pings := 0
	for range 4 * pingEvery {
		x.next[wire.AppSpace]++
		x.receive(wire.AppSpace, ping)
		for _, f := range x.queue {
			if f.text == "ping" {
				pings++
				x.ack(wire.AppSpace)
			}
		}
		x.queue = nil
	}
	if pings < 2 || pings > 4 {
		t.Errorf("%d acknowledgments held %d PINGs, want one in %d", 4*pingEvery, pings, pingEvery)
	}
	if n := len(x.conn.spaces[wire.AppSpace].acks.seen); n > 2*pingEvery {
		t.Errorf("%d ranges are remembered", n)
	}
}

func TestAckRangesAreBounded(t *testing.T) {
	// Rules: 9000:12.3/4, 9000:13.2.3/3
	x, n := fresh(t)
	for range 2 * maxAckRanges {
		x.next[wire.AppSpace]++
		x.receive(wire.AppSpace, []byte{0}) // asks for nothing, so that nothing is ever settled
	}
	if got := len(x.conn.spaces[wire.AppSpace].acks.seen); got != maxAckRanges {
		t.Errorf("%d ranges are remembered, want %d", got, maxAckRanges)
	}
	x.wantDropped("a packet older than the oldest range counts as one that came before", x.packetNumbered(wire.AppSpace, n, ping))
	x.receive(wire.AppSpace, ping)
	for _, f := range x.queue {
		if len(f.raw) > maxAckFrame {
			t.Errorf("an ACK frame has %d bytes", len(f.raw))
		}
	}
}

func TestAnAckThatDoesNotFitIsNotAPacket(t *testing.T) {
	// Rules: 9000:12.4/1
	x, _ := fresh(t)
	x.receive(wire.AppSpace, ping)
	c := x.conn
	a := &c.spaces[wire.AppSpace].acks
	a.ect0, a.ect1, a.ce, a.urgent = 1<<40, 1<<40, 1<<40, true
	d := &c.draft
	for limit := 20; limit < 120; limit++ {
		d.begin(x.buf, limit)
		c.fill(x.now, d, wire.AppSpace, false)
		if d.n > 0 && !d.packets[0].hasAck {
			t.Fatalf("with room for %d bytes a packet without a frame is made", limit)
		}
		if d.n > 0 && d.packets[0].end-d.packets[0].payload < 4 {
			t.Fatalf("with room for %d bytes the ACK frame is missing", limit)
		}
	}
}

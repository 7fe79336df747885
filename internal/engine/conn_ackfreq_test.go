package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

var immediateAck = []byte{byte(wire.FrameImmediateAck)}

// withPolicy returns an exchange whose peer has asked to be acknowledged so, and the number of its next packet.
func withPolicy(t *testing.T, f wire.AckFrequency) (*exchange, int64) {
	x, _ := fresh(t)
	x.receive(wire.AppSpace, wire.AppendAckFrequency(nil, f))
	x.queue = nil
	return x, x.next[wire.AppSpace]
}

func TestThePeerSaysHowOftenItIsAcknowledged(t *testing.T) {
	x, n := withPolicy(t, wire.AckFrequency{Threshold: 4, MaxAckDelay: 10 * time.Millisecond, Reordering: 1})
	for range 4 {
		x.receive(wire.AppSpace, ping)
		x.wantAck("four packets may wait", "")
	}
	x.receive(wire.AppSpace, ping)
	x.wantAck("a fifth is more than the threshold", fmt.Sprintf("ack [0,%d)", n+5))
	x.receive(wire.AppSpace, ping)
	x.advance(9 * time.Millisecond)
	x.wantAck("one waits for the delay", "")
	x.advance(time.Millisecond)
	x.wantAck("that was asked for", fmt.Sprintf("ack [0,%d)", n+6))
	x.next[wire.AppSpace]++
	x.receive(wire.AppSpace, ping)
	x.wantAck("a gap is reported at once", fmt.Sprintf("ack [%d,%d) [0,%d)", n+7, n+8, n+6))
}

func TestReorderingIsReportedAsThePeerWantsIt(t *testing.T) {
	// draft-ietf-quic-ack-frequency, section 6.2.1: the examples, and a packet that comes after it was reported missing.
	for _, c := range []struct {
		threshold int64
		packets   []int64
		acked     []int64 // those that are acknowledged at once
	}{
		{3, []int64{0, 1, 3, 4, 5, 8, 9, 10}, []int64{5, 9, 10}},
		{3, []int64{0, 1, 3, 4, 5, 2}, []int64{5, 2}},
		{5, []int64{0, 1, 3, 5, 6, 7, 8, 9, 10}, []int64{7, 9}},
		{0, []int64{0, 1, 3, 2, 9, 8, 30}, nil},
	} {
		x, n := withPolicy(t, wire.AckFrequency{Threshold: 1000, MaxAckDelay: 100 * time.Millisecond, Reordering: c.threshold})
		// Numbers in the examples begin at zero, where nothing was acknowledged before.
		x.conn.spaces[wire.AppSpace].acks.told = -1
		x.conn.spaces[wire.AppSpace].acks.floor = n
		var acked []int64
		for _, p := range c.packets {
			x.receiveDatagram(x.packetNumbered(wire.AppSpace, n+p, ping))
			if x.ackText() != "" {
				acked = append(acked, p)
			}
		}
		if fmt.Sprint(acked) != fmt.Sprint(c.acked) {
			t.Errorf("threshold %d, packets %d: acknowledged at once are %d, want %d", c.threshold, c.packets, acked, c.acked)
		}
	}
}

func TestObsoleteWishesAreIgnored(t *testing.T) {
	x, _ := withPolicy(t, wire.AckFrequency{Seq: 5, Threshold: 4, MaxAckDelay: 10 * time.Millisecond, Reordering: 1})
	for _, seq := range []int64{5, 4, 0} {
		x.receive(wire.AppSpace, wire.AppendAckFrequency(nil, wire.AckFrequency{Seq: seq, Threshold: 9, MaxAckDelay: time.Second}))
	}
	if p := x.conn.spaces[wire.AppSpace].acks.policy; p != (ackPolicy{5, 4, 10 * time.Millisecond, 1}) {
		t.Errorf("the policy is %+v", p)
	}
}

func TestImpossibleWishesClose(t *testing.T) {
	for _, c := range []struct {
		sentence string
		space    wire.Space
		frame    []byte
		code     wire.ErrorCode
	}{
		{"a delay below min_ack_delay", wire.AppSpace, wire.AppendAckFrequency(nil, wire.AckFrequency{MaxAckDelay: minAckDelay - 1000}), wire.ProtocolViolation},
		{"a delay of 2^14 ms", wire.AppSpace, wire.AppendAckFrequency(nil, wire.AckFrequency{MaxAckDelay: 1 << 14 * time.Millisecond}), wire.ProtocolViolation},
		{"half a frame", wire.AppSpace, []byte{0x40, 0xaf, 1}, wire.FrameEncodingError},
		{"a type in a longer encoding than needed", wire.AppSpace, []byte{0x40, 0x1f}, wire.FrameEncodingError},
		{"IMMEDIATE_ACK in an Initial packet", wire.InitialSpace, immediateAck, wire.ProtocolViolation},
	} {
		x := newExchange(t, true)
		if c.space == wire.AppSpace {
			x.handshake()
		}
		x.receive(c.space, c.frame)
		x.wantClose(c.sentence, c.code)
	}
}

func TestImmediateAckIsAcknowledgedAtOnce(t *testing.T) {
	x, n := withPolicy(t, wire.AckFrequency{Threshold: 100, MaxAckDelay: time.Second})
	x.receive(wire.AppSpace, ping)
	x.wantAck("a packet waits", "")
	x.receive(wire.AppSpace, immediateAck)
	x.wantAck("until it is asked for", fmt.Sprintf("ack [0,%d)", n+2))
}

// bulky returns an exchange in which the connection sends as fast as a round trip of 40 ms lets it, until its window has
// grown to a hundred packets, and the ACK_FREQUENCY frames that it sent.
func bulky(t *testing.T, knows bool) (x *exchange, asked []wire.AckFrequency) {
	x = newExchange(t, true, withParams(func(p *wire.TransportParams) {
		p.HasMinAckDelay, p.MinAckDelay = knows, 2*time.Millisecond
	})).handshake()
	id := x.open()
	for x.conn.ledger.Window() < 100*minDatagramSize {
		x.conn.Write(x.now, id, make([]byte, 200*minDatagramSize))
		x.receive(wire.AppSpace, wire.AppendMaxData(nil, 1<<40), wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: id, Max: 1 << 40}))
		x.drain()
		x.advance(40 * time.Millisecond)
		for _, f := range x.queue {
			if f.text == "ack_frequency" {
				a, _ := wire.ConsumeAckFrequency(f.raw)
				asked = append(asked, a)
			}
		}
		x.queue = nil
		x.ack(wire.AppSpace)
	}
	return x, asked
}

func TestABulkSenderAsksForFewerAcknowledgments(t *testing.T) {
	x, asked := bulky(t, true)
	if len(asked) == 0 {
		t.Fatal("nothing was asked for")
	}
	for i, a := range asked {
		if a.Seq != int64(i+1) || a.Threshold < 2 || a.Threshold > 2*100/acksPerWindow || a.Reordering != 1 {
			t.Errorf("asked for %+v", a)
		}
		if a.MaxAckDelay < 2*time.Millisecond || a.MaxAckDelay > 25*time.Millisecond {
			t.Errorf("asked for a delay of %v", a.MaxAckDelay)
		}
	}
	r := &x.conn.answer.request
	x.advance(40 * time.Millisecond)
	x.ack(wire.AppSpace)
	if !r.frame.hasArrived() || r.longest != r.delay {
		t.Errorf("after its arrival a delay of %v counts, want the %v asked for", r.longest, r.delay)
	}
	// A lost frame is sent again; a longer delay counts from the moment it is asked for, a shorter one when it has arrived.
	r.delay, r.longest = 5*time.Millisecond, 20*time.Millisecond
	r.frame.sentIn(1 << 30)
	r.settle(x.conn, 1<<30, recovery.Lost)
	if !r.frame.isUnsent() || r.longest != 20*time.Millisecond {
		t.Errorf("after the loss of the frame: %+v", r)
	}
}

func TestNothingIsAskedOfAPeerThatDoesNotKnowHow(t *testing.T) {
	if _, asked := bulky(t, false); len(asked) > 0 {
		t.Errorf("asked for %+v", asked)
	}
}

func TestProbesAskForAnAcknowledgmentAtOnce(t *testing.T) {
	for _, knows := range []bool{true, false} {
		x := newExchange(t, true, withParams(func(p *wire.TransportParams) { p.HasMinAckDelay = knows })).handshake()
		x.conn.Write(x.now, x.open(), []byte("lost"))
		x.drain()
		x.queue = nil
		x.advance(time.Second)
		found := false
		for _, f := range x.queue {
			found = found || f.text == "immediate_ack"
		}
		if found != knows {
			t.Errorf("the peer knows IMMEDIATE_ACK: %v; probes have it: %v", knows, found)
		}
	}
}

func TestEarlyPacketsSayNothingOfAcknowledgments(t *testing.T) {
	// Section 3: "ACK_FREQUENCY and IMMEDIATE_ACK frames cannot be sent in 0-RTT packets".
	x := newExchange(t, true, withParams(func(p *wire.TransportParams) { p.HasMinAckDelay = true })).handshake()
	early := opened{incoming: incoming{typ: wire.Packet0RTT, space: wire.AppSpace}}
	for _, frame := range [][]byte{immediateAck, wire.AppendAckFrequency(nil, wire.AckFrequency{MaxAckDelay: time.Second})} {
		if _, err := x.conn.handleExtensionFrame(x.now, &early, frame); err == nil || err.Code != wire.ProtocolViolation {
			t.Errorf("%x in a 0-RTT packet: %v", frame, err)
		}
	}
	for typ, want := range map[wire.PacketType]bool{wire.Packet1RTT: true, wire.Packet0RTT: false} {
		var d datagram
		d.begin(make([]byte, 1200), 1200)
		d.open(packetDraft{space: wire.AppSpace, typ: typ}, make([]byte, 20), 0)
		if x.conn.demandAck(&d); d.current().eliciting != want {
			t.Errorf("a probe of type %s asks for an immediate acknowledgment: %v", typ, !want)
		}
	}
}

package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// What is here is draft-ietf-quic-ack-frequency, both ways: we acknowledge as the peer asks, and ask it to acknowledge a bulk
// transfer less often.

// ackPolicy is when received packets are acknowledged (section 6 of the draft).
type ackPolicy struct {
	seq        int64         // of the frame that asked for it; -1: none did
	threshold  int64         // ack-eliciting packets that may come without an acknowledgment
	delay      time.Duration // how long an acknowledgment may be held back
	reordering int64         // how old a gap may become in packets; 1: none goes unreported, 0: any may
}

var defaultAckPolicy = ackPolicy{seq: -1, threshold: ackThreshold, delay: maxAckDelay, reordering: 1}

// isOverdue reports whether a packet that has just come, number, or one that is missing, is outside the reordering window of a
// policy that has one.
//
// Section 6.2: an immediate ACK is due when "the difference between the smallest Unreported Missing packet and the Largest
// Unacked packet is greater than or equal to the Reordering Threshold value; or the received packet number is less than
// or equal to Largest Acked - Reordering Threshold".
func (a *ackState) isOverdue(number int64) bool {
	if a.policy.reordering <= 1 {
		return false
	}
	reported := a.told - a.policy.reordering
	if a.told >= 0 && number <= reported {
		return true
	}
	missing := max(reported+1, a.floor)
	if r, ok := a.seen.RangeAt(missing); ok {
		missing = r.End
	}
	return missing < a.largest && a.largest-missing >= a.policy.reordering
}

// handleExtensionFrame handles the frames whose types lie beyond RFC 9000's.
func (c *Conn) handleExtensionFrame(now instant.Time, p *opened, b []byte) (n int, err *TransportError) {
	typ, n := wire.ConsumeFrameType(b)
	switch {
	case typ == wire.FrameResetStreamAt && p.space == wire.AppSpace:
		p.eliciting, p.probing = true, false
		f, n := wire.ConsumeResetStreamAt(b)
		if n <= 0 {
			return 0, violation(wire.FrameEncodingError, typ, "malformed reset_stream_at frame")
		}
		return n, c.handleResetStream(now, f, typ)
	case typ == wire.FrameResetStreamAt:
		// draft-ietf-quic-reliable-stream-reset, section 4: "RESET_STREAM_AT frames [...] MUST only be sent in the application
		// data packet number space."
		return 0, violation(wire.ProtocolViolation, typ, wire.FrameName(typ)+" frame in a packet of type "+p.typ.String())
	case n < 0 || typ != wire.FrameImmediateAck && typ != wire.FrameAckFrequency:
		return 0, c.unknownFrame(b)
	case p.typ != wire.Packet1RTT:
		// Section 3: "ACK_FREQUENCY and IMMEDIATE_ACK frames cannot be sent in 0-RTT packets".
		return 0, violation(wire.ProtocolViolation, typ, wire.FrameName(typ)+" frame in a packet of type "+p.typ.String())
	}
	p.eliciting, p.probing = true, false
	if typ == wire.FrameImmediateAck {
		c.spaces[p.space].acks.urgent = true
		return n, nil
	}
	f, n := wire.ConsumeAckFrequency(b)
	if n <= 0 {
		return 0, violation(wire.FrameEncodingError, typ, "malformed ack_frequency frame")
	}
	return n, c.handleAckFrequency(f)
}

// handleAckFrequency takes the peer's wish how to be acknowledged.
func (c *Conn) handleAckFrequency(f wire.AckFrequency) *TransportError {
	// Section 4: "values of 2^14 milliseconds or greater are invalid for max_ack_delay [...] A value smaller than the
	// min_ack_delay advertised by the peer is also invalid. Receipt of an invalid value MUST be treated as a connection error of
	// type PROTOCOL_VIOLATION."
	if f.MaxAckDelay < minAckDelay || f.MaxAckDelay >= 1<<14*time.Millisecond {
		return violation(wire.ProtocolViolation, wire.FrameAckFrequency, "a delay of acknowledgments that is not possible")
	}
	a := &c.spaces[wire.AppSpace].acks
	// "A receiving endpoint MUST ignore a received ACK_FREQUENCY frame unless the Sequence Number value in the frame is greater
	// than the largest processed value."
	if f.Seq <= a.policy.seq {
		return nil
	}
	a.policy = ackPolicy{seq: f.Seq, threshold: f.Threshold, delay: f.MaxAckDelay, reordering: f.Reordering}
	a.urgent = true // what waits by the old rules does not wait longer by the new ones
	return nil
}

// peerAcks is what concerns the acknowledgments that the peer sends.
type peerAcks struct {
	skip    skipper
	request ackRequest
}

// ackRequest is how we have asked the peer to acknowledge.
type ackRequest struct {
	frame     sentVal       // ACK_FREQUENCY
	seq       int64         // of the newest frame; 0: none
	threshold int64         // in it
	delay     time.Duration // in it
	longest   time.Duration // of the delays that may be in force
	again     instant.Time  // not before
}

const (
	// acksPerWindow is how many acknowledgments a window of packets gets at least when we ask: twice as many as HyStart++
	// needs samples in a round trip.
	acksPerWindow = 16

	// maxAckThreshold bounds what we ask for: two GSO messages.
	maxAckThreshold = 2 * maxSegments
)

// update decides after an acknowledgment whether to ask for another policy. The threshold follows the congestion window, which
// grows only in bulk transfers; section 8.1: "an ACK_FREQUENCY frame is sent only when a relevant change in the congestion
// window or smoothed RTT is detected". Relevant is a threshold of twice or half what it was, and once in a
// round trip is often enough.
func (r *ackRequest) update(c *Conn, now instant.Time) {
	if !c.peer.HasMinAckDelay || !c.shake.confirmed || now < r.again {
		return
	}
	asked := max(r.threshold, ackThreshold)
	want := int64(c.ledger.Window() / c.path.mtu.size / acksPerWindow)
	want = min(max(want, ackThreshold), maxAckThreshold)
	if want < 2*asked && 2*want > asked {
		return
	}
	rtt := c.ledger.RTT().Smoothed
	if r.seq == 0 {
		r.longest = c.peer.MaxAckDelay
	}
	r.seq++
	r.threshold = want
	// A quarter of the round trip, within what the peer can and what it would do unasked.
	r.delay = max(min(rtt/4, c.peer.MaxAckDelay), c.peer.MinAckDelay).Truncate(time.Microsecond)
	r.longest = max(r.longest, r.delay)
	c.ledger.SetMaxAckDelay(r.longest)
	r.again = now.Add(rtt)
	r.frame.set()
}

// appendTo appends an ACK_FREQUENCY frame when one is owed; false: it did not fit. Gaps are to be reported at once, as
// without the frame: that is how losses are found.
func (r *ackRequest) appendTo(d *datagram) bool {
	if !r.frame.isUnsent() {
		return true
	}
	f := wire.AckFrequency{Seq: r.seq, Threshold: r.threshold, MaxAckDelay: r.delay, Reordering: 1}
	if !d.appendFrame(wire.AppendAckFrequency(d.scratch(), f)) {
		return false
	}
	r.frame.sentIn(d.number())
	d.addFact(recovery.Fact{Kind: factAckFrequency})
	return true
}

// settle notes whether the newest frame arrived. Until it has, the longest delay that may be in force counts in the probe
// timeout.
func (r *ackRequest) settle(c *Conn, packet int64, fate recovery.Fate) {
	r.frame.settleLatest(packet, fate)
	if r.frame.hasArrived() {
		r.longest = r.delay
		c.ledger.SetMaxAckDelay(r.delay)
	}
}

// demandAck appends an IMMEDIATE_ACK frame to a probe, if the peer knows it and it fits. Section 7: "This avoids delaying
// acknowledgements of PTO packets by the acknowledgment delay".
func (c *Conn) demandAck(d *datagram) {
	if d.current().typ == wire.Packet1RTT && c.peer.HasMinAckDelay {
		d.appendFrame(append(d.scratch(), byte(wire.FrameImmediateAck)))
	}
}

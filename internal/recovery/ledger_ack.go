package recovery

import (
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// AckInfo is what an ACK frame says besides its ranges.
type AckInfo struct {
	Delay          time.Duration // decoded with the peer's ack_delay_exponent
	ECN            bool          // the frame carries counts
	ECT0, ECT1, CE uint64
}

// delivery is what one ACK frame newly acknowledged.
type delivery struct {
	packets    int
	bytes      int          // that were in flight on the current path
	newest     int64        // largest number newly acknowledged
	newestAt   instant.Time // when it was sent
	eliciting  bool         // at least one was ack-eliciting
	new0, new1 uint64       // packets that were sent with ECT(0) and ECT(1)
	sample     sample
}

// OnAck takes an ACK frame whose ranges are disjoint and ordered highest first. It calls Fate for the packets newly
// acknowledged, in ascending order, then for those that are thereby lost, and then the controller. An acknowledgment of
// a packet that was never sent is ErrNeverSent and changes nothing. Frames for a dropped space are ignored.
func (l *Ledger) OnAck(now instant.Time, s wire.Space, ranges []rangeset.Range, a AckInfo) error {
	sp := &l.spaces[s]
	if sp.dropped || len(ranges) == 0 {
		return nil
	}
	if err := sp.check(ranges); err != nil {
		return err
	}
	largest := ranges[0].End - 1
	raised := largest > sp.largestAcked
	before := sp.largestAcked
	sp.largestAcked = max(before, largest)
	l.handleSpurious(now, sp, ranges, before)

	d := l.settle(now, s, ranges)
	if d.packets == 0 {
		return nil
	}
	current := d.newest >= sp.pathFirst
	// RFC 9002, section 5.1: "the largest acknowledged packet number is newly acknowledged, and at least one of the newly
	// acknowledged packets was ack-eliciting."
	if d.newest == largest && d.eliciting && current {
		l.rtt.update(now, now.Sub(d.newestAt), l.ackDelay(s, a.Delay))
	}
	var ce int64
	// RFC 9000, section 13.4.2.1: "An endpoint MUST NOT fail ECN validation as a result of processing an ACK frame that does
	// not increase the largest acknowledged packet number."
	if raised && !l.ecnFailed {
		marks, ok := sp.ecn.onAck(a, d.new0, d.new1)
		l.ecnFailed = current && (!ok || sp.ecn.onlyCE())
		l.ecnProved = l.ecnProved || current && d.new0+d.new1 > 0
		if current && !l.ecnFailed {
			ce = int64(marks)
		}
	}
	l.detect(now, s)
	l.retire(sp)
	l.reportMarks(now, sp, d, ce)
	l.reportLosses(now, sp)
	l.reportDelivery(now, sp, d, ce)

	if s == wire.HandshakeSpace {
		// RFC 9002, appendix A.8: a client knows that its address is validated once it "has received Handshake ACK".
		l.peerValidated = true
	}
	// Section 6.2.1: "a client does not reset the PTO backoff factor on receiving acknowledgments in Initial packets."
	if l.peerValidated {
		l.ptoCount = 0
	}
	sp.probes = 0
	l.armedAt = now
	l.traceState(now)
	l.traceMetrics(now)
	return nil
}

// ackDelay limits the delay that the peer claims for an acknowledgment.
func (l *Ledger) ackDelay(s wire.Space, d time.Duration) time.Duration {
	switch {
	case s == wire.InitialSpace:
		// RFC 9002, section 5.3: an endpoint "MAY ignore the acknowledgment delay for Initial packets".
		return 0
	case l.confirmed:
		// "MUST use the lesser of the acknowledgment delay and the peer's max_ack_delay after the handshake is confirmed".
		return min(d, l.maxAckDelay)
	}
	return d
}

// settle acknowledges the outstanding packets in ranges. Ranges that end below the oldest outstanding packet repeat what
// is known, and are not looked at one by one, but for the first.
func (l *Ledger) settle(now instant.Time, s wire.Space, ranges []rangeset.Range) delivery {
	sp := &l.spaces[s]
	news := 0
	for news < len(ranges) && ranges[news].End > sp.ring.first {
		news++
	}
	var d delivery
	for i := news - 1; i >= 0; i-- {
		r := ranges[i]
		for n := max(r.Start, sp.ring.first); n < min(r.End, sp.ring.next); n++ {
			if p := sp.ring.at(n); p.state == outstanding {
				l.acknowledge(now, s, p, &d)
			}
		}
	}
	return d
}

func (l *Ledger) acknowledge(now instant.Time, s wire.Space, p *Packet, d *delivery) {
	sp := &l.spaces[s]
	p.state = acked
	d.packets++
	d.newest, d.newestAt = p.Number, p.SentAt
	sp.ackedSentAt = max(sp.ackedSentAt, p.SentAt)
	l.stats.Acked++
	l.stats.AckedBytes += int64(p.Size)
	if p.AckEliciting {
		sp.eliciting--
		d.eliciting = true
	}
	switch p.ECN {
	case ect0:
		d.new0++
	case ect1:
		d.new1++
	}
	if sp.counted(p) {
		l.inFlight -= p.Size
		d.bytes += p.Size
		l.rate.onAcked(now, p, &d.sample)
	}
	l.fate(s, p, Acked)
}

// reportMarks tells the controller of newly reported CE marks.
func (l *Ledger) reportMarks(now instant.Time, sp *space, d delivery, ce int64) {
	if ce == 0 {
		return
	}
	l.stats.CE += ce
	if d.newestAt > l.event.began {
		l.beginEvent(now, true)
	}
	l.event.real = true
	l.ctl.OnLoss(congestion.Loss{
		Now:           now,
		InFlight:      l.inFlight,
		LargestSentAt: d.newestAt,
		Largest:       d.newest,
		NextNumber:    sp.ring.next,
		CE:            true,
		RTT:           l.rtt.RTT,
	})
}

// reportDelivery tells the controller of newly acknowledged bytes.
func (l *Ledger) reportDelivery(now instant.Time, sp *space, d delivery, ce int64) {
	if d.bytes == 0 {
		return
	}
	l.ctl.OnAck(congestion.Ack{
		Now:            now,
		Bytes:          d.bytes,
		InFlight:       l.inFlight,
		LargestSentAt:  d.newestAt,
		Largest:        d.newest,
		NextNumber:     sp.ring.next,
		RTT:            l.rtt.RTT,
		WindowLimited:  d.newestAt <= l.fullAt,
		Delivered:      l.rate.delivered,
		DeliveryRate:   l.rate.finish(d.sample, l.rtt.Min),
		RateAppLimited: d.sample.appLimited,
		CE:             ce,
	})
}

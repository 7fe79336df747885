package recovery

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// Deadline returns when to call Expire; never if there is nothing to wait for. Pacing is not in it; see Allowance.
func (l *Ledger) Deadline() instant.Time {
	// RFC 9002, section 6.2.1: "The PTO timer MUST NOT be set if a timer is set for time threshold loss detection".
	if t := l.lossDeadline(); !t.IsNever() {
		return t
	}
	t, _ := l.probeDeadline()
	return t
}

// Expire declares lost what time has made so, or else fires the probe timeout: the two oldest ack-eliciting packets of
// the space are Probed and two probes are owed there. Before the deadline it does nothing.
func (l *Ledger) Expire(now instant.Time) {
	if t := l.lossDeadline(); !t.IsNever() {
		if t.Reached(now) {
			l.expireLosses(now)
		}
		return
	}
	t, s := l.probeDeadline()
	if !t.Reached(now) {
		return
	}
	l.ptoCount++
	l.stats.PTOs++
	l.armedAt = now
	l.trace.TimerExpired(now, "pto", s.String())
	defer l.traceMetrics(now)
	// RFC 9000, section 13.4.2 suggests marking packets "for a period of three PTOs" and taking the loss of them all for a
	// path that does not let marks through. The second timeout in a row comes after three periods.
	if l.ptoCount >= 2 && !l.ecnProved && l.marked() {
		l.ecnFailed = true
	}
	if l.spaces[s].eliciting == 0 {
		// RFC 9002, section 6.2.2.1: "When the PTO fires, the client MUST send a Handshake packet if it has Handshake keys,
		// otherwise it MUST send an Initial packet in a UDP datagram with a payload of at least 1200 bytes."
		l.spaces[s].probes = max(l.spaces[s].probes, 1)
	}
	for i := range l.spaces {
		// Section 6.2.4: "the sender SHOULD send ack-eliciting packets from other packet number spaces with in-flight data,
		// coalescing packets if possible."
		want := 1
		if wire.Space(i) == s {
			want = 2
		}
		l.probe(wire.Space(i), want)
	}
}

func (l *Ledger) lossDeadline() (t instant.Time) {
	for i := range l.spaces {
		t = instant.Earliest(t, l.spaces[i].lossTime)
	}
	return t
}

func (l *Ledger) expireLosses(now instant.Time) {
	for i := range l.spaces {
		sp := &l.spaces[i]
		if sp.lossTime.Reached(now) {
			l.detect(now, wire.Space(i))
			l.retire(sp)
			l.reportLosses(now, sp)
		}
	}
	l.armedAt = now
	l.traceMetrics(now)
}

// probeDeadline returns when the probe timeout fires, and for which space.
func (l *Ledger) probeDeadline() (at instant.Time, s wire.Space) {
	// RFC 9002, section 6.2.2.1: "If no additional data can be sent, the server's PTO timer MUST NOT be armed until datagrams
	// have been received from the client".
	if l.amplification {
		return 0, 0
	}
	for i := range l.spaces {
		sp, space := &l.spaces[i], wire.Space(i)
		// Section 6.2.1: "An endpoint MUST NOT set its PTO timer for the Application Data packet number space until the
		// handshake is confirmed."
		if sp.eliciting == 0 || space == wire.AppSpace && !l.confirmed {
			continue
		}
		t := sp.lastEliciting.Add(l.backedOff(l.period(space)))
		if at.IsNever() || t < at {
			at, s = t, space
		}
	}
	if !at.IsNever() || l.peerValidated {
		return at, s
	}
	// Section 6.2.2.1: "the client MUST set the PTO timer if the client has not received an acknowledgment for any of its
	// Handshake packets and the handshake is not confirmed [...], even if there are no packets in flight." 0-RTT packets in
	// flight, which have no timer of their own yet, must not prevent it, although appendix A.8 lets them.
	if l.handshakeKeys {
		s = wire.HandshakeSpace
	}
	return l.armedAt.Add(l.backedOff(l.rtt.period())), s
}

// period is the probe timeout of a space before backoff. RFC 9002, section 6.2.1: "When the PTO is armed for Initial or
// Handshake packet number spaces, the max_ack_delay in the PTO period computation is set to 0".
func (l *Ledger) period(s wire.Space) time.Duration {
	if s == wire.AppSpace {
		return l.PTO()
	}
	return l.rtt.period()
}

func (l *Ledger) backedOff(d time.Duration) time.Duration { return d << min(l.ptoCount, maxBackoff) }

// probe tells the fate Probed of up to want of the oldest ack-eliciting packets of s that are not bare, and owes as many probes;
// two if the space has fewer packets than that but want is two, since two datagrams survive better than one. Were a PING that went
// before a Finished among them, every probe would be another PING, and the Finished would be sent again only once one was answered.
func (l *Ledger) probe(s wire.Space, want int) {
	sp := &l.spaces[s]
	if sp.eliciting == 0 {
		return
	}
	sp.probes = max(sp.probes, want)
	for n := sp.ring.first; n < sp.ring.next && want > 0; n++ {
		if p := sp.ring.at(n); p.state == outstanding && p.AckEliciting && !p.Bare {
			l.fate(s, p, Probed)
			want--
		}
	}
}

// ProbesOwed returns how many ack-eliciting packets must still be sent in s because a probe timeout fired. They ignore
// window and pacer. OnSent of an ack-eliciting packet pays one; an acknowledgment that brings news cancels the rest.
func (l *Ledger) ProbesOwed(s wire.Space) int { return l.spaces[s].probes }

// PTO returns the probe timeout of the application data space, max_ack_delay included, without backoff.
func (l *Ledger) PTO() time.Duration { return l.rtt.period() + l.maxAckDelay }

// PTOCount returns how many probe timeouts have fired since one was answered.
func (l *Ledger) PTOCount() int { return l.ptoCount }

// ConfirmHandshake says that the handshake is confirmed (RFC 9001, section 4.1.2).
func (l *Ledger) ConfirmHandshake(now instant.Time) {
	l.confirmed, l.peerValidated = true, true
	l.armedAt = now
}

// SetPeerValidated says, on a client, that the server has validated our address. An acknowledgment in the Handshake space
// and the confirmation of the handshake say so by themselves.
func (l *Ledger) SetPeerValidated(now instant.Time) {
	l.peerValidated = true
	l.armedAt = now
}

// SetHasHandshakeKeys says that Handshake packets can be sent, so that a client's probes go there.
func (l *Ledger) SetHasHandshakeKeys() { l.handshakeKeys = true }

// SetAmplificationLimited says, on a server, whether the anti-amplification limit keeps it from sending. When the limit is
// lifted the deadline may lie in the past; RFC 9002, section 6.2.2.1: "If the PTO timer is then set to a time in the past,
// it is executed immediately."
func (l *Ledger) SetAmplificationLimited(now instant.Time, limited bool) {
	if l.amplification && !limited {
		l.armedAt = now
	}
	l.amplification = limited
}

// DropSpace forgets a space whose keys were discarded: its packets leave the flight without a fate (RFC 9002, section
// 6.4) and the backoff is reset. Nothing may be sent there any more, and ACK frames for it are ignored.
func (l *Ledger) DropSpace(now instant.Time, s wire.Space) {
	sp := &l.spaces[s]
	for n := sp.ring.first; n < sp.ring.next; n++ {
		if p := sp.ring.at(n); p.state == outstanding && sp.counted(p) {
			l.inFlight -= p.Size
		}
	}
	next := sp.ring.next
	*sp = space{
		ring:         ring{first: next, next: next},
		largestAcked: sp.largestAcked,
		ackedSentAt:  sp.ackedSentAt,
		dropped:      true,
	}
	l.ptoCount = 0
	l.armedAt = now
}

// Abandon settles all packets of a space as Lost without a sign of congestion, so that what they carried is sent again
// under new numbers: the peer is known not to have processed them. That is so after a Retry (RFC 9002, section 6.3) and
// when 0-RTT is rejected (section 6.4). Statistics do not count them as lost, and a late acknowledgment is ignored.
func (l *Ledger) Abandon(now instant.Time, s wire.Space) {
	sp := &l.spaces[s]
	for ; sp.ring.first < sp.ring.next; sp.ring.pop() {
		p := sp.ring.at(sp.ring.first)
		if p.state != outstanding {
			continue
		}
		p.state = lost
		if sp.counted(p) {
			l.inFlight -= p.Size
		}
		l.fate(s, p, Lost)
	}
	sp.ring.shrink()
	sp.eliciting, sp.probes = 0, 0
	sp.lossTime, sp.run = 0, 0
	l.ptoCount = 0
	l.armedAt = now
}

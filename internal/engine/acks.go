package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// ackState is what we received in one packet number space, and when to tell (RFC 9000, section 13.2).
type ackState struct {
	seen      rangeset.Set
	floor     int64 // packets below are treated as duplicates
	largest   int64
	largestAt instant.Time

	eliciting  int64        // ack-eliciting packets received since the last ACK frame
	urgent     bool         // tell at once
	deadline   instant.Time // tell then at the latest
	unanswered int          // ACK frames sent since one that asked for an acknowledgment itself

	policy ackPolicy
	told   int64 // the largest number in the newest ACK frame

	ect0, ect1, ce uint64
}

func newAckState() ackState { return ackState{largest: -1, told: -1, policy: defaultAckPolicy} }

// isDuplicate reports whether a packet was received before, or is so old that it counts as such.
func (a *ackState) isDuplicate(number int64) bool {
	return number < a.floor || a.seen.Contains(number)
}

// receive notes a packet that was opened and whose frames were good.
func (a *ackState) receive(now instant.Time, space wire.Space, number int64, eliciting bool, ecn uint8) {
	// RFC 9000, section 13.2.1: an ack-eliciting packet "when the received packet has a packet number less than another
	// ack-eliciting packet that has been received" or "larger than the highest-numbered ack-eliciting packet that has
	// been received and there are missing packets between" is to be acknowledged at once.
	inOrder := number == a.largest+1 || a.policy.reordering != 1
	a.seen.Add(number, number+1)
	if len(a.seen) > maxAckRanges {
		a.floor = a.seen[0].End
		a.seen = append(a.seen[:0], a.seen[1:]...)
	}
	if number > a.largest {
		a.largest, a.largestAt = number, now
	}
	switch ecn {
	case 1:
		a.ect1++
	case 2:
		a.ect0++
	case 3:
		a.ce++
		a.urgent = a.urgent || eliciting
	}
	if !eliciting {
		return
	}
	a.eliciting++
	if space != wire.AppSpace || !inOrder || a.eliciting > a.policy.threshold || a.isOverdue(number) {
		a.urgent = true
	} else if a.deadline == instant.Never {
		a.deadline = now.Add(a.policy.delay)
	}
}

// due reports whether an acknowledgment must go now.
func (a *ackState) due(now instant.Time) bool { return a.urgent || a.deadline.Reached(now) }

// pending reports whether there is anything to acknowledge, to be taken along by a packet that goes anyway.
func (a *ackState) pending() bool { return a.eliciting > 0 }

// appendTo appends an ACK frame of what was received. It counts as sent when the packet is finished.
func (a *ackState) appendTo(now instant.Time, d *datagram, space wire.Space) {
	f := wire.Ack{ECN: a.ect0|a.ect1|a.ce != 0, ECT0: a.ect0, ECT1: a.ect1, CE: a.ce}
	if space == wire.AppSpace {
		f.Delay = uint64(max(now.Sub(a.largestAt), 0).Microseconds()) >> ackDelayExponent
	}
	if d.appendAck(f, a.seen) {
		d.addFact(recovery.Fact{Kind: factAck, End: a.largest})
	}
}

// sent notes that a packet with an ACK frame went out.
func (a *ackState) sent(elicits bool) {
	a.eliciting, a.urgent, a.deadline = 0, false, instant.Never
	a.told = a.largest
	a.unanswered++
	if elicits {
		a.unanswered = 0
	}
}

// wantsAnswer reports whether it is time that an acknowledgment is acknowledged, so that old ranges can go.
func (a *ackState) wantsAnswer() bool { return a.unanswered >= pingEvery && len(a.seen) > 1 }

// acknowledged notes that the peer has an ACK frame of ours that went up to packet largest: what lies below the range
// that holds it need not be told again (RFC 9000, section 13.2.4).
func (a *ackState) acknowledged(largest int64) {
	r, ok := a.seen.RangeAt(largest)
	if !ok || r.Start == a.seen[0].Start {
		return
	}
	a.floor = r.Start
	a.seen.Sub(a.seen[0].Start, r.Start)
}

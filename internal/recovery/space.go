package recovery

import (
	"errors"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
)

// ErrNeverSent is returned for an ACK frame that acknowledges a packet that was never sent. RFC 9000, section 13.1: "An
// endpoint SHOULD treat receipt of an acknowledgment for a packet it did not send as a connection error of type
// PROTOCOL_VIOLATION, if it is able to detect the condition."
var ErrNeverSent = errors.New("recovery: acknowledgment of a packet that was never sent")

// space is the part of the ledger that belongs to one packet number space.
type space struct {
	ring          ring
	largestAcked  int64        // -1: none
	pathFirst     int64        // the first number sent on the current path
	eliciting     int          // ack-eliciting packets outstanding
	probes        int          // probe packets owed
	lastEliciting instant.Time // when the newest ack-eliciting packet was sent
	lossTime      instant.Time // when the oldest packet in doubt will be declared lost
	dropped       bool

	run         instant.Time // when the first of an unbroken run of lost packets was sent; never: no run
	ackedSentAt instant.Time // when the newest acknowledged packet was sent

	skipped [maxSkipped]int64 // the newest skipped numbers, at their ordinal modulo the size
	skips   int

	gone      rangeset.Set // numbers declared lost, until goneUntil
	goneUntil instant.Time

	ecn ecn
}

// counted reports whether p counts in the flight of the current path.
func (sp *space) counted(p *Packet) bool { return p.InFlight && p.Number >= sp.pathFirst }

// check rejects ranges with numbers that were not sent: beyond the newest, or skipped.
func (sp *space) check(ranges []rangeset.Range) error {
	if ranges[0].End > sp.ring.next {
		return ErrNeverSent
	}
	for i := 0; i < min(sp.skips, maxSkipped); i++ {
		if covers(ranges, sp.skipped[i]) {
			return ErrNeverSent
		}
	}
	return nil
}

// covers reports whether n lies in one of ranges, highest first, by halving.
func covers(ranges []rangeset.Range, n int64) bool {
	lo, hi := 0, len(ranges)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if ranges[mid].Start > n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(ranges) && ranges[lo].Contains(n)
}

// takeSpurious returns how many packets in ranges, highest first, had been declared lost, and forgets them.
func (sp *space) takeSpurious(now instant.Time, ranges []rangeset.Range) int64 {
	if len(sp.gone) == 0 {
		return 0
	}
	if sp.goneUntil.Reached(now) {
		sp.gone = sp.gone[:0]
		return 0
	}
	before := sp.gone.Size()
	i := len(sp.gone) - 1
	for _, r := range ranges {
		for i >= 0 && sp.gone[i].Start >= r.End {
			i--
		}
		if i < 0 {
			break
		}
		if sp.gone[i].End > r.Start {
			sp.gone.Sub(r.Start, r.End)
			i = min(i, len(sp.gone)-1)
		}
	}
	return before - sp.gone.Size()
}

// remember notes that packet n was declared lost. Numbers come in ascending order.
func (sp *space) remember(n int64) {
	if sp.gone == nil {
		sp.gone = make(rangeset.Set, 0, maxLostRanges+1)
	}
	sp.gone.Add(n, n+1)
	if len(sp.gone) > maxLostRanges {
		sp.gone = sp.gone[:copy(sp.gone, sp.gone[1:])]
	}
}

// lostBelow returns the largest number that is lost by packet threshold: three packets after it, up to the largest
// acknowledged, were sent. RFC 9002, appendix A.10 "assumes that there were no sender-induced gaps in the packet number
// space"; here skipped numbers do not count.
func (sp *space) lostBelow() int64 {
	n := sp.largestAcked
	for later := 0; later < packetThreshold && n >= sp.ring.first; n-- {
		if sp.ring.at(n).state != unsent {
			later++
		}
	}
	return n
}

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
	portFirst     int64        // the first since only the port of the path changed
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
	fresh     rangeset.Set // those of the pass under way that are a sign of congestion
	doubted   rangeset.Set // those of the last congestion event that were not acknowledged

	ecn ecn
}

// counted reports whether p counts in the flight of the current path.
func (sp *space) counted(p *Packet) bool { return p.InFlight && p.Number >= sp.pathFirst }

// blames reports whether the loss of a packet says anything about congestion of the path in use.
func (sp *space) blames(p *Packet) bool { return !p.MTUProbe && p.Number >= sp.portFirst }

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

// remember notes that packet n was declared lost. Numbers come in ascending order. counted: it is a sign of congestion.
func (sp *space) remember(n int64, counted bool) {
	if sp.gone == nil {
		sp.gone = make(rangeset.Set, 0, maxLostRanges+1)
		sp.fresh = make(rangeset.Set, 0, maxLostRanges+1)
		sp.doubted = make(rangeset.Set, 0, 2*maxLostRanges+2)
	}
	sp.gone.Add(n, n+1)
	if len(sp.gone) > maxLostRanges {
		sp.gone = sp.gone[:copy(sp.gone, sp.gone[1:])]
	}
	// One range too many is kept, by which join sees that not all are remembered.
	if counted && len(sp.fresh) <= maxLostRanges {
		sp.fresh.Add(n, n+1)
	}
}

// lostBelow returns the largest number that is lost by packet threshold: that many packets after it, up to the largest
// acknowledged, were sent. RFC 9002, appendix A.10 "assumes that there were no sender-induced gaps in the packet number
// space"; here skipped numbers do not count, as long as they are remembered.
func (sp *space) lostBelow(threshold int64) int64 {
	n := sp.largestAcked - threshold
	for i := range min(sp.skips, maxSkipped) {
		s := sp.skipped[(sp.skips-1-i)%maxSkipped]
		if s <= n {
			break
		}
		if s <= sp.largestAcked {
			n--
		}
	}
	return n
}

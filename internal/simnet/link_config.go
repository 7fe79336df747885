package simnet

import (
	"fmt"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
)

// LinkConfig is what a link does to its datagrams. The zero value delivers everything at once and in order. Sizes are
// UDP payloads in bytes; probabilities are per datagram.
//
// A datagram meets its troubles in the order of the fields: an outage, the mask, the drops, the MTU or a dislike of its ECN field stop
// it at the entry; then it queues; then it may be lost, corrupted, held back or duplicated on the way. A lost datagram has
// still used the rate.
type LinkConfig struct {
	Outages []Outage     // times when nothing enters
	Cycle   Cycle        // outages that come again and again
	Mask    uint64       // bit n: the nth datagram of this link, counted from 0, is dropped
	Drops   rangeset.Set // numbers of datagrams that are dropped, counted from 0; as Mask, without its end
	MTU     int          // larger datagrams are dropped; 0: no limit
	Holes   []Hole       // times when the limit is lower
	ECN     ECNFault     // what happens to the ECN field

	Rate  int64      // bytes/s; 0: no queue and no limit
	Steps []RateStep // what Rate is from some instants on, in their order
	Queue int        // bytes that may wait, the datagram being sent included; 0: no limit
	Mark  int        // a datagram that finds more than this many bytes waiting is marked CE if it is ECT; 0: none

	Loss       float64 // independently, but for LossRun
	LossRun    int     // the most datagrams in a row that Loss takes; 0: no limit
	Burst      Burst   // in bursts
	Corrupt    float64 // one byte is changed
	CorruptRun int     // the most datagrams in a row that Corrupt changes; 0: no limit

	Delay        time.Duration
	Jitter       time.Duration // up to that much more, evenly distributed; it never reorders
	Reorder      float64       // probability of being held back, overtaken by those behind
	ReorderDelay time.Duration // how long such a datagram is held back
	Duplicate    float64       // probability of arriving twice
	// DuplicateDelay is how much later than the first the second comes at most, evenly distributed. 0: right behind it.
	DuplicateDelay time.Duration
	// Stalls are times when nothing arrives: what should have comes at their ends.
	Stalls []Outage
}

// RateStep is a change of a link's rate.
type RateStep struct {
	At   instant.Time
	Rate int64 // bytes/s; 0: no queue and no limit
}

// Outage is a time when a link is down: From is in it, To is not.
type Outage struct{ From, To instant.Time }

// Cycle is a link that is up for a time and then down for a time, over and over, beginning up at instant 0. The zero value
// is always up.
type Cycle struct{ Up, Down time.Duration }

// down reports whether the cycle is in its lower half.
func (c Cycle) down(now instant.Time) bool {
	return c.Down > 0 && now.Sub(0)%(c.Up+c.Down) >= c.Up
}

// Hole is a time when a link carries only datagrams of up to MTU bytes. It ends never if To is never.
type Hole struct {
	Outage
	MTU int
}

// ECNFault is what a link does to the ECN field that it should leave alone.
type ECNFault uint8

const (
	ECNKept    ECNFault = iota // nothing
	ECNCleared                 // what is ECT or CE arrives as not ECT
	ECNSwapped                 // ECT(0) arrives as ECT(1)
	ECNForced                  // what is ECT arrives as CE
	ECNDropped                 // what is ECT does not arrive
)

// Burst is a Gilbert-Elliott channel: good until a datagram turns it bad, bad until one turns it good.
type Burst struct {
	Enter float64 // probability that a datagram turns a good channel bad, and meets it bad
	Leave float64 // probability that a datagram turns a bad channel good, and meets it good; 1/Leave is the mean length
	Loss  float64 // probability of being lost while the channel is bad
}

// Check panics on a configuration that means nothing.
func (c *LinkConfig) Check() {
	for _, p := range [...]float64{c.Loss, c.Burst.Enter, c.Burst.Leave, c.Burst.Loss, c.Corrupt, c.Reorder, c.Duplicate} {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Sprintf("BUG: %v is not a probability", p))
		}
	}
	if c.Delay < 0 || c.Jitter < 0 || c.ReorderDelay < 0 || c.DuplicateDelay < 0 {
		panic("BUG: a link that delivers before it is asked")
	}
	if c.Cycle.Up < 0 || c.Cycle.Down < 0 {
		panic("BUG: a cycle that takes no time")
	}
	for _, s := range c.Steps {
		if s.Rate < 0 {
			panic("BUG: a negative rate")
		}
	}
	if c.MTU < 0 || c.Rate < 0 || c.Queue < 0 || c.Mark < 0 || c.LossRun < 0 || c.CorruptRun < 0 {
		panic("BUG: a negative size")
	}
}

// Stats counts what became of the datagrams of one link. Every datagram sent is in exactly one of the drop counters or
// arrives, once or, if duplicated, twice.
type Stats struct {
	Sent, Delivered int
	DeliveredBytes  int64

	Outage, Masked, TooLarge, Disliked, QueueFull, Lost, BurstLost int // dropped
	Stale                                                          int // dropped at the far end: its NAT mapping was gone

	Marked, Corrupted, Reordered, Duplicated int // changed
	MaxQueue                                 int // bytes, the most that ever waited
}

// Balanced reports whether every datagram that was sent arrived or is accounted for: true once nothing is under way.
func (s Stats) Balanced() bool { return s.Sent+s.Duplicated == s.Delivered+s.Dropped() }

// Dropped is how many datagrams did not arrive.
func (s Stats) Dropped() int {
	return s.Outage + s.Masked + s.TooLarge + s.Disliked + s.QueueFull + s.Lost + s.BurstLost + s.Stale
}

package simnet

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// Link is one direction between two hosts. A [Network] has them; by itself it decides about datagrams and counts them,
// and whoever asks it holds them meanwhile.
type Link struct {
	LinkConfig
	*Stats
	*queue
	generator *rand.PCG
	rng       *rand.Rand
	seed      [2]uint64    // of a lane, whose generator begins anew with each datagram; zeros: it does not
	number    int          // datagrams so far
	bad       bool         // the burst channel's state
	lost      int          // datagrams in a row that Loss took
	corrupted int          // datagrams in a row that Corrupt changed
	last      instant.Time // the latest arrival of a datagram that was not held back
}

// NewLink returns a link whose decisions follow from the seed and its index. It panics on a configuration that means
// nothing.
func NewLink(seed uint64, index int, c LinkConfig) *Link {
	c.Check()
	g := rand.NewPCG(seed, uint64(index))
	return &Link{LinkConfig: c, Stats: new(Stats), queue: new(queue), generator: g, rng: rand.New(g)}
}

// Lane returns a flow of its own over the same link: queue and counters are the link's, while numbers, chances and order
// are the flow's. What befalls a datagram of a lane by chance follows from seed, index and its number in the lane, also
// when a full queue or an outage, which depend on time, has taken others before it; only bursts, and the limits of runs,
// count what has reached them.
func (l *Link) Lane(seed uint64, index int) *Link {
	lane := NewLink(seed, index, l.LinkConfig)
	lane.Stats, lane.queue = l.Stats, l.queue
	lane.seed = [2]uint64{lane.rng.Uint64(), lane.rng.Uint64() | 1}
	return lane
}

// Entered returns how many datagrams have entered, dropped or not: the number of the next.
func (l *Link) Entered() int { return l.number }

// Overflow makes a full queue the fate of a datagram that Carry would let arrive: whoever holds it has no room.
func (l *Link) Overflow(first, second *Fate) {
	if !second.At.IsNever() {
		l.Duplicated--
	}
	if first.Flip != 0 {
		l.Corrupted--
	}
	if first.Late {
		l.Reordered--
	}
	*first, *second = l.drop(DropQueueFull)
}

// Fate is when a datagram arrives, never if it does not, and what has been done to it by then.
type Fate struct {
	At     instant.Time
	ECN    uint8
	Flip   byte // bits to flip in one byte of the payload; 0: none
	FlipAt int  // which byte
	Late   bool // it is held back
	Drop   Drop // why it does not arrive
}

// Carry decides what becomes of a datagram, and of its copy if it is duplicated, and counts it.
func (l *Link) Carry(now instant.Time, p Packet) (first, second Fate) {
	number := l.number
	l.number++
	l.Sent++
	if l.seed[1] != 0 {
		// An odd factor makes different numbers different seeds.
		l.generator.Seed(l.seed[0]+uint64(number)*0x9e3779b97f4a7c15, l.seed[1]*(2*uint64(number)+1))
	}
	switch {
	case l.down(now):
		return l.drop(DropOutage)
	case number < 64 && l.Mask>>number&1 == 1 || l.Drops.Contains(int64(number)):
		return l.drop(DropMasked)
	case len(p.Payload) > l.mtu(now):
		return l.drop(DropTooLarge)
	case l.ECN == ECNDropped && p.ECN != 0:
		return l.drop(DropDisliked)
	}
	first.ECN = l.ECN.change(p.ECN)
	sent, ok := l.enqueue(now, len(p.Payload), &first.ECN)
	switch {
	case !ok:
		return l.drop(DropQueueFull)
	case l.chanceInARow(l.Loss, l.LossRun, &l.lost):
		return l.drop(DropLost)
	case l.burst():
		return l.drop(DropBurstLost)
	}
	first.At, first.Late = l.arrive(sent)
	if l.chance(l.Duplicate) {
		l.Duplicated++
		second = first
		second.At = l.stalled(first.At.Add(l.upTo(l.DuplicateDelay)))
	}
	if len(p.Payload) > 0 && l.chanceInARow(l.Corrupt, l.CorruptRun, &l.corrupted) {
		l.Corrupted++
		first.Flip = byte(1 + l.rng.IntN(255))
		first.FlipAt = l.rng.IntN(len(p.Payload))
	}
	return first, second
}

func (l *Link) down(now instant.Time) bool {
	if l.Cycle.down(now) {
		return true
	}
	for _, o := range l.Outages {
		if o.From <= now && now < o.To {
			return true
		}
	}
	return false
}

// mtu returns the size of the largest datagram that passes.
func (l *Link) mtu(now instant.Time) int {
	n := l.MTU
	if n == 0 {
		n = math.MaxInt
	}
	for _, h := range l.Holes {
		if h.From <= now && (h.To.IsNever() || now < h.To) {
			n = min(n, h.MTU)
		}
	}
	return n
}

// change returns what the fault makes of an ECN field.
func (f ECNFault) change(ecn uint8) uint8 {
	switch {
	case f == ECNCleared:
		return 0
	case f == ECNSwapped && ecn == 2:
		return 1
	case f == ECNForced && ecn != 0:
		return 3
	}
	return ecn
}

// burst moves the Gilbert-Elliott channel by one datagram and reports whether it lost that one.
func (l *Link) burst() bool {
	if l.bad {
		l.bad = !l.chance(l.Burst.Leave)
	} else {
		l.bad = l.chance(l.Burst.Enter)
	}
	return l.bad && l.chance(l.Burst.Loss)
}

// arrive returns when a datagram whose last byte was sent at that instant is there, and whether it was held back.
func (l *Link) arrive(sent instant.Time) (at instant.Time, late bool) {
	at = sent.Add(l.Delay + l.upTo(l.Jitter))
	at = max(at, l.last)
	if l.chance(l.Reorder) {
		l.Reordered++
		return l.stalled(at.Add(l.ReorderDelay)), true
	}
	at = l.stalled(at)
	l.last = at
	return at, false
}

// stalled returns when what would be there at an instant is there.
func (l *Link) stalled(at instant.Time) instant.Time {
	for _, s := range l.Stalls {
		if s.From <= at && at < s.To {
			at = s.To
		}
	}
	return at
}

// chance draws only for what can happen, so that a fault that is not configured does not shift the others.
func (l *Link) chance(p float64) bool { return p > 0 && l.rng.Float64() < p }

// chanceInARow is chance, but that after so many hits in a row there is none.
func (l *Link) chanceInARow(p float64, most int, hits *int) bool {
	if hit := l.chance(p); !hit || most > 0 && *hits >= most {
		*hits = 0
		return false
	}
	*hits++
	return true
}

// upTo returns an evenly distributed duration in [0, d].
func (l *Link) upTo(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return time.Duration(l.rng.Int64N(int64(d) + 1))
}

package simnet

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// link is one direction between two hosts.
type link struct {
	LinkConfig
	Stats
	rng  *rand.Rand
	bad  bool         // the burst channel's state
	last instant.Time // the latest arrival of a datagram that was not held back

	waiting []departure // what is in the queue, the one being sent first
	head    int         // of waiting
	bytes   int         // sum of waiting
}

// departure is a queued datagram and when its last byte will have been sent.
type departure struct {
	at   instant.Time
	size int
}

// fate is when a datagram arrives, never if it does not, and what has been done to it by then.
type fate struct {
	at     instant.Time
	ecn    uint8
	flip   byte // bits to flip in one byte of the payload; 0: none
	flipAt int  // which byte
}

func newLink(seed uint64, index int, c LinkConfig) *link {
	return &link{LinkConfig: c, rng: rand.New(rand.NewPCG(seed, uint64(index)))}
}

// carry decides what becomes of a datagram, and of its copy if it is duplicated.
func (l *link) carry(now instant.Time, p Packet) (first, second fate) {
	number := l.Sent
	l.Sent++
	switch {
	case l.down(now):
		l.Outage++
		return
	case number < 64 && l.Mask>>number&1 == 1:
		l.Masked++
		return
	case len(p.Payload) > l.mtu(now):
		l.TooLarge++
		return
	case l.ECN == ECNDropped && p.ECN != 0:
		l.Disliked++
		return
	}
	first.ecn = l.ECN.change(p.ECN)
	sent, ok := l.enqueue(now, len(p.Payload), &first.ecn)
	switch {
	case !ok:
		l.QueueFull++
		return
	case l.chance(l.Loss):
		l.Lost++
		return
	case l.burst():
		l.BurstLost++
		return
	}
	first.at = l.arrive(sent)
	if l.chance(l.Duplicate) {
		l.Duplicated++
		second = first
		second.at = first.at.Add(l.upTo(l.DuplicateDelay))
	}
	if len(p.Payload) > 0 && l.chance(l.Corrupt) {
		l.Corrupted++
		first.flip = byte(1 + l.rng.IntN(255))
		first.flipAt = l.rng.IntN(len(p.Payload))
	}
	return first, second
}

func (l *link) down(now instant.Time) bool {
	for _, o := range l.Outages {
		if o.From <= now && now < o.To {
			return true
		}
	}
	return false
}

// mtu returns the size of the largest datagram that passes.
func (l *link) mtu(now instant.Time) int {
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

// enqueue returns when the last byte has left a drop-tail queue that is served at the link's rate; false if it was full.
func (l *link) enqueue(now instant.Time, size int, ecn *uint8) (instant.Time, bool) {
	if l.Rate == 0 {
		return now, true
	}
	for l.head < len(l.waiting) && l.waiting[l.head].at <= now {
		l.bytes -= l.waiting[l.head].size
		l.head++
	}
	start := now
	if l.head < len(l.waiting) {
		start = l.waiting[len(l.waiting)-1].at
	}
	if l.head > len(l.waiting)/2 { // a queue that never empties must not creep through memory
		l.waiting = l.waiting[:copy(l.waiting, l.waiting[l.head:])]
		l.head = 0
	}
	if l.Queue > 0 && l.bytes+size > l.Queue {
		return 0, false
	}
	// "an ECN-capable router may set the CE codepoint": RFC 3168, section 5. What is not ECN-capable is left alone.
	if l.Mark > 0 && l.bytes > l.Mark && (*ecn == 1 || *ecn == 2) {
		*ecn = 3
		l.Marked++
	}
	at := start.Add(time.Duration(int64(size) * int64(time.Second) / l.Rate))
	l.waiting = append(l.waiting, departure{at, size})
	l.bytes += size
	l.MaxQueue = max(l.MaxQueue, l.bytes)
	return at, true
}

// burst moves the Gilbert-Elliott channel by one datagram and reports whether it lost that one.
func (l *link) burst() bool {
	if l.bad {
		l.bad = !l.chance(l.Burst.Leave)
	} else {
		l.bad = l.chance(l.Burst.Enter)
	}
	return l.bad && l.chance(l.Burst.Loss)
}

// arrive returns when a datagram whose last byte was sent at that instant is there.
func (l *link) arrive(sent instant.Time) instant.Time {
	at := sent.Add(l.Delay + l.upTo(l.Jitter))
	at = max(at, l.last)
	if l.chance(l.Reorder) {
		l.Reordered++
		return at.Add(l.ReorderDelay)
	}
	l.last = at
	return at
}

// chance draws only for what can happen, so that a fault that is not configured does not shift the others.
func (l *link) chance(p float64) bool { return p > 0 && l.rng.Float64() < p }

// upTo returns an evenly distributed duration in [0, d].
func (l *link) upTo(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return time.Duration(l.rng.Int64N(int64(d) + 1))
}

package recovery

import (
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
)

// lateness is what packets that were late, rather than lost, have taught.
type lateness struct {
	event   congestionEvent
	reorder reordering
}

// reordering is how far loss detection gives way on a path that delivers packets out of order. RFC 9002, section 6.1.1:
// "Algorithms that increase the reordering threshold after spuriously detecting losses, such as RACK [RFC8985], have proven
// to be useful in TCP and are expected to be at least as useful in QUIC."
//
// The packet threshold follows the distance that was seen. The time threshold, of which only is known that it was too
// short, doubles its surplus over the round-trip time, once per congestion event, up to a second round-trip time, as
// far as RACK goes. Both return to what the RFC recommends after reorderPersist congestion events without a spurious loss.
type reordering struct {
	packets int64 // what is added to packetThreshold
	widened int   // how many times the surplus of the time threshold was doubled
	quiet   int   // congestion events since the last spurious loss
}

// packetThreshold is how many packets later than a packet must be acknowledged for it to be lost.
func (r *reordering) packetThreshold() int64 { return packetThreshold + r.packets }

// lossDelay is the time threshold of RFC 9002, section 6.1.2, with kTimeThreshold 9/8 to begin with.
func (r *reordering) lossDelay(rtt congestion.RTT) time.Duration {
	return max(max(rtt.Smoothed, rtt.Latest)*time.Duration(8+1<<r.widened)/8, granularity)
}

// onSpurious learns from a lost packet that arrived after all, after distance later ones had been acknowledged.
func (r *reordering) onSpurious(distance int64, e *congestionEvent) {
	r.quiet = 0
	if distance >= r.packetThreshold() {
		r.packets = min(distance+1, maxPacketThreshold) - packetThreshold
		return
	}
	if !e.widened {
		e.widened = true
		r.widened = min(r.widened+1, maxWidened)
	}
}

// onEvent counts a congestion event, in which nothing is spurious yet.
func (r *reordering) onEvent() {
	if r.quiet++; r.quiet > reorderPersist {
		*r = reordering{}
	}
}

// congestionEvent is the last time that losses reduced the window: those that began it and those of packets sent before it
// began, for which a controller does not reduce again (RFC 9002, section 7.3.2). Which packets were lost is in the spaces.
type congestionEvent struct {
	began   instant.Time // never: there is none that could be undone
	real    bool         // it was more than losses, or more losses than are remembered
	widened bool         // it has widened the time threshold
}

// join enters the losses of one pass of loss detection in a space in the last congestion event, or begins one with them.
func (l *Ledger) join(now instant.Time, sp *space, p losses) {
	if p.newestAt > l.event.began {
		l.beginEvent(now, p.persistent)
		l.reorder.onEvent()
	}
	for _, r := range sp.fresh {
		sp.doubted.Add(r.Start, r.End)
	}
	// Persistent congestion is not undone: it took several round-trip times without an acknowledgment.
	l.event.real = l.event.real || p.persistent || len(sp.doubted) > maxLostRanges
	if l.event.real {
		sp.doubted = sp.doubted[:0]
	}
}

// beginEvent begins a congestion event without losses.
func (l *Ledger) beginEvent(now instant.Time, real bool) {
	l.event = congestionEvent{began: now, real: real}
	for i := range l.spaces {
		l.spaces[i].doubted = l.spaces[i].doubted[:0]
	}
}

// undo takes back the last reduction of the window if each of the losses that made it was spurious.
func (l *Ledger) undo(now instant.Time) {
	if l.event.began.IsNever() || l.event.real {
		return
	}
	for i := range l.spaces {
		if len(l.spaces[i].doubted) > 0 {
			return
		}
	}
	l.event = congestionEvent{widened: l.event.widened}
	if u, ok := l.ctl.(congestion.Undoer); ok {
		l.stats.Undone++
		u.Undo()
		l.traceState(now)
		l.traceMetrics(now)
	}
}

// handleSpurious looks for packets in ranges, highest first, that had been declared lost; before is the largest number
// that had been acknowledged earlier.
func (l *Ledger) handleSpurious(now instant.Time, sp *space, ranges []rangeset.Range, before int64) {
	if len(sp.gone) == 0 {
		return
	}
	if sp.goneUntil.Reached(now) {
		sp.gone = sp.gone[:0]
		if len(sp.doubted) > 0 {
			sp.doubted = sp.doubted[:0]
			l.event.real = true
		}
		return
	}
	count, lowest := take(&sp.gone, ranges)
	if count == 0 {
		return
	}
	l.stats.SpuriousLost += count
	if lowest >= sp.pathFirst {
		l.reorder.onSpurious(before-lowest, &l.event)
	}
	if n, _ := take(&sp.doubted, ranges); n > 0 {
		l.undo(now)
	}
}

// take removes ranges, highest first, from set, and returns how many numbers that were and the lowest.
func take(set *rangeset.Set, ranges []rangeset.Range) (count, lowest int64) {
	if len(*set) == 0 {
		return 0, 0
	}
	before := set.Size()
	i := len(*set) - 1
	for _, r := range ranges {
		for i >= 0 && (*set)[i].Start >= r.End {
			i--
		}
		if i < 0 {
			break
		}
		if (*set)[i].End <= r.Start {
			continue
		}
		for j := i; j >= 0 && (*set)[j].End > r.Start; j-- {
			lowest = max((*set)[j].Start, r.Start)
		}
		set.Sub(r.Start, r.End)
		i = min(i, len(*set)-1)
	}
	return before - set.Size(), lowest
}

package link

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/simnet"
)

// flight is a datagram under way.
type flight struct {
	at      instant.Time
	seq     uint64 // ties at one instant are settled first come, first served
	payload []byte
	ecn     uint8
	way
}

// Before orders flights by their arrival.
func (f *flight) Before(g *flight) bool { return f.at < g.at || f.at == g.at && f.seq < g.seq }

// flights holds what is under way, mostly in the order of arrival: without jitter between lanes, and unless a datagram is
// held back, each one arrives after all before it. Those wait in a ring, the others in a heap.
type flights struct {
	ring []flight // of a power of two
	head int
	n    int
	heap simnet.Heap[flight, *flight]
}

func (q *flights) len() int { return q.n + len(q.heap) }

// push puts a datagram where it belongs.
func (q *flights) push(f flight) {
	if q.n > 0 && f.Before(&q.ring[(q.head+q.n-1)&(len(q.ring)-1)]) {
		q.heap.Push(f)
		return
	}
	if q.n == len(q.ring) {
		grown := make([]flight, max(64, 2*len(q.ring)))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = f
	q.n++
}

// next returns the one that arrives next; nil if there is none. It is valid until the next push or pop.
func (q *flights) next() *flight {
	switch {
	case q.n == 0 && len(q.heap) == 0:
		return nil
	case q.n == 0:
		return &q.heap[0]
	case len(q.heap) == 0 || q.ring[q.head].Before(&q.heap[0]):
		return &q.ring[q.head]
	}
	return &q.heap[0]
}

// pop takes away what next returned.
func (q *flights) pop() flight {
	f := q.next()
	if len(q.heap) > 0 && f == &q.heap[0] {
		return q.heap.Pop()
	}
	taken := *f
	*f = flight{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return taken
}

package engine

import "math/bits"

// What is here decides whose bytes go next. RFC 9000, section 2.3: "A QUIC implementation SHOULD provide ways in which an
// application can indicate the relative priority of streams." The ways are those of RFC 9218, section 4.

// DefaultUrgency is a stream's urgency unless SetPriority says otherwise, MaxUrgency the least urgent there is.
const (
	DefaultUrgency = 3
	MaxUrgency     = 7
)

// turnBytes is how much a stream sends before it is another's turn: three datagrams or so. The ten datagrams of a first flight
// bring the beginnings of three streams or four, a batch of 64 those of some twenty, and a reader at the other end wakes once for
// three datagrams. In turns of one datagram it would wake for each, and a burst of losses would make a gap in every stream.
const turnBytes = 4 << 10

// A schedule holds the streams that owe STREAM frames. First come those that repeat what was lost, or have nothing but their end to
// send, the most urgent first, and then the lower in number. RFC 9000, section 13.3: "Endpoints SHOULD prioritize retransmission of
// data over sending new data, unless priorities specified by the application indicate otherwise". Even for an urgent stream they do
// not: what is lost is a congestion window at most, and the peer holds the bytes behind it, with their flow control, until it comes.
//
// Then comes new data, by urgency. To find the next stream takes constant time, to move one the logarithm of their number.
type schedule struct {
	n      int        // streams in all
	again  streamHeap // those that go first
	busy   uint8      // the urgencies at which others wait, a bit each
	levels *[MaxUrgency + 1]level
	turns  int64 // given so far
}

// level is the streams of one urgency. Those that are not incremental are served one after the other, in the order of their numbers;
// those that are, in turns. Where there are both, the two kinds take turns. RFC 9218, section 10: "early non-incremental responses
// might prevent serving of incremental responses issued later", and the other way round.
type level struct {
	inOrder, inTurn streamHeap
	spent           int  // bytes sent in this turn
	flipped         bool // it is the turn of an incremental stream
}

// priority is a stream's place among others.
type priority struct {
	urgency     uint8 // 0 to MaxUrgency, the smaller the sooner
	incremental bool

	again bool  // it stands among those that go first
	order int64 // what decides within one urgency: its number, or its turn
	at    int   // where it stands in its heap
}

// before reports whether s goes before o, both of one heap.
func (s *stream) before(o *stream) bool {
	if s.prio.urgency != o.prio.urgency {
		return s.prio.urgency < o.prio.urgency
	}
	return s.prio.order < o.prio.order
}

// SetPriority says which of a connection's streams go first: one of lower urgency before all of higher ones; within one urgency,
// streams that are not incremental one after the other, in the order of their numbers, and incremental ones in turns. It holds from
// the next packet on. A stream that is not known any more is left alone. The peer is not told.
func (c *Conn) SetPriority(id int64, urgency uint8, incremental bool) {
	if urgency > MaxUrgency {
		panic("BUG: an urgency above 7")
	}
	s := c.streams.byID[id]
	if s == nil || s.prio.urgency == urgency && s.prio.incremental == incremental {
		return // and a stream that is told so again keeps its turn
	}
	queued := s.queued&inDataQueue != 0
	c.streams.data.remove(s)
	s.prio.urgency, s.prio.incremental = urgency, incremental
	if queued {
		c.streams.data.add(s)
	}
}

// repeats reports whether what a stream has to send costs no flow control: bytes that were sent before, or the end alone.
func (s *sendPart) repeats() bool { return len(s.toSend) == 0 || s.toSend[0].Start < s.next }

// add enters a stream, or moves it when it begins or ceases to repeat.
func (q *schedule) add(s *stream) {
	again := s.send.repeats()
	if s.queued&inDataQueue != 0 {
		if again == s.prio.again {
			return
		}
		q.remove(s)
	}
	s.queued |= inDataQueue
	s.prio.again, s.prio.order = again, s.id
	if q.n++; again {
		q.again.push(s)
		return
	}
	if q.levels == nil {
		q.levels = new([MaxUrgency + 1]level)
	}
	q.busy |= 1 << s.prio.urgency
	l := &q.levels[s.prio.urgency]
	if !s.prio.incremental {
		l.inOrder.push(s)
		return
	}
	q.giveTurn(s)
	l.inTurn.push(s)
}

// giveTurn puts an incremental stream behind the others.
func (q *schedule) giveTurn(s *stream) {
	q.turns++
	s.prio.order = q.turns
}

// remove takes a stream out if it is in.
func (q *schedule) remove(s *stream) {
	if s.queued&inDataQueue == 0 {
		return
	}
	s.queued &^= inDataQueue
	q.n--
	if s.prio.again {
		q.again.remove(s)
		return
	}
	l := &q.levels[s.prio.urgency]
	if l.next() == s && (s.prio.incremental || len(l.inOrder) == 1) {
		l.spent, l.flipped = 0, false // the next one has a turn of its own
	}
	if s.prio.incremental {
		l.inTurn.remove(s)
	} else {
		l.inOrder.remove(s)
	}
	if len(l.inOrder)+len(l.inTurn) == 0 {
		q.busy &^= 1 << s.prio.urgency
	}
}

// next returns the stream to be served. There has to be one.
func (q *schedule) next() *stream {
	if len(q.again) > 0 {
		return q.again[0]
	}
	return q.levels[bits.TrailingZeros8(q.busy)].next()
}

func (l *level) next() *stream {
	if len(l.inOrder) > 0 && (!l.flipped || len(l.inTurn) == 0) {
		return l.inOrder[0]
	}
	return l.inTurn[0]
}

// served takes account of n bytes that the stream of next has sent.
func (q *schedule) served(s *stream, n int) {
	if s.prio.again {
		return
	}
	l := &q.levels[s.prio.urgency]
	if l.spent += n; l.spent < turnBytes {
		return
	}
	l.spent, l.flipped = 0, !s.prio.incremental
	if s.prio.incremental {
		q.giveTurn(s)
		l.inTurn.down(s.prio.at)
	}
}

// rest gives memory back.
func (q *schedule) rest() {
	if q.n == 0 {
		*q = schedule{}
	}
}

// streamHeap is a binary heap of streams, each of which knows where it stands.
type streamHeap []*stream

func (h *streamHeap) push(s *stream) {
	*h = append(*h, s)
	s.prio.at = len(*h) - 1
	h.up(s.prio.at)
}

func (h *streamHeap) remove(s *stream) {
	i, last := s.prio.at, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	if *h = (*h)[:last]; i < last {
		h.up(i)
		h.down(i)
	}
}

func (h streamHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].prio.at, h[j].prio.at = i, j
}

func (h streamHeap) up(i int) {
	for i > 0 && h[i].before(h[(i-1)/2]) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h streamHeap) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].before(h[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

package simnet

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// queue is what waits to be sent at a link's rate. Lanes share it.
type queue struct {
	waiting []departure // what is in the queue, the one being sent first
	head    int         // of waiting
	bytes   int         // sum of waiting
}

// departure is a queued datagram and when its last byte will have been sent.
type departure struct {
	at   instant.Time
	size int
}

// rate returns how many bytes a second are served.
func (l *Link) rate(now instant.Time) int64 {
	rate := l.Rate
	for _, s := range l.Steps {
		if s.At <= now {
			rate = s.Rate
		}
	}
	return rate
}

// enqueue returns when the last byte has left a drop-tail queue that is served at the link's rate; false if it was full.
func (l *Link) enqueue(now instant.Time, size int, ecn *uint8) (instant.Time, bool) {
	rate := l.rate(now)
	if rate == 0 {
		return now, true
	}
	q := l.queue
	for q.head < len(q.waiting) && q.waiting[q.head].at <= now {
		q.bytes -= q.waiting[q.head].size
		q.head++
	}
	start := now
	if q.head < len(q.waiting) {
		start = q.waiting[len(q.waiting)-1].at
	}
	if q.head > len(q.waiting)/2 { // a queue that never empties must not creep through memory
		q.waiting = q.waiting[:copy(q.waiting, q.waiting[q.head:])]
		q.head = 0
	}
	if l.Queue > 0 && q.bytes+size > l.Queue {
		return 0, false
	}
	// "an ECN-capable router may set the CE codepoint": RFC 3168, section 5. What is not ECN-capable is left alone.
	if l.Mark > 0 && q.bytes > l.Mark && (*ecn == 1 || *ecn == 2) {
		*ecn = 3
		l.Marked++
	}
	at := start.Add(time.Duration(int64(size) * int64(time.Second) / rate))
	q.waiting = append(q.waiting, departure{at, size})
	q.bytes += size
	l.MaxQueue = max(l.MaxQueue, q.bytes)
	return at, true
}

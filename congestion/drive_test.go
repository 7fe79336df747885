package congestion

import (
	"testing"
	"time"
)

const (
	mss        = 1200
	start Time = 1_000_000_000
)

// path drives a controller over a path with a round-trip time and a queue, in whole round trips: the window is sent at
// once, acknowledged a datagram at a time over the following round trip, and lost where it exceeds capacity.
type path struct {
	c      Controller
	now    Time
	rtt    time.Duration
	min    time.Duration
	number int64
}

func newPath(c Controller, rtt time.Duration) *path {
	return &path{c: c, now: start, rtt: rtt, min: rtt}
}

// round sends bytes and acknowledges all of them, limited saying whether the window was the limit.
func (p *path) round(bytes int, limited bool) {
	sentAt := p.now
	n := max(bytes/mss, 1)
	for i := range n {
		p.c.OnSent(Sent{Now: sentAt, Bytes: mss, InFlight: (i + 1) * mss, Number: p.number})
		p.number++
	}
	p.now = p.now.Add(p.rtt)
	p.min = min(p.min, p.rtt)
	for i := range n {
		p.c.OnAck(Ack{
			Now:           p.now,
			Bytes:         mss,
			InFlight:      (n - i - 1) * mss,
			LargestSentAt: sentAt,
			Largest:       p.number - int64(n-i),
			NextNumber:    p.number,
			RTT:           RTT{Latest: p.rtt, Smoothed: p.rtt, Min: p.min},
			WindowLimited: limited,
		})
	}
	p.now++ // what is sent next is sent after what was heard
}

func (p *path) full() { p.round(p.c.Window(), true) }

// lose reports one packet lost that was sent at t.
func (p *path) lose(t Time) {
	p.c.OnLoss(Loss{Now: p.now, Bytes: mss, Packets: 1, LargestSentAt: t, Largest: p.number - 1, NextNumber: p.number})
	p.now++
}

// controllers makes one of each.
func controllers(t *testing.T) []Controller {
	var all []Controller
	for _, name := range Names() {
		c, err := ByName(name, mss)
		if err != nil {
			t.Fatal(err)
		}
		if c.Name() != name {
			t.Fatalf("%q is called %q", name, c.Name())
		}
		all = append(all, c)
	}
	return all
}

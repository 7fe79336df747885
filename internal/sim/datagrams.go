package sim

import (
	"encoding/binary"
	"errors"

	"github.com/godwit-net/godwit/internal/engine"
)

// speech is the datagrams of one end of a connection: those that it sent, and which of the other end's it received.
type speech struct {
	content content
	sent    int64 // that were queued
	refused int64 // that were too large
	heard   map[uint64]bool
}

// maxWaiting is how many datagrams may wait in a queue.
const maxWaiting = 256

// speak sends datagrams until the work has no more: as many at once as are left at first, which is more than a queue holds if there
// are many, and from then on one for each that comes. Sizes go from those that hold a number to some that are too large.
func (c *conn) speak(most int64) {
	if c.pair == nil || c.pair.closed || c.Err() != nil {
		return
	}
	s := &c.pair.speeches[c.end()]
	for ; most > 0 && s.sent+s.refused < c.host.config.Work.Datagrams; most-- {
		number := s.sent + s.refused
		b := make([]byte, 8+number*37%1500)
		binary.BigEndian.PutUint64(b, uint64(number))
		s.content.fill(b[8:], number*1500)
		switch err := c.SendDatagram(c.host.now, b); {
		case errors.Is(err, engine.ErrNoDatagrams):
			return // the peer takes none, or nobody knows yet
		case errors.Is(err, engine.ErrDatagramTooLarge):
			s.refused++
		case err != nil:
			c.host.fail("%s cannot send datagram %d: %w", c.host.name, number, err)
			return
		default:
			s.sent++
		}
		c.touched = true
	}
}

// hear takes the datagrams that have come: any of those that the other end sent, in any order, none twice.
func (c *conn) hear() {
	b := make([]byte, 2000)
	for {
		n, ok := c.ReceiveDatagram(b)
		if !ok {
			return
		}
		if c.pair == nil {
			c.host.fail("%s received a datagram before it knew whose", c.host.name)
			return
		}
		c.heardOf(b[:n])
		c.speak(1)
	}
}

// heardOf judges a datagram that was received.
func (c *conn) heardOf(b []byte) {
	s, other := &c.pair.speeches[c.end()], &c.pair.speeches[1-c.end()]
	if len(b) < 8 {
		c.host.fail("%s received a datagram of %d bytes", c.host.name, len(b))
		return
	}
	number := binary.BigEndian.Uint64(b)
	switch {
	case number >= uint64(other.sent+other.refused):
		c.host.fail("%s received datagram %d, which was not sent", c.host.name, number)
	case s.heard[number]:
		c.host.fail("%s received datagram %d twice", c.host.name, number)
	case len(b) != 8+int(number*37%1500) || other.content.match(b[8:], int64(number)*1500) != len(b)-8:
		c.host.fail("%s received datagram %d with other content", c.host.name, number)
	}
	if s.heard == nil {
		s.heard = make(map[uint64]bool)
	}
	s.heard[number] = true
}

// count holds what the connection says of its datagrams against what its ends saw, when its work is done.
func (p *pair) count(h *host) {
	var stats [2]engine.DatagramStats
	for end, c := range p.ends {
		c.hear()
		stats[end] = c.DatagramStats()
		s, d := &p.speeches[end], &stats[end]
		if gone := d.Sent + d.DroppedSending + d.TooLarge - s.refused; gone > s.sent || s.sent-gone > maxWaiting {
			h.fail("end %d of %s: of %d datagrams %d went or were dropped: %+v", end, p.name, s.sent, gone, *d)
		}
		if taken := int64(len(s.heard)); taken+d.DroppedReceiving != d.Received {
			h.fail("end %d of %s: %d datagrams were received, %d taken: %+v", end, p.name, d.Received, taken, *d)
		}
	}
	if stats[client].Received > stats[server].Sent || stats[server].Received > stats[client].Sent {
		h.fail("%s: more datagrams were received than sent: %+v", p.name, stats)
	}
	if h.result.Datagrams == [2]engine.DatagramStats{} {
		h.result.Datagrams = stats
	}
}

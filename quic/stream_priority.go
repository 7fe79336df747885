package quic

import "github.com/godwit-net/godwit/internal/engine"

// What SetPriority takes for urgency: 0, the most urgent, to MaxUrgency.
const (
	DefaultUrgency = engine.DefaultUrgency
	MaxUrgency     = engine.MaxUrgency
)

// SetPriority says whose bytes go first when a connection cannot send all that was written, in the terms of RFC 9218, section 4. A
// stream of lower urgency goes before all of higher ones, however much it has to send. Within one urgency, streams that are not
// incremental are sent one after the other, in the order of their numbers, each as far as it was written and the peer takes it;
// incremental ones in turns of some 4 KiB; and where there are both, the two kinds take turns. Bytes that were lost go before
// all that is new.
//
// A stream that nothing is said about has DefaultUrgency, 3, and is not incremental. It can be called at any time, and holds for
// what was not sent yet; after the end of the stream it does nothing. The peer is not told, and its own sending is its own affair.
// It panics on an urgency that is not from 0 to 7.
func (s *Stream) SetPriority(urgency int, incremental bool) {
	if urgency < 0 || urgency > MaxUrgency {
		panic("BUG: an urgency that is not from 0 to 7")
	}
	c := s.conn
	c.mu.Lock()
	defer c.leave(nil)
	if c.core != nil && !c.broken {
		c.core.SetPriority(s.id, uint8(urgency), incremental)
	}
}

// Stream returns the stream with an ID, whoever opened it and whether or not Accept has returned it yet; nil when it has not been
// opened, or is over.
func (c *Conn) Stream(id int64) *Stream {
	c.mu.Lock()
	defer c.leave(nil)
	return c.streams[id]
}

// PeerStreams returns how many bidirectional streams the peer has been allowed to open since the connection began, over ones
// included.
func (c *Conn) PeerStreams() int64 {
	c.mu.Lock()
	defer c.leave(nil)
	if c.core == nil || c.broken {
		return 0
	}
	return c.core.PeerStreams()
}

package quic

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/godwit-net/godwit/internal/wire"
)

// A ConnIDGenerator makes the connection IDs of an endpoint: what its peers write into every packet to it (RFC 9000, section
// 5.1). A load balancer that knows how they are made can tell from one which server it belongs to, also when the client's
// address has changed: package quiclb makes such IDs.
//
// An endpoint calls its generator from one goroutine at a time, under locks: it must not call back into package quic. One that
// several endpoints share has to see to its own safety. An ID that the endpoint uses already is thrown away and another asked
// for, so that random IDs may be short; with none to be had, connections do not begin.
//
// An ID is in the clear in every packet. RFC 9000, section 5.1: "Connection IDs MUST NOT contain any information that can be
// used by an external observer (that is, one that does not cooperate with the issuer) to correlate them with other connection
// IDs for the same connection."
type ConnIDGenerator interface {
	// Len is the length of every ID in bytes, and never changes: packets do not say it. It is between 1 and 20, and at least 8
	// unless Generate is very sparing with what is random. A client that has its socket to itself, as the function Dial makes
	// it, may do without IDs, Len 0: packets to it are shorter, and a server whose client's address changes cannot hide that it
	// is the same.
	Len() int
	// Generate makes an ID in id, which has Len bytes and is full of random ones. Those that it leaves alone stay random.
	Generate(id []byte)
}

// idSource is the generator of an endpoint, as the engine calls it.
type idSource struct {
	length int

	mu  sync.Mutex // a leaf
	gen ConnIDGenerator
}

// Len returns the length that the generator had when the endpoint began.
func (s *idSource) Len() int { return s.length }

// Generate has the generator make an ID.
func (s *idSource) Generate(id []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen.Generate(id)
}

// ReplaceConnIDs has the endpoint make its connection IDs by another generator from now on, and has the peers of its connections
// give up, within a round trip, those that they have for new ones. The endpoint must have been given a generator when it
// began, Config.ConnIDs, and the new one's IDs must have the same length.
func (e *Endpoint) ReplaceConnIDs(g ConnIDGenerator) error {
	if e.ids == nil || g == nil {
		return errors.New("quic: an endpoint that has no ConnIDGenerator, and only such a one, makes random connection IDs for ever")
	}
	if n := g.Len(); n != e.ids.length {
		return fmt.Errorf("quic: connection IDs of %d bytes, and the endpoint's have %d", n, e.ids.length)
	}
	e.ids.mu.Lock()
	e.ids.gen = g
	e.ids.mu.Unlock()
	e.mu.Lock()
	conns := slices.Collect(maps.Keys(e.conns))
	e.mu.Unlock()
	for _, c := range conns {
		c.renewIDs()
	}
	return nil
}

// renewIDs gives the peer new connection IDs for all that it has.
func (c *Conn) renewIDs() {
	c.mu.Lock()
	defer c.leave(nil)
	if c.core == nil || c.broken || c.gone {
		return
	}
	now := c.now()
	c.core.RenewIDs(now)
	c.flush(now, false)
}

// checkIDLen refuses a generator whose IDs are shorter than least or longer than QUIC has them.
func checkIDLen(g ConnIDGenerator, least int) error {
	if g == nil {
		return nil
	}
	if n := g.Len(); n < least || n > wire.MaxConnIDLen {
		return fmt.Errorf("quic: Config.ConnIDs makes connection IDs of %d bytes, not of %d to %d", n, least, wire.MaxConnIDLen)
	}
	return nil
}

// generateIDs has all connections of the endpoint use the generator of its Config.
func (e *Endpoint) generateIDs() {
	if g := e.conf.ConnIDs; g != nil {
		e.ids = &idSource{length: g.Len(), gen: g}
		e.acceptor.IDs, e.demux.IDs = e.ids, e.ids
	}
}

// claimID leads datagrams to an ID that leads nowhere yet to c; false: it leads somewhere. The empty ID passes from a
// connection that is over to the next: a second attempt in another version.
func (e *Endpoint) claimID(c *Conn, id wire.ConnID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if other, taken := e.demux.Holder(id); taken {
		if id.Len() > 0 || other.live {
			return false
		}
		other.ids = slices.DeleteFunc(other.ids, func(has wire.ConnID) bool { return has == id })
	}
	if !c.gone {
		e.demux.Add(id, c)
		c.ids = append(c.ids, id)
	}
	return true
}

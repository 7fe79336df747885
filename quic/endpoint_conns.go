package quic

import (
	"slices"

	"github.com/godwit-net/godwit/internal/wire"
)

// What a connection tells its endpoint. Every function here takes e.mu; the connection's mu may be held.

// add makes c known to the endpoint; false: it is closed, or shut down for connections that peers begin.
func (e *Endpoint) add(c *Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.addLocked(c)
}

func (e *Endpoint) addLocked(c *Conn) bool {
	if e.closed || e.refusing {
		return false
	}
	e.conns[c] = struct{}{}
	c.handshaking, c.live = true, true
	e.live++
	if c.client {
		e.watch(c)
	} else {
		e.open(c, 1)
	}
	return true
}

// addID leads datagrams for id to c.
func (e *Endpoint) addID(c *Conn, id wire.ConnID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.gone || slices.Contains(c.ids, id) {
		return
	}
	e.demux.Add(id, c)
	c.ids = append(c.ids, id)
}

func (e *Endpoint) removeID(c *Conn, id wire.ConnID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(c.ids, id); i >= 0 {
		e.demux.Remove(id)
		c.ids = slices.Delete(c.ids, i, i+1)
	}
}

// addToken leads stateless resets with this token to c.
func (e *Endpoint) addToken(c *Conn, token [16]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.gone || slices.Contains(c.tokens, token) {
		return
	}
	e.demux.AddToken(token, c)
	c.tokens = append(c.tokens, token)
}

func (e *Endpoint) removeToken(c *Conn, token [16]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(c.tokens, token); i >= 0 {
		e.demux.RemoveToken(token)
		c.tokens = slices.Delete(c.tokens, i, i+1)
	}
}

// admit notes that c's handshake is done: once its inbox is empty, the reader drives it.
func (e *Endpoint) admit(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.admitLocked(c)
}

func (e *Endpoint) admitLocked(c *Conn) {
	if c.admitted {
		return
	}
	c.admitted = true
	if c.client {
		e.unwatch(c)
	} else {
		e.open(c, -1)
	}
	if !c.queued {
		c.handshaking = false
	}
}

// enqueueAccept puts c into the backlog; false: there is no room, or nobody will accept any more.
func (e *Endpoint) enqueueAccept(c *Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refusing || len(e.backlog) >= maxBacklog {
		return false
	}
	e.backlog = append(e.backlog, c)
	e.accepting.wake()
	return true
}

// ended notes that c is over for the application.
func (e *Endpoint) ended(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.admitLocked(c)
	if i := slices.Index(e.backlog, c); i >= 0 {
		e.backlog = slices.Delete(e.backlog, i, i+1)
	}
	if c.live {
		c.live = false
		if e.live--; e.live == 0 {
			e.ending.wake()
		}
	}
}

// remove forgets c. With a connection that has the socket to itself the endpoint ends too.
func (e *Endpoint) remove(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
	for _, id := range c.ids {
		e.demux.Remove(id)
	}
	for _, token := range c.tokens {
		e.demux.RemoveToken(token)
	}
	c.ids, c.tokens, c.inbox, c.first = nil, nil, nil, nil
	if e.own && len(e.conns) == 0 { // a second attempt in another version may be on
		e.refusing, e.closed = true, true
		_ = e.closeSockets() // ends the reader, which may be the one that runs this
	}
}

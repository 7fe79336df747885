package quic

import (
	"net/netip"
	"runtime"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
)

// A connection in its handshake is not driven by the reader: one signature takes as long as a hundred datagrams, and TLS
// runs callbacks of the application. The reader copies its datagrams into an inbox, and a few workers, which exist only
// while there is work, hand them to the core.

// parcel is a datagram that waits in an inbox; its payload is a copy.
type parcel = engine.Datagram

// handshakes is what an endpoint knows of those under way.
type handshakes struct {
	halfOpen int                  // those that peers have begun
	crowds   map[netip.Prefix]int // the same, by where they come from; made with the first
	dials    map[*Conn]struct{}   // those that we have
	jobs     []*Conn              // what waits for a worker, each once
	workers  int
}

// begin makes the connection of a first Initial packet, which is authentic, as far as the reader does: the core is made by a
// worker, since that costs as well. It returns why not, or "".
func (e *Endpoint) begin(now instant.Time, in engine.Incoming, d engine.Datagram) dropReason {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.refusing:
		return dropShutdown
	case e.halfOpen >= maxHalfOpen:
		return dropHalfOpen
	case e.halfOpen >= maxHalfOpen/2 && e.crowds[crowdOf(d.Path.Remote)] >= maxCrowd:
		return dropCrowd
	}
	c := &Conn{ep: e, began: now, path: d.Path, member: member{first: &in, crowd: crowdOf(d.Path.Remote)}}
	if !e.addLocked(c) {
		return dropShutdown
	}
	e.demux.Add(in.DstID, c)
	c.ids = append(c.ids, in.DstID)
	e.post(c, d)
	return ""
}

// crowdOf returns what one client can have all addresses of: one of IPv4, 64 bits of IPv6.
func crowdOf(a netip.AddrPort) netip.Prefix {
	bits := 32
	if a.Addr().Is6() {
		bits = 64
	}
	p, _ := a.Addr().Prefix(bits) // which drops the zone
	return p
}

// open counts a handshake that a peer has begun, n 1, or that is over, n -1. mu is held.
func (e *Endpoint) open(c *Conn, n int) {
	e.halfOpen += n
	if e.crowds == nil {
		e.crowds = make(map[netip.Prefix]int)
	}
	if e.crowds[c.crowd] += n; e.crowds[c.crowd] == 0 {
		delete(e.crowds, c.crowd)
	}
}

// post copies a datagram into the inbox of a connection in its handshake and sees to it that a worker comes. mu is held.
func (e *Endpoint) post(c *Conn, d engine.Datagram) {
	if len(c.inbox) >= maxInbox {
		e.count.drop(dropInbox)
		return
	}
	d.Payload = append([]byte(nil), d.Payload...)
	c.inbox = append(c.inbox, d)
	if c.queued {
		return
	}
	c.queued = true
	e.jobs = append(e.jobs, c)
	if e.workers < runtime.GOMAXPROCS(0) {
		e.workers++
		go e.work()
	}
}

// work drives handshakes until none has anything to do.
func (e *Endpoint) work() {
	e.mu.Lock()
	for len(e.jobs) > 0 {
		c := e.jobs[0]
		e.jobs[0] = nil
		e.jobs = e.jobs[1:]
		e.mu.Unlock()
		e.drive(c)
		e.mu.Lock()
	}
	e.jobs = nil
	e.workers--
	e.mu.Unlock()
}

// drive empties the inbox of c. The connection stays with the workers until its handshake is done and nothing is left
// in the inbox, so that its datagrams keep their order.
func (e *Endpoint) drive(c *Conn) {
	for {
		e.mu.Lock()
		inbox, first := c.inbox, c.first
		c.inbox, c.first = nil, nil
		if len(inbox) == 0 {
			c.queued = false
			c.handshaking = !c.admitted
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		if first != nil {
			c.startServer(first)
		}
		now := clock()
		c.receive(now, inbox)
		c.poke(now)
	}
}

// startServer makes the core of a connection that a client began.
func (c *Conn) startServer(in *engine.Incoming) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.err != nil {
		return // closed meanwhile
	}
	core, err := engine.NewServer(c.now(), c.coreConfig(&c.ep.conf, c.ep.tls), *in)
	if err != nil {
		c.end(err)
		c.forget()
		return
	}
	c.core = core
	c.balance()
	c.dispatch()
}

// poke flushes after receive, for those who do it for one connection only.
func (c *Conn) poke(now instant.Time) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.core != nil && !c.broken {
		c.flush(c.at(now), false)
	}
}

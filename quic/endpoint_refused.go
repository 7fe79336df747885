package quic

import (
	"slices"

	"github.com/godwit-net/godwit/internal/udp"
)

// A host answers a datagram to a port on which nobody listens with an ICMP message. While an endpoint dials it has the system tell
// of them, so that Dial does not wait for the handshake timeout; what is believed of them the engine decides (Conn.Refused).
// Established connections never hear of them.

// watch notes that c dials. mu is held.
func (e *Endpoint) watch(c *Conn) {
	if len(e.dials) == 0 {
		e.dials = make(map[*Conn]struct{})
		e.sock.WatchRefusals(true)
	}
	e.dials[c] = struct{}{}
}

// unwatch notes that c dials no more. mu is held.
func (e *Endpoint) unwatch(c *Conn) {
	delete(e.dials, c)
	if len(e.dials) == 0 {
		e.sock.WatchRefusals(false)
	}
}

// refused tells those who dial the addresses of list.
func (e *Endpoint) refused(list []udp.Refusal) {
	if len(list) == 0 {
		return
	}
	e.mu.Lock()
	var dials []*Conn
	for c := range e.dials {
		if slices.ContainsFunc(list, func(r udp.Refusal) bool { return r.Remote == c.dialling.addr }) {
			dials = append(dials, c)
		}
	}
	e.mu.Unlock()
	for _, c := range dials {
		c.refused(list)
	}
}

func (c *Conn) refused(list []udp.Refusal) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.broken || c.core == nil || c.heard {
		return
	}
	for _, r := range list {
		if r.Remote == c.dialling.addr {
			c.core.Refused(c.now(), r.Quote, c.dialling.refusals)
		}
	}
	c.dispatch()
}

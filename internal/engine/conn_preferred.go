package engine

import (
	"net/netip"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// What is here is a server's move to the address that it prefers. A client that comes there is not followed at once, as one is
// whose own address changes: it can still be reached where the handshake was.
//
// RFC 9000, section 9.6.2: "The server MUST send non-probing packets from its original address until it receives a non-probing
// packet from the client at its preferred address and until the server has validated the new path."

// prefers reports whether a local address is one that this server prefers.
func (c *Conn) prefers(local netip.AddrPort) bool {
	for _, a := range [...]netip.AddrPort{c.config.PreferredV4, c.config.PreferredV6} {
		if a.IsValid() && a.Addr().Unmap() == local.Addr().Unmap() && (local.Port() == a.Port() || local.Port() == 0) {
			return true
		}
	}
	return false
}

// isLeft reports whether a path leads to the address that the connection has left for good.
//
// RFC 9000, section 9.6.2: "Once the server has completed its path validation and has received a non-probing packet with a new
// largest packet number on its preferred address, the server begins sending non-probing packets to the client exclusively from
// its preferred IP address. The server SHOULD drop newer packets for this connection that are received on the old IP address."
func (p *pathState) isLeft(c *Conn, by Path) bool {
	return p.settled && by.Local.Addr().IsValid() && !c.prefers(by.Local)
}

// awaits reports whether a packet that is more than a probe came to the preferred address before the path there is validated,
// and sees to it that it will be. It came in a datagram of size bytes.
func (p *pathState) awaits(c *Conn, now instant.Time, to Path, size int) bool {
	a := &p.ahead
	if !c.prefers(to.Local) || c.prefers(p.Local) {
		return false
	}
	switch known := samePath(to, a.path); {
	case known && a.validated:
		return false
	case !known:
		*a = ahead{path: to, room: 3 * size}
		c.retireIDs()
	}
	if !a.wanted {
		a.wanted = true
		a.check.resume(now, c.ledger.PTO())
	}
	return true
}

// handleResponse takes an answer from the path ahead. The client that waits for it there is followed.
func (a *ahead) handleResponse(c *Conn, now instant.Time, data [8]byte) {
	switch ok, full := a.check.answered(data); {
	case !ok:
	case full:
		a.check.end()
		if a.validated = true; a.wanted {
			c.path.follow(c, now, a.path, 0)
		}
	case a.wanted: // section 8.2.1: it is the client's address, and a second challenge fills a datagram
		a.room = minDatagramSize * maxChallenges
		a.check.begin(now, c.ledger.PTO())
	}
}

// due returns when expire wants to be called.
func (a *ahead) due() instant.Time {
	if !a.wanted {
		return instant.Never
	}
	return a.check.due()
}

// expire gives up a path that does not answer. The connection is where it was.
func (a *ahead) expire(c *Conn, now instant.Time) {
	if a.wanted && a.check.expire(now) {
		*a = ahead{}
		c.retireIDs()
	}
}

// compose writes a challenge to the path ahead when one is due that no answer takes along.
//
// RFC 9000, section 9.6.2: "The server MUST probe on the path toward the client from its preferred address."
func (a *ahead) compose(c *Conn, now instant.Time, buf []byte) (Transmit, bool) {
	if !a.wanted || !a.check.state.isUnsent() {
		return Transmit{}, false
	}
	limit := min(len(buf), minDatagramSize)
	if a.path.Remote != c.path.Remote || !c.path.validated {
		limit = min(limit, a.room)
	}
	d := &c.draft
	d.begin(buf, limit)
	c.ids.sendBy(c, d, a.path)
	if !c.openPacket(d, wire.AppSpace) || !a.check.appendTo(c, now, d) {
		return Transmit{}, false
	}
	d.addFact(recovery.Fact{Kind: factPath})
	t := c.finishProbe(now, d, a.path)
	a.room -= t.Size
	return t, true
}

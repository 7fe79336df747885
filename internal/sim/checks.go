package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/wire"
)

// audit is what the world counts of a connection, seen from the wire.
type audit struct {
	first     netip.AddrPort              // a server: where the client was first
	addresses map[netip.AddrPort]*account // looked up, never ranged over
}

// account is what went to and came from one address of the peer's.
type account struct {
	received, sent int64
	proved         bool // something may have proved that the peer is there
}

func newAudit(in engine.Incoming) audit {
	first := in.Path.Remote
	return audit{first: first, addresses: map[netip.AddrPort]*account{first: {proved: in.Validated}}}
}

// of returns the account of an address.
func (a *audit) of(addr netip.AddrPort) *account {
	if a.addresses == nil {
		a.addresses = make(map[netip.AddrPort]*account)
	}
	if a.addresses[addr] == nil {
		a.addresses[addr] = new(account)
	}
	return a.addresses[addr]
}

// receive notes a datagram before the engine decrypts it in place. The first address is proved by a token or a Handshake packet; the
// others by nothing before the peer was reached there, and has answered. RFC 9000, section 8.2.3: "A PATH_RESPONSE frame received on
// any network path validates the path on which the PATH_CHALLENGE was sent."
func (a *audit) receive(p simnet.Packet, reached map[netip.AddrPort]bool) {
	x, b := a.of(p.From), p.Payload
	x.received += int64(len(b))
	for addr, other := range a.addresses { // any order
		other.proved = other.proved || addr != a.first && reached[addr]
	}
	if p.From != a.first {
		return
	}
	for len(b) > 0 && wire.IsLong(b[0]) {
		h, n := wire.ConsumeLongHeader(b)
		if n <= 0 {
			return
		}
		x.proved = x.proved || h.Type == wire.PacketHandshake
		b = b[n:]
	}
}

// maxBeyondWindow is by how many datagrams one Compose may exceed the congestion window: two probes for each of the three
// packet number spaces, and the last datagram that began inside of it.
const maxBeyondWindow = 2*wire.NumSpaces + 1

// check holds what a Compose wrote against what was allowed. The stats are those from before.
func (h *host) check(c *conn, before engine.Stats, t engine.Transmit) {
	to := c.audit.of(t.Path.Remote)
	to.sent += int64(t.Size)
	if c.pair != nil {
		c.pair.idle += (t.Size + t.Segment - 1) / max(t.Segment, 1)
	}
	size := maxDatagram(&h.config.Client)
	if c.server {
		size = maxDatagram(&h.config.Server)
	}
	if t.Segment <= 0 || t.Segment > size || t.Segment > t.Size {
		h.fail("%s composed %d bytes in segments of %d", h.name, t.Size, t.Segment)
	}
	// RFC 9000, section 8: "an endpoint MUST limit the amount of data it sends to the unvalidated address to three
	// times the amount of data received from that address."
	if c.server && !to.proved && to.sent > 3*to.received {
		h.fail("%s sent %d bytes to an unvalidated address, %v, that sent %d", h.name, to.sent, t.Path.Remote, to.received)
	}
	// RFC 9002, section 7: "An endpoint MUST NOT send a packet if it would cause bytes_in_flight [...] to be larger than
	// the congestion window, unless the packet is sent on a PTO timer expiration".
	after := c.Stats()
	room := max(before.Window-before.InFlight, 0)
	if grown := after.InFlight - before.InFlight; grown > room+maxBeyondWindow*size {
		h.fail("%s put %d bytes in flight where its window had room for %d", h.name, grown, room)
	}
}

// maxDatagram returns the largest datagram that an endpoint may send.
func maxDatagram(c *engine.Config) int {
	if c.MaxDatagramSize == 0 {
		return 1452
	}
	return max(c.MaxDatagramSize, wire.MinInitialSize)
}

// checkEnd judges a world in which nothing can happen any more: it has to be one in which everything has.
func (w *World) checkEnd() {
	if s := w.unfinished(); s != "" {
		w.fail("nothing is left to happen, but %s", s)
	}
	for _, h := range w.hosts {
		if n := h.demux.Len(); n != 0 {
			w.fail("%s still knows %d connection IDs", h.name, n)
		}
	}
	if n := w.net.Unroutable(); n != 0 {
		w.fail("%d datagrams were sent to nobody", n)
	}
}

// unfinished describes the work and the connections that are left; empty: none.
func (w *World) unfinished() string {
	var s []string
	for _, p := range w.pairs {
		if !p.closed {
			s = append(s, p.unfinished())
		}
	}
	for _, h := range w.hosts {
		if n := len(h.conns); n > 0 {
			s = append(s, fmt.Sprintf("%s has %d connections", h.name, n))
		}
	}
	return strings.Join(s, "; ")
}

// checkClose judges the end of a connection.
func (c *conn) checkClose() {
	err := c.Err()
	p := c.pair
	if p == nil {
		// A server's connection without a handshake: made by a duplicate or a damaged copy of a client's first datagram.
		return
	}
	var app *engine.ApplicationError
	switch {
	case !p.closed && c.redial(err):
	case c.host.config.Hard && c.mayFail(err):
		if !c.server && !p.closed {
			p.closed, p.failed = true, true
		}
	case !p.closed:
		c.host.fail("%s's connection to %s ended before its work was done: %w", c.host.name, p.name, err)
	case errors.As(err, &app) && app.Code == closeCode && !p.vanished && app.Remote == (c.end() != p.by):
	case c.end() != p.by && (errors.Is(err, engine.ErrIdleTimeout) || errors.Is(err, engine.ErrStatelessReset)):
		// CONNECTION_CLOSE was lost, and the end that sent it is gone.
	default:
		c.host.fail("%s's connection to %s was closed, but ended with: %w", c.host.name, p.name, err)
	}
}

// mayFail reports whether that is how a connection ends that is not at fault.
func (c *conn) mayFail(err error) bool {
	other := c.pair.ends[1-c.end()]
	var transport *engine.TransportError
	switch {
	case errors.As(err, &transport):
		return transport.Code == wire.NoViablePath // such links are among them
	case errors.Is(err, engine.ErrIdleTimeout):
		return true
	case errors.Is(err, engine.ErrHandshakeTimeout):
		return !c.HandshakeDone() || c.server
	case errors.Is(err, engine.ErrStatelessReset):
		return other == nil || other.gone // who has forgotten it says so
	}
	return false
}

// redial has a client begin anew that was told of other versions, as the shell does. What it wrote early counts for nothing.
func (c *conn) redial(err error) bool {
	var e *engine.VersionError
	p, h := c.pair, c.host
	if c.server || !errors.As(err, &e) || p.dialled >= maxDials {
		return false
	}
	p.dialled++
	if e.Common == 0 {
		e = nil // the packet was damaged on its way: nothing protects it
	}
	c.pair = nil
	p.begin()
	h.after(0, func() { h.dial(p, e) })
	return true
}

// maxDials is how often a client dials again.
const maxDials = 5

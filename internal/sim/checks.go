package sim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/wire"
)

// audit is what the world counts of a connection, seen from the wire.
type audit struct {
	received, sent int64
	validated      bool // a token, or a Handshake packet that came, may have proved the client's address
}

// receive notes a datagram before the engine decrypts it in place.
func (a *audit) receive(b []byte) {
	a.received += int64(len(b))
	for len(b) > 0 && wire.IsLong(b[0]) {
		h, n := wire.ConsumeLongHeader(b)
		if n <= 0 {
			return
		}
		a.validated = a.validated || h.Type == wire.PacketHandshake
		b = b[n:]
	}
}

// maxBeyondWindow is by how many datagrams one Compose may exceed the congestion window: two probes for each of the three
// packet number spaces, and the last datagram that began inside of it.
const maxBeyondWindow = 2*wire.NumSpaces + 1

// check holds what a Compose wrote against what was allowed. The stats are those from before.
func (h *host) check(c *conn, before engine.Stats, t engine.Transmit) {
	c.audit.sent += int64(t.Size)
	size := maxDatagram(&h.config.Client)
	if c.server {
		size = maxDatagram(&h.config.Server)
	}
	if t.Segment <= 0 || t.Segment > size || t.Segment > t.Size {
		h.fail("%s composed %d bytes in segments of %d", h.name, t.Size, t.Segment)
	}
	// RFC 9000, section 8: "an endpoint MUST limit the amount of data it sends to the unvalidated address to three
	// times the amount of data received from that address."
	if c.server && !c.audit.validated && c.audit.sent > 3*c.audit.received {
		h.fail("%s sent %d bytes to an unvalidated address that sent %d", h.name, c.audit.sent, c.audit.received)
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
	case !p.closed:
		c.host.fail("%s's connection to %s ended before its work was done: %w", c.host.name, p.name, err)
	case errors.As(err, &app) && app.Code == closeCode && app.Remote == c.server:
	case c.server && errors.Is(err, engine.ErrIdleTimeout), c.server && errors.Is(err, engine.ErrStatelessReset):
		// The client's CONNECTION_CLOSE was lost, and the client is gone.
	default:
		c.host.fail("%s's connection to %s was closed after its work, but ended with: %w", c.host.name, p.name, err)
	}
}

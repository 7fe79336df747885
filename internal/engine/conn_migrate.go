package engine

import (
	"errors"
	"net/netip"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// migration is a client's attempt to move to another path: probe it, and move when it answers (RFC 9000, sections 9.1 and
// 9.2). Until then everything goes on over the path in use.
type migration struct {
	to    Path
	check validation
}

// Why Migrate refuses.
var (
	// ErrMigrateServer: RFC 9000, section 9: "Clients are responsible for initiating all migrations."
	ErrMigrateServer = errors.New("quic: only a client migrates")
	// ErrMigrateEarly: "An endpoint MUST NOT initiate connection migration before the handshake is confirmed".
	ErrMigrateEarly = errors.New("quic: a connection does not migrate before its handshake is confirmed")
	// ErrMigrateDisabled: the server sent disable_active_migration.
	ErrMigrateDisabled = errors.New("quic: the server does not allow migration (disable_active_migration)")
	// ErrMigrateBusy: another path is being probed.
	ErrMigrateBusy = errors.New("quic: another path is being probed already")
	// ErrMigrateNoID: the server has given no connection ID for another path, or not yet.
	ErrMigrateNoID = errors.New("quic: the server has given no connection ID to spare for another path")
)

// Migrate probes another path to the server and moves the connection there when it answers: EventPathChanged says so, and
// EventMigrationFailed that it did not answer, in which case nothing has changed.
//
// Deviation: RFC 9000, section 9.5 advises against migrating when the server uses a zero-length connection ID, "because
// traffic over the new path might be trivially linkable to traffic over the old one". Whoever calls Migrate wants the
// connection more than that. Section 9.6.3 would have a client that migrates while the server's preferred address is
// probed probe both addresses from the new one at once; here one comes after the other (ErrMigrateBusy).
func (c *Conn) Migrate(now instant.Time, to Path) error {
	now = c.advance(now)
	switch {
	case c.server:
		return ErrMigrateServer
	case c.life.state != lifeOpen:
		return c.life.err
	case !c.shake.confirmed:
		return ErrMigrateEarly
	case c.peer.DisableActiveMigration && c.path.Remote != c.preferred():
		// RFC 9000, section 18.2: "This transport parameter does not prohibit connection migration after a client has acted
		// on a preferred_address transport parameter."
		return ErrMigrateDisabled
	case c.path.move.check.active():
		return ErrMigrateBusy
	case c.ids.spares() == 0 && c.ids.remoteID().Len() > 0:
		return ErrMigrateNoID
	}
	c.path.move.begin(c, now, to)
	return nil
}

// preferred returns the server's preferred address of the IP version that is used now; the zero AddrPort: there is none, or none
// that one should go to.
//
// RFC 9000, section 9.6.1: "Servers MAY communicate a preferred address of each address family (IPv4 and IPv6) to allow clients to
// pick the one most suited to their network attachment." Of the IP version in use we know that it works here, of the other
// nothing, and our address is not of it. Deviation: a client "SHOULD select one of the two addresses"; where the server
// offers only one of the other version we stay.
func (c *Conn) preferred() netip.AddrPort {
	a := c.peer.PreferredAddress
	if c.server || a == nil {
		return netip.AddrPort{}
	}
	to := a.V6
	if c.path.Remote.Addr().Unmap().Is4() {
		to = a.V4
	}
	if to.Port() == 0 || !mayLeadTo(c.path.Remote.Addr(), to.Addr()) {
		return netip.AddrPort{}
	}
	return to
}

// mayLeadTo reports whether a server at one address may prefer another.
//
// RFC 9000, section 21.5.6: "Endpoints SHOULD NOT allow connections or migration to a loopback address if the same service was previously
// available at a different interface or if the address was provided by a service at a non-loopback address." The same goes for
// addresses of a link, which make no sense without the name of it, and for those that are not of one host.
func mayLeadTo(at, to netip.Addr) bool {
	switch {
	case !to.IsValid() || to.IsUnspecified() || to.IsMulticast() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	case to.IsLoopback():
		return at.IsLoopback()
	case to.IsLinkLocalUnicast():
		return at.IsLinkLocalUnicast() && to.Is4()
	}
	return true
}

// followPreferred probes the server's preferred address, once the handshake is confirmed.
//
// RFC 9000, section 9.6.1: "Once the handshake is confirmed, the client SHOULD select one of the two addresses provided by the
// server and initiate path validation". It goes on in the IP version in use, or not at all: see preferred.
func (c *Conn) followPreferred(now instant.Time) {
	to := c.preferred()
	if to.IsValid() && to != c.path.Remote && c.ids.spares() > 0 {
		c.path.move.begin(c, now, Path{Local: c.path.Local, Remote: to})
	}
}

// AbandonMigration ends the probing of a path that Migrate asked for, if it is still going on.
func (c *Conn) AbandonMigration(now instant.Time) {
	c.advance(now)
	c.path.move.check.end()
	c.retireIDs()
}

func (m *migration) begin(c *Conn, now instant.Time, to Path) {
	m.to = to
	m.check.begin(now, untriedPTO/3)
	c.ids.bind(c, to)
}

// compose writes a challenge to the path that is probed.
func (m *migration) compose(c *Conn, now instant.Time, buf []byte) (Transmit, bool) {
	d := &c.draft
	d.begin(buf, min(len(buf), minDatagramSize))
	c.ids.sendBy(c, d, m.to)
	if !c.openPacket(d, wire.AppSpace) || !m.check.appendTo(c, now, d) {
		return Transmit{}, false
	}
	d.addFact(recovery.Fact{Kind: factPath})
	return c.finishProbe(now, d, m.to), true
}

// handleResponse moves the connection when the path has answered.
func (m *migration) handleResponse(c *Conn, now instant.Time, data [8]byte) {
	if ok, _ := m.check.answered(data); !ok {
		return
	}
	m.check.end()
	p := &c.path
	p.previous = p.Path
	p.moveTo(c, now, m.to)
	c.stats.PathChanges++
	c.retireIDs()
	c.idle.pingDue = true // the server follows what is more than a probe
}

// expire sends another challenge, or gives up.
func (m *migration) expire(c *Conn, now instant.Time) {
	if !m.check.expire(now) {
		return
	}
	m.check.end()
	c.retireIDs()
	c.events.push(Event{Kind: EventMigrationFailed})
}

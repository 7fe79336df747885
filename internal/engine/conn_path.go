package engine

import (
	"net/netip"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// pathState is the addresses in use, the proof that the peer is at its one, and the paths beside it on which anything is
// sent (RFC 9000, sections 8 and 9).
//
// A server follows a peer whose address changed, under it as a NAT does it or of its own will; a client moves itself
// (conn_migrate.go). Every path has a connection ID of its own as long as the peer has given one to spare (conn_ids_path.go).
type pathState struct {
	Path
	validated bool
	received  int64 // bytes that came over this path while it was not validated, and
	sent      int64 // bytes sent over it: the anti-amplification limit of section 8.1
	mtu       mtuState
	narrow    narrowState
	ecn       ecnState

	check    validation // of this path
	previous Path       // the path to return to when it fails
	recall   bool       // the peer is to be asked whether it still is there

	answers answerQueue

	ahead   ahead     // a server
	settled bool      // a server that has gone to its preferred address
	move    migration // a client

	tokens tokenState // the client's address is proved before it comes again
}

// ahead is a path that the client probes. It is likely to move there, so a challenge goes along with the answer: when it does
// move, nothing has to wait for the path to be validated.
type ahead struct {
	path      Path
	check     validation
	validated bool
	wanted    bool // it leads to the preferred address, and the client has come there (conn_preferred.go)
	room      int  // bytes that may be sent to it, as the client's address may be another
}

// samePath reports whether two pairs of addresses are one path. Where the system does not tell the local address, or no port
// with it, what is known decides.
func samePath(a, b Path) bool {
	return a.Remote == b.Remote && !differ(a.Local.Addr(), b.Local.Addr()) &&
		(a.Local.Port() == b.Local.Port() || a.Local.Port() == 0 || b.Local.Port() == 0)
}

// differ reports whether two addresses are known not to be one.
func differ(a, b netip.Addr) bool { return a.IsValid() && b.IsValid() && a != b }

// allowance returns how many bytes may be sent to an address that is not validated.
func (p *pathState) allowance() int64 { return 3*p.received - p.sent }

// blocked reports whether the anti-amplification limit forbids sending. During the handshake nothing less than a whole
// datagram is worth sending, as Initial packets are padded; later a few bytes do, so that even a peer that sends no more
// than an occasional PING gets the challenge that validates its address.
func (p *pathState) blocked(c *Conn) bool {
	least := int64(minDatagramSize)
	if c.shake.confirmed {
		least = minChallenge
	}
	return !p.validated && p.allowance() < least
}

// minChallenge is the room that a short packet with a PATH_CHALLENGE needs.
const minChallenge = 64

// owes reports whether appendTo would append anything.
func (p *pathState) owes() bool {
	return p.check.state.isUnsent() || p.answers.owes(p.Path)
}

// knows reports whether a client takes packets from an address: its server's, where it was before it preferred another, or
// where it is being asked for.
func (p *pathState) knows(remote netip.AddrPort) bool {
	return remote == p.Remote || remote == p.previous.Remote || p.move.check.active() && remote == p.move.to.Remote
}

// credit counts a datagram that came, whatever is in it.
func (p *pathState) credit(c *Conn, now instant.Time, from Path, size int) {
	if samePath(from, p.ahead.path) {
		p.ahead.room += 3 * size
	}
	if p.validated || !samePath(from, p.Path) {
		return // what came by another path, from the same address perhaps, is answered there: it must not count twice
	}
	p.received += int64(size)
	c.ledger.SetAmplificationLimited(now, p.blocked(c))
}

// handleChallenge takes a PATH_CHALLENGE in a datagram d: its answer goes back where it came from.
func (p *pathState) handleChallenge(c *Conn, d Datagram, data [8]byte) {
	p.answers.push(owedAnswer{data: data, path: d.Path, room: 3 * len(d.Payload), from: c.stats.DatagramsReceived})
}

// handleResponse takes a PATH_RESPONSE.
//
// RFC 9000, section 8.2.1: "To ensure that the path MTU is large enough, the endpoint MUST perform a second path validation by
// sending a PATH_CHALLENGE frame in a datagram of at least 1200 bytes. This additional validation can be performed after a
// PATH_RESPONSE is successfully received".
func (p *pathState) handleResponse(c *Conn, now instant.Time, data [8]byte) {
	if ok, full := p.check.answered(data); ok {
		p.check.end()
		if !full {
			p.check.begin(now, c.ledger.PTO())
		}
		if !p.validated {
			p.tokens.offer(c, now) // the one from before is for another address
		}
		c.validated(now)
		c.retireIDs()
		return
	}
	p.ahead.handleResponse(c, now, data)
	p.move.handleResponse(c, now, data)
}

// follow moves a server to the path of a packet that is newer than all before and more than a probe; it came in a datagram of
// size bytes, which count already for what may be sent there.
//
// RFC 9000, section 9.3: "Receiving a packet from a new peer address containing a non-probing frame indicates that the peer
// has migrated to that address. If the recipient permits the migration, it MUST send subsequent packets to the new peer
// address and MUST initiate path validation [...] to verify the peer's ownership of the address if validation is not already
// underway."
func (p *pathState) follow(c *Conn, now instant.Time, to Path, size int) {
	if samePath(to, p.Path) {
		if to.Local.Addr().IsValid() {
			p.Local = to.Local // perhaps it was not known
		}
		return
	}
	if !c.server || !c.shake.confirmed || p.isLeft(c, to) || p.awaits(c, now, to, size) {
		return
	}
	settles := c.prefers(to.Local) && !c.prefers(p.Local)
	p.settled = p.settled || settles
	if p.validated {
		p.previous, p.recall = p.Path, !settles // what came from there would be dropped
	}
	if samePath(to, p.previous) && !p.validated {
		p.revert(c, now) // it is back where it was
		return
	}
	proved := p.ahead.validated && samePath(to, p.ahead.path)
	if samePath(to, p.ahead.path) {
		p.ahead = ahead{}
	}
	pto := c.ledger.PTO()
	p.moveTo(c, now, to)
	p.check.end()
	if p.validated = proved; !proved {
		p.received, p.sent = int64(size), 0
		p.check.begin(now, pto)
	} else {
		p.tokens.offer(c, now)
	}
	c.ledger.SetAmplificationLimited(now, p.blocked(c))
	c.retireIDs()
	c.stats.PathChanges++
}

// moveTo changes the addresses.
//
// RFC 9000, section 9.4: congestion control and the RTT start anew "unless the only change in the peer's address is its
// port number". What is in flight stays in flight: nothing is declared lost because of a move, and packets of the old path,
// acknowledged or lost, say nothing about the new one.
func (p *pathState) moveTo(c *Conn, now instant.Time, to Path) {
	if to.Remote.Addr() != p.Remote.Addr() || differ(to.Local.Addr(), p.Local.Addr()) {
		p.mtu.restart()
		p.ecn.restart()
		c.ledger.Migrated(now, false, c.config.Controller(minDatagramSize))
	} else {
		c.ledger.Migrated(now, true, nil)
	}
	p.mtu.forgive(c.ledger.Next(wire.AppSpace))
	p.narrow.restart(c.ledger.Next(wire.AppSpace))
	p.Path = to
	c.ids.use(c, to)
	c.trace.PathAssigned(now, p.Local, p.Remote)
	c.events.push(Event{Kind: EventPathChanged})
}

// due returns when expire wants to be called.
func (p *pathState) due() instant.Time {
	return instant.Earliest(instant.Earliest(p.check.due(), p.narrow.due()), instant.Earliest(p.move.check.due(), p.ahead.due()))
}

// expire gives up a path that does not answer. One that carried a small challenge and not a large one is looked at more closely:
// there may be no other.
func (p *pathState) expire(c *Conn, now instant.Time) {
	if p.check.expire(now) {
		if p.validated {
			p.check.end()
			p.narrow.ask(c.ledger.Next(wire.AppSpace))
		} else {
			p.revert(c, now)
		}
	}
	p.narrow.expire(now)
	p.move.expire(c, now)
	p.ahead.expire(c, now)
}

// revert returns to the last path that was proved (RFC 9000, section 9.3.2).
func (p *pathState) revert(c *Conn, now instant.Time) {
	p.recall = false
	p.check.end()
	p.moveTo(c, now, p.previous)
	c.validated(now)
	c.retireIDs()
}

// composeProbe writes what goes another way than everything else: an answer to a probe, a challenge.
func (p *pathState) composeProbe(c *Conn, now instant.Time, buf []byte) (Transmit, bool) {
	to, room, answers := p.answers.elsewhere(p.Path)
	switch {
	case c.spaces[wire.AppSpace].write == nil:
		return Transmit{}, false
	case answers:
	case p.move.check.state.isUnsent():
		return p.move.compose(c, now, buf)
	default:
		return p.ahead.compose(c, now, buf)
	}
	d := &c.draft
	// RFC 9000, section 8.2.2: "an endpoint MUST NOT expand the datagram containing the PATH_RESPONSE if the resulting data
	// exceeds the anti-amplification limit."
	d.begin(buf, min(len(buf), minDatagramSize, room))
	c.ids.sendBy(c, d, to)
	if !c.openPacket(d, wire.AppSpace) || !p.answers.appendTo(d, to) && !d.elicits() {
		p.answers.drop(to) // what came was so small that an answer would be amplification
		return Transmit{}, false
	}
	if c.server && c.shake.confirmed && !samePath(to, p.previous) {
		if !samePath(to, p.ahead.path) && !p.ahead.wanted {
			p.ahead = ahead{path: to, room: room}
			c.retireIDs()
		}
		if samePath(to, p.ahead.path) && !p.ahead.validated {
			p.ahead.check.appendTo(c, now, d)
		}
	}
	t := c.finishProbe(now, d, to)
	if samePath(to, p.ahead.path) {
		p.ahead.room -= t.Size
	}
	return t, true
}

// composeRecall writes a challenge to the path that the connection has left. A peer that is still there answers with more
// than a probe, an acknowledgment at least, and that brings the connection back.
//
// RFC 9000, section 9.3.3: "In response to an apparent migration, endpoints MUST validate the previously active path using a
// PATH_CHALLENGE frame."
func (p *pathState) composeRecall(c *Conn, now instant.Time, buf []byte) (t Transmit) {
	if !p.recall {
		return t
	}
	p.recall = false
	d := &c.draft
	d.begin(buf, min(len(buf), minDatagramSize))
	c.ids.sendBy(c, d, p.previous)
	if !c.openPacket(d, wire.AppSpace) {
		return t
	}
	var data [8]byte // nobody waits for these to come back
	c.rand.Read(data[:])
	d.addFact(recovery.Fact{Kind: factPath})
	d.appendFrame(wire.AppendPathChallenge(d.scratch(), data))
	t = c.finishProbe(now, d, p.previous)
	c.retireIDs()
	return t
}

// finishProbe ends a datagram that goes to another path than the one in use.
func (c *Conn) finishProbe(now instant.Time, d *datagram, to Path) Transmit {
	d.close()
	n := c.finish(now, d)
	c.stats.DatagramsSent++
	c.stats.BytesSent += int64(n)
	return Transmit{Path: to, Size: n, Segment: n}
}

// appendTo appends what is owed on the path in use; false: it did not all fit.
func (p *pathState) appendTo(c *Conn, d *datagram) bool {
	if p.check.state.isUnsent() {
		if !p.check.appendTo(c, c.now, d) {
			return false
		}
		d.addFact(recovery.Fact{Kind: factPath})
	}
	return p.answers.appendTo(d, p.Path)
}

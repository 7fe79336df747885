package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// pathState is the addresses in use, and the proof that the peer is at its one (RFC 9000, sections 8 and 9).
//
// What is here follows a peer whose address changed under it, as a NAT does it. To move of one's own will, to probe several
// paths at once and to change connection IDs with the path is not built yet.
type pathState struct {
	Path
	validated bool
	received  int64 // bytes that came over this path while it was not validated, and
	sent      int64 // bytes sent over it: the anti-amplification limit of section 8.1

	challenge      [8]byte // of a PATH_CHALLENGE that is owed or on its way
	challengeState sentVal
	deadline       instant.Time // when an unanswered challenge is given up
	previous       Path         // the path to return to then
	recall         bool         // the peer is to be asked whether it still is there

	answer     [8]byte // of the PATH_RESPONSE that is owed; a newer challenge replaces an older one
	answerPath Path
	answerRoom int // bytes that may be sent there in answer
	answerDue  bool
}

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
	return p.challengeState.isUnsent() || p.answerDue && p.answerPath.Remote == p.Remote
}

// credit counts a datagram that came, whatever is in it.
func (p *pathState) credit(c *Conn, now instant.Time, from Path, size int) {
	if p.validated || from.Remote != p.Remote {
		return
	}
	p.received += int64(size)
	c.ledger.SetAmplificationLimited(now, p.blocked(c))
}

// handleChallenge takes a PATH_CHALLENGE in a datagram d: its answer goes back where it came from.
func (p *pathState) handleChallenge(d Datagram, data [8]byte) {
	p.answer, p.answerPath, p.answerDue = data, d.Path, true
	p.answerRoom = 3 * len(d.Payload)
}

// handleResponse takes a PATH_RESPONSE.
func (p *pathState) handleResponse(c *Conn, now instant.Time, data [8]byte) {
	if !p.challengeState.isSet() || data != p.challenge {
		return
	}
	p.challengeState.clear()
	p.deadline = instant.Never
	c.validated(now)
}

// follow moves the connection to the path of a packet that is newer than all before and more than a probe; it came in a
// datagram of size bytes, which count already for what may be sent there.
//
// RFC 9000, section 9.3: "Receiving a packet from a new peer address containing a non-probing frame indicates that the peer
// has migrated to that address. If the recipient permits the migration, it MUST send subsequent packets to the new peer
// address and MUST initiate path validation [...] to verify the peer's ownership of the address if validation is not already
// underway."
func (p *pathState) follow(c *Conn, now instant.Time, to Path, size int) {
	if to.Remote == p.Remote {
		p.Local = to.Local
		return
	}
	if !c.server || !c.shake.confirmed {
		return
	}
	if p.validated {
		p.previous, p.recall = p.Path, true
	}
	if to.Remote == p.previous.Remote && !p.validated {
		p.revert(c, now) // it is back where it was
		return
	}
	p.deadline = now.Add(3 * max(c.ledger.PTO(), untriedPTO))
	p.moveTo(c, now, to)
	p.validated, p.received, p.sent = false, int64(size), 0
	c.rand.Read(p.challenge[:])
	p.challengeState.set()
	c.ledger.SetAmplificationLimited(now, p.blocked(c))
	c.stats.PathChanges++
}

// untriedPTO is the probe timeout of a path of which nothing is known. RFC 9000, section 8.2.4: "A value of three times the
// larger of the current PTO or the PTO for the new path (using kInitialRtt, as defined in [QUIC-RECOVERY]) is RECOMMENDED."
const untriedPTO = 3*333*time.Millisecond + maxAckDelay

// moveTo changes the addresses.
//
// RFC 9000, section 9.4: congestion control and the RTT start anew "unless the only change in the peer's address is its
// port number".
func (p *pathState) moveTo(c *Conn, now instant.Time, to Path) {
	if to.Remote.Addr() != p.Remote.Addr() {
		c.ledger.Migrated(now, false, c.config.Controller(c.config.DatagramSize))
	}
	p.Path = to
	c.trace.PathAssigned(now, p.Local, p.Remote)
	c.events.push(Event{Kind: EventPathChanged})
}

// expire gives up a path that does not answer.
func (p *pathState) expire(c *Conn, now instant.Time) {
	if p.deadline.Reached(now) {
		p.revert(c, now)
	}
}

// revert returns to the last path that was proved (RFC 9000, section 9.3.2).
func (p *pathState) revert(c *Conn, now instant.Time) {
	p.deadline, p.recall = instant.Never, false
	p.challengeState.clear()
	p.moveTo(c, now, p.previous)
	c.validated(now)
}

// composeProbe writes an answer that has to go another way than everything else.
func (p *pathState) composeProbe(c *Conn, now instant.Time, buf []byte) (Transmit, bool) {
	if !p.answerDue || p.answerPath.Remote == p.Remote || c.spaces[wire.AppSpace].write == nil {
		return Transmit{}, false
	}
	d := &c.draft
	// RFC 9000, section 8.2.2: "an endpoint MUST NOT expand the datagram containing the PATH_RESPONSE if the resulting data
	// exceeds the anti-amplification limit."
	d.begin(buf, min(len(buf), minDatagramSize, p.answerRoom))
	if !c.openPacket(d, wire.AppSpace) || !p.appendAnswer(d) {
		return Transmit{}, false
	}
	return c.finishProbe(now, d, p.answerPath), true
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
	if !c.openPacket(d, wire.AppSpace) {
		return t
	}
	var data [8]byte // nobody waits for these to come back
	c.rand.Read(data[:])
	d.addFact(recovery.Fact{Kind: factPath})
	d.appendFrame(wire.AppendPathChallenge(d.scratch(), data))
	return c.finishProbe(now, d, p.previous)
}

// finishProbe ends a datagram that goes to another path than the one in use.
func (c *Conn) finishProbe(now instant.Time, d *datagram, to Path) Transmit {
	d.close()
	n := c.finish(now, d)
	c.stats.DatagramsSent++
	c.stats.BytesSent += int64(n)
	return Transmit{Path: to, Size: n, Segment: n}
}

func (p *pathState) appendAnswer(d *datagram) bool {
	p.answerDue = false
	d.addFact(recovery.Fact{Kind: factPath})
	return d.appendFrame(wire.AppendPathResponse(d.scratch(), p.answer))
}

// appendTo appends what is owed on the path in use; false: it did not all fit.
func (p *pathState) appendTo(c *Conn, d *datagram) bool {
	if p.challengeState.isUnsent() {
		if !d.appendFrame(wire.AppendPathChallenge(d.scratch(), p.challenge)) {
			return false
		}
		p.challengeState.sentIn(d.number())
		d.addFact(recovery.Fact{Kind: factPath})
	}
	if p.answerDue && p.answerPath.Remote == p.Remote {
		return p.appendAnswer(d)
	}
	return true
}

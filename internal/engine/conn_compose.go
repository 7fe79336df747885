package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// Compose writes datagrams that are to be sent now to the front of buf and describes them; Size 0 means that there is
// nothing to send. All of one Compose go the same way and, but for the last, have the same size. Call it until it writes
// nothing; buf must have room for one datagram of Config.MaxDatagramSize at least.
func (c *Conn) Compose(now instant.Time, buf []byte) Transmit {
	now = c.advance(now)
	if c.shake.replay {
		// Keys came while datagrams waited for them. They are taken now, and not in the middle of the packet that
		// brought the keys. One of them may end the connection.
		c.shake.replay = false
		c.replayEarly(now)
	}
	c.stopIfNumbered(now)
	c.stopIfWornOut(now)
	c.stopIfNarrow(now)
	switch c.life.state {
	case lifeOpen:
	case lifeClosing:
		return c.composeClose(now, buf)
	default:
		return Transmit{}
	}
	if t, ok := c.path.composeProbe(c, now, buf); ok {
		return t
	}
	c.refreshID(now)
	c.path.mtu.adapt(c, now)
	if t, ok := c.path.mtu.composeProbe(c, now, buf); ok {
		return t
	}
	if t, ok := c.path.narrow.compose(c, now, buf); ok {
		return t
	}
	t := Transmit{Path: c.path.Path, ECN: c.path.ecn.codepoint(c)}
	size := c.path.mtu.size
	segment := size
	for range maxSegments {
		if len(buf)-t.Size < segment || t.Size > 0 && c.owesSmallProbe() {
			break
		}
		n := c.composeDatagram(now, buf[t.Size:t.Size+segment], &t)
		if n == 0 {
			break
		}
		if t.Size == 0 {
			t.Segment = n
		}
		t.Size += n
		segment = t.Segment
		if n < segment || n < size || c.path.ecn.codepoint(c) != t.ECN {
			break
		}
	}
	if t.Size == 0 {
		return c.path.composeRecall(c, now, buf)
	}
	c.path.mtu.filled = c.path.mtu.filled || t.Segment == size && c.shake.confirmed
	return t
}

// composeDatagram writes one datagram to buf, whose length is the most it may have, and returns its size. It joins the run
// described by t.
func (c *Conn) composeDatagram(now instant.Time, buf []byte, t *Transmit) int {
	limit := len(buf)
	if c.owesSmallProbe() {
		limit = min(limit, minDatagramSize)
	}
	if !c.path.validated {
		// RFC 9000, section 8.1: "Prior to validating the client address, servers MUST NOT send more than three times as
		// many bytes as the number of bytes they have received."
		limit = min(limit, int(c.path.allowance()))
		if c.path.blocked(c) {
			c.ledger.SetAmplificationLimited(now, true)
			return 0
		}
	}
	c.updateIfWorn(now)
	free := false
	c.paceAt = instant.Never
	if c.wantsToSendAny() {
		var allowed int
		allowed, c.paceAt = c.ledger.Allowance(now)
		free = allowed > 0 && !c.path.mtu.hold && !c.path.narrow.holds()
	}
	d := &c.draft
	d.begin(buf, limit)
	d.ecn = t.ECN
	for space := wire.InitialSpace; space < wire.NumSpaces; space++ {
		if c.spaces[space].write != nil {
			c.fill(now, d, space, free)
		}
	}
	if t.Size == 0 && !d.elicits() && c.path.ecn.stage == ecnTesting {
		d.ecn, t.ECN = 0, 0 // nobody would notice its loss
	}
	n := c.finish(now, d)
	c.sent(n)
	return n
}

// owesSmallProbe reports whether the next datagram is the second that a probe timeout owes, which is small. On a path that has
// ceased to carry large ones it is the one that gets through, and the first, lost, says why. Hence it is never one of a run: a
// router of the same kernel (a container's, a virtual machine's) has the run still in one piece, and drops all of it when its
// segments are too large.
func (c *Conn) owesSmallProbe() bool {
	return c.ledger.ProbesOwed(wire.AppSpace) == 1 && c.path.mtu.size > minDatagramSize || c.owesPing()
}

// sent counts a datagram.
func (c *Conn) sent(n int) {
	if n == 0 {
		return
	}
	c.path.sent += int64(n)
	c.stats.DatagramsSent++
	c.stats.BytesSent += int64(n)
}

// fill adds a packet of one space to the datagram, if the space has anything to say. free: window and pacer allow more
// than acknowledgments and probes.
func (c *Conn) fill(now instant.Time, d *datagram, space wire.Space, free bool) {
	s := &c.spaces[space]
	probe := c.ledger.ProbesOwed(space) > 0
	urgent := c.isUrgent(space)
	ackDue := s.acks.due(now)
	if !(ackDue || probe || urgent || free && c.wantsToSend(space)) || !c.openPacket(d, space) {
		return
	}
	if ackDue || s.acks.pending() && c.streams.datagrams.out.n == 0 { // a large datagram may need all the room
		s.acks.appendTo(now, d, space)
	}
	switch {
	case probe && space == wire.AppSpace && c.owesPing():
		c.demandAck(d)
		d.appendFrame(append(d.scratch(), byte(wire.FramePing)))
	case free || probe:
		c.fillFrames(d, space)
		if probe {
			c.demandAck(d)
		}
		if !d.current().eliciting && (probe || ackDue && s.acks.wantsAnswer()) {
			d.appendFrame(append(d.scratch(), byte(wire.FramePing)))
		}
	case urgent && space == wire.AppSpace:
		c.path.appendTo(c, d)
	case urgent:
		s.crypto.appendTo(d)
	}
	if p := d.current(); !p.eliciting && !(p.hasAck && ackDue) {
		d.abandon()
		return
	}
	d.close()
}

// isUrgent reports whether a space has something to say that does not wait for window and pacer.
//
// Deviation from RFC 9002, section 7, for two things that are few and small. Handshake data: when it is declared lost while
// 1-RTT packets fill the window, nothing would ever send it again, for those have no probe timeout before the handshake is
// confirmed. And the frames that validate a path: the window may be full of packets that were sent to an address where
// nobody is any more.
func (c *Conn) isUrgent(space wire.Space) bool {
	if space == wire.AppSpace {
		return c.path.owes()
	}
	return c.spaces[space].crypto.owes()
}

// fillFrames appends what the space has to say, the most urgent first.
func (c *Conn) fillFrames(d *datagram, space wire.Space) {
	s := &c.spaces[space]
	more := s.crypto.appendTo(d)
	if space != wire.AppSpace {
		return
	}
	more = more &&
		c.shake.appendTo(d) &&
		c.path.tokens.appendTo(d) &&
		c.path.appendTo(c, d) &&
		c.answer.request.appendTo(d) &&
		c.ids.appendTo(d) &&
		c.flow.appendTo(d) &&
		c.streams.appendTo(d) &&
		c.appendStreamControl(d)
	if more {
		c.streams.datagrams.appendTo(c, d)
		c.appendStreamData(d)
		c.streams.datagrams.appendTo(c, d)
	}
	c.idle.appendTo(d)
}

// wantsToSend reports whether fillFrames would append anything, or an acknowledgment would ask for one. It only saves the
// work of a packet that is abandoned, and may say yes too often, but never no when there is something.
func (c *Conn) wantsToSend(space wire.Space) bool {
	if c.spaces[space].crypto.owes() {
		return true
	}
	if space != wire.AppSpace {
		return false
	}
	return c.streams.data.n > 0 || c.streams.datagrams.out.n > 0 || c.streams.control.n > 0 || c.flow.window.announce.isUnsent() || c.flow.blocked.isUnsent() ||
		c.shake.doneFrame.isUnsent() || c.path.tokens.send.isUnsent() || c.path.owes() || c.ids.owes() ||
		c.answer.request.frame.isUnsent() || c.streams.owes() || c.idle.pingDue || c.spaces[space].acks.wantsAnswer()
}

// wantsToSendAny reports whether there is anything to send in any space that needs the window's leave.
func (c *Conn) wantsToSendAny() bool {
	for space := wire.InitialSpace; space < wire.NumSpaces; space++ {
		if c.spaces[space].write != nil && c.wantsToSend(space) {
			return true
		}
	}
	return false
}

// owes reports whether appendTo would append anything.
func (set *streamSet) owes() bool {
	for dir := range set.remote {
		if set.remote[dir].announce.isUnsent() || set.local[dir].blocked.isUnsent() {
			return true
		}
	}
	return false
}

// appendTo appends HANDSHAKE_DONE when it is owed; false: it did not fit.
func (h *handshakeState) appendTo(d *datagram) bool {
	if !h.doneFrame.isUnsent() {
		return true
	}
	if !d.appendFrame(append(d.scratch(), byte(wire.FrameHandshakeDone))) {
		return false
	}
	h.doneFrame.sentIn(d.number())
	d.addFact(recovery.Fact{Kind: factHandshakeDone})
	return true
}

// openPacket begins a packet of a space; false: there is no room for one, or no number.
func (c *Conn) openPacket(d *datagram, space wire.Space) bool {
	if c.isSpent(space) {
		return false
	}
	number := c.ledger.Next(space)
	p := packetDraft{space: space, keys: c.spaces[space].write, number: number}
	p.pnLen = wire.PacketNumberLen(number, c.ledger.LargestAcked(space))
	if space == wire.AppSpace && !c.early.sending {
		p.typ = wire.Packet1RTT
		if len(d.buf)+1+wire.MaxConnIDLen+4+seal.Overhead+minPayload > d.limit {
			return false
		}
		out := wire.AppendShortHeader(d.buf, c.ids.destination(d), c.phase.phase, number, p.pnLen)
		return c.openGreased(d, p, out, 0)
	}
	h := wire.LongHeader{Type: wire.PacketInitial, Version: c.version.current, DstID: c.ids.remote[0].id.Bytes(), SrcID: c.ids.local[0].id.Bytes()}
	switch space {
	case wire.InitialSpace:
		h.Token = c.shake.token
	case wire.HandshakeSpace:
		h.Type = wire.PacketHandshake
	case wire.AppSpace:
		// RFC 9369, section 4.1: "The client MUST NOT send 0-RTT packets using the negotiated version".
		h.Type, h.Version = wire.Packet0RTT, c.version.original
	}
	p.typ = h.Type
	if len(d.buf)+maxLongHeader+len(h.Token)+seal.Overhead+minPayload > d.limit {
		return false
	}
	out, lengthAt := wire.AppendLongHeader(d.buf, h, number, p.pnLen)
	return c.openGreased(d, p, out, lengthAt)
}

// maxLongHeader bounds a long header without a token: first byte, version, two connection IDs with their lengths, the
// token's length, Length, packet number.
const maxLongHeader = 1 + 4 + 2*(1+wire.MaxConnIDLen) + 4 + 2 + 4

package engine

import (
	"bytes"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// The functions in this file occur in the order in which a datagram passes them.

// Receive takes a datagram that came for this connection. Its payload is decrypted in place.
func (c *Conn) Receive(now instant.Time, d Datagram) {
	now = c.advance(now)
	c.stats.DatagramsReceived++
	c.stats.BytesReceived += int64(len(d.Payload))
	switch c.life.state {
	case lifeOpen:
	case lifeClosing:
		c.receiveClosing(len(d.Payload))
		return
	default:
		return
	}
	if !c.server && !c.path.knows(d.Path.Remote) {
		// RFC 9000, section 9: "If a client receives packets from an unknown server address, the client MUST discard these
		// packets."
		c.drop(now, "", "unknown_address", len(d.Payload))
		return
	}
	c.path.credit(c, now, d.Path, len(d.Payload))
	c.receivePackets(now, d)
	if c.server && c.stats.PacketsReceived == 0 && c.life.state == lifeOpen {
		// Nothing in the datagram that was to begin this connection is authentic: it never was one.
		c.drained()
	}
}

// receivePackets walks through the packets coalesced in a datagram.
func (c *Conn) receivePackets(now instant.Time, d Datagram) {
	for rest := d.Payload; len(rest) > 0 && c.life.state == lifeOpen; {
		if len(rest) < len(d.Payload) && !sameDestination(rest, d.Payload, c.ids.length) {
			// RFC 9000, section 12.2: "Receivers SHOULD ignore any subsequent packets with a different Destination Connection ID
			// than the first packet in the datagram."
			c.drop(now, "", "unknown_connection_id", len(rest))
			return
		}
		var n int
		if wire.IsLong(rest[0]) {
			dropped := c.stats.PacketsDropped
			n = c.receiveLong(now, d, rest)
			if len(rest) == len(d.Payload) && c.stats.PacketsDropped > dropped && c.receiveStatelessReset(now, rest) {
				return
			}
		} else {
			c.receiveShort(now, d, rest)
			n = len(rest)
		}
		if n <= 0 {
			return
		}
		rest = rest[n:]
	}
}

// sameDestination reports whether two packets are to the same connection ID, which has length bytes in short headers.
func sameDestination(a, b []byte, length int) bool {
	x, ok := wire.DstID(a, length)
	y, _ := wire.DstID(b, length)
	return ok && bytes.Equal(x, y)
}

// receiveLong takes the packet with a long header at the front of b, and returns its length.
func (c *Conn) receiveLong(now instant.Time, d Datagram, b []byte) int {
	h, n := wire.ConsumeLongHeader(b)
	if n < 0 {
		c.drop(now, "", "header_parse_error", len(b))
		return -1
	}
	if !c.ids.isLocal(h.DstID) {
		c.drop(now, h.Type.String(), "unknown_connection_id", n)
		return n
	}
	if !c.takesVersion(h) {
		c.drop(now, h.Type.String(), "unexpected_version", n)
		return n
	}
	if c.ids.adopted && !c.ids.isPeerFirst(h.SrcID) && h.Type != wire.PacketRetry && h.Type != wire.PacketVersionNegotiation && h.Type != wire.PacketInvalid {
		// RFC 9000, section 7.2: "if subsequent Initial packets include a different Source Connection ID, they MUST be
		// discarded." Handshake packets have no better reason to.
		c.drop(now, h.Type.String(), "unexpected_source_connection_id", n)
		return n
	}
	switch h.Type {
	case wire.PacketVersionNegotiation:
		c.receiveVersionNegotiation(now, h, b)
		return n
	case wire.PacketRetry:
		c.receiveRetry(now, h, b)
		return n
	case wire.PacketInitial:
		if !c.server && len(h.Token) > 0 {
			// RFC 9000, section 17.2.2: "clients that receive an Initial packet with a non-zero Token Length field MUST either
			// discard the packet or generate a connection error".
			c.drop(now, "initial", "unexpected_packet", n)
			return n
		}
		// RFC 9000, section 14.1: "A server MUST discard an Initial packet that is carried in a UDP datagram with a
		// payload that is smaller than the smallest allowed maximum datagram size of 1200 bytes."
		if c.server && len(d.Payload) < wire.MinInitialSize {
			c.drop(now, "initial", "initial_too_small", n)
			return n
		}
		c.receiveProtected(now, d, b[:n], incoming{typ: h.Type, space: wire.InitialSpace, header: h})
	case wire.PacketHandshake:
		c.receiveProtected(now, d, b[:n], incoming{typ: h.Type, space: wire.HandshakeSpace, header: h})
	case wire.Packet0RTT:
		c.receiveProtected(now, d, b[:n], incoming{typ: h.Type, space: wire.AppSpace, header: h})
	default:
		// Other versions are not ours.
		c.drop(now, h.Type.String(), "unsupported", n)
	}
	return n
}

// receiveShort takes a packet with a short header, which fills the rest of its datagram.
func (c *Conn) receiveShort(now instant.Time, d Datagram, b []byte) {
	// Whatever the fixed bit is: RFC 9287, section 3: "An endpoint that advertises the grease_quic_bit transport parameter MUST
	// accept packets with the QUIC Bit set to a value of 0." We always do.
	pnOffset := 1 + c.ids.length
	if len(b) < pnOffset || !c.ids.isLocal(b[1:pnOffset]) {
		if !c.receiveStatelessReset(now, b) {
			c.drop(now, "1RTT", "unknown_connection_id", len(b))
		}
		return
	}
	in := incoming{typ: wire.Packet1RTT, space: wire.AppSpace}
	in.header.DstID, in.header.PNOffset = b[1:pnOffset], pnOffset
	c.receiveProtected(now, d, b, in)
}

// incoming is what is known of a packet before it is opened.
type incoming struct {
	typ    wire.PacketType
	space  wire.Space
	header wire.LongHeader // of a short header, DstID and PNOffset alone
}

// receiveProtected removes a packet's protection and handles what is inside.
func (c *Conn) receiveProtected(now instant.Time, d Datagram, b []byte, in incoming) {
	s := &c.spaces[in.space]
	// RFC 9001, section 5.7: "A server MUST NOT process incoming 1-RTT protected packets before the TLS handshake is
	// complete." TLS hands out the keys that would open them no earlier.
	keys, gone := c.readKeys(&in)
	if keys == nil {
		c.keepForLater(now, d, b, in, gone)
		return
	}
	read := keys
	if in.typ == wire.PacketInitial {
		if read = c.initialRead(in.header.Version); read == nil {
			c.drop(now, in.typ.String(), "key_unavailable", len(b))
			return
		}
	}
	number, payload, fault := c.open(now, read, b, &in)
	if fault != nil {
		c.fail(now, fault)
		return
	}
	if payload == nil {
		if in.typ != wire.Packet1RTT || !c.receiveStatelessReset(now, b) {
			c.drop(now, in.typ.String(), "payload_decrypt_error", len(b))
		}
		return
	}
	if s.acks.isDuplicate(number) {
		c.drop(now, in.typ.String(), "duplicate", len(b))
		return
	}
	if c.path.isLeft(c, d.Path) && number > s.acks.largest {
		c.drop(now, in.typ.String(), "unknown_address", len(b))
		return
	}
	if fault := reservedBits(b[0], in.typ); fault != nil {
		c.fail(now, fault)
		return
	}
	c.receiveOpened(now, d, opened{incoming: in, number: number, payload: payload, size: len(b)})
}

// open decrypts a packet; a nil payload: it is not authentic.
func (c *Conn) open(now instant.Time, read *seal.Keys, b []byte, in *incoming) (number int64, payload []byte, fault *TransportError) {
	if in.typ == wire.PacketInitial && c.shake.first.keys != nil {
		if number, payload, ok := c.shake.first.take(b); ok {
			return number, payload, nil
		}
	}
	s, pnOffset := &c.spaces[in.space], in.header.PNOffset
	truncated, pnLen, ok := read.Unprotect(b, pnOffset)
	if !ok {
		return 0, nil, nil
	}
	number = wire.DecodePacketNumber(s.acks.largest, truncated, pnLen)
	if in.typ == wire.Packet1RTT {
		payload, fault = c.openPhase(now, s, b, pnOffset+pnLen, number)
		return number, payload, fault
	}
	payload, ok = read.Open(b, pnOffset+pnLen, number)
	if !ok {
		return 0, nil, nil
	}
	return number, payload, nil
}

// reservedBits checks the bits that header protection covers.
//
// RFC 9000, section 17.2: "An endpoint MUST treat receipt of a packet that has a non-zero value for these bits after
// removing both packet and header protection as a connection error of type PROTOCOL_VIOLATION."
func reservedBits(first byte, typ wire.PacketType) *TransportError {
	mask := byte(0x0c)
	if typ == wire.Packet1RTT {
		mask = 0x18
	}
	if first&mask != 0 {
		return violation(wire.ProtocolViolation, 0, "reserved bits set in a packet header")
	}
	return nil
}

// opened is a packet that is authentic and new.
type opened struct {
	incoming
	number    int64
	payload   []byte
	size      int
	frames    int64 // but for PADDING
	eliciting bool
	probing   bool // only frames that do not by themselves move the connection to a new path
}

// receiveOpened handles the frames of a packet, then what follows from its having come.
func (c *Conn) receiveOpened(now instant.Time, d Datagram, p opened) {
	c.stats.PacketsReceived++
	c.traceReceived(now, &p)
	if len(p.payload) == 0 {
		// RFC 9000, section 12.4: "An endpoint MUST treat receipt of a packet containing no frames as a connection error of
		// type PROTOCOL_VIOLATION."
		c.fail(now, violation(wire.ProtocolViolation, 0, "a packet without frames"))
		return
	}
	if p.typ == wire.PacketInitial && !c.server {
		c.ids.adoptServerID(p.header.SrcID)
		c.observeVersion(p.header.Version)
	}
	newest, gained := p.number > c.spaces[p.space].acks.largest, c.idle.effort.gained
	if err := c.handleFrames(now, d, &p); err != nil {
		c.fail(now, err)
		return
	}
	if c.life.state != lifeOpen {
		return
	}
	if p.typ == wire.Packet1RTT {
		if err := c.idle.effort.weigh(now, p.frames, c.idle.effort.gained-gained); err != nil {
			c.fail(now, err)
			return
		}
	}
	// RFC 9000, section 13.2.5: "endpoints SHOULD include buffering delays caused by unavailability of decryption keys, since
	// these delays can be large and are likely to be non-repeating."
	c.spaces[p.space].acks.receive(d.cameAt(now), p.space, p.number, p.eliciting, d.ECN)
	c.idle.received(now)
	if p.typ == wire.PacketHandshake && c.server {
		// RFC 9001, section 4.9.1: "a server MUST discard Initial keys when it first successfully processes a Handshake
		// packet". RFC 9000, section 8.1: such a packet proves that the client has received ours.
		c.validated(now)
		c.discardSpace(now, wire.InitialSpace)
	}
	if p.typ == wire.Packet1RTT {
		c.early.has1RTT(c, now)
	}
	if p.typ == wire.Packet1RTT && newest && !p.probing {
		c.path.follow(c, now, d.Path, len(d.Payload))
	}
}

// validated notes that the peer receives what we send to its address.
func (c *Conn) validated(now instant.Time) {
	if !c.path.validated {
		c.path.validated = true
		c.ledger.SetAmplificationLimited(now, false)
	}
}

// keepForLater copies a datagram whose keys are not there yet: reordering is not loss (RFC 9001, section 5.7). Long-gone
// keys do not come back.
func (c *Conn) keepForLater(now instant.Time, d Datagram, b []byte, in incoming, gone bool) {
	if gone || len(c.shake.early) >= maxUndecrypted {
		c.drop(now, in.typ.String(), "key_unavailable", len(b))
		return
	}
	c.shake.early = append(c.shake.early, Datagram{Payload: bytes.Clone(b), Path: d.Path, ECN: d.ECN, came: d.cameAt(now)})
}

// replayEarly takes the kept packets again after new keys have come.
func (c *Conn) replayEarly(now instant.Time) {
	early := c.shake.early
	c.shake.early = nil
	for _, d := range early {
		c.receivePackets(now, d)
	}
}

// receiveStatelessReset reports whether the datagram is the peer's stateless reset, and acts on it.
//
// RFC 9000, section 10.3.1: "If the last 16 bytes of the datagram are identical in value to a stateless reset token, the
// endpoint MUST enter the draining period and not send any further packets on this connection." Section 10.3: "However,
// endpoints MUST treat any packet ending in a valid stateless reset token as a Stateless Reset, as other QUIC versions might
// allow the use of a long header."
func (c *Conn) receiveStatelessReset(now instant.Time, b []byte) bool {
	if len(b) < minStatelessReset || !c.ids.isResetToken(b[len(b)-16:]) {
		return false
	}
	c.drain(now, ErrStatelessReset)
	return true
}

// ResetByPeer tells the connection that its peer sent the stateless reset that the Demux recognised.
func (c *Conn) ResetByPeer(now instant.Time) {
	now = c.advance(now)
	if c.life.state == lifeOpen {
		c.drain(now, ErrStatelessReset)
	}
}

// minStatelessReset is the least size of a stateless reset: 5 unpredictable bytes and the token.
const minStatelessReset = 5 + 16

// receiveVersionNegotiation takes a Version Negotiation packet.
func (c *Conn) receiveVersionNegotiation(now instant.Time, h wire.LongHeader, b []byte) {
	versions, ok := wire.ConsumeVersions(b)
	// RFC 9000, section 6.2: "A client MUST discard any Version Negotiation packet if it has received and successfully
	// processed any other packet" and "MUST discard a Version Negotiation packet that lists the QUIC version selected by
	// the client."
	//
	// RFC 9368, section 4: "A client that makes a connection attempt based on information received from a Version
	// Negotiation packet MUST ignore any Version Negotiation packets it receives in response to that connection attempt."
	if c.server || !ok || c.config.After != nil || c.stats.PacketsReceived > 0 || c.ids.wasRetry || !c.ids.isOriginal(h.SrcID) {
		c.drop(now, h.Type.String(), "unexpected_packet", len(b))
		return
	}
	for _, v := range versions {
		if v == c.version.original {
			c.drop(now, h.Type.String(), "unexpected_version", len(b))
			return
		}
	}
	c.drain(now, &VersionError{
		Ours: c.config.Versions, Theirs: versions, Common: selectVersion(c.config.Versions, versions),
	})
}

// receiveRetry takes a Retry packet: the server wants proof of our address.
func (c *Conn) receiveRetry(now instant.Time, h wire.LongHeader, b []byte) {
	// RFC 9000, section 17.2.5.2: "A client MUST accept and process at most one Retry packet for each connection attempt.
	// After the client has received and processed an Initial or Retry packet from the server, it MUST discard any
	// subsequent Retry packets that it receives." and "Clients MUST discard Retry packets that have a Retry Integrity Tag
	// that cannot be validated".
	//
	// Section 17.2.5.1: "A client MUST discard a Retry packet that contains a Source Connection ID field that is identical
	// to the Destination Connection ID field of its Initial packet."
	if c.server || c.stats.PacketsReceived > 0 || c.ids.wasRetry || c.ids.isOriginal(h.SrcID) {
		c.drop(now, "retry", "unexpected_packet", len(b))
		return
	}
	tag := seal.Of(c.version.original).RetryTag(c.ids.original.Bytes(), b[:len(b)-16])
	if !bytes.Equal(tag[:], b[len(b)-16:]) {
		c.drop(now, "retry", "payload_decrypt_error", len(b))
		return
	}
	c.shake.token = bytes.Clone(h.Token)
	c.ids.retried(h.SrcID)
	c.installInitialKeys(h.SrcID)
	c.ledger.Abandon(now, wire.InitialSpace) // what they carried is queued again
	if c.early.sending {
		// RFC 9000, section 17.2.5.3: "A client MAY attempt 0-RTT after receiving a Retry packet by sending 0-RTT packets to the
		// connection ID provided by the server." Its packet numbers go on.
		c.ledger.Abandon(now, wire.AppSpace)
	}
}

// drop counts and traces a packet that is not processed.
func (c *Conn) drop(now instant.Time, typ, trigger string, size int) {
	c.stats.PacketsDropped++
	c.trace.PacketDropped(now, qlog.Dropped{Type: typ, Trigger: trigger, Size: size})
}

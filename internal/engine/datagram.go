package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// A datagram is the UDP payload being composed: up to one packet of each number space, one behind the other. Each kind
// of state appends itself to it; nothing is encrypted before finish, so that the last packet can still be padded, and a
// packet that gained no frame can be abandoned.
type datagram struct {
	buf     []byte // what is written so far; its capacity is the caller's room
	limit   int    // the datagram must not be longer
	packets [wire.NumSpaces]packetDraft
	n       int // packets begun, the last of which may be open
	facts   []recovery.Fact
	away    bool        // it goes another way than the path in use
	dst     wire.ConnID // and to this connection ID
	grease  greaseBits
	ecn     uint8 // how the datagram is marked
}

// packetDraft is one packet of a datagram that is not encrypted yet.
type packetDraft struct {
	space     wire.Space
	typ       wire.PacketType
	keys      *seal.Keys
	number    int64
	start     int // of the header
	pnOffset  int // from start
	pnLen     int
	lengthAt  int // from start, in long headers
	payload   int // from start of the datagram
	end       int // of the payload; 0 while the packet is open
	facts     int // index of its first fact
	eliciting bool
	padded    bool // counts in flight although it may ask for nothing (RFC 9002, section 2)
	hasAck    bool
	mtuProbe  bool
}

// begin makes d an empty datagram of at most limit bytes written to buf.
func (d *datagram) begin(buf []byte, limit int) {
	d.buf, d.limit, d.n, d.facts = buf[:0:len(buf)], limit, 0, d.facts[:0]
	d.away, d.ecn = false, 0
}

// open starts a packet: out is the datagram with its header appended, in which a long header's Length field stands at
// lengthAt. It reports whether there was room for it.
func (d *datagram) open(p packetDraft, out []byte, lengthAt int) bool {
	if len(out)+seal.Overhead+minPayload > d.limit {
		return false
	}
	p.start = len(d.buf)
	d.buf = out
	p.payload, p.facts = len(out), len(d.facts)
	p.pnOffset = p.payload - p.pnLen - p.start
	p.lengthAt = lengthAt - p.start
	d.packets[d.n] = p
	d.n++
	return true
}

// minPayload is room that makes a packet worth beginning.
const minPayload = 8

func (d *datagram) current() *packetDraft { return &d.packets[d.n-1] }

// elicits reports whether the datagram asks for an acknowledgment.
func (d *datagram) elicits() bool {
	for i := range d.n {
		if d.packets[i].eliciting {
			return true
		}
	}
	return false
}

// number returns the packet number of the packet being filled.
func (d *datagram) number() int64 { return d.current().number }

// room returns how many bytes of frames still fit.
func (d *datagram) room() int { return d.limit - seal.Overhead - len(d.buf) }

// scratch is where the next frame is appended; appendFrame takes the result.
func (d *datagram) scratch() []byte { return d.buf }

// appendFrame takes d.scratch() with one ack-eliciting frame appended, unless it does not fit.
func (d *datagram) appendFrame(b []byte) bool {
	if len(b)+seal.Overhead > d.limit {
		return false
	}
	d.buf = b
	d.current().eliciting = true
	return true
}

// appendStreamHeader appends the header of a STREAM frame that is known to fit with its data.
func (d *datagram) appendStreamHeader(h wire.StreamHeader) {
	d.buf = wire.AppendStreamHeader(d.buf, h)
	d.current().eliciting = true
}

// appendBytes appends as many bytes of a frame's data as fit and returns how many.
func (d *datagram) appendBytes(b []byte) int {
	n := min(len(b), d.room())
	d.buf = append(d.buf, b[:n]...)
	return n
}

// appendAck appends an ACK frame with as many ranges as fit, which asks for nothing; false: not even one fits.
func (d *datagram) appendAck(f wire.Ack, seen rangeset.Set) bool {
	n := len(d.buf)
	d.buf = wire.AppendAck(d.buf, f, seen, min(d.limit-seal.Overhead, n+maxAckFrame))
	d.current().hasAck = len(d.buf) > n
	return len(d.buf) > n
}

// maxAckFrame keeps an ACK frame from filling a packet that also has data to carry.
const maxAckFrame = 400

// appendClose appends a CONNECTION_CLOSE frame, which asks for nothing, with at most reason bytes of its reason phrase. There
// is room for maxCloseHeader.
func (d *datagram) appendClose(f wire.ConnectionClose, reason int) {
	f.Reason = f.Reason[:min(len(f.Reason), reason, d.room()-maxCloseHeader)]
	d.buf = wire.AppendConnectionClose(d.buf, f)
}

// maxCloseHeader is the longest CONNECTION_CLOSE frame without a reason: type, code, frame type, length.
const maxCloseHeader = 1 + 8 + 8 + 2

// addFact remembers what the packet carries.
func (d *datagram) addFact(f recovery.Fact) { d.facts = append(d.facts, f) }

// abandon takes back the open packet.
func (d *datagram) abandon() {
	p := d.current()
	d.buf, d.facts = d.buf[:p.start], d.facts[:p.facts]
	d.n--
}

// close ends the open packet, leaving room for its tag.
func (d *datagram) close() {
	p := d.current()
	// RFC 9001, section 5.4.2: "To ensure that sufficient data is available for sampling, packets are padded so that the
	// combined lengths of the encoded packet number and protected payload is at least 4 bytes longer than the sample
	// required for header protection."
	d.pad(p.payload + 4 - p.pnLen)
	p.end = len(d.buf)
	d.buf = d.buf[:p.end+seal.Overhead]
}

// pad appends PADDING frames until the datagram is size bytes long without the open packet's tag.
func (d *datagram) pad(size int) {
	if n := size - len(d.buf); n > 0 {
		from := len(d.buf)
		d.buf = d.buf[:size]
		clear(d.buf[from:])
	}
}

// factsOf returns the facts of packet i.
func (d *datagram) factsOf(i int) []recovery.Fact {
	end := len(d.facts)
	if i+1 < d.n {
		end = d.packets[i+1].facts
	}
	return d.facts[d.packets[i].facts:end]
}

// finish pads the datagram, whose packets are all closed, as RFC 9000, section 14.1 wants, encrypts its packets, and enters them in the ledger. It
// returns the datagram's length.
func (c *Conn) finish(now instant.Time, d *datagram) int {
	defer d.letGo()
	if d.n == 0 {
		return 0
	}
	last := d.current()
	if size := c.paddedSize(d); len(d.buf) < size {
		d.buf = d.buf[:last.end]
		d.pad(size - seal.Overhead)
		last.padded = true
		d.close()
	}
	for i := range d.n {
		c.sealPacket(now, d, i)
	}
	return len(d.buf)
}

// letGo forgets the caller's buffer, which a connection that is silent from now on would keep alive.
func (d *datagram) letGo() { d.buf = nil }

// paddedSize returns how long the datagram has to be at least.
//
// RFC 9000, section 14.1: "A client MUST expand the payload of all UDP datagrams carrying Initial packets to at least the
// smallest allowed maximum datagram size of 1200 bytes [...] Similarly, a server MUST expand the payload of all UDP
// datagrams carrying ack-eliciting Initial packets". Section 8.2.1 wants the same of PATH_CHALLENGE and PATH_RESPONSE.
func (c *Conn) paddedSize(d *datagram) int {
	for i := range d.n {
		p := &d.packets[i]
		if p.space == wire.InitialSpace && (!c.server || p.eliciting) {
			return min(minDatagramSize, d.limit)
		}
	}
	for _, f := range d.facts {
		if f.Kind == factPath {
			return min(minDatagramSize, d.limit)
		}
	}
	return 0
}

// sealPacket encrypts packet i of the datagram and hands it to the ledger.
func (c *Conn) sealPacket(now instant.Time, d *datagram, i int) {
	p := &d.packets[i]
	pkt := d.buf[p.start:p.end]
	size := len(pkt) + seal.Overhead
	if p.typ != wire.Packet1RTT {
		wire.SetLength(pkt, p.lengthAt, size-p.pnOffset)
	}
	c.traceSent(now, d, i, size)
	p.keys.Seal(d.buf[p.start:p.end:p.end+seal.Overhead], p.pnOffset, p.pnLen, p.number)
	facts := d.factsOf(i)
	c.ledger.OnSent(now, p.space, recovery.Sent{
		Size: size, AckEliciting: p.eliciting, InFlight: p.eliciting || p.padded, MTUProbe: p.mtuProbe || d.away, ECN: d.ecn,
		Bare:  len(facts) == 0 || p.hasAck && len(facts) == 1, // an acknowledgment is a fact that is not sent again
		Facts: facts,
	})
	c.path.ecn.marked(d.ecn)
	c.stats.PacketsSent++
	if p.hasAck {
		c.spaces[p.space].acks.sent(p.eliciting)
	}
	if p.eliciting {
		c.idle.sentEliciting(now)
	}
	if p.space == wire.AppSpace {
		c.phase.sealed++
		c.answer.skip.sent(c, p.number)
	}
	if p.space == wire.HandshakeSpace && !c.server {
		// RFC 9001, section 4.9.1: "a client MUST discard Initial keys when it first sends a Handshake packet".
		c.discardSpace(now, wire.InitialSpace)
	}
}

package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/internal/wire"
)

// rangeScratch is where the ranges of an ACK frame are parsed to.
type rangeScratch []rangeset.Range

// Packet masks, as the column "Pkts" of RFC 9000, table 3 has them.
const (
	inInitial = 1 << iota
	inHandshake
	inApp
	inEarly

	ih_1 = inInitial | inHandshake | inApp
	ih01 = inInitial | inHandshake | inEarly | inApp
	__01 = inEarly | inApp
	___1 = inApp
)

// framePackets says in which packets each frame type may come (RFC 9000, table 3).
var framePackets = [wire.FrameHandshakeDone + 1]uint8{
	wire.FramePadding: ih01, wire.FramePing: ih01, wire.FrameAck: ih_1, wire.FrameAckECN: ih_1, wire.FrameCrypto: ih_1,
	wire.FrameConnectionClose: ih01, wire.FrameConnectionCloseApp: __01,
	wire.FrameResetStream: __01, wire.FrameStopSending: __01, wire.FrameNewToken: ___1,
	wire.FrameStream: __01, wire.FrameStream + 1: __01, wire.FrameStream + 2: __01, wire.FrameStream + 3: __01,
	wire.FrameStream + 4: __01, wire.FrameStream + 5: __01, wire.FrameStream + 6: __01, wire.FrameStream + 7: __01,
	wire.FrameMaxData: __01, wire.FrameMaxStreamData: __01, wire.FrameMaxStreamsBidi: __01, wire.FrameMaxStreamsUni: __01,
	wire.FrameDataBlocked: __01, wire.FrameStreamDataBlocked: __01, wire.FrameStreamsBlockedBidi: __01,
	wire.FrameStreamsBlockedUni: __01, wire.FrameNewConnectionID: __01,
	wire.FramePathChallenge: __01, wire.FramePathResponse: ___1, wire.FrameHandshakeDone: ___1,

	// Table 3 allows it in 0-RTT packets, but section 12.5 lets a server treat it there "as a connection error of type
	// PROTOCOL_VIOLATION": a client has no ID to retire before it has received any.
	wire.FrameRetireConnectionID: ___1,
}

// framesIn returns the bit of framePackets that a packet stands for.
func framesIn(p *opened) uint8 {
	if p.typ == wire.Packet0RTT {
		return inEarly
	}
	return 1 << p.space
}

// handleFrames handles the frames of a packet one after the other.
func (c *Conn) handleFrames(now instant.Time, d Datagram, p *opened) *TransportError {
	p.probing = true
	for b := p.payload; len(b) > 0; {
		typ := uint64(b[0])
		if typ != wire.FramePadding {
			p.frames++
		}
		if typ&^1 == wire.FrameDatagram {
			if p.space != wire.AppSpace {
				return misplaced(p, typ)
			}
			data, n := wire.ConsumeDatagram(b)
			if n <= 0 {
				return violation(wire.FrameEncodingError, typ, "malformed datagram frame")
			}
			if err := c.handleDatagram(data, n); err != nil {
				return err
			}
			p.eliciting, p.probing = true, false
			if len(data) > 0 {
				c.idle.effort.gain()
			}
			b = b[n:]
			continue
		}
		if typ > wire.FrameHandshakeDone {
			n, err := c.handleExtensionFrame(now, p, b)
			if err != nil {
				return err
			}
			b = b[n:]
			continue
		}
		if framePackets[typ]&framesIn(p) == 0 {
			return misplaced(p, typ)
		}
		n, err := c.handleFrame(now, d, p, typ, b)
		switch {
		case err != nil:
			return err
		case n <= 0:
			return violation(wire.FrameEncodingError, typ, "malformed "+wire.FrameName(typ)+" frame")
		case c.life.state != lifeOpen:
			return nil
		}
		b = b[n:]
	}
	return nil
}

// misplaced says that a frame is in a packet that it may not be in.
//
// RFC 9000, section 12.4: "An endpoint MUST treat receipt of a frame in a packet type that is not permitted as a connection
// error of type PROTOCOL_VIOLATION."
func misplaced(p *opened, typ uint64) *TransportError {
	return violation(wire.ProtocolViolation, typ, wire.FrameName(typ)+" frame in a packet of type "+p.typ.String())
}

// handleFrame handles the frame at the front of b and returns its length, which is not positive when it is malformed.
func (c *Conn) handleFrame(now instant.Time, d Datagram, p *opened, typ uint64, b []byte) (n int, err *TransportError) {
	switch typ {
	case wire.FramePadding:
		for n = 1; n < len(b) && b[n] == 0; n++ {
		}
		return n, nil
	case wire.FrameAck, wire.FrameAckECN:
		p.probing = false
		return c.handleAckFrame(now, p.space, b)
	case wire.FrameConnectionClose, wire.FrameConnectionCloseApp:
		f, n := wire.ConsumeConnectionClose(b)
		if n > 0 {
			c.handleConnectionClose(now, f)
		}
		return n, nil
	}
	p.eliciting = true
	switch typ {
	case wire.FrameNewConnectionID:
		f, n := wire.ConsumeNewConnectionID(b)
		if n > 0 {
			err = c.ids.handleNew(c, f)
		}
		return n, err
	case wire.FramePathChallenge:
		data, n := wire.ConsumePathChallenge(b)
		if n > 0 {
			c.path.handleChallenge(c, d, data)
		}
		return n, nil
	case wire.FramePathResponse:
		data, n := wire.ConsumePathResponse(b)
		if n > 0 {
			c.path.handleResponse(c, now, data)
		}
		return n, nil
	}
	p.probing = false
	switch {
	case typ == wire.FramePing:
		return 1, nil
	case typ == wire.FrameCrypto:
		f, n := wire.ConsumeCrypto(b)
		if n > 0 {
			err = c.handleCrypto(now, p.space, f)
		}
		return n, err
	case typ&^7 == wire.FrameStream:
		f, n := wire.ConsumeStream(b)
		if n > 0 {
			err = c.handleStreamFrame(now, typ, f)
		}
		return n, err
	}
	return c.handleControlFrame(now, p, typ, b)
}

// handleControlFrame handles the frames that steer streams and flow control.
func (c *Conn) handleControlFrame(now instant.Time, p *opened, typ uint64, b []byte) (n int, err *TransportError) {
	switch typ {
	case wire.FrameResetStream:
		f, n := wire.ConsumeResetStream(b)
		if n > 0 {
			err = c.handleResetStream(now, wire.ResetStreamAt{ResetStream: f}, typ)
		}
		return n, err
	case wire.FrameStopSending:
		f, n := wire.ConsumeStopSending(b)
		if n > 0 {
			err = c.handleStopSending(f)
		}
		return n, err
	case wire.FrameMaxData:
		v, n := wire.ConsumeMaxData(b)
		if n > 0 && v > c.flow.max {
			c.flow.max = v
			c.idle.effort.gain()
			c.flow.blocked.clear()
			c.feed()
		}
		return n, nil
	case wire.FrameMaxStreamData:
		f, n := wire.ConsumeMaxStreamData(b)
		if n > 0 {
			err = c.handleMaxStreamData(f)
		}
		return n, err
	case wire.FrameMaxStreamsBidi, wire.FrameMaxStreamsUni:
		f, n := wire.ConsumeMaxStreams(b)
		if n > 0 {
			c.handleMaxStreams(f)
		}
		return n, nil
	case wire.FrameStreamDataBlocked:
		f, n := wire.ConsumeStreamDataBlocked(b)
		if n > 0 {
			_, err = c.accept(f.ID, typ, true)
		}
		return n, err
	case wire.FrameDataBlocked:
		_, n := wire.ConsumeDataBlocked(b)
		return n, nil
	case wire.FrameStreamsBlockedBidi, wire.FrameStreamsBlockedUni:
		_, n := wire.ConsumeStreamsBlocked(b)
		return n, nil
	case wire.FrameRetireConnectionID:
		seq, n := wire.ConsumeRetireConnectionID(b)
		if n > 0 {
			err = c.ids.handleRetire(c, seq, p.header.DstID)
		}
		return n, err
	case wire.FrameNewToken:
		token, n := wire.ConsumeNewToken(b)
		if n > 0 {
			err = c.handleNewToken(token)
		}
		return n, err
	case wire.FrameHandshakeDone:
		return 1, c.handleHandshakeDone(now)
	}
	panic("BUG: a frame type of table 3 is not handled")
}

// unknownFrame says what is wrong with a frame type beyond RFC 9000's.
//
// RFC 9000, section 12.4: "An endpoint MUST treat the receipt of a frame of unknown type as a connection error of type
// FRAME_ENCODING_ERROR."
func (c *Conn) unknownFrame(b []byte) *TransportError {
	typ, n := varint.Consume(b)
	if n < 0 {
		return violation(wire.FrameEncodingError, 0, "truncated frame type")
	}
	if typ <= wire.FrameHandshakeDone {
		// RFC 9000, section 12.4: an encoding that is not the shortest possible MAY be treated as PROTOCOL_VIOLATION.
		return violation(wire.ProtocolViolation, typ, "frame type in a longer encoding than needed")
	}
	return violation(wire.FrameEncodingError, typ, "frame of unknown type")
}

// handleAckFrame settles what the peer has received.
func (c *Conn) handleAckFrame(now instant.Time, space wire.Space, b []byte) (int, *TransportError) {
	f, ranges, n := wire.ConsumeAck(b, c.ranges)
	if n <= 0 {
		return n, nil
	}
	c.ranges = rangeScratch(ranges)[:0]
	if cap(c.ranges) > 2*maxAckRanges {
		c.ranges = nil
	}
	info := recovery.AckInfo{ECN: f.ECN, ECT0: f.ECT0, ECT1: f.ECT1, CE: f.CE}
	if space == wire.AppSpace {
		// RFC 9002, section 5.3: no delay beyond max_ack_delay counts once the handshake is confirmed; the ledger caps it.
		info.Delay = time.Duration(min(f.Delay, maxDelayField)<<uint(c.peer.AckDelayExponent)) * time.Microsecond
	}
	c.idle.effort.acked = false
	if err := c.ledger.OnAck(now, space, ranges, info); err != nil {
		return n, violation(wire.ProtocolViolation, wire.FrameAck, err.Error())
	}
	if c.idle.effort.acked {
		c.idle.effort.gain()
	}
	if space == wire.HandshakeSpace {
		// RFC 9002, section 6.2.2.1: an acknowledgment of a Handshake packet proves that the server has validated us.
		c.ledger.SetPeerValidated(now)
	}
	if space == wire.AppSpace {
		if err := c.phase.acknowledged(f.Largest); err != nil {
			return n, err
		}
		if err := c.early.acknowledged(ranges[len(ranges)-1].Start); err != nil {
			return n, err
		}
	}
	c.paceAt = instant.Never
	if space == wire.AppSpace {
		c.answer.request.update(c, now)
	}
	return n, nil
}

// maxDelayField is as much of an ACK Delay as is believed. With the largest exponent, 20, it still fits a Duration; it is
// more than an hour with the smallest.
const maxDelayField = 1 << 32

// handleStreamFrame takes stream data.
func (c *Conn) handleStreamFrame(now instant.Time, typ uint64, f wire.Stream) *TransportError {
	s, err := c.accept(f.ID, typ, true)
	if s == nil || err != nil {
		return err
	}
	before, was, had := s.recv.read, s.recv.state, s.recv.has(&f)
	grown, err := s.recv.handleData(&c.pool, f)
	if err != nil {
		return err
	}
	if !had || s.recv.state != was {
		c.idle.effort.gain()
	}
	if err := c.flow.grow(grown, typ); err != nil {
		return err
	}
	c.afterReceive(now, s, before)
	return nil
}

// afterReceive draws the consequences of anything that came for a stream's receiving part; before is what the
// application had read.
func (c *Conn) afterReceive(now instant.Time, s *stream, before int64) {
	if n := s.recv.read - before; n > 0 {
		c.flow.consume(now, n, c.rtt())
	}
	if s.told&toldReadable == 0 && s.recv.readable() {
		s.told |= toldReadable
		c.events.push(Event{Kind: EventReadable, Stream: s.id})
	}
	c.finishIfOver(s)
}

// handleStopSending takes the peer's wish that we stop sending.
//
// RFC 9000, section 3.5: "An endpoint that receives a STOP_SENDING frame MUST send a RESET_STREAM frame if the stream is in
// the "Ready" or "Send" state. [...] An endpoint SHOULD copy the error code from the STOP_SENDING frame to the RESET_STREAM
// frame it sends".
func (c *Conn) handleStopSending(f wire.StopSending) *TransportError {
	s, err := c.accept(f.ID, wire.FrameStopSending, false)
	if s == nil || err != nil {
		return err
	}
	if s.send.stopped || s.send.state.terminal() {
		return nil
	}
	s.send.stopped = true
	c.idle.effort.gain()
	if s.send.abandon(&c.pool, f.Code) {
		c.touch(s)
	}
	c.events.push(Event{Kind: EventStreamStopped, Stream: s.id, Code: f.Code})
	c.tellWritable(s)
	return nil
}

// handleMaxStreamData takes a raised limit of one stream.
func (c *Conn) handleMaxStreamData(f wire.MaxStreamData) *TransportError {
	s, err := c.accept(f.ID, wire.FrameMaxStreamData, false)
	if s == nil || err != nil {
		return err
	}
	if f.Max > s.send.max {
		s.send.max = f.Max
		c.idle.effort.gain()
		s.send.blocked.clear()
		c.touch(s)
	}
	return nil
}

// handleMaxStreams takes a raised limit on the number of streams.
func (c *Conn) handleMaxStreams(f wire.MaxStreams) {
	l := &c.streams.local[bidi]
	if f.Uni {
		l = &c.streams.local[uni]
	}
	if f.Max <= l.max {
		return
	}
	l.max = f.Max
	c.idle.effort.gain()
	l.blocked.clear()
	c.releaseHeld()
	if l.wanted {
		l.wanted = false
		c.events.push(Event{Kind: EventStreamsAvailable, Uni: f.Uni})
	}
}

package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// What is here is draft-ietf-quic-reliable-stream-reset: resets that deliver the beginning of a stream. For the machines they
// are a FIN that may name less than the whole: "Both the RESET_STREAM_AT frame and the FIN bit on a STREAM frame serve the same
// role: signaling the amount of data to be delivered." (section 5.3)

// SetBoundary promises that what was written to a stream so far is delivered even if Reset abandons the stream later. It can
// be moved forward. When the peer does not know RESET_STREAM_AT, and after it asked us to stop, Reset does not keep the promise.
func (c *Conn) SetBoundary(id int64) {
	if s := c.streams.byID[id]; s != nil && s.send.hasBytes() && !s.send.reset.isSet() {
		s.send.reliable = s.send.end
	}
}

// ResetsDeliver reports whether the peer knows RESET_STREAM_AT, so that SetBoundary has an effect.
func (c *Conn) ResetsDeliver() bool { return c.peer.ResetStreamAt }

// resetAt enters Data Sent with a reset in place of a FIN: bytes below s.reliable are delivered, the rest is let go; false when the
// part is past that.
//
// Section 4: "An endpoint MUST NOT send a RESET_STREAM_AT frame that exceeds the largest maximum stream data value advertised by
// the receiver for the stream, or that violates the receiver's maximum data limit." So the frame goes with the last
// byte below the boundary, or after it, as a FIN would.
func (s *sendPart) resetAt(code uint64) bool {
	if s.reset.isSet() || !s.state.on(inResetAt) {
		return false
	}
	s.code = code
	s.reset.set()
	s.fin.clear()
	s.toSend.Sub(s.reliable, max(s.reliable, s.end))
	if s.end = max(s.reliable, s.next); s.end == s.next {
		s.blocked.clear()
	}
	return true
}

// delivers reports whether a reset is in force that delivers the beginning of the stream.
func (s *sendPart) delivers() bool { return s.state == sendDataSent && s.reset.isSet() }

// owesReset reports whether RESET_STREAM or RESET_STREAM_AT can be sent now.
func (s *sendPart) owesReset() bool {
	return s.reset.isUnsent() && (s.state == sendResetSent || s.delivers() && s.next >= s.reliable)
}

// appendReset appends RESET_STREAM or RESET_STREAM_AT; false: it did not fit.
func (s *stream) appendReset(d *datagram) bool {
	p := &s.send
	f := wire.ResetStream{ID: s.id, Code: p.code, FinalSize: p.next}
	b := d.scratch()
	if p.delivers() {
		b = wire.AppendResetStreamAt(b, wire.ResetStreamAt{ResetStream: f, ReliableSize: p.reliable})
	} else {
		b = wire.AppendResetStream(b, f)
	}
	if !d.appendFrame(b) {
		return false
	}
	p.reset.sentIn(d.number())
	d.addFact(recovery.Fact{Kind: factReset, ID: s.id, End: p.reliable})
	return true
}

// settleReset applies the fate of a reset. One that promised more than is promised now does not count: section 5.2, "the sender
// MUST retransmit the RESET_STREAM_AT frame carrying the smallest Reliable Size as well as stream data up to that size, until
// all acknowledgements for the stream data and the RESET_STREAM_AT frame are received."
func (s *sendPart) settleReset(packet int64, f *recovery.Fact, fate recovery.Fate) {
	if f.End != s.reliable {
		return
	}
	s.reset.settle(packet, fate)
	if s.reset.hasArrived() {
		s.state.on(inResetAcked)
	}
	s.endIfDelivered()
}

// endIfDelivered enters Data Recvd when all that has to arrive has: the bytes, and the FIN or the reset.
func (s *sendPart) endIfDelivered() {
	arrived := s.buf.start // all below are acknowledged
	if s.delivers() && s.reset.hasArrived() && arrived >= s.reliable || s.fin.hasArrived() && arrived == s.end {
		s.state.on(inAllAcked)
	}
}

// withdrawPromises is for a client whose 0-RTT was rejected by a server that, unlike before, does not know RESET_STREAM_AT.
func (c *Conn) withdrawPromises(s *stream) {
	if s.send.delivers() && !c.peer.ResetStreamAt && c.peer.InitialSrcID != nil {
		s.send.abandon(&c.pool, s.send.code)
	}
}

// handleReset takes a RESET_STREAM frame, which promises nothing, or RESET_STREAM_AT, and returns how much further the stream
// reaches now. Bytes beyond those that are promised are not delivered, even if they are here.
func (r *recvPart) handleReset(pool *chunkPool, f wire.ResetStreamAt, frame uint64) (grown int64, err *TransportError) {
	if err := r.checkFinal(f.FinalSize, true); err != nil {
		return 0, err
	}
	if f.FinalSize > r.window.limit {
		return 0, violation(wire.FlowControlError, frame, "final size beyond the limit")
	}
	if err := r.checkCode(f.Code, frame); err != nil {
		return 0, err
	}
	grown = f.FinalSize - r.end
	r.end, r.final = f.FinalSize, f.FinalSize
	if f.ReliableSize > r.read && !r.unread {
		r.expect(f)
		return grown, nil
	}
	if !r.state.on(inPeerReset) {
		return grown, nil
	}
	r.code = f.Code
	r.stop.clear()
	r.buf.release(pool)
	r.read = r.final // nobody will read the rest, and the connection's window gets it back
	if r.unread {
		r.state.on(inAppSawReset)
	}
	return grown, nil
}

// expect enters Size Known with a reset that comes after what is still to be delivered.
func (r *recvPart) expect(f wire.ResetStreamAt) {
	// Section 5.2: "The receiver MUST ignore any RESET_STREAM_AT frame that increases the Reliable Size."
	if r.partial && f.ReliableSize >= r.reliable || !r.state.on(inPeerResetAt) {
		return
	}
	r.partial, r.reliable, r.code = true, f.ReliableSize, f.Code
	if r.contiguous() == r.reliable {
		r.state.on(inAllData)
	}
}

// sawReset reports whether the peer has reset the stream, in whichever way.
func (r *recvPart) sawReset() bool {
	return r.partial || r.state == recvResetRecvd || r.state == recvResetRead
}

// checkCode holds the code of a reset against one that came before.
//
// Section 5.2: "the initiator MUST NOT change the Application Error Code or the Final Size. If the receiver detects a change in
// those fields, it MUST close the connection with a connection error of type STREAM_STATE_ERROR or FINAL_SIZE_ERROR,
// respectively." RFC 9000 has no such rule for RESET_STREAM frames alone.
func (r *recvPart) checkCode(code, frame uint64) *TransportError {
	if r.sawReset() && r.code != code && (r.partial || frame == wire.FrameResetStreamAt) {
		return violation(wire.StreamStateError, frame, "the code of a reset changed")
	}
	return nil
}

// promised returns how many bytes of the stream the peer will deliver, -1 when that is not known.
func (r *recvPart) promised() int64 {
	if r.partial {
		return r.reliable
	}
	return r.final
}

// endReliable looks whether the application has read all that comes in spite of a reset: the reset is what is next then, and the
// connection's window gets the rest back.
func (r *recvPart) endReliable(pool *chunkPool) {
	if r.read == r.reliable && r.state.on(inReadReliable) {
		r.discardTo(pool, r.final)
	}
}

// wanted returns as much of the data of a STREAM frame as will be delivered.
func (r *recvPart) wanted(f *wire.Stream) []byte {
	if !r.partial {
		return f.Data
	}
	return f.Data[:min(max(r.reliable-f.Offset, 0), int64(len(f.Data)))]
}

// handleResetStream takes the peer's abandonment of its part of a stream.
func (c *Conn) handleResetStream(now instant.Time, f wire.ResetStreamAt, frame uint64) *TransportError {
	s, err := c.accept(f.ID, frame, true)
	if s == nil || err != nil {
		return err
	}
	before, was := s.recv.read, s.recv.state
	grown, err := s.recv.handleReset(&c.pool, f, frame)
	if err != nil {
		return err
	}
	if err := c.flow.grow(grown, frame); err != nil {
		return err
	}
	if s.recv.state != was || grown > 0 {
		c.idle.effort.gain()
	}
	c.tellReset(s, was)
	c.afterReceive(now, s, before)
	return nil
}

// tellReset reports that a stream has been reset, once nothing is to be read before that; was is the state before.
func (c *Conn) tellReset(s *stream, was recvState) {
	if s.recv.state != was && (s.recv.state == recvResetRecvd || s.recv.state == recvResetRead) {
		c.events.push(Event{Kind: EventStreamReset, Stream: s.id, Code: s.recv.code})
	}
}

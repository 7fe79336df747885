package engine

import (
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// handleData takes a STREAM frame. It returns how much further the stream reaches now, which counts against the
// connection's window.
func (r *recvPart) handleData(pool *chunkPool, f wire.Stream) (grown int64, err *TransportError) {
	end := f.Offset + int64(len(f.Data))
	if err := r.checkFinal(end, f.Fin); err != nil {
		return 0, err
	}
	if end > r.window.limit {
		return 0, violation(wire.FlowControlError, wire.FrameStream, "stream data beyond the limit")
	}
	if end > r.end {
		grown = end - r.end
		r.end = end
	}
	if f.Fin && r.state.on(inFin) {
		r.final = end
	}
	if r.state != recvRecv && r.state != recvSizeKnown {
		return grown, nil
	}
	if !r.unread {
		if !r.store(pool, f.Offset, r.wanted(&f)) {
			return 0, violation(wire.InternalError, wire.FrameStream, "too many gaps in one stream")
		}
	} else {
		r.discardTo(pool, r.end)
	}
	if r.state == recvSizeKnown && r.contiguous() == r.promised() {
		r.state.on(inAllData)
		if r.unread {
			r.state.on(inAppReadEnd)
		}
	}
	return grown, nil
}

// has reports whether all of a frame's bytes came before.
func (r *recvPart) has(f *wire.Stream) bool {
	end := f.Offset + int64(len(f.Data))
	if end > r.end {
		return false
	}
	if end <= r.read || len(f.Data) == 0 {
		return true
	}
	g, ok := r.got.RangeAt(max(f.Offset, r.read))
	return ok && g.End >= end
}

// store copies what is new of the bytes at off into the buffer; false: they leave more gaps than maxStreamRanges allows.
func (r *recvPart) store(pool *chunkPool, off int64, data []byte) bool {
	if skip := r.read - off; skip > 0 {
		if skip >= int64(len(data)) {
			return true
		}
		off, data = off+skip, data[skip:]
	}
	if len(data) == 0 {
		return true
	}
	r.got.Add(off, off+int64(len(data)))
	if len(r.got) > maxStreamRanges {
		return false
	}
	r.buf.writeAt(pool, off, data)
	return true
}

// discardTo forgets bytes that nobody will read.
func (r *recvPart) discardTo(pool *chunkPool, end int64) {
	r.read = max(r.read, end)
	r.got = r.got[:0]
	if r.read > 0 {
		r.got.Add(0, r.read)
	}
	r.buf.discardBefore(pool, r.read)
}

// checkFinal holds a frame that reaches to end against the final size.
//
// RFC 9000, section 4.5: "Once a final size for a stream is known, it cannot change. If a RESET_STREAM or STREAM frame is
// received indicating a change in the final size for the stream, an endpoint SHOULD respond with an error of type
// FINAL_SIZE_ERROR".
func (r *recvPart) checkFinal(end int64, fin bool) *TransportError {
	switch {
	case r.final >= 0 && (end > r.final || fin && end != r.final):
		return violation(wire.FinalSizeError, wire.FrameStream, "the final size of a stream changed")
	case fin && end < r.end:
		return violation(wire.FinalSizeError, wire.FrameStream, "a stream ends before bytes that were received")
	}
	return nil
}

// take copies received bytes to the application, and reports whether these were the last.
func (r *recvPart) take(pool *chunkPool, p []byte) (n int, fin bool) {
	n = int(min(int64(len(p)), r.contiguous()-r.read))
	if n > 0 {
		r.buf.readAt(r.read, p[:n])
		r.read += int64(n)
		r.buf.discardBefore(pool, r.read)
	}
	if r.state == recvDataRecvd && r.partial {
		r.endReliable(pool)
		return n, false
	}
	if r.state == recvDataRecvd && r.read == r.final {
		r.state.on(inAppReadEnd)
		return n, true
	}
	return n, false
}

// refuse tells the peer that nothing more is wanted; false when that is of no use any more.
func (r *recvPart) refuse(pool *chunkPool, code uint64) bool {
	if r.unread || r.state.terminal() {
		return false
	}
	r.unread, r.stopFor = true, code
	switch {
	case r.state == recvDataRecvd:
		r.state.on(inAppReadEnd)
	case r.state == recvResetRecvd:
		r.state.on(inAppSawReset)
	case r.partial: // it has been reset, and what should still come is not wanted
		r.state.on(inPeerReset)
		r.state.on(inAppSawReset)
	default:
		r.stop.set()
	}
	r.discardTo(pool, r.end)
	return true
}

func (r *recvPart) hasControl() bool {
	return r.stop.isUnsent() || r.window.announce.isUnsent() && r.state == recvRecv
}

// appendRecvControl appends what the receiving part owes; false: it did not all fit.
func (s *stream) appendRecvControl(d *datagram) bool {
	r := &s.recv
	if r.stop.isUnsent() {
		if !d.appendFrame(wire.AppendStopSending(d.scratch(), wire.StopSending{ID: s.id, Code: r.stopFor})) {
			return false
		}
		r.stop.sentIn(d.number())
		d.addFact(recovery.Fact{Kind: factStop, ID: s.id})
	}
	if r.window.announce.isUnsent() && r.state == recvRecv {
		if !d.appendFrame(wire.AppendMaxStreamData(d.scratch(), wire.MaxStreamData{ID: s.id, Max: r.window.limit})) {
			return false
		}
		r.window.announce.sentIn(d.number())
		d.addFact(recovery.Fact{Kind: factMaxStreamData, ID: s.id})
	}
	return true
}

package engine

import (
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// write buffers as much of p as there is room for and returns how much that was. limit is how many bytes may be
// buffered, sent or not, until they are acknowledged.
func (s *sendPart) write(pool *chunkPool, p []byte, limit int) int {
	room := limit - int(s.end-s.buf.start)
	n := min(len(p), max(room, 0))
	if n > 0 {
		s.buf.writeAt(pool, s.end, p[:n])
		s.toSend.Add(s.end, s.end+int64(n))
		s.end += int64(n)
	}
	s.short = n < len(p)
	s.noteBlocked()
	return n
}

// hasData reports whether STREAM frames are owed. credit is what the connection's flow control still allows.
func (s *sendPart) hasData(credit int64) bool {
	if !s.hasBytes() {
		return false
	}
	if len(s.toSend) == 0 {
		return s.fin.isUnsent()
	}
	// What was sent before may be sent again whatever flow control says; new bytes need both limits.
	from := s.toSend[0].Start
	return from < s.next || (from < s.max && credit > 0)
}

// hasBytes reports whether the state is one in which bytes are sent.
func (s *sendPart) hasBytes() bool { return s.state == sendReady || s.state == sendDataSent }

// hasControl reports whether frames other than STREAM are owed.
func (s *sendPart) hasControl() bool {
	return s.owesReset() || s.blocked.isUnsent() && s.hasBytes()
}

// appendData appends one STREAM frame to the packet and reports whether it did.
func (s *stream) appendData(c *Conn, d *datagram) bool {
	p := &s.send
	var from, end int64
	if len(p.toSend) > 0 {
		from, end = p.toSend[0].Start, p.toSend[0].End
		limit := p.next // what is repeated goes before all else, new bytes when it is their turn
		if !p.repeats() {
			limit = min(p.max, p.next+c.flow.credit())
		}
		end = min(end, limit)
	} else {
		from, end = p.end, p.end
	}
	if end < from || end == from && len(p.toSend) > 0 {
		return false
	}
	h := wire.StreamHeader{ID: s.id, Offset: from, Length: int(min(end-from, int64(d.room())))}
	room := d.room() - h.Len()
	if room < 0 || room == 0 && end > from {
		return false
	}
	h.Length = min(h.Length, room)
	end = from + int64(h.Length)
	h.Fin = p.fin.isSet() && end == p.end
	d.appendStreamHeader(h)
	for off := from; off < end; {
		off += int64(d.appendBytes(p.buf.view(off, int(end-off))))
	}
	p.sent(c, from, end)
	if h.Fin {
		p.fin.sentIn(d.number())
	}
	d.addFact(recovery.Fact{Kind: factStream, ID: s.id, Start: from, End: end, Fin: h.Fin})
	if p.owesReset() {
		s.appendReset(d) // or in the next packet
	}
	return true
}

// sent notes that the bytes [from, end) are in a packet now.
func (s *sendPart) sent(c *Conn, from, end int64) {
	s.toSend.Sub(from, end)
	if end > s.next {
		c.flow.spend(end - s.next)
		s.next = end
	}
	s.noteBlocked()
}

// noteBlocked has the peer told, once for each limit, that there are bytes which its limit holds back.
//
// RFC 9000, section 4.1: "A sender SHOULD send a STREAM_DATA_BLOCKED or DATA_BLOCKED frame to indicate to the receiver
// that it has data to write but is blocked by flow control limits."
func (s *sendPart) noteBlocked() {
	if s.next == s.max && s.end > s.next && !(s.blocked.isSet() && s.blockedAt == s.max) {
		s.blockedAt = s.max
		s.blocked.set()
	}
}

// appendControl appends what the sending part owes besides data; false: it did not all fit.
func (s *stream) appendSendControl(d *datagram) bool {
	p := &s.send
	if p.owesReset() && !s.appendReset(d) {
		return false
	}
	if p.blocked.isUnsent() && p.hasBytes() {
		if !d.appendFrame(wire.AppendStreamDataBlocked(d.scratch(), wire.StreamDataBlocked{ID: s.id, Limit: p.blockedAt})) {
			return false
		}
		p.blocked.sentIn(d.number())
		d.addFact(recovery.Fact{Kind: factStreamBlocked, ID: s.id})
	}
	return true
}

// settleData applies the fate of a STREAM frame.
func (s *sendPart) settleData(pool *chunkPool, packet int64, f recovery.Fact, fate recovery.Fate) {
	if f.Fin {
		s.fin.settle(packet, fate)
	}
	if s.state == sendResetSent {
		return // its bytes are of no interest any more
	}
	if fate != recovery.Acked {
		end := f.End
		if s.delivers() {
			end = min(end, s.reliable) // "Data sent beyond that byte offset SHOULD NOT be retransmitted."
		}
		if end > f.Start {
			s.lost(f.Start, end)
		}
		return
	}
	if f.End > f.Start {
		s.acked.Add(f.Start, f.End)
		s.toSend.Sub(f.Start, f.End)
	}
	if len(s.acked) > 0 && s.acked[0].Start == 0 {
		s.buf.discardBefore(pool, s.acked[0].End)
	}
	s.endIfDelivered()
}

// lost queues a range again, but for what has arrived by another packet meanwhile.
func (s *sendPart) lost(start, end int64) {
	for _, r := range s.acked {
		if r.End <= start {
			continue
		}
		if r.Start >= end {
			break
		}
		if r.Start > start {
			s.toSend.Add(start, r.Start)
		}
		start = r.End
	}
	if start < end {
		s.toSend.Add(start, end)
	}
}

// abandon enters Reset Sent and lets go of the bytes; false when the part is past that. The code of a reset that has been sent
// already stays.
func (s *sendPart) abandon(pool *chunkPool, code uint64) bool {
	if !s.state.on(inReset) {
		return false
	}
	if !s.reset.isSet() {
		s.code = code
	}
	s.reset.set()
	s.reliable = 0
	s.fin.clear()
	s.toSend = s.toSend[:0]
	s.buf.release(pool)
	return true
}

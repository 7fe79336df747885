package wire

import "github.com/godwit-net/godwit/internal/varint"

// Stream is a STREAM frame (RFC 9000, section 19.8).
type Stream struct {
	ID, Offset int64
	Data       []byte
	Fin        bool
}

// ConsumeStream reads the STREAM frame at the start of b, which ends where the packet ends. "The largest offset delivered
// on a stream [...] cannot exceed 2^62-1": a frame beyond that is malformed.
func ConsumeStream(b []byte) (Stream, int) {
	var s Stream
	if len(b) == 0 {
		return s, -1
	}
	// The hot path of receiving: the reads are spelled out instead of going through fields.
	kind, at := b[0], 1
	v, n := varint.Consume(b[at:])
	if n < 0 {
		return s, -1
	}
	s.ID = int64(v)
	at += n
	if kind&StreamOff != 0 {
		if v, n = varint.Consume(b[at:]); n < 0 {
			return s, -1
		}
		s.Offset = int64(v)
		at += n
	}
	end := len(b)
	if kind&StreamLen != 0 {
		if v, n = varint.Consume(b[at:]); n < 0 || v > uint64(len(b)-at-n) {
			return s, -1
		}
		at += n
		end = at + int(v)
	}
	s.Data = b[at:end:end]
	s.Fin = kind&StreamFin != 0
	if s.Offset > varint.Max-int64(len(s.Data)) {
		return s, -1
	}
	return s, end
}

// AppendStream appends a whole STREAM frame, with its Length field.
func AppendStream(b []byte, s Stream) []byte {
	b = AppendStreamHeader(b, StreamHeader{ID: s.ID, Offset: s.Offset, Length: len(s.Data), Fin: s.Fin})
	return append(b, s.Data...)
}

// StreamHeader is what precedes the data of a STREAM frame.
type StreamHeader struct {
	ID, Offset   int64
	Length       int  // bytes of data
	Fin          bool // the data ends the stream
	LastInPacket bool // no Length field: "the Stream Data field extends to the end of the packet"
}

// Len returns how many bytes AppendStreamHeader writes, without the data.
func (s StreamHeader) Len() int {
	n := 1 + varint.Len(uint64(s.ID))
	if s.Offset != 0 {
		n += varint.Len(uint64(s.Offset))
	}
	if !s.LastInPacket {
		n += varint.Len(uint64(s.Length))
	}
	return n
}

// AppendStreamHeader appends the header of a STREAM frame; the caller appends Length bytes of data. The Offset field is
// left out when it is zero.
func AppendStreamHeader(b []byte, s StreamHeader) []byte {
	kind := byte(FrameStream)
	if s.Fin {
		kind |= StreamFin
	}
	if !s.LastInPacket {
		kind |= StreamLen
	}
	if s.Offset != 0 {
		kind |= StreamOff
	}
	b = append(b, kind)
	b = varint.Append(b, uint64(s.ID))
	if s.Offset != 0 {
		b = varint.Append(b, uint64(s.Offset))
	}
	if !s.LastInPacket {
		b = varint.Append(b, uint64(s.Length))
	}
	return b
}

// ResetStream is a RESET_STREAM frame (RFC 9000, section 19.4).
type ResetStream struct {
	ID        int64
	Code      uint64 // the application's
	FinalSize int64  // bytes
}

// ConsumeResetStream reads the RESET_STREAM frame at the start of b.
func ConsumeResetStream(b []byte) (ResetStream, int) {
	f := afterType(b)
	r := ResetStream{ID: f.int(), Code: f.varint(), FinalSize: f.int()}
	return r, f.at
}

// AppendResetStream appends a RESET_STREAM frame.
func AppendResetStream(b []byte, r ResetStream) []byte {
	b = append(b, byte(FrameResetStream))
	b = varint.Append(b, uint64(r.ID))
	b = varint.Append(b, r.Code)
	return varint.Append(b, uint64(r.FinalSize))
}

// StopSending is a STOP_SENDING frame (RFC 9000, section 19.5).
type StopSending struct {
	ID   int64
	Code uint64 // the application's
}

// ConsumeStopSending reads the STOP_SENDING frame at the start of b.
func ConsumeStopSending(b []byte) (StopSending, int) {
	f := afterType(b)
	s := StopSending{ID: f.int(), Code: f.varint()}
	return s, f.at
}

// AppendStopSending appends a STOP_SENDING frame.
func AppendStopSending(b []byte, s StopSending) []byte {
	b = append(b, byte(FrameStopSending))
	b = varint.Append(b, uint64(s.ID))
	return varint.Append(b, s.Code)
}

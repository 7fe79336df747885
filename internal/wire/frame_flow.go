package wire

import "github.com/godwit-net/godwit/internal/varint"

// ConsumeMaxData reads the MAX_DATA frame at the start of b (RFC 9000, section 19.9): the bytes of stream data that may
// be sent on the whole connection.
func ConsumeMaxData(b []byte) (limit int64, n int) { return consumeInt(b) }

// AppendMaxData appends a MAX_DATA frame.
func AppendMaxData(b []byte, limit int64) []byte { return appendInt(b, FrameMaxData, limit) }

// MaxStreamData is a MAX_STREAM_DATA frame (RFC 9000, section 19.10). Max counts bytes.
type MaxStreamData struct{ ID, Max int64 }

// ConsumeMaxStreamData reads the MAX_STREAM_DATA frame at the start of b.
func ConsumeMaxStreamData(b []byte) (MaxStreamData, int) {
	f := afterType(b)
	m := MaxStreamData{ID: f.int(), Max: f.int()}
	return m, f.at
}

// AppendMaxStreamData appends a MAX_STREAM_DATA frame.
func AppendMaxStreamData(b []byte, m MaxStreamData) []byte {
	return varint.Append(appendInt(b, FrameMaxStreamData, m.ID), uint64(m.Max))
}

// MaxStreams is a MAX_STREAMS frame (RFC 9000, section 19.11). Max counts streams since the connection began.
type MaxStreams struct {
	Uni bool
	Max int64
}

// ConsumeMaxStreams reads the MAX_STREAMS frame at the start of b. "Receipt of a frame that permits opening of a stream
// larger than this limit [2^60] MUST be treated as a connection error of type FRAME_ENCODING_ERROR."
func ConsumeMaxStreams(b []byte) (MaxStreams, int) {
	count, n := consumeInt(b)
	if n < 0 || count > MaxStreamCount {
		return MaxStreams{}, -1
	}
	return MaxStreams{Uni: b[0] == byte(FrameMaxStreamsUni), Max: count}, n
}

// AppendMaxStreams appends a MAX_STREAMS frame.
func AppendMaxStreams(b []byte, m MaxStreams) []byte {
	if m.Uni {
		return appendInt(b, FrameMaxStreamsUni, m.Max)
	}
	return appendInt(b, FrameMaxStreamsBidi, m.Max)
}

// ConsumeDataBlocked reads the DATA_BLOCKED frame at the start of b (RFC 9000, section 19.12): the connection's limit in
// bytes at which its sender is blocked.
func ConsumeDataBlocked(b []byte) (limit int64, n int) { return consumeInt(b) }

// AppendDataBlocked appends a DATA_BLOCKED frame.
func AppendDataBlocked(b []byte, limit int64) []byte { return appendInt(b, FrameDataBlocked, limit) }

// StreamDataBlocked is a STREAM_DATA_BLOCKED frame (RFC 9000, section 19.13). Limit counts bytes.
type StreamDataBlocked struct{ ID, Limit int64 }

// ConsumeStreamDataBlocked reads the STREAM_DATA_BLOCKED frame at the start of b.
func ConsumeStreamDataBlocked(b []byte) (StreamDataBlocked, int) {
	f := afterType(b)
	s := StreamDataBlocked{ID: f.int(), Limit: f.int()}
	return s, f.at
}

// AppendStreamDataBlocked appends a STREAM_DATA_BLOCKED frame.
func AppendStreamDataBlocked(b []byte, s StreamDataBlocked) []byte {
	return varint.Append(appendInt(b, FrameStreamDataBlocked, s.ID), uint64(s.Limit))
}

// StreamsBlocked is a STREAMS_BLOCKED frame (RFC 9000, section 19.14). Limit counts streams.
type StreamsBlocked struct {
	Uni   bool
	Limit int64
}

// ConsumeStreamsBlocked reads the STREAMS_BLOCKED frame at the start of b. "Receipt of a frame that encodes a larger
// stream ID [than 2^62-1] MUST be treated as a connection error of type STREAM_LIMIT_ERROR or FRAME_ENCODING_ERROR."
func ConsumeStreamsBlocked(b []byte) (StreamsBlocked, int) {
	count, n := consumeInt(b)
	if n < 0 || count > MaxStreamCount {
		return StreamsBlocked{}, -1
	}
	return StreamsBlocked{Uni: b[0] == byte(FrameStreamsBlockedUni), Limit: count}, n
}

// AppendStreamsBlocked appends a STREAMS_BLOCKED frame.
func AppendStreamsBlocked(b []byte, s StreamsBlocked) []byte {
	if s.Uni {
		return appendInt(b, FrameStreamsBlockedUni, s.Limit)
	}
	return appendInt(b, FrameStreamsBlockedBidi, s.Limit)
}

// consumeInt reads a frame of one integer.
func consumeInt(b []byte) (v int64, n int) {
	f := afterType(b)
	v = f.int()
	return v, f.at
}

// appendInt appends a frame type and one integer.
func appendInt(b []byte, kind uint64, v int64) []byte {
	return varint.Append(append(b, byte(kind)), uint64(v))
}

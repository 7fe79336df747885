package wire

import "github.com/godwit-net/godwit/internal/varint"

// ResetStreamAt is a RESET_STREAM_AT frame (draft-ietf-quic-reliable-stream-reset): a RESET_STREAM frame and a promise.
type ResetStreamAt struct {
	ResetStream
	ReliableSize int64 // bytes from the start of the stream that are delivered all the same; FinalSize at most
}

// ConsumeResetStreamAt reads the RESET_STREAM_AT frame at the start of b. "If the Reliable Size is larger than the Final
// Size, the receiver MUST close the connection with a connection error of type FRAME_ENCODING_ERROR."
func ConsumeResetStreamAt(b []byte) (ResetStreamAt, int) {
	f := afterType(b)
	r := ResetStreamAt{ResetStream: ResetStream{ID: f.int(), Code: f.varint(), FinalSize: f.int()}, ReliableSize: f.int()}
	if r.ReliableSize > r.FinalSize {
		return ResetStreamAt{}, -1
	}
	return r, f.at
}

// AppendResetStreamAt appends a RESET_STREAM_AT frame.
func AppendResetStreamAt(b []byte, r ResetStreamAt) []byte {
	if r.ReliableSize > r.FinalSize {
		panic("BUG: a reset that promises more than the stream has")
	}
	at := len(b)
	b = AppendResetStream(b, r.ResetStream)
	b[at] = byte(FrameResetStreamAt)
	return varint.Append(b, uint64(r.ReliableSize))
}

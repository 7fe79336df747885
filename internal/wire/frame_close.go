package wire

import "github.com/godwit-net/godwit/internal/varint"

// ConnectionClose is a CONNECTION_CLOSE frame (RFC 9000, section 19.19).
type ConnectionClose struct {
	App       bool   // type 0x1d: Code is the application's and there is no FrameType
	Code      uint64 // an ErrorCode unless App
	FrameType uint64 // of the frame that caused the error; 0 unknown
	Reason    []byte // should be UTF-8, but the peer decides
}

// ConsumeConnectionClose reads the CONNECTION_CLOSE frame at the start of b.
func ConsumeConnectionClose(b []byte) (ConnectionClose, int) {
	f := afterType(b)
	if f.failed() {
		return ConnectionClose{}, -1
	}
	c := ConnectionClose{App: b[0] == byte(FrameConnectionCloseApp), Code: f.varint()}
	if !c.App {
		c.FrameType = f.varint()
	}
	c.Reason = f.bytes(f.varint())
	return c, f.at
}

// AppendConnectionClose appends a CONNECTION_CLOSE frame. It cannot be split between packets: the caller shortens the
// reason to what fits.
func AppendConnectionClose(b []byte, c ConnectionClose) []byte {
	if c.App {
		b = append(b, byte(FrameConnectionCloseApp))
		b = varint.Append(b, c.Code)
	} else {
		b = append(b, byte(FrameConnectionClose))
		b = varint.Append(b, c.Code)
		b = varint.Append(b, c.FrameType)
	}
	b = varint.Append(b, uint64(len(c.Reason)))
	return append(b, c.Reason...)
}

package wire

import "github.com/godwit-net/godwit/internal/varint"

// ConsumeNewToken reads the NEW_TOKEN frame at the start of b (RFC 9000, section 19.7) and returns its token. "A client
// MUST treat receipt of a NEW_TOKEN frame with an empty Token field as a connection error of type FRAME_ENCODING_ERROR."
func ConsumeNewToken(b []byte) (token []byte, n int) {
	f := afterType(b)
	token = f.bytes(f.varint())
	if len(token) == 0 {
		return nil, -1
	}
	return token, f.at
}

// AppendNewToken appends a NEW_TOKEN frame.
func AppendNewToken(b []byte, token []byte) []byte {
	if len(token) == 0 {
		panic("BUG: a NEW_TOKEN frame with an empty token")
	}
	b = append(b, byte(FrameNewToken))
	b = varint.Append(b, uint64(len(token)))
	return append(b, token...)
}

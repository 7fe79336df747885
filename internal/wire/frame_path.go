package wire

// ConsumePathChallenge reads the PATH_CHALLENGE frame at the start of b (RFC 9000, section 19.17).
func ConsumePathChallenge(b []byte) (data [8]byte, n int) { return consumePath(b) }

// AppendPathChallenge appends a PATH_CHALLENGE frame.
func AppendPathChallenge(b []byte, data [8]byte) []byte {
	return append(append(b, byte(FramePathChallenge)), data[:]...)
}

// ConsumePathResponse reads the PATH_RESPONSE frame at the start of b (RFC 9000, section 19.18).
func ConsumePathResponse(b []byte) (data [8]byte, n int) { return consumePath(b) }

// AppendPathResponse appends a PATH_RESPONSE frame.
func AppendPathResponse(b []byte, data [8]byte) []byte {
	return append(append(b, byte(FramePathResponse)), data[:]...)
}

// consumePath reads what both path frames consist of.
func consumePath(b []byte) (data [8]byte, n int) {
	f := afterType(b)
	copy(data[:], f.bytes(8))
	return data, f.at
}

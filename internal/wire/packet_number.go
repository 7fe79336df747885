package wire

import "math/bits"

// PacketNumberLen returns in how many bytes, 1 to 4, packet number pn must be sent when largestAcked is the largest that
// the peer has acknowledged in the space, -1 for none (RFC 9000, sections 17.1 and A.2).
//
// The text asks for a size "able to represent more than twice as large a range as the difference" where the sample code
// is content with exactly twice; this follows the text, and differs from the sample at a difference of 128, 2^15 or 2^23.
// Beyond 2^31 unacknowledged packet numbers no encoding suffices and 4 is returned.
func PacketNumberLen(pn, largestAcked int64) int {
	if pn <= largestAcked {
		panic("BUG: a packet number that was acknowledged before it was sent")
	}
	bitsNeeded := bits.Len64(uint64(pn-largestAcked)) + 1
	return min((bitsNeeded+7)/8, 4)
}

// DecodePacketNumber returns the packet number whose low pnLen bytes are truncated and that is closest to the one after
// largest, the largest successfully processed in the space, -1 for none (RFC 9000, section A.3).
func DecodePacketNumber(largest int64, truncated uint32, pnLen int) int64 {
	expected := largest + 1
	window := int64(1) << (8 * pnLen)
	half := window / 2

	candidate := expected&^(window-1) | int64(truncated)
	switch {
	case candidate <= expected-half && candidate < 1<<62-window:
		return candidate + window
	case candidate > expected+half && candidate >= window:
		return candidate - window
	}
	return candidate
}

// appendPacketNumber appends the low pnLen bytes of pn.
func appendPacketNumber(b []byte, pn int64, pnLen int) []byte {
	switch pnLen {
	case 1:
		return append(b, byte(pn))
	case 2:
		return append(b, byte(pn>>8), byte(pn))
	case 3:
		return append(b, byte(pn>>16), byte(pn>>8), byte(pn))
	case 4:
		return append(b, byte(pn>>24), byte(pn>>16), byte(pn>>8), byte(pn))
	}
	panic("BUG: a packet number that is not 1 to 4 bytes long")
}

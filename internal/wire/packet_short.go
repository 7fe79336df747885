package wire

// KeyPhaseBit and the masks below are bits of a packet's first byte that can be read once header protection is removed.
const (
	KeyPhaseBit = 0x04 // of short headers

	// ReservedLong and ReservedShort must be zero in long and short headers: "An endpoint MUST treat receipt of a packet
	// that has a non-zero value for these bits, after removing both packet and header protection, as a connection error of
	// type PROTOCOL_VIOLATION." (RFC 9000, sections 17.3.1 and 17.2)
	ReservedLong  = 0x0c
	ReservedShort = 0x18
)

// AppendShortHeader appends the header of a 1-RTT packet (RFC 9000, section 17.3.1) as it is before header protection,
// packet number included.
//
// The spin bit is always zero: "Each endpoint unilaterally decides if the spin bit is enabled or disabled for a
// connection", and "When the spin bit is disabled, endpoints MAY set the spin bit to any value" (section 17.4). A
// confession: it is RECOMMENDED there that the value be random.
func AppendShortHeader(b []byte, dst []byte, keyPhase bool, pn int64, pnLen int) []byte {
	first := FixedBit | byte(pnLen-1)
	if keyPhase {
		first |= KeyPhaseBit
	}
	b = append(b, first)
	b = append(b, dst...)
	return appendPacketNumber(b, pn, pnLen)
}

package wire

// The versions of QUIC that this package reads and writes.
const (
	Version1 uint32 = 1          // RFC 9000
	Version2 uint32 = 0x6b3343cf // RFC 9369: version 1 with other numbers, so that nobody can rely on version 1's
)

// IsKnownVersion reports whether v is a version whose packets this package understands.
func IsKnownVersion(v uint32) bool { return v == Version1 || v == Version2 }

// IsReservedVersion reports whether v is one of those that "follow the pattern 0x?a?a?a?a" (RFC 9000, section 15): they
// exercise version negotiation and are never spoken.
func IsReservedVersion(v uint32) bool { return v&0x0f0f0f0f == 0x0a0a0a0a }

// ReservedVersion makes a reserved version of the upper half of each byte of random.
func ReservedVersion(random uint32) uint32 { return random&0xf0f0f0f0 | 0x0a0a0a0a }

// VersionInfo is the version_information transport parameter (RFC 9368, section 3). Chosen is 0 when it is absent.
type VersionInfo struct {
	// Chosen is the version that the sender uses: of a client the version of its first flight, of a server the negotiated one.
	Chosen uint32
	// Available lists, of a client, the versions that its first flight can be converted to, the most wanted first and Chosen
	// among them; of a server all that it speaks, in no order, possibly none. Reserved versions may be among them.
	Available []uint32
}

// longHeaderTypes has the type bits of the first byte for each kind of packet, by version (RFC 9000, table 5; RFC 9369,
// section 3.2).
var longHeaderTypes = [2][4]PacketType{
	{PacketInitial, Packet0RTT, PacketHandshake, PacketRetry},
	{PacketRetry, PacketInitial, Packet0RTT, PacketHandshake},
}

func longHeaderTypesOf(version uint32) *[4]PacketType {
	if version == Version2 {
		return &longHeaderTypes[1]
	}
	return &longHeaderTypes[0]
}

// longPacketType returns the type in bits 0x30 of the first byte of a packet of a known version.
func longPacketType(version uint32, first byte) PacketType {
	return longHeaderTypesOf(version)[first>>4&3]
}

// longTypeBits is the inverse of longPacketType.
func longTypeBits(version uint32, t PacketType) byte {
	for bits, typ := range longHeaderTypesOf(version) {
		if typ == t {
			return byte(bits) << 4
		}
	}
	panic("BUG: a long header on a " + t.String() + " packet")
}

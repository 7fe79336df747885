// Package wire is the shape of QUIC versions 1 and 2 on the wire (RFC 8999, RFC 9000, RFC 9221, RFC 9287, RFC 9368, RFC
// 9369): packet headers, packet numbers, frames, transport parameters and error codes, each with a function that appends it and one that
// consumes it.
//
// Consuming. ConsumeX(b) reads the X at the start of b and returns it with the number of bytes it took; a negative count
// says that b holds no well-formed X, which for a frame is FRAME_ENCODING_ERROR and for a header a packet to drop. What
// is consumed aliases b and nothing is copied or allocated. Only what the bytes alone can prove wrong is rejected here;
// what is wrong because of the connection's state is the engine's to judge.
//
// Appending. AppendX(b, x) appends the X in its shortest form and returns the extended slice. Handing it values that
// cannot be encoded is a programming error and panics.
//
// The package keeps no state and no limits of its own: everything a peer can make it produce is bounded by the datagram
// or handshake message being read.
package wire

// MinInitialSize is the smallest UDP payload that carries an Initial packet (RFC 9000, section 14.1).
const MinInitialSize = 1200

// FixedBit is the second most significant bit of a packet's first byte, 1 in every version 1 packet unless the receiver
// sent the grease_quic_bit transport parameter (RFC 9287).
const FixedBit = 0x40

// Space is a packet number space (RFC 9000, section 12.3).
type Space uint8

// The packet number spaces. 0-RTT and 1-RTT packets share AppSpace.
const (
	InitialSpace Space = iota
	HandshakeSpace
	AppSpace
)

// NumSpaces is the number of packet number spaces, for arrays indexed by Space.
const NumSpaces = 3

// String returns the space's name in qlog.
func (s Space) String() string {
	switch s {
	case InitialSpace:
		return "initial"
	case HandshakeSpace:
		return "handshake"
	case AppSpace:
		return "application_data"
	}
	return "unknown"
}

// PacketType is a kind of packet (RFC 9000, section 17).
type PacketType uint8

// The kinds of packets. PacketInvalid is the zero value; a long header of a version that is
// neither 1 nor 2 has it too.
const (
	PacketInvalid PacketType = iota
	PacketInitial
	Packet0RTT
	PacketHandshake
	PacketRetry
	PacketVersionNegotiation
	Packet1RTT
)

// String returns the packet type's name in qlog.
func (t PacketType) String() string {
	switch t {
	case PacketInitial:
		return "initial"
	case Packet0RTT:
		return "0RTT"
	case PacketHandshake:
		return "handshake"
	case PacketRetry:
		return "retry"
	case PacketVersionNegotiation:
		return "version_negotiation"
	case Packet1RTT:
		return "1RTT"
	}
	return "unknown"
}

package wire

import (
	"encoding/binary"

	"github.com/godwit-net/godwit/internal/varint"
)

// RetryTagLen is the length in bytes of the Retry Integrity Tag (RFC 9001, section 5.8).
const RetryTagLen = 16

const (
	longHeaderBit = 0x80

	// idsAt is where a long header's connection IDs begin: after the first byte and the version.
	idsAt = 5
)

// LongHeader is the unprotected part of a long header packet (RFC 9000, section 17.2).
type LongHeader struct {
	Type         PacketType
	Version      uint32
	DstID, SrcID []byte // alias the datagram
	Token        []byte // of Initial and Retry packets; aliases the datagram
	Fixed        bool   // the fixed bit; see ConsumeLongHeader
	PNOffset     int    // where the protected packet number begins; 0 in packets that have none
	Size         int    // bytes of this packet in the datagram
}

// IsLong reports whether a packet with this first byte has a long header (RFC 8999, section 5.1).
func IsLong(first byte) bool { return first&longHeaderBit != 0 }

// ConsumeLongHeader reads the long header at the start of b, which extends to the end of the datagram, and returns it
// with h.Size, the bytes that the packet takes of the datagram; the next coalesced packet follows. It returns n = -1 for
// a packet to drop, with the rest of its datagram.
//
// Version Negotiation, Retry and packets of other versions take the whole datagram. Of other versions only Version and
// the connection IDs (up to 255 bytes) are known and Type is PacketInvalid: enough to answer with Version Negotiation.
//
// "Packets containing a zero value for this bit are not valid packets in this version and MUST be discarded" (RFC
// 9000, section 17.2), except by an endpoint that sent the grease_quic_bit transport parameter (RFC 9287, section 3).
// Which of the two we are is not known here, so the bit is reported in Fixed and the caller judges it.
func ConsumeLongHeader(b []byte) (h LongHeader, n int) {
	h, at := consumeInvariants(b)
	if at < 0 {
		return LongHeader{}, -1
	}
	switch h.Version {
	case 0:
		h.Type, h.Size = PacketVersionNegotiation, len(b)
		return h, h.Size
	case Version1, Version2:
	default:
		h.Size = len(b)
		return h, h.Size
	}

	// Version 2 has the same rule: "Endpoints that receive a version 1 long header with a value larger than 20 MUST drop the packet." (RFC 9000,
	// section 17.2)
	if len(h.DstID) > MaxConnIDLen || len(h.SrcID) > MaxConnIDLen {
		return LongHeader{}, -1
	}
	h.Type = longPacketType(h.Version, b[0])
	if h.Type == PacketRetry {
		// "A client MUST discard a Retry packet with a zero-length Retry Token field." (RFC 9000, section 17.2.5.2)
		if len(b)-at <= RetryTagLen {
			return LongHeader{}, -1
		}
		h.Token, h.Size = b[at:len(b)-RetryTagLen], len(b)
		return h, h.Size
	}

	f := fields{b: b, at: at}
	if h.Type == PacketInitial {
		h.Token = f.bytes(f.varint())
	}
	length := f.varint()
	if f.failed() || length > uint64(len(b)-f.at) {
		return LongHeader{}, -1
	}
	h.PNOffset = f.at
	h.Size = f.at + int(length)
	return h, h.Size
}

// consumeInvariants reads what every version's long header begins with (RFC 8999, section 5.1) and returns the index of
// what follows, -1 when b is too short.
func consumeInvariants(b []byte) (h LongHeader, at int) {
	if len(b) <= idsAt || !IsLong(b[0]) {
		return h, -1
	}
	h.Fixed = b[0]&FixedBit != 0
	h.Version = binary.BigEndian.Uint32(b[1:])
	f := fields{b: b, at: idsAt}
	h.DstID = f.bytes(uint64(f.byte()))
	h.SrcID = f.bytes(uint64(f.byte()))
	if f.failed() {
		return h, -1
	}
	return h, f.at
}

// DstID returns the destination connection ID of the first packet of any datagram: of a long header packet of whatever
// version the one it states (up to 255 bytes), of a short header packet the shortLen bytes that this endpoint's
// connection IDs have. It aliases b. ok is false when the datagram is too short to have one.
func DstID(b []byte, shortLen int) (id []byte, ok bool) {
	switch {
	case len(b) == 0:
		return nil, false
	case !IsLong(b[0]):
		if len(b) < 1+shortLen {
			return nil, false
		}
		return b[1 : 1+shortLen], true
	case len(b) <= idsAt || len(b) < idsAt+1+int(b[idsAt]):
		return nil, false
	}
	return b[idsAt+1 : idsAt+1+int(b[idsAt])], true
}

// AppendLongHeader appends the header of an Initial, 0-RTT or Handshake packet up to and including the packet number, as
// it is before header protection, from h's Type, Version, connection IDs and, for Initial, Token. The Length field is
// two bytes at index lengthAt of out, to be patched with SetLength once the packet's size is known.
func AppendLongHeader(b []byte, h LongHeader, pn int64, pnLen int) (out []byte, lengthAt int) {
	if h.Type == PacketRetry {
		panic("BUG: a packet number on a Retry packet")
	}
	b = append(b, longHeaderBit|FixedBit|longTypeBits(h.Version, h.Type)|byte(pnLen-1))
	b = appendInvariants(b, h.Version, h.DstID, h.SrcID)
	if h.Type == PacketInitial {
		b = varint.Append(b, uint64(len(h.Token)))
		b = append(b, h.Token...)
	}
	lengthAt = len(b)
	b = varint.AppendWidth(b, 0, 2)
	return appendPacketNumber(b, pn, pnLen), lengthAt
}

// SetLength patches the Length field that AppendLongHeader reserved: v counts the bytes of the packet number, the payload
// and the AEAD tag, 16383 at most.
func SetLength(b []byte, lengthAt int, v int) {
	varint.AppendWidth(b[:lengthAt], uint64(v), 2)
}

// appendInvariants appends version and connection IDs. The lengths are one byte each: IDs of other versions, which
// Version Negotiation echoes, have 255 bytes at most because that is how they were read.
func appendInvariants(b []byte, version uint32, dst, src []byte) []byte {
	if len(dst) > 255 || len(src) > 255 {
		panic("BUG: a connection ID of more than 255 bytes")
	}
	b = binary.BigEndian.AppendUint32(b, version)
	b = append(b, byte(len(dst)))
	b = append(b, dst...)
	b = append(b, byte(len(src)))
	return append(b, src...)
}

package wire

import "encoding/binary"

// AppendVersionNegotiation appends a Version Negotiation packet (RFC 9000, section 17.2.1). dst is the received packet's
// source connection ID and src its destination connection ID, each 0 to 255 bytes. first should be random: its low six
// bits are sent as they are. "Where QUIC might be multiplexed with other protocols (see [RFC7983]), servers SHOULD
// set the most significant bit of this field (0x40) to 1": it always is.
func AppendVersionNegotiation(b []byte, first byte, dst, src []byte, versions []uint32) []byte {
	b = append(b, first|longHeaderBit|FixedBit)
	b = appendInvariants(b, 0, dst, src)
	for _, v := range versions {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// ConsumeVersions returns the versions that a Version Negotiation packet, given whole, offers. "An endpoint MUST ignore a
// packet that contains no Supported Version fields or contains a truncated Supported Version value" (RFC 8999, section
// 6): ok is false for those, and for what is no Version Negotiation packet at all.
func ConsumeVersions(b []byte) (versions []uint32, ok bool) {
	h, at := consumeInvariants(b)
	if at < 0 || h.Version != 0 {
		return nil, false
	}
	list := b[at:]
	if len(list) == 0 || len(list)%4 != 0 {
		return nil, false
	}
	versions = make([]uint32, 0, len(list)/4)
	for ; len(list) > 0; list = list[4:] {
		versions = append(versions, binary.BigEndian.Uint32(list))
	}
	return versions, true
}

// AppendRetry appends a version 1 Retry packet; see AppendRetryOf.
func AppendRetry(b []byte, dst, src, token []byte) []byte {
	return AppendRetryOf(b, Version1, dst, src, token)
}

// AppendRetryOf appends a Retry packet (RFC 9000, section 17.2.5) of the version of the Initial packet that it answers,
// without the integrity tag that ends it. dst is the client's source connection ID, src the one that the server chose, which
// must differ from the client's destination connection ID. The four unused bits are zero.
func AppendRetryOf(b []byte, version uint32, dst, src, token []byte) []byte {
	if len(token) == 0 {
		panic("BUG: a Retry packet without a token")
	}
	b = append(b, longHeaderBit|FixedBit|longTypeBits(version, PacketRetry))
	b = appendInvariants(b, version, dst, src)
	return append(b, token...)
}

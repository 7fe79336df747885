package h3

import "github.com/godwit-net/godwit/internal/varint"

// CapsuleType is the type of a capsule (RFC 9297, section 3.2).
type CapsuleType uint64

// CapsuleDatagram carries an HTTP datagram on the stream (RFC 9297, section 3.5).
const CapsuleDatagram CapsuleType = 0x00

// MaxCapsuleHeader is the length in bytes of the longest capsule header.
const MaxCapsuleHeader = 16

// CapsuleHeader begins a capsule; Length bytes of value follow. "Endpoints which receive a Capsule with an unknown Capsule
// Type MUST silently drop that Capsule and skip over it to parse the next Capsule" (RFC 9297, section 3.2).
type CapsuleHeader struct {
	Type   CapsuleType
	Length int64
}

// ConsumeCapsuleHeader reads a capsule header from the start of b. n = 0: b ends inside the header.
func ConsumeCapsuleHeader(b []byte) (h CapsuleHeader, n int) {
	t, n := varint.Consume(b)
	if n < 0 {
		return h, 0
	}
	length, m := varint.Consume(b[n:])
	if m < 0 {
		return h, 0
	}
	return CapsuleHeader{CapsuleType(t), int64(length)}, n + m
}

// AppendCapsuleHeader appends the header of a capsule whose value the caller appends.
func AppendCapsuleHeader(b []byte, h CapsuleHeader) []byte {
	return varint.Append(varint.Append(b, uint64(h.Type)), uint64(h.Length))
}

// AppendDatagramCapsule appends a whole DATAGRAM capsule.
func AppendDatagramCapsule(b, payload []byte) []byte {
	return append(AppendCapsuleHeader(b, CapsuleHeader{CapsuleDatagram, int64(len(payload))}), payload...)
}

// Oversized reports whether the capsule is a DATAGRAM too long to be of use: discard it without buffering.
func (h CapsuleHeader) Oversized() bool {
	return h.Type == CapsuleDatagram && h.Length > MaxDatagramCapsule
}

// ErrTruncatedCapsule is for a data stream that ends inside a capsule: "this MUST be treated as if it were a malformed or
// incomplete message" (RFC 9297, section 3.3).
var ErrTruncatedCapsule = malformed("the stream ends inside a capsule")

// CapsuleProtocol reports whether the value of a Capsule-Protocol header field says that capsules are in use: the boolean
// true, with or without parameters; "any other value type MUST be handled as if the field were not present" (RFC 9297,
// section 3.4).
func CapsuleProtocol(value string) bool {
	value = trimSpace(value)
	if len(value) < 2 || value[:2] != "?1" {
		return false
	}
	s := scanner{value[2:]}
	return s.parameters() && s.in == ""
}

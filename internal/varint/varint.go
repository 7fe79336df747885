// Package varint is QUIC's variable-length integer (RFC 9000, section 16): one, two, four or eight bytes, the two most
// significant bits of the first byte saying which, the rest holding up to 62 bits in network byte order.
package varint

import "encoding/binary"

// Max is the largest value a variable-length integer holds.
const Max = 1<<62 - 1

// Largest values that fit the shorter widths (RFC 9000, table 4).
const (
	max1 = 1<<6 - 1
	max2 = 1<<14 - 1
	max4 = 1<<30 - 1
)

// Len returns how many bytes Append writes for v: 1, 2, 4 or 8.
func Len(v uint64) int {
	switch {
	case v <= max1:
		return 1
	case v <= max2:
		return 2
	case v <= max4:
		return 4
	}
	return 8
}

// Append appends v in its shortest form. Values above Max are a programming error and panic: a peer cannot cause one,
// because nothing that it sends decodes to more.
func Append(b []byte, v uint64) []byte {
	switch {
	case v <= max1:
		return append(b, byte(v))
	case v <= max2:
		return append(b, byte(v>>8)|0x40, byte(v))
	case v <= max4:
		return append(b, byte(v>>24)|0x80, byte(v>>16), byte(v>>8), byte(v))
	case v <= Max:
		return binary.BigEndian.AppendUint64(b, v|0xc0<<56)
	}
	panic("BUG: a variable-length integer above 2^62-1")
}

// AppendWidth appends v in exactly width bytes (1, 2, 4 or 8), for fields whose room is reserved before their value is
// known. It panics when v does not fit or the width does not exist.
func AppendWidth(b []byte, v uint64, width int) []byte {
	switch {
	case width == 1 && v <= max1:
		return append(b, byte(v))
	case width == 2 && v <= max2:
		return append(b, byte(v>>8)|0x40, byte(v))
	case width == 4 && v <= max4:
		return append(b, byte(v>>24)|0x80, byte(v>>16), byte(v>>8), byte(v))
	case width == 8 && v <= Max:
		return binary.BigEndian.AppendUint64(b, v|0xc0<<56)
	}
	panic("BUG: a variable-length integer that does not fit its width")
}

// Consume reads the integer at the start of b and returns it with the number of bytes it took, or n = -1 when b ends
// before it does. Longer encodings than necessary are read: only frame types must be minimal (RFC 9000, section 12.4).
func Consume(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, -1
	}
	switch n = 1 << (b[0] >> 6); {
	case n == 1:
		return uint64(b[0]), n
	case n > len(b):
		return 0, -1
	case n == 2:
		return uint64(binary.BigEndian.Uint16(b)) & max2, n
	case n == 4:
		return uint64(binary.BigEndian.Uint32(b)) & max4, n
	}
	return binary.BigEndian.Uint64(b) & Max, n
}

package qpack

// appendInteger appends v as an integer with a prefix of that many bits (RFC 7541, section 5.1). pattern holds the bits
// of the first byte in front of the prefix.
func appendInteger(b []byte, pattern byte, prefix uint, v uint64) []byte {
	most := uint64(1)<<prefix - 1
	if v < most {
		return append(b, pattern|byte(v))
	}
	b = append(b, pattern|byte(most))
	for v -= most; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// consumeInteger reads an integer with a prefix of that many bits from the start of b. n is 0 when b ends inside it and
// negative when the value is above 62 bits.
func consumeInteger(b []byte, prefix uint) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	most := uint64(1)<<prefix - 1
	v = uint64(b[0]) & most
	if v < most {
		return v, 1
	}
	for i, shift := 1, uint(0); i < len(b); i, shift = i+1, shift+7 {
		if shift >= maxIntegerShift {
			return 0, -1
		}
		v += uint64(b[i]&0x7f) << shift
		if v > maxInteger {
			return 0, -1
		}
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

package wire

import "github.com/godwit-net/godwit/internal/varint"

// Crypto is a CRYPTO frame (RFC 9000, section 19.6).
type Crypto struct {
	Offset int64
	Data   []byte
}

// ConsumeCrypto reads the CRYPTO frame at the start of b. "The largest offset delivered on a stream [...] cannot exceed
// 2^62-1": a frame beyond that is malformed.
func ConsumeCrypto(b []byte) (Crypto, int) {
	f := afterType(b)
	c := Crypto{Offset: f.int(), Data: f.bytes(f.varint())}
	if c.Offset > varint.Max-int64(len(c.Data)) {
		return Crypto{}, -1
	}
	return c, f.at
}

// AppendCrypto appends a whole CRYPTO frame.
func AppendCrypto(b []byte, c Crypto) []byte {
	return append(AppendCryptoHeader(b, c.Offset, len(c.Data)), c.Data...)
}

// AppendCryptoHeader appends the header of a CRYPTO frame; the caller appends length bytes of data.
func AppendCryptoHeader(b []byte, offset int64, length int) []byte {
	b = append(b, byte(FrameCrypto))
	b = varint.Append(b, uint64(offset))
	return varint.Append(b, uint64(length))
}

// CryptoHeaderLen returns how many bytes AppendCryptoHeader writes.
func CryptoHeaderLen(offset int64, length int) int {
	return 1 + varint.Len(uint64(offset)) + varint.Len(uint64(length))
}

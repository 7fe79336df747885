package wire

import "encoding/hex"

// MaxConnIDLen is the length in bytes of the longest connection ID of version 1 (RFC 9000, section 17.2).
const MaxConnIDLen = 20

// ConnID is a connection ID of version 1: 0 to 20 bytes. It is comparable, serves as a map key, and its zero value is the
// zero-length connection ID.
type ConnID struct {
	n uint8
	b [MaxConnIDLen]byte
}

// MakeConnID copies b into a ConnID. More than 20 bytes are a programming error and panic: headers and frames that carry
// longer ones have not been consumed as version 1.
func MakeConnID(b []byte) ConnID {
	if len(b) > MaxConnIDLen {
		panic("BUG: a connection ID of more than 20 bytes")
	}
	c := ConnID{n: uint8(len(b))}
	copy(c.b[:], b)
	return c
}

// Len returns the length in bytes.
func (c ConnID) Len() int { return int(c.n) }

// Bytes returns the connection ID's bytes. They are c's own: no copy is made.
func (c *ConnID) Bytes() []byte { return c.b[:c.n:c.n] }

// AppendTo appends the connection ID's bytes, without their length.
func (c ConnID) AppendTo(b []byte) []byte { return append(b, c.b[:c.n]...) }

// String returns the connection ID in hexadecimal.
func (c ConnID) String() string { return hex.EncodeToString(c.b[:c.n]) }

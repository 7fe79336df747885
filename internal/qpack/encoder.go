package qpack

import "golang.org/x/net/http2/hpack"

// First bytes of the representations of RFC 9204, section 4.5, that our encoder uses.
const (
	indexedStatic  = 0b1100_0000 // 1 T index(6+), T=1
	indexedDynamic = 0b1000_0000
	nameStatic     = 0b0101_0000 // 01 N T index(4+), T=1
	nameDynamic    = 0b0100_0000
	nameIndexN     = 0b0010_0000
	nameLiteral    = 0b0010_0000 // 001 N H length(3+)
	nameLiteralN   = 0b0001_0000
	namePostBaseN  = 0b0000_1000 // 0000 N index(3+)
)

// First bytes of the encoder's instructions (RFC 9204, section 4.3).
const (
	insertStatic  = 0b1100_0000 // 1 T index(6+), T=1
	insertDynamic = 0b1000_0000
	insertLiteral = 0b0100_0000 // 01 H length(5+)
	setCapacity   = 0b0010_0000 // 001 capacity(5+)
	duplicate     = 0b0000_0000 // 000 index(5+)
)

// AppendFieldSection appends a whole encoded field section. Names must be lower case already, with the pseudo-header
// fields in front; that is the caller's grammar, not compression's.
func AppendFieldSection(b []byte, fields []Field) []byte {
	b = AppendPrefix(b)
	for i := range fields {
		b = AppendField(b, fields[i].Name, fields[i].Value, fields[i].Sensitive)
	}
	return b
}

// AppendPrefix begins an encoded field section: Required Insert Count 0 and Base 0 (RFC 9204, section 4.5.1). Fields
// follow with AppendField.
func AppendPrefix(b []byte) []byte { return append(b, 0, 0) }

// AppendField appends one field line in its shortest form without a dynamic table: an index when name and value are in
// the static table, else literals, each Huffman coded when that is shorter. A sensitive field is a never-indexed literal
// even if the table has it. It allocates only to grow b.
func AppendField(b []byte, name, value string, sensitive bool) []byte {
	index, exact := findStatic(name, value)
	if exact && !sensitive {
		return appendInteger(b, indexedStatic, 6, uint64(index))
	}
	return appendLiteral(b, index, name, value, sensitive)
}

// appendLiteral appends a literal field line; static is the name's index in the static table, -1 if it is not there.
func appendLiteral(b []byte, static int, name, value string, sensitive bool) []byte {
	if static >= 0 {
		pattern := byte(nameStatic)
		if sensitive {
			pattern |= nameIndexN
		}
		b = appendInteger(b, pattern, 4, uint64(static))
	} else {
		pattern := byte(nameLiteral)
		if sensitive {
			pattern |= nameLiteralN
		}
		b = appendString(b, pattern, 3, name)
	}
	return appendString(b, 0, 7, value)
}

// appendString appends a string literal whose length has a prefix of that many bits; the Huffman flag is the bit above.
func appendString(b []byte, pattern byte, prefix uint, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		b = appendInteger(b, pattern|1<<prefix, prefix, n)
		return hpack.AppendHuffmanString(b, s)
	}
	b = appendInteger(b, pattern, prefix, uint64(len(s)))
	return append(b, s...)
}

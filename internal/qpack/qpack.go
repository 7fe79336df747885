// Package qpack is QPACK field compression (RFC 9204) without I/O: field sections with the static table and Huffman
// coding. The dynamic table has capacity 0 in both directions, which is what an endpoint says that leaves
// SETTINGS_QPACK_MAX_TABLE_CAPACITY out; sections then never block, and neither a section nor an instruction on the
// peer's encoder or decoder stream may refer to the table.
//
// # Where the dynamic table will stand
//
// EncoderStream is the peer's encoder talking to our decoder; it would own the decoder's table, and Decoder would be
// handed it. DecoderStream is the peer's decoder talking to our encoder; AppendPrefix and AppendField would become
// methods of the state it feeds. Everything else in the package stays as it is.
package qpack

// A Field is one field line.
type Field struct {
	Name, Value string

	// Sensitive fields are sent as never-indexed literals: "When the 'N' bit is set, the encoded field line MUST always
	// be encoded with a literal representation" (RFC 9204, section 4.5.4), here and on every later hop.
	Sensitive bool
}

// fieldOverhead is what a field counts beyond its name and value: "the length of the name and value in bytes plus an
// overhead of 32 bytes for each field" (RFC 9114, section 4.2.2).
const fieldOverhead = 32

// Size is what the field counts against a limit on a field section, in bytes (RFC 9114, section 4.2.2).
func (f Field) Size() int { return len(f.Name) + len(f.Value) + fieldOverhead }

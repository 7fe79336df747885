// Package qpack is QPACK field compression (RFC 9204) without I/O.
//
// A Table is the dynamic table of a decoder: it reads the peer's encoder stream and says what goes out on our decoder
// stream; a Decoder decodes field sections with its help. An Encoder has the dynamic table of the other direction: it
// encodes field sections, says what goes out on our encoder stream, and reads the peer's decoder stream. Without a
// dynamic table there are AppendPrefix with AppendField, and a Decoder without a Table.
package qpack

// A Field is one field line.
type Field struct {
	Name, Value string

	// Sensitive fields are sent as never-indexed literals: "When the 'N' bit is set, the encoded field line MUST always
	// be encoded with a literal representation" (RFC 9204, section 4.5.4), here and on every later hop.
	Sensitive bool
}

// fieldOverhead is what a field counts beyond its name and value: "the length of the name and value in bytes plus an
// overhead of 32 bytes for each field" (RFC 9114, section 4.2.2). An entry of the dynamic table has the same.
const fieldOverhead = 32

// Size is what the field counts against a limit on a field section, in bytes (RFC 9114, section 4.2.2).
func (f Field) Size() int { return len(f.Name) + len(f.Value) + fieldOverhead }

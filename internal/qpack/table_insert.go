package qpack

// literal is a string literal in an instruction that has arrived in part or in whole.
type literal struct {
	huffman bool
	length  uint64 // of raw when it is whole
	raw     []byte // nil: not whole yet
	end     int    // where it ends in the instruction
}

// least is how short the text may be: no symbol has a code of more than 30 bits, so four bytes are at least one.
func (l *literal) least() uint64 {
	if l.huffman {
		return l.length / 4
	}
	return l.length
}

// literalAt reads the string literal that begins at b[at], with a length prefix of that many bits. n = 0 stands for a
// length that has not arrived.
func literalAt(b []byte, at int, prefix uint) (l literal, n int, err error) {
	if at >= len(b) {
		return l, 0, nil
	}
	l.huffman = b[at]&(1<<prefix) != 0
	if l.length, n, err = streamInteger(b[at:], prefix); n == 0 || err != nil {
		return l, 0, err
	}
	start := at + n
	if l.length <= uint64(len(b)-start) {
		l.end = start + int(l.length)
		l.raw = b[start:l.end:l.end]
	}
	return l, n, nil
}

// appendTo appends the text of a whole literal, at most room bytes of it.
func (l *literal) appendTo(text []byte, room int) ([]byte, error) {
	if !l.huffman {
		return append(text, l.raw...), nil
	}
	text, err := huffman.appendDecoded(text, l.raw, room)
	switch {
	case err == ErrTooLarge:
		return text, errInsert
	case err != nil:
		return text, errInstructionHuffman
	}
	return text, nil
}

// insertNamed carries out the rest of an Insert with Name Reference: the value, which begins at b[at].
func (t *Table) insertNamed(b []byte, at int, name string) (n int, err error) {
	value, n, err := literalAt(b, at, 7)
	if n == 0 || err != nil {
		return 0, err
	}
	room := t.capacity - fieldOverhead - len(name)
	if room < 0 || value.least() > uint64(room) {
		return 0, errInsert
	}
	if value.raw == nil && value.length > 0 {
		return 0, nil
	}
	var scratch [512]byte
	text, err := value.appendTo(scratch[:0], room)
	if err != nil {
		return 0, err
	}
	return value.end, t.add(name, string(text))
}

// insertLiteral carries out an Insert with Literal Name. Name and value are strings of their own: the name may be that of
// other entries when this one is gone, and the value must be free then.
func (t *Table) insertLiteral(b []byte) (n int, err error) {
	name, n, err := literalAt(b, 0, 5)
	if n == 0 || err != nil {
		return 0, err
	}
	room := t.capacity - fieldOverhead
	if room < 0 || name.least() > uint64(room) {
		return 0, errInsert
	}
	if name.raw == nil && name.length > 0 {
		return 0, nil
	}
	at := n + int(name.length)
	value, n, err := literalAt(b, at, 7)
	if n == 0 || err != nil {
		return 0, err
	}
	if name.least()+value.least() > uint64(room) {
		return 0, errInsert
	}
	if value.raw == nil && value.length > 0 {
		return 0, nil
	}
	var scratch [512]byte
	text, err := name.appendTo(scratch[:0], room)
	if err != nil {
		return 0, err
	}
	split := len(text)
	if text, err = value.appendTo(text, room); err != nil {
		return 0, err
	}
	return value.end, t.add(string(text[:split]), string(text[split:]))
}

// streamInteger reads a prefixed integer of the encoder stream. n = 0: there is more to come.
func streamInteger(b []byte, prefix uint) (v uint64, n int, err error) {
	if v, n = consumeInteger(b, prefix); n < 0 {
		return 0, 0, errInstructionInteger
	}
	return v, n, nil
}

// AppendAcknowledgment appends the instruction that a section with a Required Insert Count, which is not 0, was decoded:
// "After the decoder finishes decoding a field section encoded using representations containing dynamic table references,
// it MUST emit a Section Acknowledgment instruction" (RFC 9204, section 2.2.2.1).
func (t *Table) AppendAcknowledgment(b []byte, stream int64, required uint64) []byte {
	t.told = max(t.told, required)
	return appendInteger(b, 0x80, 7, uint64(stream))
}

// AppendIncrement appends an Insert Count Increment instruction for what no other instruction told, if anything.
func (t *Table) AppendIncrement(b []byte) []byte {
	if n := t.inserted - t.told; n > 0 {
		t.told = t.inserted
		b = appendInteger(b, 0, 6, n)
	}
	return b
}

// AppendCancellation appends the instruction that nothing more of a stream will be decoded: "When an endpoint receives a
// stream reset before the end of a stream or before all encoded field sections are processed on that stream, or when it
// abandons reading of a stream, it generates a Stream Cancellation instruction" (RFC 9204, section 2.2.2.2).
func AppendCancellation(b []byte, stream int64) []byte {
	return appendInteger(b, 0x40, 6, uint64(stream))
}

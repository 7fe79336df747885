package qpack

// Table is the dynamic table of a decoder. It reads the peer's encoder stream (RFC 9204, section 4.3), which fills it,
// and writes what the peer's encoder has to know of it, the instructions of our decoder stream (section 4.4). A nil
// *Table has no capacity and no entries.
//
// A Table is not safe for concurrent use, and neither is a Decoder while it decodes a section that refers to it.
type Table struct {
	entries
	most int    // the capacity that we announced
	told uint64 // the Known Received Count of the peer, once what was appended has reached it
	rest []byte // the beginning of an instruction
}

// NewTable makes the table of a decoder that announced this SETTINGS_QPACK_MAX_TABLE_CAPACITY, in bytes. It holds no
// memory before the first insertion. Then it has up to 3 bytes for each announced one in its ring, and up to 4 in the
// beginning of an instruction; the strings are within what was announced.
func NewTable(capacity int) *Table { return &Table{most: capacity} }

// InsertCount counts the insertions and duplications so far.
func (t *Table) InsertCount() uint64 {
	if t == nil {
		return 0
	}
	return t.inserted
}

// RequiredInsertCount reads the first part of an encoded field section's prefix (RFC 9204, section 4.5.1.1). The
// section can be decoded as soon as InsertCount is not below count. ok is false when start ends too early to tell.
// The error is a *DecompressionError.
//
// The answer depends on what was inserted since the section was encoded, as the encoding wraps around: it is found
// once, when the section begins to arrive, and Decode is used as soon as it can be.
func (t *Table) RequiredInsertCount(start []byte) (count uint64, ok bool, err error) {
	encoded, n := consumeInteger(start, 8)
	if n < 0 {
		return 0, false, errInteger
	}
	if n == 0 {
		return 0, false, nil
	}
	count, err = t.required(encoded)
	return count, err == nil, err
}

// required decodes a Required Insert Count: "If the decoder encounters a value of EncodedInsertCount that could not have
// been produced by a conformant encoder, it MUST treat this as a connection error of type QPACK_DECOMPRESSION_FAILED"
// (RFC 9204, section 4.5.1.1, whose names these are).
func (t *Table) required(encoded uint64) (uint64, error) {
	if encoded == 0 {
		return 0, nil
	}
	if t == nil {
		return 0, errInsertCount
	}
	maxEntries := uint64(t.most / fieldOverhead)
	fullRange := 2 * maxEntries
	if encoded > fullRange {
		return 0, errInsertCount
	}
	maxValue := t.inserted + maxEntries
	count := maxValue/fullRange*fullRange + encoded - 1
	if count > maxValue {
		if count <= fullRange {
			return 0, errInsertCount
		}
		count -= fullRange
	}
	if count == 0 {
		return 0, errInsertCount
	}
	return count, nil
}

// Receive takes the next bytes of the encoder stream, in any portions. The error is an *EncoderStreamError.
func (t *Table) Receive(b []byte) error {
	held := len(t.rest) > 0
	if held {
		t.rest = append(t.rest, b...)
		b = t.rest
	}
	done := 0
	for done < len(b) {
		n, err := t.instruction(b[done:])
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		done += n
	}
	switch {
	case done == len(b):
		t.rest = nil
	case !held || done > 0:
		// The beginning of one instruction. It cannot be longer than an entry in the worst code: instruction refuses a
		// length that does not fit into the table before its bytes come.
		t.rest = append([]byte(nil), b[done:]...)
	}
	return nil
}

// instruction carries out the first instruction of b, of n bytes; n = 0: there is more to come.
func (t *Table) instruction(b []byte) (n int, err error) {
	switch first := b[0]; {
	case first&0x80 != 0: // Insert with Name Reference: 1 T index(6+)
		i, n, err := streamInteger(b, 6)
		if n == 0 || err != nil {
			return 0, err
		}
		name, err := t.nameOf(i, first&0x40 != 0)
		if err != nil {
			return 0, err
		}
		return t.insertNamed(b, n, name)
	case first&0x40 != 0: // Insert with Literal Name: 01 H length(5+)
		return t.insertLiteral(b)
	case first&0x20 != 0: // Set Dynamic Table Capacity: 001 capacity(5+)
		v, n, err := streamInteger(b, 5)
		if n == 0 || err != nil {
			return 0, err
		}
		// "The decoder MUST treat a new dynamic table capacity value that exceeds this limit as a connection error of type
		// QPACK_ENCODER_STREAM_ERROR" (section 4.3.1).
		if v > uint64(t.most) {
			return 0, errCapacity
		}
		t.capacity = int(v)
		t.fit(t.capacity)
		return n, nil
	default: // Duplicate: 000 index(5+)
		i, n, err := streamInteger(b, 5)
		if n == 0 || err != nil {
			return 0, err
		}
		e, err := t.relative(i)
		if err != nil {
			return 0, err
		}
		return n, t.add(e.name, e.value)
	}
}

// fit evicts entries until those left have no more than room bytes.
func (t *Table) fit(room int) {
	for t.size > room {
		t.evict()
	}
}

// add inserts an entry. "It is an error if the encoder attempts to add an entry that is larger than the dynamic table
// capacity; the decoder MUST treat this as a connection error of type QPACK_ENCODER_STREAM_ERROR" (section 3.2.2).
func (t *Table) add(name, value string) error {
	n := entrySize(name, value)
	if n > t.capacity {
		return errInsert
	}
	t.fit(t.capacity - n)
	t.insert(entry{name: name, value: value})
	return nil
}

// relative finds an entry by its index in an instruction: "a relative index of 0 refers to the most recently inserted
// value in the dynamic table" (section 3.2.5). "If the decoder encounters a reference in an encoder instruction to a
// dynamic table entry that has already been evicted, it MUST treat this as a connection error of type
// QPACK_ENCODER_STREAM_ERROR" (section 2.2.3).
func (t *Table) relative(i uint64) (entry, error) {
	if i >= uint64(t.count()) {
		return entry{}, errInstructionIndex
	}
	return *t.at(t.inserted - 1 - i), nil
}

func (t *Table) nameOf(i uint64, static bool) (string, error) {
	if !static {
		e, err := t.relative(i)
		return e.name, err
	}
	// "If this index is received on the encoder stream, this MUST be treated as a connection error of type
	// QPACK_ENCODER_STREAM_ERROR" (section 3.1).
	if i >= uint64(len(staticTable)) {
		return "", errInstructionStatic
	}
	return staticTable[i].name, nil
}

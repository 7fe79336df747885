package qpack

import "math"

// A Decoder decodes encoded field sections. It holds no state between sections but its Table's, so one without a Table may
// be shared by any number of goroutines.
type Decoder struct {
	// MaxSize limits a decoded field section, in bytes counted as in RFC 9114, section 4.2.2: name, value and 32 for
	// each field. 0 means DefaultMaxSize, and more than 2^32-1 that. Decoding stops where the limit is passed and allocates
	// nothing beyond it.
	MaxSize int

	// Table is the dynamic table; nil: there is none. A section whose Required Insert Count is 0 does not touch it.
	Table *Table
}

// Decode decodes one encoded field section and calls f for each field line in order. It returns f's error as it is and
// stops there; ErrTooLarge when the section is above MaxSize; ErrBlocked when it refers to entries that have not arrived; a
// *DecompressionError when it is malformed. f is called only after the whole section has proved well formed.
//
// Strings from the static table are constants, and those from the dynamic table are shared with it. All the others of a
// section share one allocation: whoever keeps a small one for long should clone it.
func (d *Decoder) Decode(section []byte, f func(name, value string) error) error {
	return d.DecodeFields(section, func(x Field) error { return f(x.Name, x.Value) })
}

// DecodeFields is Decode for those who forward fields and so have to know which ones are Sensitive.
func (d *Decoder) DecodeFields(section []byte, f func(Field) error) error {
	// Enough for what browsers send without growing to the heap.
	var (
		text  [1024]byte
		lines [48]fieldLine
	)
	s := sectionDecoder{in: section, room: d.MaxSize, table: d.Table}
	if s.room <= 0 {
		s.room = DefaultMaxSize
	}
	s.room = int(min(int64(s.room), math.MaxUint32))
	if err := s.prefix(); err != nil {
		return err
	}
	literals, parsed := text[:0], lines[:0]
	for len(s.in) > 0 {
		var l fieldLine
		var err error
		if l, literals, err = s.line(literals); err != nil {
			return err
		}
		parsed = append(parsed, l)
	}
	all, at := string(literals), uint32(0)
	for i := range parsed {
		l := &parsed[i]
		x := Field{Sensitive: l.sensitive}
		if l.form == lineLiteral {
			x.Name = all[at:l.nameEnd]
		} else {
			x.Name, x.Value = s.referred(l)
		}
		if l.form != lineIndexed {
			x.Value = all[l.nameEnd:l.valueEnd]
		}
		at = l.valueEnd
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// lineForm says which parts of a field line come from a table.
type lineForm uint8

const (
	lineIndexed   lineForm = iota // name and value
	lineNameIndex                 // the name
	lineLiteral                   // neither
)

// fieldLine is a decoded line. The literals of a section lie in one text, one after the other: a part ends where its
// line says and starts where the one before it ended. It is small because the lines of a section lie on the stack, of a
// young goroutine most often, which is copied where it does not suffice.
type fieldLine struct {
	nameEnd, valueEnd uint32
	index             uint32 // in the static table, or of the dynamic one's entries, from the oldest
	form              lineForm
	dynamic           bool
	sensitive         bool
}

// sectionDecoder is a section being decoded. The text of the literals is not in it but handed from call to call, because
// a buffer on the stack can be passed along but not stored.
type sectionDecoder struct {
	in    []byte // what is left of the section
	room  int    // what is left of the size limit
	table *Table

	required, base uint64
}

// referred returns the entry that a line refers to.
func (s *sectionDecoder) referred(l *fieldLine) (name, value string) {
	if l.dynamic {
		e := s.table.at(s.table.dropped + uint64(l.index))
		return e.name, e.value
	}
	e := &staticTable[l.index]
	return e.name, e.value
}

// prefix reads Required Insert Count and Base (RFC 9204, section 4.5.1).
func (s *sectionDecoder) prefix() error {
	encoded, err := s.integer(8)
	if err != nil {
		return err
	}
	if s.required, err = s.table.required(encoded); err != nil {
		return err
	}
	negative := len(s.in) > 0 && s.in[0]&0x80 != 0
	delta, err := s.integer(7)
	if err != nil {
		return err
	}
	// "An endpoint MUST treat a field block with a Sign bit of 1 as invalid if the value of Required Insert Count is
	// less than or equal to the value of Delta Base."
	switch {
	case !negative:
		s.base = s.required + delta
	case s.required <= delta:
		return errBase
	default:
		s.base = s.required - delta - 1
	}
	if s.required > s.table.InsertCount() {
		return ErrBlocked
	}
	return nil
}

// line reads one field line representation (RFC 9204, sections 4.5.2 to 4.5.6) and appends its literals to text.
func (s *sectionDecoder) line(text []byte) (l fieldLine, _ []byte, err error) {
	if err = s.take(fieldOverhead); err != nil {
		return l, text, err
	}
	first := s.in[0]
	switch {
	case first&0x80 != 0: // indexed field line: 1 T index(6+)
		err = s.reference(&l, 6, first&0x40 != 0)
	case first&0x40 != 0: // literal with name reference: 01 N T index(4+)
		l.form, l.sensitive = lineNameIndex, first&nameIndexN != 0
		err = s.reference(&l, 4, first&0x10 != 0)
	case first&0x20 != 0: // literal with literal name: 001 N H length(3+)
		l.form, l.sensitive = lineLiteral, first&nameLiteralN != 0
		text, err = s.string(text, 3)
	case first&0x10 != 0: // indexed field line with post-Base index: 0001 index(4+)
		err = s.postBase(&l, 4)
	default: // literal with post-Base name reference: 0000 N index(3+)
		l.form, l.sensitive = lineNameIndex, first&namePostBaseN != 0
		err = s.postBase(&l, 3)
	}
	if err != nil {
		return l, text, err
	}
	l.nameEnd, l.valueEnd = uint32(len(text)), uint32(len(text))
	if l.form != lineLiteral {
		name, value := s.referred(&l)
		n := len(name)
		if l.form == lineIndexed {
			n += len(value)
		}
		if err = s.take(n); err != nil {
			return l, text, err
		}
	}
	if l.form != lineIndexed {
		text, err = s.string(text, 7)
		l.valueEnd = uint32(len(text))
	}
	return l, text, err
}

// reference reads an index into the static table, or one relative to the Base into the dynamic table.
func (s *sectionDecoder) reference(l *fieldLine, prefix uint, static bool) error {
	i, err := s.integer(prefix)
	switch {
	case err != nil:
		return err
	case static && i >= uint64(len(staticTable)):
		// "When the decoder encounters an invalid static table index in a field line representation, it MUST treat this
		// as a connection error of type QPACK_DECOMPRESSION_FAILED" (RFC 9204, section 3.1).
		return errStaticIndex
	case static:
		l.index = uint32(i)
		return nil
	case i >= s.base:
		return errEvicted
	}
	return s.absolute(l, s.base-1-i)
}

// postBase reads an index that counts up from the Base (RFC 9204, section 3.2.6).
func (s *sectionDecoder) postBase(l *fieldLine, prefix uint) error {
	i, err := s.integer(prefix)
	if err != nil {
		return err
	}
	return s.absolute(l, s.base+i)
}

// absolute judges a reference: "If the decoder encounters a reference in a field line representation to a dynamic table
// entry that has already been evicted or that has an absolute index greater than or equal to the declared Required Insert
// Count (Section 4.5.1), it MUST treat this as a connection error of type QPACK_DECOMPRESSION_FAILED" (RFC 9204, section
// 2.2.3). The other way round, a count larger than needed, is tolerated, as it may be.
func (s *sectionDecoder) absolute(l *fieldLine, index uint64) error {
	switch {
	case index >= s.required:
		return errReference
	case index < s.table.dropped:
		return errEvicted
	}
	l.index, l.dynamic = uint32(index-s.table.dropped), true
	return nil
}

// string reads a string literal and appends it to text. The Huffman flag is the bit above the length's prefix.
func (s *sectionDecoder) string(text []byte, prefix uint) ([]byte, error) {
	huffmanCoded := len(s.in) > 0 && s.in[0]&(1<<prefix) != 0
	n, err := s.integer(prefix)
	if err != nil {
		return text, err
	}
	if n > uint64(len(s.in)) {
		return text, errString
	}
	raw := s.in[:n]
	s.in = s.in[n:]
	if !huffmanCoded {
		if err := s.take(len(raw)); err != nil {
			return text, err
		}
		return append(text, raw...), nil
	}
	before := len(text)
	if text, err = huffman.appendDecoded(text, raw, s.room); err != nil {
		return text, err
	}
	return text, s.take(len(text) - before)
}

func (s *sectionDecoder) integer(prefix uint) (uint64, error) {
	v, n := consumeInteger(s.in, prefix)
	if n <= 0 {
		return 0, errInteger
	}
	s.in = s.in[n:]
	return v, nil
}

// take counts n bytes against the size limit.
func (s *sectionDecoder) take(n int) error {
	if n > s.room {
		return ErrTooLarge
	}
	s.room -= n
	return nil
}

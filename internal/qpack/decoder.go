package qpack

// A Decoder decodes encoded field sections. It holds no state between sections, so one may be shared by any number of
// goroutines.
type Decoder struct {
	// MaxSize limits a decoded field section, in bytes counted as in RFC 9114, section 4.2.2: name, value and 32 for
	// each field. 0 means DefaultMaxSize. Decoding stops where the limit is passed and allocates nothing beyond it.
	MaxSize int
}

// Decode decodes one encoded field section and calls f for each field line in order. It returns f's error as it is and
// stops there; ErrTooLarge when the section is above MaxSize; a *DecompressionError when it is malformed. f is called
// only after the whole section has proved well formed.
//
// Strings from the static table are constants. All the others of a section share one allocation: whoever keeps a small
// one for long should clone it.
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
	s := sectionDecoder{in: section, room: d.MaxSize}
	if s.room <= 0 {
		s.room = DefaultMaxSize
	}
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
	all, at := string(literals), 0
	for i := range parsed {
		l := &parsed[i]
		x := Field{Sensitive: l.sensitive}
		if l.form == lineLiteral {
			x.Name = all[at:l.nameEnd]
		} else {
			x.Name = staticTable[l.static].name
		}
		if l.form == lineIndexed {
			x.Value = staticTable[l.static].value
		} else {
			x.Value = all[l.nameEnd:l.valueEnd]
		}
		at = l.valueEnd
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// lineForm says which parts of a field line come from the static table.
type lineForm uint8

const (
	lineIndexed   lineForm = iota // name and value
	lineNameIndex                 // the name
	lineLiteral                   // neither
)

// fieldLine is a decoded line. The literals of a section lie in one text, one after the other: a part ends where its
// line says and starts where the one before it ended.
type fieldLine struct {
	nameEnd, valueEnd int
	static            uint8
	form              lineForm
	sensitive         bool
}

// sectionDecoder is a section being decoded. The text of the literals is not in it but handed from call to call, because
// a buffer on the stack can be passed along but not stored.
type sectionDecoder struct {
	in   []byte // what is left of the section
	room int    // what is left of the size limit
}

// prefix reads Required Insert Count and Base (RFC 9204, section 4.5.1).
func (s *sectionDecoder) prefix() error {
	count, err := s.integer(8)
	if err != nil {
		return err
	}
	// "If the decoder encounters a value of EncodedInsertCount that could not have been produced by a conformant
	// encoder, it MUST treat this as a connection error of type QPACK_DECOMPRESSION_FAILED": without capacity, all but 0.
	if count != 0 {
		return errInsertCount
	}
	negative := len(s.in) > 0 && s.in[0]&0x80 != 0
	if _, err := s.integer(7); err != nil {
		return err
	}
	// "An endpoint MUST treat a field block with a Sign bit of 1 as invalid if the value of Required Insert Count is
	// less than or equal to the value of Delta Base." The count is zero.
	if negative {
		return errBase
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
		if l.static, err = s.staticIndex(6, first&0x40 != 0); err != nil {
			return l, text, err
		}
		e := &staticTable[l.static]
		l.form, l.nameEnd, l.valueEnd = lineIndexed, len(text), len(text)
		return l, text, s.take(len(e.name) + len(e.value))
	case first&0x40 != 0: // literal with name reference: 01 N T index(4+)
		l.form, l.sensitive = lineNameIndex, first&nameStaticN != 0
		if l.static, err = s.staticIndex(4, first&0x10 != 0); err == nil {
			err = s.take(len(staticTable[l.static].name))
		}
	case first&0x20 != 0: // literal with literal name: 001 N H length(3+)
		l.form, l.sensitive = lineLiteral, first&nameLiteralN != 0
		text, err = s.string(text, 3)
	default: // post-Base forms: 0001 index(4+), 0000 N index(3+)
		err = errDynamic
	}
	if err != nil {
		return l, text, err
	}
	l.nameEnd = len(text)
	text, err = s.string(text, 7)
	l.valueEnd = len(text)
	return l, text, err
}

// staticIndex reads a table index; static is the representation's T bit.
func (s *sectionDecoder) staticIndex(prefix uint, static bool) (uint8, error) {
	i, err := s.integer(prefix)
	switch {
	case err != nil:
		return 0, err
	case !static:
		return 0, errDynamic
	case i >= uint64(len(staticTable)):
		// "When the decoder encounters an invalid static table index in a field line representation, it MUST treat this
		// as a connection error of type QPACK_DECOMPRESSION_FAILED" (RFC 9204, section 3.1).
		return 0, errStaticIndex
	}
	return uint8(i), nil
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
	if n < 0 {
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

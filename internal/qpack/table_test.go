package qpack

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// contents shows a table as appendix B does, oldest entry first.
func contents(t *entries) (list []Field) {
	for i := t.dropped; i < t.inserted; i++ {
		list = append(list, Field{Name: t.at(i).name, Value: t.at(i).value})
	}
	return list
}

// RFC 9204, appendices B.1 to B.5: what the decoder of the examples has and says.
func TestTheExamplesOfAppendixB(t *testing.T) {
	authority := Field{Name: ":authority", Value: "www.example.com"}
	path := Field{Name: ":path", Value: "/sample/path"}
	custom := Field{Name: "custom-key", Value: "custom-value"}
	custom2 := Field{Name: "custom-key", Value: "custom-value2"}
	table := NewTable(220)
	var out []byte
	for _, step := range []struct {
		name, encoder, section string
		stream                 int64
		cancelled              bool
		fields                 []Field
		decoder                string
		table                  []Field
		size                   int
	}{
		{name: "B.1", section: "0000 510b 2f69 6e64 6578 2e68 746d 6c",
			fields: []Field{{Name: ":path", Value: "/index.html"}}},
		{name: "B.2", encoder: "3fbd01 c00f 7777 772e 6578 616d 706c 652e 636f 6d c10c 2f73 616d 706c 652f 7061 7468",
			section: "0381 10 11", stream: 4, fields: []Field{authority, path}, decoder: "84",
			table: []Field{authority, path}, size: 106},
		{name: "B.3", encoder: "4a63 7573 746f 6d2d 6b65 790c 6375 7374 6f6d 2d76 616c 7565", decoder: "01",
			table: []Field{authority, path, custom}, size: 160},
		{name: "B.4", section: "0500 80 c1 81", stream: 8, cancelled: true, decoder: "48",
			table: []Field{authority, path, custom}, size: 160},
		{name: "B.4, the packet that was late", encoder: "02", section: "0500 80 c1 81", stream: 12,
			fields:  []Field{authority, {Name: ":path", Value: "/"}, custom},
			decoder: "8c", table: []Field{authority, path, custom, authority}, size: 217},
		{name: "B.5", encoder: "810d 6375 7374 6f6d 2d76 616c 7565 32", decoder: "01",
			table: []Field{path, custom, authority, custom2}, size: 215},
	} {
		out = nil
		if err := table.Receive(unhex(t, step.encoder)); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		section := unhex(t, step.section)
		switch need, ok, err := table.RequiredInsertCount(section); {
		case err != nil || ok != (len(section) > 0):
			t.Fatalf("%s: %v %v", step.name, ok, err)
		case step.cancelled:
			if _, err := decodeAll(t, Decoder{Table: table}, section); err != ErrBlocked {
				t.Errorf("%s: %v", step.name, err)
			}
			out = AppendCancellation(out, step.stream)
		case ok:
			got, err := decodeAll(t, Decoder{Table: table}, section)
			if err != nil || !slices.Equal(got, step.fields) {
				t.Errorf("%s: %v, %v", step.name, got, err)
			}
			if need > 0 {
				out = table.AppendAcknowledgment(out, step.stream, need)
			}
		}
		out = table.AppendIncrement(out)
		if got := hex.EncodeToString(out); got != step.decoder {
			t.Errorf("%s: the decoder stream has %s, want %s", step.name, got, step.decoder)
		}
		if got := contents(&table.entries); !slices.Equal(got, step.table) || table.size != step.size {
			t.Errorf("%s: table %v of %d bytes", step.name, got, table.size)
		}
	}
}

func TestInstructionsOfTheEncoderStream(t *testing.T) {
	const insert = "c00f7777772e6578616d706c652e636f6d" // 57 bytes in the table
	for _, c := range []struct {
		name     string
		capacity int
		in       string
		want     error
		inserted uint64
	}{
		{"nothing", 0, "", nil, 0},
		{"capacity 0 without capacity", 0, "2020", nil, 0},
		{"capacity 1 without capacity", 0, "21", errCapacity, 0},
		{"capacity 0, then 1", 0, "2021", errCapacity, 0},
		{"an insertion without capacity", 0, insert, errInsert, 0},
		{"a literal insertion without capacity", 0, "4a637573746f6d2d6b65790c637573746f6d2d76616c7565", errInsert, 0},
		{"a duplicate without entries", 0, "00", errInstructionIndex, 0},
		{"capacity above the limit", 219, "3fbd01", errCapacity, 0},
		{"capacity at the limit", 220, "3fbd01", nil, 0},
		{"an insertion before any capacity", 220, insert, errInsert, 0},
		{"insertion, duplicate", 220, "3fbd01" + insert + "00", nil, 2},
		{"a duplicate of what does not exist", 220, "3fbd01" + insert + "01", errInstructionIndex, 1},
		{"an entry as large as the capacity", 57, "3f1a" + insert, nil, 1},
		{"an entry one byte larger", 56, "3f19" + insert, errInsert, 0},
		{"a static name that does not exist", 220, "3fbd01 ff2400", errInstructionStatic, 0},
		{"a dynamic name that does not exist", 220, "3fbd01" + insert + "8100", errInstructionIndex, 1},
		{"a dynamic name that was evicted", 57, "3f1a" + insert + insert + "8100", errInstructionIndex, 2},
		{"a dynamic name that this insertion evicts", 57, "3f1a" + insert + "80 0f7777772e6578616d706c652e636f6d", nil, 2},
		{"a duplicate that evicts its own entry", 57, "3f1a" + insert + "00", nil, 2},
		{"capacity 0 and back", 57, "3f1a" + insert + "20 3f1a" + insert, nil, 2},
		{"a duplicate of what a smaller capacity evicted", 57, "3f1a" + insert + "20 3f1a 00", errInstructionIndex, 1},
		{"empty name and value", 32, "3f01 40 00", nil, 1},
		{"Huffman code", 220, "3fbd01 c08cf1e3c2e5f23a6ba0ab90f4ff", nil, 1},
		{"wrong Huffman code", 220, "3fbd01 c084ffffffff", errInstructionHuffman, 0},
		{"a Huffman code that becomes too long", 40, "3f09 c0 88 0000000000000000", errInsert, 0},
		{"a value of a gigabyte", 220, "3fbd01 c07f81ffffff03", errInsert, 0},
		{"a Huffman coded value of a gigabyte", 220, "3fbd01 c0ff81ffffff03", errInsert, 0},
		{"a name of a gigabyte", 220, "3fbd01 5f e1ffffff03", errInsert, 0},
		{"a name and a value that are too long together", 132, "3f65 5f 11" + strings.Repeat("61", 48) + "7f00", errInsert, 0},
		{"an index above 62 bits", 220, "3fbd01 ffffffffffffffffffff7f", errInstructionInteger, 0},
		{"a length above 62 bits", 220, "3fbd01 c07fffffffffffffffffff7f", errInstructionInteger, 0},
		{"a capacity without end", 220, "3f8080808080808080808080", errInstructionInteger, 0},
		{"the beginning of an insertion", 220, "3fbd01 c00f777777", nil, 0},
	} {
		in := unhex(t, c.in)
		whole := NewTable(c.capacity)
		if err := whole.Receive(in); err != c.want || whole.inserted != c.inserted {
			t.Errorf("%s: %v after %d insertions, want %v after %d", c.name, err, whole.inserted, c.want, c.inserted)
		}
		parts := NewTable(c.capacity)
		var err error
		for i := 0; i < len(in) && err == nil; i++ {
			err = parts.Receive(in[i : i+1])
		}
		if err != c.want || !slices.Equal(contents(&parts.entries), contents(&whole.entries)) || parts.size != whole.size {
			t.Errorf("%s, byte by byte: %v with %v", c.name, err, contents(&parts.entries))
		}
		if whole.size > whole.capacity || whole.capacity > c.capacity {
			t.Errorf("%s: %d bytes of %d", c.name, whole.size, whole.capacity)
		}
	}
}

// tableOf has n entries "n0: v", "n1: v", of which as many as fit are left.
func tableOf(t testing.TB, capacity, n int) *Table {
	t.Helper()
	table := NewTable(capacity)
	b := appendInteger(nil, setCapacity, 5, uint64(capacity))
	for i := range n {
		b = append(b, 0x42, 'n', byte('0'+i%10), 0x01, 'v')
	}
	if err := table.Receive(b); err != nil {
		t.Fatal(err)
	}
	return table
}

func TestRequiredInsertCountsWrapAround(t *testing.T) {
	// RFC 9204, section 4.5.1.1: "For example, if the dynamic table is 100 bytes, then the Required Insert Count will be
	// encoded modulo 6. If a decoder has received 10 inserts, then an encoded value of 4 indicates that the Required
	// Insert Count is 9 for the field section."
	table := tableOf(t, 100, 10)
	if got, ok, err := table.RequiredInsertCount([]byte{4}); got != 9 || !ok || err != nil {
		t.Error(got, ok, err)
	}
	for _, capacity := range []int{32, 63, 64, 100, 220, 4096} {
		maxEntries := uint64(capacity / 32)
		for inserted := range uint64(6*maxEntries + 3) {
			table := NewTable(capacity)
			table.inserted, table.dropped = inserted, inserted
			for count := max(1, inserted-min(inserted, maxEntries)+1); count <= inserted+maxEntries; count++ {
				encoded := count%(2*maxEntries) + 1
				if got, err := table.required(encoded); got != count || err != nil {
					t.Fatalf("capacity %d, %d inserted: %d, encoded %d, became %d, %v", capacity, inserted, count, encoded, got, err)
				}
			}
			for encoded := 2*maxEntries + 1; encoded < 2*maxEntries+40; encoded++ {
				if _, err := table.required(encoded); err != errInsertCount {
					t.Fatalf("capacity %d: encoded %d: %v", capacity, encoded, err)
				}
			}
		}
	}
	// Before there were enough insertions some values cannot have been produced.
	for encoded, want := range map[uint64]error{1: errInsertCount, 2: nil, 4: nil, 5: errInsertCount, 6: errInsertCount} {
		if _, err := NewTable(100).required(encoded); err != want {
			t.Errorf("encoded %d without insertions: %v, want %v", encoded, err, want)
		}
	}
}

func TestSectionsThatReferToTheTable(t *testing.T) {
	// Four entries of 35 bytes, of which the first is gone: n1, n2, n3. MaxEntries is 3, counts are modulo 6.
	for _, c := range []struct {
		name, in string
		want     error
		fields   string
	}{
		{"the newest", "05 00 80", nil, "n3=v"},
		{"the oldest", "05 00 82", nil, "n1=v"},
		{"one that was evicted", "05 00 83", errEvicted, ""},
		{"one before the first", "05 00 84", errEvicted, ""},
		{"a base below the count", "05 82 10 12", nil, "n1=v n3=v"}, // base 1
		{"an evicted one below the base", "05 82 80", errEvicted, ""},
		{"post-base", "05 81 10 11", nil, "n2=v n3=v"}, // base 2
		{"post-base beyond the count", "05 81 12", errReference, ""},
		{"a base above the count", "05 02 82", nil, "n3=v"}, // base 6
		{"between base and count", "05 02 81", errReference, ""},
		{"beyond the count", "04 01 80", errReference, ""}, // count 3, base 4: entry 3
		{"a name", "05 00 40 01 78", nil, "n3=x"},
		{"a name, never indexed", "05 00 60 01 78", nil, "n3=x!"},
		{"a post-base name", "05 81 00 01 78", nil, "n2=x"},
		{"a post-base name, never indexed", "05 81 09 01 78", nil, "n3=x!"},
		{"a post-base name beyond the count", "05 81 02 01 78", errReference, ""},
		{"a name that was evicted", "05 00 43 01 78", errEvicted, ""},
		{"static and dynamic", "05 00 d1 80", nil, ":method=GET n3=v"},
		{"a count without references", "05 00 d1", nil, ":method=GET"},
		{"a negative base", "05 84 80", errBase, ""},
		{"a count to come", "06 00 80", ErrBlocked, ""},
		{"a count that is zero in disguise", "01 00", ErrBlocked, ""}, // 6
		{"a count too far", "07 00", errInsertCount, ""},
		{"a huge post-base index", "05 81 1f ffffffffffffff7f", errReference, ""},
		{"a huge delta", "05 7f ffffffffffffff7f 80", errReference, ""},
	} {
		table := tableOf(t, 127, 4)
		var got []string
		err := (&Decoder{Table: table}).DecodeFields(unhex(t, c.in), func(f Field) error {
			s := f.Name + "=" + f.Value
			if f.Sensitive {
				s += "!"
			}
			got = append(got, s)
			return nil
		})
		if s := strings.Join(got, " "); err != c.want || s != c.fields {
			t.Errorf("%s: %q, %v, want %q, %v", c.name, s, err, c.fields, c.want)
		}
	}
}

func TestDynamicReferencesCountAgainstTheSizeLimit(t *testing.T) {
	table := NewTable(4096)
	b := appendInteger(nil, setCapacity, 5, 4096)
	b = appendString(appendInteger(b, insertStatic, 6, 0), 0, 7, strings.Repeat("a", 4000))
	if err := table.Receive(b); err != nil {
		t.Fatal(err)
	}
	section := append([]byte{2, 0}, bytes.Repeat([]byte{0x80}, 10)...)
	size := 10 * (Field{Name: ":authority", Value: strings.Repeat("a", 4000)}).Size()
	if got, err := decodeAll(t, Decoder{MaxSize: size, Table: table}, section); err != nil || len(got) != 10 {
		t.Error(len(got), err)
	}
	if _, err := decodeAll(t, Decoder{MaxSize: size - 1, Table: table}, section); err != ErrTooLarge {
		t.Error(err)
	}
}

func TestATableHoldsNoMoreThanItAnnounced(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	table := NewTable(4096)
	table.Receive(appendInteger(nil, setCapacity, 5, 4096))
	for range 20_000 {
		var b []byte
		switch rng.IntN(3) {
		case 0:
			b = appendString(appendString(nil, insertLiteral, 5, strings.Repeat("n", rng.IntN(50))), 0, 7, strings.Repeat("v", rng.IntN(400)))
		case 1:
			b = []byte{0x40, 0x00} // the smallest
		default:
			if table.count() == 0 {
				continue
			}
			b = appendInteger(nil, duplicate, 5, uint64(rng.IntN(table.count())))
		}
		if err := table.Receive(b); err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, f := range contents(&table.entries) {
			size += f.Size()
		}
		if size != table.size || size > 4096 || len(table.ring) > 128 {
			t.Fatalf("%d bytes, counted as %d, in a ring of %d", size, table.size, len(table.ring))
		}
	}
	// A name that many entries share is not bound to the value it came with.
	table = NewTable(4096)
	table.Receive(appendInteger(nil, setCapacity, 5, 4096))
	table.Receive(appendString(appendString(nil, insertLiteral, 5, "n"), 0, 7, strings.Repeat("v", 4000)))
	if a := testing.AllocsPerRun(1, func() { table.Receive([]byte{0x80, 0x01, 'x'}) }); a > 4 {
		t.Errorf("%v allocations", a)
	}
}

func FuzzTheEncoderStreamDoesNotDependOnPortions(f *testing.F) {
	f.Add([]byte("\x3f\xbd\x01\xc0\x0fwww.example.com\xc1\x0c/sample/path\x02"), uint8(7), uint16(220))
	f.Add([]byte("\x3f\xbd\x01\x4acustom-key\x0ccustom-value\x81\x0dcustom-value2\x00"), uint8(1), uint16(220))
	f.Add([]byte("\x3f\xe1\x1f\xc0\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"), uint8(3), uint16(4096))
	f.Fuzz(func(t *testing.T, in []byte, step uint8, capacity uint16) {
		whole, parts := NewTable(int(capacity)), NewTable(int(capacity))
		err := whole.Receive(in)
		var partsErr error
		for rest := in; len(rest) > 0 && partsErr == nil; {
			n := min(int(step)+1, len(rest))
			partsErr = parts.Receive(rest[:n])
			rest = rest[n:]
		}
		if err != partsErr || !slices.Equal(contents(&whole.entries), contents(&parts.entries)) {
			t.Fatalf("%x: %v at once, %v in pieces", in, err, partsErr)
		}
		size := 0
		for _, x := range contents(&whole.entries) {
			size += x.Size()
		}
		if size != whole.size || size > whole.capacity || whole.capacity > int(capacity) || len(whole.rest) > 8*int(capacity)+64 {
			t.Fatalf("%d bytes of %d, %d of an instruction", size, whole.capacity, len(whole.rest))
		}
	})
}

func FuzzDecodeWithATableSurvivesGarbage(f *testing.F) {
	f.Add([]byte{0x05, 0x81, 0x10, 0x11}, uint8(4))
	f.Add([]byte{0x05, 0x00, 0x80, 0xd1, 0x40, 0x01, 'x'}, uint8(4))
	f.Add([]byte{0x01, 0x00, 0x80}, uint8(6))
	f.Fuzz(func(t *testing.T, section []byte, n uint8) {
		const limit = 4096
		size := 0
		d := Decoder{MaxSize: limit, Table: tableOf(t, 127, int(n))}
		var fields []Field
		err := d.DecodeFields(section, func(x Field) error {
			size += x.Size()
			fields = append(fields, x)
			return nil
		})
		if size > limit {
			t.Fatalf("%d bytes decoded under a limit of %d", size, limit)
		}
		if err != nil {
			return
		}
		again, err := decodeAll(t, d, AppendFieldSection(nil, fields))
		if err != nil || !slices.Equal(again, fields) {
			t.Fatalf("%v became %v, %v", fields, again, err)
		}
	})
}

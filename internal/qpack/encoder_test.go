package qpack

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// pair is an encoder and a decoder whose streams are instant.
type pair struct {
	t       testing.TB
	enc     *Encoder
	table   *Table
	replies DecoderStream
	stream  int64
}

func newPair(t testing.TB, capacity int) *pair {
	return &pair{t: t, enc: NewEncoder(uint64(capacity), 16), table: NewTable(capacity)}
}

// request sends one section, with everything acknowledged, and returns its bytes and those of the instructions.
func (p *pair) request(fields ...Field) (section, instructions int) {
	b := encode(p.enc, p.stream, fields)
	section, instructions = len(b), p.sync()
	p.receive(b, fields)
	return section, instructions
}

// sync brings the encoder's instructions over and the increment back.
func (p *pair) sync() int {
	out := p.enc.Instructions()
	if err := p.table.Receive(out); err != nil {
		p.t.Fatal(err)
	}
	p.enc.Took()
	if err := p.replies.Receive(p.enc, p.table.AppendIncrement(nil)); err != nil {
		p.t.Fatal(err)
	}
	return len(out)
}

func (p *pair) receive(b []byte, want []Field) {
	need, _, err := p.table.RequiredInsertCount(b)
	if err != nil {
		p.t.Fatal(err)
	}
	var got []Field
	d := Decoder{Table: p.table}
	if err := d.DecodeFields(b, func(f Field) error { got = append(got, f); return nil }); err != nil || !slices.Equal(got, want) {
		p.t.Fatalf("%v, %v; want %v", got, err, want)
	}
	if need > 0 {
		if err := p.replies.Receive(p.enc, p.table.AppendAcknowledgment(nil, p.stream, need)); err != nil {
			p.t.Fatal(err)
		}
	}
	p.stream += 4
}

// browser is what Chromium sends when a page of some images is opened, in the order in which it does.
func browser(path, dest, accept string) []Field {
	return []Field{
		{Name: ":method", Value: "GET"}, {Name: ":authority", Value: "www.example.com"}, {Name: ":scheme", Value: "https"},
		{Name: ":path", Value: path},
		{Name: "sec-ch-ua", Value: `"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"`},
		{Name: "sec-ch-ua-mobile", Value: "?0"}, {Name: "sec-ch-ua-platform", Value: `"Linux"`},
		{Name: "user-agent", Value: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		{Name: "accept", Value: accept}, {Name: "sec-fetch-site", Value: "same-origin"}, {Name: "sec-fetch-mode", Value: "no-cors"},
		{Name: "sec-fetch-dest", Value: dest}, {Name: "referer", Value: "https://www.example.com/gallery/2026"},
		{Name: "accept-encoding", Value: "gzip, deflate, br, zstd"}, {Name: "accept-language", Value: "en-US,en;q=0.9"},
		{Name: "cookie", Value: "session=2f1d9a4c77e84c3b90e1a2b3c4d5e6f7; theme=dark; lang=en-US"},
		{Name: "priority", Value: "u=2, i"},
	}
}

func TestTheTablePaysFromTheSecondRequestOn(t *testing.T) {
	p := newPair(t, 4096)
	const image = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
	for i, limit := range []struct{ section, instructions int }{{450, 400}, {150, 120}, {40, 0}, {40, 0}, {40, 0}} {
		fields := browser(fmt.Sprintf("/img/%d.avif", i), "image", image)
		static := len(AppendFieldSection(nil, fields))
		section, instructions := p.request(fields...)
		t.Logf("request %d: %d bytes and %d of instructions; %d with the static table only", i+1, section, instructions, static)
		if section > limit.section || instructions > limit.instructions {
			t.Errorf("request %d: %d bytes and %d of instructions, want at most %d and %d", i+1, section, instructions,
				limit.section, limit.instructions)
		}
	}
}

func TestWhatIsWorthAnEntry(t *testing.T) {
	for _, c := range []struct {
		field  Field
		sights int // after so many it is inserted; 0: never
	}{
		{Field{Name: "user-agent", Value: "x/1.0"}, 1},
		{Field{Name: ":authority", Value: "www.example.com"}, 1},
		{Field{Name: "x-mine", Value: "1"}, 2},
		{Field{Name: ":path", Value: "/api/status"}, 2},
		{Field{Name: ":path", Value: "/api/status?since=1"}, 0},
		{Field{Name: "content-length", Value: "12345"}, 0},
		{Field{Name: "date", Value: "Tue, 24 Nov 2026 14:00:00 GMT"}, 0},
		{Field{Name: "etag", Value: `"33a64df551425fcc55e4d42a148795d9f25f89d4"`}, 0},
		{Field{Name: "accept", Value: "*/*"}, 0}, // in the static table
		{Field{Name: ":status", Value: "99"}, 0}, // no longer than an index and its acknowledgment
		{Field{Name: "x-mine", Value: "1", Sensitive: true}, 0},
		{Field{Name: ":method", Value: "GET", Sensitive: true}, 0},
		{Field{Name: "cookie", Value: "session=2f1d9a4c77e84c3b90e1a2b3c4d5e6f7"}, 2},
		{Field{Name: "x-huge", Value: strings.Repeat("x", EncoderCapacity/2)}, 0},
	} {
		p, sights := newPair(t, 4096), 0
		for i := 1; i <= 4 && sights == 0; i++ {
			if p.request(c.field); p.enc.Inserted() > 0 {
				sights = i
			}
		}
		if sights != c.sights {
			t.Errorf("%v: inserted at sight %d, want %d", c.field, sights, c.sights)
		}
	}
}

func TestSecretsAreNeverIndexed(t *testing.T) {
	long := "session=2f1d9a4c77e84c3b90e1a2b3c4d5e6f7"
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"authorization", "Basic eDp5", true},
		{"proxy-authorization", "Basic eDp5", true},
		{"set-cookie", long, true},
		{"x-api-key", long, true},
		{"cookie", "pin=1234", true},
		{"cookie", long, false},
		{"user-agent", "x", false},
	} {
		if got := Sensitive(c.name, c.value); got != c.want {
			t.Errorf("%s of %d bytes: %v", c.name, len(c.value), got)
		}
	}
	p := newPair(t, 4096)
	for range 5 {
		p.request(Field{Name: "authorization", Value: "Basic eDp5", Sensitive: true}, Field{Name: "x-plain", Value: "plain"})
	}
	for _, f := range contents(&p.enc.entries) {
		if f.Name == "authorization" {
			t.Error("the table has", f)
		}
	}
	// 01 N=1 T=1 index(4+): index 84 is authorization.
	b := encode(p.enc, p.stream, []Field{{Name: "authorization", Value: "x", Sensitive: true}})
	if got := hex.EncodeToString(b); got != "00007f45"+"0178" {
		t.Errorf("%s", got)
	}
}

func TestAPeerThatNeverAcknowledges(t *testing.T) {
	field := func(i int) Field { return Field{Name: "user-agent", Value: fmt.Sprint("agent-", i)} }
	// Not the insertions: nothing is evicted, and nothing referred to.
	e, out := NewEncoder(4096, 16), 0
	for i := range 10_000 {
		b := encode(e, int64(4*i), []Field{field(i)})
		out += len(e.Instructions())
		e.Took()
		if b[0] != 0 {
			t.Fatal("a section refers to an entry that nobody acknowledged")
		}
	}
	if out > 2*4096 || e.size > 4096 || len(e.sections) > 0 {
		t.Errorf("%d bytes of instructions, a table of %d, %d sections outstanding", out, e.size, len(e.sections))
	}
	// Not the sections.
	p := newPair(t, 4096)
	p.request(field(0))
	used := 0
	for i := range 10_000 {
		if b := encode(p.enc, int64(4*i), []Field{field(0)}); b[0] != 0 {
			used++
		}
	}
	if used != maxOutstanding || len(p.enc.sections) != maxOutstanding {
		t.Errorf("%d sections used the table, %d are outstanding, want %d", used, len(p.enc.sections), maxOutstanding)
	}
	// They still can.
	if err := p.replies.Receive(p.enc, appendInteger(nil, 0x80, 7, 0)); err != nil {
		t.Error(err)
	}
	if b := encode(p.enc, 0, []Field{field(0)}); b[0] == 0 {
		t.Error("the table is not used after an acknowledgment")
	}
}

// A decoder that acknowledges sections but not insertions, as some do: what has arrived may be referred to, in as many
// sections at once as may block.
func TestADecoderThatAcknowledgesOnlySections(t *testing.T) {
	field := Field{Name: "server", Value: "s-1"}
	for _, mayBlock := range []uint64{0, 1, 16} {
		e, table := NewEncoder(4096, mayBlock), NewTable(4096)
		encode(e, 0, []Field{field})
		table.Receive(e.Instructions())
		e.Took()
		if b := encode(e, 4, []Field{field}); b[0] != 0 {
			t.Error("a section refers to what has not arrived")
		}
		e.Arrived(1)
		used, sent := 0, [][]byte{}
		for i := range 20 {
			b := encode(e, int64(8+4*i), []Field{field})
			if b[0] != 0 {
				used++
				sent = append(sent, b)
			}
		}
		if used != int(mayBlock) {
			t.Errorf("%d sections at risk, %d allowed", used, mayBlock)
		}
		if mayBlock == 0 {
			continue
		}
		need, _, _ := table.RequiredInsertCount(sent[0])
		var s DecoderStream
		if err := s.Receive(e, table.AppendAcknowledgment(nil, 8, need)); err != nil || !e.Settled() || e.atRisk != 0 {
			t.Errorf("%v, %d known, %d at risk", err, e.known, e.atRisk)
		}
		for i := range 50 {
			if b := encode(e, int64(1000+4*i), []Field{field}); b[0] == 0 {
				t.Fatal("what was acknowledged is not referred to")
			}
		}
	}
}

func TestInstructionsThatCannotBeSentStopTheInsertions(t *testing.T) {
	e := NewEncoder(1<<20, 16)
	for i := range 1000 {
		encode(e, int64(4*i), []Field{{Name: "user-agent", Value: strings.Repeat("x", 100) + fmt.Sprint(i)}})
	}
	if n := len(e.Instructions()); n > maxUnsent+200 {
		t.Errorf("%d bytes wait", n)
	}
}

func TestTheEncoderUsesNoMoreThanItsShare(t *testing.T) {
	p := newPair(t, 1<<20)
	for i := range 1000 {
		p.request(Field{Name: "user-agent", Value: strings.Repeat("x", 100) + fmt.Sprint(i)})
		if p.enc.size > EncoderCapacity || p.table.size > EncoderCapacity {
			t.Fatalf("%d bytes", p.enc.size)
		}
	}
	if len(p.enc.ring) > 2*EncoderCapacity/fieldOverhead || len(p.enc.fields) != p.enc.count() {
		t.Errorf("a ring of %d, %d fields of %d", len(p.enc.ring), len(p.enc.fields), p.enc.count())
	}
}

// A field that is always used stays in the table, by duplicates, while others pass through it; one that is no longer used
// goes.
func TestDrainingEntriesAreDuplicatedOrLetGo(t *testing.T) {
	p := newPair(t, 1024)
	hot := Field{Name: "server", Value: "a server with a name"}
	cold := Field{Name: "via", Value: "a proxy that went away"}
	p.request(hot, cold)
	long, literals := 0, 0
	for i := range 500 {
		passing := Field{Name: "x-passing", Value: fmt.Sprint("passes by twice ", i)}
		p.request(passing)
		p.request(passing)
		if n, _ := p.request(hot); n > 4 {
			literals++
		}
		long++
	}
	if p.enc.Inserted() < 500 || literals > 0 {
		t.Errorf("%d insertions; the hot field was a literal %d times of %d", p.enc.Inserted(), literals, long)
	}
	has := contents(&p.enc.entries)
	if !slices.Contains(has, hot) || slices.Contains(has, cold) {
		t.Errorf("%v", has)
	}
}

// The same while sections are outstanding all the time, so that every entry is referred to at any moment: the table must
// not get stuck.
func TestATableUnderConstantUseStillTakesNewEntries(t *testing.T) {
	p := newPair(t, 1024)
	var flying [][]byte
	var sent [][]Field
	for i := range 3000 {
		fields := []Field{{Name: "server", Value: "always the same"}, {Name: "vary", Value: fmt.Sprint("changes slowly ", i/50)}}
		flying, sent = append(flying, encode(p.enc, p.stream+int64(4*len(flying)), fields)), append(sent, fields)
		p.sync()
		if len(flying) > 20 {
			p.receive(flying[0], sent[0])
			flying, sent = flying[1:], sent[1:]
		}
	}
	if n := p.enc.Inserted(); n < 60 {
		t.Errorf("%d insertions", n)
	}
}

func TestInstructionsOfTheDecoderStream(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     error
		outside  error // without an encoder
	}{
		{"nothing", "", nil, nil},
		{"cancellation of stream 8 (appendix B.4)", "48", nil, nil},
		{"cancellation of stream 2^62-1", "7fc0ffffffffffffff3f", nil, nil},
		{"two cancellations", "7fff0148", nil, nil},
		{"cancellation of stream 2^62", "7fc1ffffffffffffff3f", errStreamInteger, errStreamInteger},
		{"a stream ID without end", "7f8080808080808080808080", errStreamInteger, errStreamInteger},
		{"acknowledgment", "84", nil, errAcknowledgment},
		{"two acknowledgments", "8484", nil, errAcknowledgment},
		{"three of two sections", "848484", errAcknowledgment, errAcknowledgment},
		{"acknowledgment of a stream without sections", "85", errAcknowledgment, errAcknowledgment},
		{"acknowledgment after a cancellation", "4484", errAcknowledgment, errAcknowledgment},
		{"increment of 0", "00", errIncrement, errIncrement},
		{"increment of 1", "01", nil, errIncrement},
		{"increments of 2", "0101", nil, errIncrement},
		{"increment beyond what was inserted", "03", errIncrement, errIncrement},
		{"one increment too many", "0201", errIncrement, errIncrement},
	} {
		in := unhex(t, c.in)
		for step := 1; step <= max(1, len(in)); step++ {
			// Two sections on stream 4 are outstanding, and two insertions unknown.
			p := newPair(t, 4096)
			p.request(Field{Name: "server", Value: "s-1"})
			encode(p.enc, 4, []Field{{Name: "server", Value: "s-1"}})
			encode(p.enc, 4, []Field{{Name: "server", Value: "s-1"}, {Name: "server", Value: "s-2"}, {Name: "server", Value: "s-3"}})
			var outside DecoderStream
			var err, outsideErr error
			for rest := in; len(rest) > 0; rest = rest[min(step, len(rest)):] {
				if err == nil {
					err = p.replies.Receive(p.enc, rest[:min(step, len(rest))])
				}
				if outsideErr == nil {
					outsideErr = outside.Receive(nil, rest[:min(step, len(rest))])
				}
			}
			if err != c.want || outsideErr != c.outside {
				t.Errorf("%s, %d at a time: %v and %v without an encoder, want %v and %v", c.name, step, err, outsideErr, c.want, c.outside)
			}
		}
	}
}

func TestADroppedSectionReleasesWhatItReferredTo(t *testing.T) {
	p := newPair(t, 4096)
	p.request(Field{Name: "server", Value: "s-1"})
	s := p.enc.Begin()
	p.enc.AppendField(nil, &s, "server", "s-1", false)
	if !s.Uses() || p.enc.pinned != 1 {
		t.Error("not pinned")
	}
	p.enc.Drop(&s)
	p.enc.Drop(&s)
	if p.enc.pinned != 0 || p.enc.at(0).pins != 0 {
		t.Error("still pinned")
	}
}

func TestTheSteadyStateOfACompressedConnectionDoesNotAllocate(t *testing.T) {
	p := newPair(t, 4096)
	fields := browser("/", "image", "image/*")
	for range 3 {
		p.request(fields...)
	}
	b, back := make([]byte, 0, 1024), make([]byte, 0, 64)
	d := Decoder{Table: p.table}
	n := 0
	if a := testing.AllocsPerRun(1000, func() {
		s := p.enc.Begin()
		b = p.enc.AppendPrefix(b[:0], &s)
		prefix := len(b)
		for i := range fields {
			b = p.enc.AppendField(b, &s, fields[i].Name, fields[i].Value, false)
		}
		b = p.enc.AppendPrefix(b, &s)
		b = append(b[:0], append(b[len(b)-2:], b[prefix:len(b)-2]...)...)
		p.enc.Close(&s, 4)
		need, _, _ := p.table.RequiredInsertCount(b)
		if err := d.Decode(b, func(name, value string) error { n += len(name) + len(value); return nil }); err != nil {
			t.Fatal(err)
		}
		back = p.table.AppendAcknowledgment(back[:0], 4, need)
		if err := p.replies.Receive(p.enc, back); err != nil {
			t.Fatal(err)
		}
	}); a > 0 {
		t.Errorf("%v allocations", a)
	}
}

func FuzzTheDecoderStreamDoesNotDependOnPortions(f *testing.F) {
	f.Add([]byte{0x84, 0x84, 0x02}, uint8(1))
	f.Add([]byte{0x7f, 0xff, 0x01, 0x48, 0x01}, uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, at uint8) {
		run := func(pieces ...[]byte) (*pair, error) {
			p := newPair(t, 4096)
			p.request(Field{Name: "server", Value: "s-1"})
			encode(p.enc, 4, []Field{{Name: "server", Value: "s-1"}})
			encode(p.enc, 4, []Field{{Name: "server", Value: "s-1"}, {Name: "server", Value: "s-2"}, {Name: "server", Value: "s-3"}})
			for _, b := range pieces {
				if err := p.replies.Receive(p.enc, b); err != nil {
					return p, err
				}
			}
			return p, nil
		}
		cut := min(int(at), len(in))
		whole, err := run(in)
		parts, partsErr := run(in[:cut], in[cut:])
		if err != partsErr || whole.enc.known != parts.enc.known || whole.enc.pinned != parts.enc.pinned {
			t.Fatalf("%x cut at %d: %v and %v", in, cut, err, partsErr)
		}
		if whole.enc.known > whole.enc.inserted || whole.enc.pinned != len(whole.enc.sections) {
			t.Fatalf("%d of %d known, %d of %d pinned", whole.enc.known, whole.enc.inserted, whole.enc.pinned, len(whole.enc.sections))
		}
	})
}

// The messages of the benchmarks: a browser's request, and what a Go program asks and is answered.
var benchmarkMessages = []struct {
	name   string
	fields []Field
}{
	{"browser", browser("/img/1.avif", "image", "image/*")},
	{"request", []Field{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "127.0.0.1:41234"},
		{Name: ":path", Value: "/1024"}, {Name: "accept-encoding", Value: "gzip"}, {Name: "user-agent", Value: "Go-http-client/3.0"}}},
	{"response", []Field{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/octet-stream"},
		{Name: "content-length", Value: "1024"}, {Name: "date", Value: "Tue, 24 Nov 2026 14:00:00 GMT"}}},
}

func BenchmarkEncode(b *testing.B) {
	for _, m := range benchmarkMessages {
		b.Run(m.name+"/static", func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendFieldSection(buf[:0], m.fields)
			}
			b.ReportMetric(float64(len(buf)), "wire-bytes")
		})
		b.Run(m.name+"/dynamic", func(b *testing.B) {
			p := newPair(b, 4096)
			for range 3 {
				p.request(m.fields...)
			}
			buf := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				s := p.enc.Begin()
				buf = buf[:0]
				for i := range m.fields {
					buf = p.enc.AppendField(buf, &s, m.fields[i].Name, m.fields[i].Value, false)
				}
				buf = p.enc.AppendPrefix(buf, &s)
				p.enc.Close(&s, 0)
				p.enc.acknowledged(0)
			}
			b.ReportMetric(float64(len(buf)), "wire-bytes")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	run := func(b *testing.B, d Decoder, section []byte) {
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Decode(section, func(_, _ string) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(section)), "wire-bytes")
	}
	for _, m := range benchmarkMessages {
		b.Run(m.name+"/static", func(b *testing.B) { run(b, Decoder{}, AppendFieldSection(nil, m.fields)) })
		b.Run(m.name+"/dynamic", func(b *testing.B) {
			p := newPair(b, 4096)
			for range 3 {
				p.request(m.fields...)
			}
			run(b, Decoder{Table: p.table}, encode(p.enc, p.stream, m.fields))
		})
	}
}

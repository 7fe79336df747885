package qpack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func decodeAll(t *testing.T, d Decoder, section []byte) ([]Field, error) {
	t.Helper()
	var fields []Field
	err := d.DecodeFields(section, func(f Field) error {
		fields = append(fields, f)
		return nil
	})
	return fields, err
}

var browserRequest = []Field{
	{Name: ":method", Value: "GET"},
	{Name: ":authority", Value: "www.example.com"},
	{Name: ":scheme", Value: "https"},
	{Name: ":path", Value: "/search?q=quic+http3&page=2"},
	{Name: "user-agent", Value: userAgent},
	{Name: "accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	{Name: "accept-encoding", Value: "gzip, deflate, br"},
	{Name: "accept-language", Value: "en-US,en;q=0.5"},
	{Name: "sec-fetch-mode", Value: "navigate"},
	{Name: "upgrade-insecure-requests", Value: "1"},
	{Name: "cookie", Value: "session=2f1d9a4c77e84c3b; theme=dark", Sensitive: true},
	{Name: "priority", Value: "u=0, i"},
}

// What the examples of RFC 9204, appendices B.2 and B.4, need a table for.
func TestReferencesWithoutATableAreRefused(t *testing.T) {
	for _, c := range []struct {
		in   string
		want error
	}{
		{"03811011", errInsertCount},
		{"050080c181", errInsertCount},
	} {
		section, _ := hex.DecodeString(c.in)
		if _, err := decodeAll(t, Decoder{}, section); err != c.want {
			t.Errorf("%s: %v, want %v", c.in, err, c.want)
		}
	}
}

func TestFieldsSurviveTheRoundTrip(t *testing.T) {
	for _, fields := range [][]Field{
		nil,
		browserRequest,
		{{Name: ":status", Value: "200"}, {Name: ":status", Value: "599"}, {Name: "x", Value: ""}},
		{{Name: ":method", Value: "GET", Sensitive: true}, {Name: "x-secret", Value: "\x00\xff", Sensitive: true}},
		{{Name: "", Value: ""}, {Name: strings.Repeat("n", 5000), Value: strings.Repeat("\x01", 5000)}},
		slices.Repeat([]Field{{Name: "x-frame-options", Value: "sameorigin"}, {Name: "x-n", Value: "v"}}, 100),
	} {
		got, err := decodeAll(t, Decoder{}, AppendFieldSection(nil, fields))
		for i := range got {
			if got[i].Sensitive != fields[i].Sensitive {
				t.Errorf("%q: sensitive %v", got[i].Name, got[i].Sensitive)
			}
		}
		if err != nil || !slices.Equal(got, fields) {
			t.Errorf("%v: %v, %v", fields, got, err)
		}
	}
}

func TestFieldsTakeTheirShortestForm(t *testing.T) {
	for _, c := range []struct {
		name, value string
		sensitive   bool
		want        string
	}{
		{":method", "GET", false, "d1"},
		{"x-frame-options", "sameorigin", false, "ff23"},
		{":method", "GET", true, "7f0203474554"},                                 // never indexed, though the table has it
		{":path", "\x01\x02", false, "51020102"},                                 // Huffman would be longer
		{":authority", "www.example.com", false, "508cf1e3c2e5f23a6ba0ab90f4ff"}, // and here shorter
		{"x-a", "b", false, "23782d610162"},
		{"x-a", "b", true, "33782d610162"},
		{"custom-key", "custom-value", false, "2f0125a849e95ba97d7f8925a849e95bb8e8b4bf"},
	} {
		if got := hex.EncodeToString(AppendField(nil, c.name, c.value, c.sensitive)); got != c.want {
			t.Errorf("%s: %s is %s, want %s", c.name, c.value, got, c.want)
		}
	}
}

func TestMalformedSectionsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"empty", "", errInteger},
		{"half a prefix", "00", errInteger},
		{"required insert count of 1", "0100", errInsertCount},
		{"negative base", "0080", errBase},
		{"truncated base", "007f", errInteger},
		{"dynamic index", "000080", errEvicted},
		{"post-base index", "000010", errReference},
		{"dynamic name", "00004000", errEvicted},
		{"post-base name", "00000000", errReference},
		{"static index 99", "0000ff24", errStaticIndex},
		{"static name 99", "00005f5400", errStaticIndex},
		{"truncated index", "0000ff", errInteger},
		{"name without value", "000051", errInteger},
		{"value past the end", "000051056162", errString},
		{"literal name past the end", "000027", errInteger},
		{"literal name without value", "00002161", errInteger},
		{"Huffman padding", "00005181ff", errHuffmanPadding},
		{"Huffman EOS", "00005184ffffffff", errHuffman},
	} {
		section, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		called := false
		err = (&Decoder{}).Decode(section, func(_, _ string) error { called = true; return nil })
		if err != c.want || called {
			t.Errorf("%s: %v, want %v; called %v", c.name, err, c.want, called)
		}
	}
}

func TestABaseWithoutReferencesMayBeAnything(t *testing.T) {
	section, _ := hex.DecodeString("007f8001d1") // Delta Base 255
	if got, err := decodeAll(t, Decoder{}, section); err != nil || len(got) != 1 || got[0].Value != "GET" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestIntegersAbove62BitsAreRefused(t *testing.T) {
	for _, v := range []uint64{0, 1, 6, 7, 8, 127, 128, 16383, 1 << 32, maxInteger} {
		for prefix := uint(3); prefix <= 8; prefix++ {
			b := appendInteger(nil, 0, prefix, v)
			if got, n := consumeInteger(b, prefix); got != v || n != len(b) {
				t.Errorf("%d with a prefix of %d: %d, %d", v, prefix, got, n)
			}
			if _, n := consumeInteger(b[:len(b)-1], prefix); n != 0 {
				t.Errorf("%d with a prefix of %d, truncated: %d", v, prefix, n)
			}
		}
	}
	for name, b := range map[string][]byte{
		"2^62":               appendInteger(nil, 0, 3, maxInteger+1),
		"2^63":               appendInteger(nil, 0, 3, 1<<63),
		"more than 64 bits":  append(bytes.Repeat([]byte{0xff}, 11), 0),
		"padded with zeros":  append(append([]byte{0x07}, bytes.Repeat([]byte{0x80}, 10)...), 0),
		"continuations only": append([]byte{0x07}, bytes.Repeat([]byte{0x80}, 10)...),
	} {
		if v, n := consumeInteger(b, 3); n >= 0 {
			t.Errorf("%s: %d, %d", name, v, n)
		}
	}
}

func TestDecoderStopsAtTheSizeLimit(t *testing.T) {
	size := 0
	for _, f := range browserRequest {
		size += f.Size()
	}
	section := AppendFieldSection(nil, browserRequest)
	if _, err := decodeAll(t, Decoder{MaxSize: size}, section); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
	if _, err := decodeAll(t, Decoder{MaxSize: size - 1}, section); err != ErrTooLarge {
		t.Errorf("one byte more than the limit: %v", err)
	}
	indexed := append([]byte{0, 0}, bytes.Repeat([]byte{0xd1}, DefaultMaxSize/40)...) // one byte each, 42 decoded
	if _, err := decodeAll(t, Decoder{}, indexed); err != ErrTooLarge {
		t.Errorf("many small fields: %v", err)
	}
}

func TestAHuffmanBombAllocatesNoMoreThanTheLimit(t *testing.T) {
	const limit = 64 << 10
	bomb := AppendPrefix(nil)
	for range 64 {
		bomb = AppendField(bomb, "x", strings.Repeat("0", 64<<10), false)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := decodeAll(t, Decoder{MaxSize: limit}, bomb)
	runtime.ReadMemStats(&after)
	if err != ErrTooLarge {
		t.Error(err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 3*limit {
		t.Errorf("%d bytes allocated under a limit of %d", n, limit)
	}
}

func TestTheCallbacksErrorComesBack(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	err := (&Decoder{}).Decode(AppendFieldSection(nil, browserRequest), func(_, _ string) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if err != stop || n != 3 {
		t.Errorf("%v after %d fields", err, n)
	}
}

func TestDecodingARequestAllocatesOneString(t *testing.T) {
	section := AppendFieldSection(nil, browserRequest)
	static := AppendFieldSection(nil, []Field{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}})
	d := Decoder{MaxSize: 1 << 16}
	n := 0
	if a := testing.AllocsPerRun(100, func() {
		_ = d.Decode(section, func(name, value string) error { n += len(name) + len(value); return nil })
	}); a > 1 {
		t.Errorf("%v allocations for a request", a)
	}
	if a := testing.AllocsPerRun(100, func() {
		_ = d.Decode(static, func(name, value string) error { n += len(name) + len(value); return nil })
	}); a > 0 {
		t.Errorf("%v allocations for static fields", a)
	}
	b := make([]byte, 0, 1024)
	if a := testing.AllocsPerRun(100, func() { b = AppendFieldSection(b[:0], browserRequest) }); a > 0 {
		t.Errorf("%v allocations for encoding", a)
	}
}

func FuzzDecodeSurvivesGarbage(f *testing.F) {
	f.Add(AppendFieldSection(nil, browserRequest))
	f.Add([]byte{0, 0, 0xd1, 0x51, 0x81, 0xff})
	f.Add([]byte{0, 0, 0x27, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, section []byte) {
		const limit = 4096
		size := 0
		var fields []Field
		d := Decoder{MaxSize: limit}
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

func FuzzFieldsSurviveTheRoundTrip(f *testing.F) {
	f.Add(":method", "GET", false)
	f.Add("cookie", "a=b", true)
	f.Add("x-\x00", "\xff\xfe", false)
	f.Fuzz(func(t *testing.T, name, value string, sensitive bool) {
		want := []Field{{name, value, sensitive}}
		got, err := decodeAll(t, Decoder{MaxSize: len(name) + len(value) + fieldOverhead}, AppendFieldSection(nil, want))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v became %v, %v", want, got, err)
		}
	})
}

func BenchmarkDecodeRequest(b *testing.B) {
	section := AppendFieldSection(nil, browserRequest)
	d := Decoder{MaxSize: 1 << 16}
	b.SetBytes(int64(len(section)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(section, func(_, _ string) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendFieldSection(buf[:0], browserRequest)
	}
	b.SetBytes(int64(len(buf)))
}

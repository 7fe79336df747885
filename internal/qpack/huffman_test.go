package qpack

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func TestHuffmanDecodesEverySymbolInEveryPosition(t *testing.T) {
	for c := range 256 {
		for pad := range 9 {
			want := strings.Repeat("a", pad) + string([]byte{byte(c)}) + strings.Repeat("z", pad)
			got, err := huffman.appendDecoded(nil, hpack.AppendHuffmanString(nil, want), len(want))
			if err != nil || string(got) != want {
				t.Fatalf("symbol %d after %d others: %q, %v", c, pad, got, err)
			}
		}
	}
}

// RFC 7541, appendices C.4 and C.6.
func TestHuffmanDecodesTheExamplesOfRFC7541(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", "www.example.com"},
		{"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"},
		{"\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f", "custom-key"},
		{"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", "custom-value"},
		{"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3", "https://www.example.com"},
		{"", ""},
	} {
		if got, err := huffman.appendDecoded(nil, []byte(c.in), 100); err != nil || string(got) != c.want {
			t.Errorf("%x: %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

func TestHuffmanRefusesBadPaddingAndEOS(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"eight ones", []byte{0xff}, errHuffmanPadding},
		{"a symbol, then eleven ones", []byte{0x1f, 0xff}, errHuffmanPadding},
		{"padding of zeros", []byte{0b00011_000}, errHuffmanPadding},
		{"padding of mixed bits", []byte{0b00011_110}, errHuffmanPadding},
		{"half of a long code", []byte{0xff, 0xfe}, errHuffmanPadding},
		{"EOS", []byte{0xff, 0xff, 0xff, 0xff}, errHuffman},
		{"EOS after a symbol", []byte{0x1f, 0xff, 0xff, 0xff, 0xff}, errHuffman},
	} {
		if _, err := huffman.appendDecoded(nil, c.in, 100); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestHuffmanStopsAtItsRoom(t *testing.T) {
	in := hpack.AppendHuffmanString(nil, strings.Repeat("0", 1<<16))
	got, err := huffman.appendDecoded(nil, in, 100)
	if err != ErrTooLarge || len(got) != 100 || cap(got) > 256 {
		t.Errorf("%d bytes in a buffer of %d, %v", len(got), cap(got), err)
	}
	if got, err := huffman.appendDecoded(nil, in, 1<<16); err != nil || len(got) != 1<<16 {
		t.Errorf("exactly the room: %d bytes, %v", len(got), err)
	}
}

func FuzzHuffmanAgreesWithHPACK(f *testing.F) {
	f.Add([]byte("\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x1f, 0xff})
	f.Add(hpack.AppendHuffmanString(nil, "\x00\x01\xfe\xff~|{}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		want, wantErr := hpack.HuffmanDecodeToString(in)
		got, err := huffman.appendDecoded(nil, in, 2*len(in))
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%x: %v, hpack says %v", in, err, wantErr)
		}
		if err == nil && string(got) != want {
			t.Fatalf("%x: %q, hpack says %q", in, got, want)
		}
	})
}

const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"

func BenchmarkHuffmanDecode(b *testing.B) {
	in := hpack.AppendHuffmanString(nil, userAgent)
	b.Run("godwit", func(b *testing.B) {
		b.SetBytes(int64(len(userAgent)))
		b.ReportAllocs()
		var out [256]byte
		for b.Loop() {
			if _, err := huffman.appendDecoded(out[:0], in, 200); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hpack", func(b *testing.B) {
		b.SetBytes(int64(len(userAgent)))
		b.ReportAllocs()
		var out bytes.Buffer
		for b.Loop() {
			out.Reset()
			if _, err := hpack.HuffmanDecode(&out, in); err != nil {
				b.Fatal(err)
			}
		}
	})
}

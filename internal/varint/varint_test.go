package varint

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestExamplesOfTheRFC(t *testing.T) {
	// RFC 9000, section A.1.
	for _, c := range []struct {
		hex  string
		want uint64
	}{
		{"c2197c5eff14e88c", 151288809941952652},
		{"9d7f3e7d", 494878333},
		{"7bbd", 15293},
		{"25", 37},
		{"4025", 37},
	} {
		b, _ := hex.DecodeString(c.hex)
		if v, n := Consume(b); v != c.want || n != len(b) {
			t.Errorf("Consume(%s) = %d, %d; want %d, %d", c.hex, v, n, c.want, len(b))
		}
		if got := AppendWidth(nil, c.want, len(b)); !bytes.Equal(got, b) {
			t.Errorf("AppendWidth(%d, %d) = %x, want %s", c.want, len(b), got, c.hex)
		}
	}
}

func TestEachWidthHoldsWhatItsTableRowSays(t *testing.T) {
	for _, c := range []struct {
		v     uint64
		width int
	}{
		{0, 1}, {63, 1}, {64, 2}, {16383, 2}, {16384, 4}, {1<<30 - 1, 4}, {1 << 30, 8}, {Max, 8},
	} {
		b := Append([]byte{0xaa}, c.v)[1:]
		if len(b) != c.width || Len(c.v) != c.width {
			t.Errorf("%d takes %d bytes and Len says %d, want %d", c.v, len(b), Len(c.v), c.width)
		}
		if v, n := Consume(append(b, 0xff)); v != c.v || n != c.width {
			t.Errorf("%d comes back as %d in %d bytes", c.v, v, n)
		}
		for short := range c.width {
			if _, n := Consume(b[:short]); n != -1 {
				t.Errorf("the first %d bytes of %x are consumed as %d", short, b, n)
			}
		}
		for _, width := range []int{1, 2, 4, 8} {
			if width < c.width {
				mustPanic(t, "a value wider than its field", func() { AppendWidth(nil, c.v, width) })
			} else if v, n := Consume(AppendWidth(nil, c.v, width)); v != c.v || n != width {
				t.Errorf("%d in %d bytes comes back as %d in %d", c.v, width, v, n)
			}
		}
	}
}

func TestWhatCannotBeEncodedPanics(t *testing.T) {
	mustPanic(t, "2^62", func() { Append(nil, Max+1) })
	mustPanic(t, "2^62 in 8 bytes", func() { AppendWidth(nil, Max+1, 8) })
	mustPanic(t, "a width of 3", func() { AppendWidth(nil, 1, 3) })
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

func TestNothingAllocates(t *testing.T) {
	b := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		b = AppendWidth(Append(Append(Append(Append(b[:0], 1), 1<<10), 1<<20), 1<<40), 7, 2)
		for rest := b; len(rest) > 0; {
			_, n := Consume(rest)
			rest = rest[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzConsume(f *testing.F) {
	for _, s := range []string{"", "\x25", "\x40\x25", "\x7b\xbd", "\x9d\x7f\x3e\x7d", "\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", "\xc0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, n := Consume(b)
		if n < 0 {
			if len(b) >= 8 {
				t.Fatalf("%x holds an integer and is said to be truncated", b)
			}
			return
		}
		if got := AppendWidth(nil, v, n); !bytes.Equal(got, b[:n]) {
			t.Fatalf("%x is consumed as %d and appended as %x", b[:n], v, got)
		}
		if w, m := Consume(Append(nil, v)); w != v || m != Len(v) || m > n {
			t.Fatalf("%d comes back as %d, in %d bytes", v, w, m)
		}
	})
}

package sim

import (
	"bytes"
	"testing"
)

func TestContentIsTheSameHoweverItIsCut(t *testing.T) {
	whole := make([]byte, 1000)
	content(7).fill(whole, 0)
	for _, step := range []int{1, 3, 8, 13, 999} {
		for offset := 0; offset < len(whole); offset += step {
			part := make([]byte, min(step, len(whole)-offset))
			content(7).fill(part, int64(offset))
			if !bytes.Equal(part, whole[offset:offset+len(part)]) {
				t.Fatalf("in steps of %d: other bytes at %d", step, offset)
			}
			if n := content(7).match(part, int64(offset)); n != len(part) {
				t.Fatalf("in steps of %d: only %d bytes match at %d", step, n, offset)
			}
		}
	}
}

func TestContentTellsWhereAByteIsWrong(t *testing.T) {
	for i := range 100 {
		b := make([]byte, 100)
		content(7).fill(b, 5)
		b[i] ^= 0x10
		if n := content(7).match(b, 5); n != i {
			t.Errorf("byte %d is wrong, but %d bytes match", i, n)
		}
	}
}

func TestContentAtAnotherOffsetIsOther(t *testing.T) {
	b := make([]byte, 64)
	content(7).fill(b, 0)
	for _, offset := range []int64{1, 8, 64, 1 << 40} {
		if n := content(7).match(b, offset); n > 4 {
			t.Errorf("%d bytes match at offset %d", n, offset)
		}
	}
	if n := content(8).match(b, 0); n > 4 {
		t.Errorf("%d bytes match another content", n)
	}
}

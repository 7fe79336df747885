package gateway

import (
	"bytes"
	"testing"
)

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{0x81, 0x80 | 2, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2})
	f.Add([]byte{0x82, 0x80 | 126, 0, 1, 0, 0, 0, 0, 7})
	f.Add([]byte{0x89, 0x80 | 127, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Add([]byte{0x81, 2, 'h', 'i'}) // not masked
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		first, payload, err := readFrame(r, make([]byte, 64))
		if err != nil {
			return
		}
		if used := len(b) - r.Len(); len(payload) > 64 || used < 6+len(payload) || first != b[0] || b[1]&wsMasked == 0 {
			t.Errorf("%x is %x with %d bytes, of %d", b, first, len(payload), used)
		}
	})
}

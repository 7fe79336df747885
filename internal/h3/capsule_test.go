package h3

import (
	"bytes"
	"testing"

	"github.com/godwit-net/godwit/internal/varint"
)

func TestCapsuleHeadersNeedAllTheirBytes(t *testing.T) {
	b := AppendDatagramCapsule(nil, []byte("hello"))
	b = AppendCapsuleHeader(b, CapsuleHeader{0x2843, 70000})
	h, n := ConsumeCapsuleHeader(b)
	if h != (CapsuleHeader{CapsuleDatagram, 5}) || string(b[n:n+5]) != "hello" {
		t.Errorf("%v, %d", h, n)
	}
	b = b[n+5:]
	for i := range b {
		if _, n := ConsumeCapsuleHeader(b[:i]); n != 0 {
			t.Errorf("%d of %d bytes suffice", i, len(b))
		}
	}
	if h, n := ConsumeCapsuleHeader(b); h != (CapsuleHeader{0x2843, 70000}) || n != len(b) || n > MaxCapsuleHeader {
		t.Errorf("%v, %d", h, n)
	}
}

func TestOversizedDatagramCapsules(t *testing.T) {
	for h, want := range map[CapsuleHeader]bool{
		{CapsuleDatagram, MaxDatagramCapsule}: false, {CapsuleDatagram, MaxDatagramCapsule + 1}: true, {7, 1 << 40}: false,
	} {
		if h.Oversized() != want {
			t.Errorf("%v: %v", h, !want)
		}
	}
}

func TestCapsuleProtocolIsABoolean(t *testing.T) {
	for value, want := range map[string]bool{
		"?1": true, " ?1 ": true, "?1;a;b=2": true, "?1; a=\"x\"": true, "?0": false, "": false, "1": false, "true": false,
		"?1, ?1": false, "?1;": false, "?1x": false,
	} {
		if CapsuleProtocol(value) != want {
			t.Errorf("%q: %v", value, !want)
		}
	}
}

func TestDatagramsNameTheirStream(t *testing.T) {
	for _, stream := range []int64{0, 4, 252, 256, MaxRequestID} {
		b := append(AppendDatagramHeader(nil, stream), "hi"...)
		got, payload, err := ConsumeDatagram(b)
		if got != stream || string(payload) != "hi" || err != nil {
			t.Errorf("%d: %d, %q, %v", stream, got, payload, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty": nil, "truncated": {0x40}, "stream above 2^62": varint.Append(nil, maxQuarterStreamID+1),
	} {
		_, _, err := ConsumeDatagram(b)
		wantError(t, name, err, H3DatagramError, false)
	}
}

func FuzzDatagram(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		stream, payload, err := ConsumeDatagram(b)
		if err != nil {
			return
		}
		again, p, err := ConsumeDatagram(append(AppendDatagramHeader(nil, stream), payload...))
		if again != stream || !bytes.Equal(p, payload) || err != nil {
			t.Fatalf("%d, %x, %v", again, p, err)
		}
	})
}

func FuzzCapsuleHeader(f *testing.F) {
	f.Add([]byte{0, 5, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n := ConsumeCapsuleHeader(b)
		if n < 0 || n > len(b) || h.Length < 0 {
			t.Fatalf("%v, %d", h, n)
		}
		if n == 0 {
			return
		}
		if again, _ := ConsumeCapsuleHeader(AppendCapsuleHeader(nil, h)); again != h {
			t.Fatalf("%v became %v", h, again)
		}
	})
}

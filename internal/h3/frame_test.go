package h3

import (
	"errors"
	"testing"

	"github.com/godwit-net/godwit/internal/varint"
)

// wantError checks an error's code and reach. A code of 0 stands for no error.
func wantError(t *testing.T, name string, err error, code ErrorCode, stream bool) {
	t.Helper()
	if code == 0 {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) || e.Code != code || e.Stream != stream || e.Reason == "" {
		t.Errorf("%s: %v, want %v, stream %v", name, err, code, stream)
	}
}

func TestFrameHeadersNeedAllTheirBytes(t *testing.T) {
	for _, want := range []FrameHeader{
		{FrameData, 0}, {FrameHeaders, 63}, {FrameSettings, 64}, {FramePriorityUpdateRequest, 1 << 20},
		{FrameType(varint.Max), varint.Max},
	} {
		b := AppendFrameHeader([]byte{}, want)
		if len(b) != want.Len() || len(b) > MaxFrameHeader {
			t.Errorf("%v: %d bytes, Len says %d", want, len(b), want.Len())
		}
		for i := range b {
			if _, n := ConsumeFrameHeader(b[:i]); n != 0 {
				t.Errorf("%v: %d of %d bytes suffice", want, i, len(b))
			}
		}
		if got, n := ConsumeFrameHeader(append(b, 7)); got != want || n != len(b) {
			t.Errorf("%v: got %v, %d", want, got, n)
		}
	}
}

func TestNamesOfTypesAreThoseOfQLog(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FrameData.String(), "data"}, {FrameHeaders.String(), "headers"}, {FrameCancelPush.String(), "cancel_push"},
		{FrameSettings.String(), "settings"}, {FramePushPromise.String(), "push_promise"},
		{FrameGoAway.String(), "goaway"}, {FrameMaxPushID.String(), "max_push_id"},
		{FramePriorityUpdatePush.String(), "priority_update"}, {FrameType(0x21).String(), "reserved"},
		{FrameType(0x06).String(), "reserved"}, {FrameType(0x0c).String(), "unknown"},
		{StreamControl.String(), "control"}, {StreamPush.String(), "push"}, {StreamQPACKEncoder.String(), "qpack_encode"},
		{StreamQPACKDecoder.String(), "qpack_decode"}, {StreamType(0x40).String(), "reserved"},
		{StreamType(0x54).String(), "unknown"}, {H3NoError.String(), "H3_NO_ERROR"},
		{QPACKDecoderStreamError.String(), "QPACK_DECODER_STREAM_ERROR"}, {ErrorCode(0x111).String(), "0x111"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestGreaseIsReserved(t *testing.T) {
	for n := range uint64(3000) {
		if !isGrease(Grease(n)) {
			t.Fatalf("Grease(%d) = %#x is not reserved", n, Grease(n))
		}
	}
	if isGrease(0x20) || isGrease(0x22) || isGrease(0) {
		t.Error("too much is reserved")
	}
}

func FuzzFrameHeader(f *testing.F) {
	f.Add([]byte{0, 5})
	f.Add([]byte{0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n := ConsumeFrameHeader(b)
		if n < 0 || n > len(b) || n > MaxFrameHeader || h.Length < 0 {
			t.Fatalf("%x: %v, %d", b, h, n)
		}
		if n == 0 {
			return
		}
		if again, _ := ConsumeFrameHeader(AppendFrameHeader(nil, h)); again != h {
			t.Fatalf("%v became %v", h, again)
		}
	})
}

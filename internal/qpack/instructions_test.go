package qpack

import (
	"encoding/hex"
	"testing"
)

func TestEncoderStreamAllowsWhatNeedsNoCapacity(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"nothing", "", nil},
		{"capacity 0", "20", nil},
		{"capacity 0 again", "2020", nil},
		{"capacity 220 (appendix B.2)", "3fbd01", errCapacity},
		{"capacity 1", "21", errCapacity},
		{"capacity 0, then 1", "2021", errCapacity},
		{"insert with static name (appendix B.2)", "c00f7777772e6578616d706c652e636f6d", errInsert},
		{"insert with dynamic name (appendix B.5)", "810d637573746f6d2d76616c756532", errInsert},
		{"insert with literal name (appendix B.3)", "4a637573746f6d2d6b65790c637573746f6d2d76616c7565", errInsert},
		{"duplicate (appendix B.4)", "02", errDuplicate},
	} {
		in, _ := hex.DecodeString(c.in)
		if err := new(EncoderStream).Receive(in); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestDecoderStreamAllowsOnlyCancellations(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"nothing", "", nil},
		{"cancellation of stream 8 (appendix B.4)", "48", nil},
		{"cancellation of stream 63", "7f00", nil},
		{"cancellation of stream 2^62-1", "7fc0ffffffffffffff3f", nil},
		{"two cancellations", "7fff0148", nil},
		{"cancellation of stream 2^62", "7fc1ffffffffffffff3f", errStreamID},
		{"a stream ID without end", "7f8080808080808080808080", errStreamID},
		{"acknowledgment (appendix B.2)", "84", errAcknowledgment},
		{"increment of 1 (appendix B.3)", "01", errIncrement},
		{"increment of 0", "00", errIncrement},
		{"cancellation, then increment", "7fff0101", errIncrement},
	} {
		in, _ := hex.DecodeString(c.in)
		if err := new(DecoderStream).Receive(in); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		// The same in single bytes.
		var s DecoderStream
		var err error
		for i := 0; i < len(in) && err == nil; i++ {
			err = s.Receive(in[i : i+1])
		}
		if err != c.want {
			t.Errorf("%s, byte by byte: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzInstructionsDoNotDependOnPortions(f *testing.F) {
	f.Add([]byte{0x20, 0x3f, 0xbd, 0x01}, uint8(1))
	f.Add([]byte{0x7f, 0xff, 0x01, 0x48}, uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, at uint8) {
		cut := min(int(at), len(in))
		var whole, parts DecoderStream
		err := whole.Receive(in)
		partsErr := parts.Receive(in[:cut])
		if partsErr == nil {
			partsErr = parts.Receive(in[cut:])
		}
		if err != partsErr || err == nil && whole != parts {
			t.Fatalf("%x cut at %d: %v and %v", in, cut, err, partsErr)
		}
		_ = new(EncoderStream).Receive(in)
	})
}

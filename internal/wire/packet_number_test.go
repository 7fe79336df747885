package wire

import "testing"

func TestPacketNumberLenOfTheExamples(t *testing.T) {
	// Rules: 9000:17.1/1, 9000:17.1/2
	for _, c := range []struct {
		pn, acked int64
		want      int
	}{
		{0xac5c02, 0xabe8b3, 2}, // RFC 9000, section A.2
		{0xace8fe, 0xabe8b3, 3},
		{0, -1, 1}, {126, -1, 1}, {127, -1, 2}, {1 << 20, 1<<20 - 1, 1},
		{1<<15 - 2, -1, 2}, {1<<15 - 1, -1, 3}, {1<<23 - 2, -1, 3}, {1<<23 - 1, -1, 4}, {1 << 40, -1, 4},
	} {
		if got := PacketNumberLen(c.pn, c.acked); got != c.want {
			t.Errorf("%#x after %#x takes %d bytes, want %d", c.pn, c.acked, got, c.want)
		}
	}
	mustPanic(t, "a number acknowledged before it is sent", func() { PacketNumberLen(5, 5) })
}

func TestDecodePacketNumber(t *testing.T) {
	for _, c := range []struct {
		largest   int64
		truncated uint32
		pnLen     int
		want      int64
	}{
		{0xa82f30ea, 0x9b32, 2, 0xa82f9b32}, // RFC 9000, section A.3
		{-1, 0, 1, 0}, {-1, 255, 1, 255}, {0, 0xffffffff, 4, 0xffffffff},
		{0xff, 0, 1, 0x100}, {0x100, 0xff, 1, 0xff},
		{1<<62 - 2, 0xff, 1, 1<<62 - 1}, {1<<62 - 1, 0xffff, 2, 1<<62 - 1},
	} {
		if got := DecodePacketNumber(c.largest, c.truncated, c.pnLen); got != c.want {
			t.Errorf("%#x in %d bytes after %#x is %#x, want %#x", c.truncated, c.pnLen, c.largest, got, c.want)
		}
	}
}

// FuzzPacketNumber: whatever the sender has sent since the peer acknowledged acked, and whichever of that arrived before,
// the receiver decodes pn. The sender's window is "more than twice as large [...] as the difference".
func FuzzPacketNumber(f *testing.F) {
	// Rules: 9000:17.1/3
	f.Add(int64(0), int64(-1), int64(-1))
	f.Add(int64(0xac5c02), int64(0xabe8b3), int64(0xac5c01))
	f.Add(int64(128), int64(0), int64(0))
	f.Add(int64(300), int64(200), int64(350))
	f.Fuzz(func(t *testing.T, pn, acked, received int64) {
		acked = max(acked&(1<<62-1), 0) - 1
		pn = min(acked+1+pn&(1<<30-1), 1<<62-1)
		if pn <= acked {
			return
		}
		// The receiver has at least acked, and less than the number of outstanding packets beyond pn.
		received = acked + received&(1<<62-1)%(2*(pn-acked))
		if received > 1<<62-1 {
			return
		}
		n := PacketNumberLen(pn, acked)
		truncated := uint32(uint64(pn) & (1<<(8*n) - 1))
		if got := DecodePacketNumber(received, truncated, n); got != pn {
			t.Fatalf("%d in %d bytes after %d acknowledged and %d received decodes to %d", pn, n, acked, received, got)
		}
	})
}

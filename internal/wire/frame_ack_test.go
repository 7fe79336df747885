package wire

import (
	"bytes"
	"slices"
	"testing"

	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/varint"
)

const noLimit = 1 << 30

func highestFirst(s rangeset.Set) []rangeset.Range {
	r := slices.Clone([]rangeset.Range(s))
	slices.Reverse(r)
	return r
}

func TestAckComesBack(t *testing.T) {
	for _, c := range []struct {
		name string
		ack  Ack
		seen rangeset.Set
	}{
		{"one packet", Ack{Delay: 7}, rangeset.Set{{Start: 0, End: 1}}},
		{"one range", Ack{}, rangeset.Set{{Start: 3, End: 1000}}},
		{"smallest gaps", Ack{}, rangeset.Set{{Start: 0, End: 1}, {Start: 2, End: 3}, {Start: 4, End: 5}}},
		{"wide numbers", Ack{Delay: varint.Max}, rangeset.Set{{Start: 0, End: 1}, {Start: 1 << 40, End: 1 << 50}, {Start: 1 << 61, End: 1 << 62}}},
		{"ECN counts", Ack{ECN: true, ECT0: 1, ECT1: 1 << 20, CE: 3}, rangeset.Set{{Start: 5, End: 9}}},
	} {
		b := AppendAck([]byte("x"), c.ack, c.seen, noLimit)[1:]
		c.ack.Largest = c.seen.End() - 1
		got, ranges, n := ConsumeAck(append(b, "rest"...), nil)
		if n != len(b) || got != c.ack || !slices.Equal(ranges, highestFirst(c.seen)) {
			t.Errorf("%s: comes back as %+v %v, %d of %d bytes", c.name, got, ranges, n, len(b))
		}
		for short := range b {
			if _, _, n := ConsumeAck(b[:short], nil); n >= 0 {
				t.Errorf("%s: %d of %d bytes are accepted", c.name, short, len(b))
			}
		}
	}
}

func TestAckOfNegativePacketNumbersIsMalformed(t *testing.T) {
	// Rules: 9000:19.3.1/1
	for _, c := range []struct{ name, frame string }{
		{"the first range", "\x02\x05\x00\x00\x06"},
		{"a gap", "\x02\x05\x00\x01\x03\x01\x00"},
		{"a later range", "\x02\x05\x00\x01\x02\x01\x01"},
		{"a gap and a range that overflow", "\x02\x05\x00\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		{"more ranges than bytes", "\x02\x05\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00"},
	} {
		if _, _, n := ConsumeAck([]byte(c.frame), nil); n >= 0 {
			t.Errorf("%s: accepted", c.name)
		}
	}
	if _, ranges, n := ConsumeAck([]byte("\x02\x05\x00\x01\x02\x01\x00"), nil); n != 7 || ranges[1] != (rangeset.Range{Start: 0, End: 1}) {
		t.Errorf("packet 0 in the last range: %v, %d", ranges, n)
	}
}

func TestAckStopsAtItsLimit(t *testing.T) {
	// Rules: 9000:13.2.3/5
	var seen rangeset.Set
	for i := int64(0); i < 300; i++ {
		seen.Add(i*100, i*100+1+i%70)
	}
	a := Ack{Delay: 99, ECN: true, ECT0: 70, CE: 2}
	whole := AppendAck(nil, a, seen, noLimit)
	const prefix = "before"
	last := 0
	for limit := 0; limit <= len(prefix)+len(whole)+3; limit++ {
		b := AppendAck([]byte(prefix), a, seen, limit)
		if len(b) == len(prefix) {
			if last != 0 {
				t.Fatalf("nothing fits into %d bytes where something fitted into less", limit)
			}
			continue
		}
		_, ranges, n := ConsumeAck(b[len(prefix):], nil)
		if n != len(b)-len(prefix) || len(b) > limit {
			t.Fatalf("%d bytes, %d consumed, limit %d", len(b), n, limit)
		}
		if len(ranges) < last || !slices.Equal(ranges, highestFirst(seen)[:len(ranges)]) {
			t.Fatalf("limit %d: not the newest ranges: %v", limit, ranges)
		}
		last = len(ranges)
		// As many as fit: the next one, and the count that grows with it, would be too long.
		if last < len(seen) {
			if more := AppendAck([]byte(prefix), a, seen[len(seen)-last-1:], noLimit); len(more) <= limit {
				t.Fatalf("limit %d: %d bytes for one more range would fit", limit, len(more))
			}
		}
	}
	if last != len(seen) {
		t.Errorf("%d of %d ranges fit at last", last, len(seen))
	}
	mustPanic(t, "an ACK of nothing", func() { AppendAck(nil, Ack{}, nil, noLimit) })
}

func TestAckOfThousandsOfRangesDoesNotAllocate(t *testing.T) {
	var seen rangeset.Set
	for i := int64(0); i < 20000; i++ {
		seen.Add(i*3, i*3+1)
	}
	b := AppendAck(nil, Ack{}, seen, noLimit)
	_, into, _ := ConsumeAck(b, nil)
	if n := testing.AllocsPerRun(10, func() {
		b = AppendAck(b[:0], Ack{Delay: 5}, seen, noLimit)
		var n int
		if _, into, n = ConsumeAck(b, into); n != len(b) || len(into) != len(seen) {
			t.Fatal("not all of it")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAck(f *testing.F) {
	f.Add([]byte("\x02\x05\x00\x00\x05"))
	f.Add([]byte("\x02\x05\x00\x01\x02\x01\x00"))
	f.Add([]byte("\x03\x40\x64\x0a\x02\x04\x01\x02\x00\x08\x01\x02\x03"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		b[0] = 2 | b[0]&1
		a, ranges, n := ConsumeAck(b, nil)
		if n < 0 {
			return
		}
		if n > len(b) || ranges[0].End != a.Largest+1 || len(ranges) >= max(n/2, 2) {
			t.Fatalf("%+v %v from %d of %d bytes", a, ranges, n, len(b))
		}
		var seen rangeset.Set
		for _, r := range slices.Backward(ranges) {
			if r.Start < 0 || r.Start >= r.End {
				t.Fatalf("the range %v", r)
			}
			seen.Add(r.Start, r.End)
		}
		if len(seen) != len(ranges) {
			t.Fatalf("ranges touch: %v", ranges)
		}
		again := AppendAck(nil, a, seen, noLimit)
		a2, ranges2, n2 := ConsumeAck(again, nil)
		if n2 != len(again) || len(again) > n || a2 != a || !slices.Equal(ranges, ranges2) {
			t.Fatalf("%x comes back as %x", b[:n], again)
		}
		if len(again) == n && !bytes.Equal(again, b[:n]) {
			t.Fatalf("two shortest forms: %x and %x", b[:n], again)
		}
	})
}

func benchmarkAck(b *testing.B, n int64) {
	var seen rangeset.Set
	for i := range n {
		seen.Add(i*7, i*7+3)
	}
	frame := AppendAck(nil, Ack{}, seen, noLimit)
	var into []rangeset.Range
	b.ReportAllocs()
	for b.Loop() {
		_, into, _ = ConsumeAck(frame, into)
	}
}

func BenchmarkConsumeAck1(b *testing.B)    { benchmarkAck(b, 1) }
func BenchmarkConsumeAck10(b *testing.B)   { benchmarkAck(b, 10) }
func BenchmarkConsumeAck1000(b *testing.B) { benchmarkAck(b, 1000) }

package wire

import (
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/varint"
)

// Ack is an ACK frame (RFC 9000, section 19.3) but for its ranges.
type Ack struct {
	Largest        int64  // the largest packet number acknowledged
	Delay          uint64 // as on the wire: microseconds divided by 2^ack_delay_exponent
	ECN            bool   // the frame has ECN counts
	ECT0, ECT1, CE uint64 // packets received with each codepoint, since the connection began
}

// ConsumeAck reads the ACK frame at the start of b. Its ranges, highest first, replace the content of into, whose storage
// is reused; there are fewer than len(b)/2 of them.
//
// "If any computed packet number is negative, an endpoint MUST generate a connection error of type FRAME_ENCODING_ERROR."
// (section 19.3.1)
func ConsumeAck(b []byte, into []rangeset.Range) (Ack, []rangeset.Range, int) {
	into = into[:0]
	f := afterType(b)
	var a Ack
	a.Largest = f.int()
	a.Delay = f.varint()
	count := f.varint()
	first := f.int()
	// Each range takes two bytes at least: a count that the frame cannot hold is not worth counting down.
	if f.failed() || first > a.Largest || count > uint64(len(b)-f.at)/2 {
		return Ack{}, into, -1
	}
	smallest := a.Largest - first
	into = append(into, rangeset.Range{Start: smallest, End: a.Largest + 1})

	at := f.at
	for range count {
		gap, n := varint.Consume(b[at:])
		if n < 0 {
			return Ack{}, into, -1
		}
		at += n
		length, n := varint.Consume(b[at:])
		if n < 0 {
			return Ack{}, into, -1
		}
		at += n
		largest := smallest - int64(gap) - 2
		smallest = largest - int64(length)
		// Neither subtraction overflows: at most 2^62 is taken twice from a number that is not negative.
		if smallest < 0 {
			return Ack{}, into, -1
		}
		into = append(into, rangeset.Range{Start: smallest, End: largest + 1})
	}

	f.at = at
	if b[0] == byte(FrameAckECN) {
		a.ECN = true
		a.ECT0, a.ECT1, a.CE = f.varint(), f.varint(), f.varint()
		if f.failed() {
			return Ack{}, into, -1
		}
	}
	return a, into, f.at
}

// AppendAck appends an ACK frame for the packet numbers in seen, newest ranges first and as many as leave the result no
// longer than limit; the oldest are left out. It returns b unchanged when not even the newest range fits. a.Largest is
// ignored: the largest acknowledged is seen's. An empty seen is a programming error and panics.
func AppendAck(b []byte, a Ack, seen rangeset.Set, limit int) []byte {
	last := len(seen) - 1
	largest := uint64(seen.End() - 1)
	first := uint64(seen[last].Len() - 1)

	// The count stands before the ranges, so they are measured before they are written.
	size := 1 + varint.Len(largest) + varint.Len(a.Delay) + varint.Len(first)
	if a.ECN {
		size += varint.Len(a.ECT0) + varint.Len(a.ECT1) + varint.Len(a.CE)
	}
	room := limit - len(b)
	if size+1 > room {
		return b
	}
	lowest := last
	for i := last - 1; i >= 0; i-- {
		gap, length := ackRange(seen, i)
		size += varint.Len(gap) + varint.Len(length)
		if size+varint.Len(uint64(last-i)) > room {
			break
		}
		lowest = i
	}

	if a.ECN {
		b = append(b, byte(FrameAckECN))
	} else {
		b = append(b, byte(FrameAck))
	}
	b = varint.Append(b, largest)
	b = varint.Append(b, a.Delay)
	b = varint.Append(b, uint64(last-lowest))
	b = varint.Append(b, first)
	for i := last - 1; i >= lowest; i-- {
		gap, length := ackRange(seen, i)
		b = varint.Append(b, gap)
		b = varint.Append(b, length)
	}
	if a.ECN {
		b = varint.Append(b, a.ECT0)
		b = varint.Append(b, a.ECT1)
		b = varint.Append(b, a.CE)
	}
	return b
}

// ackRange returns the Gap and ACK Range Length fields of the i-th range, which follows the i+1-th on the wire. Both are
// one less than what they count; since a set's ranges do not touch, the gap counts one packet number at least.
func ackRange(seen rangeset.Set, i int) (gap, length uint64) {
	return uint64(seen[i+1].Start - seen[i].End - 1), uint64(seen[i].Len() - 1)
}

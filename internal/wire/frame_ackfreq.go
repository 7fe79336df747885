package wire

import (
	"time"

	"github.com/godwit-net/godwit/internal/varint"
)

// AckFrequency is an ACK_FREQUENCY frame (draft-ietf-quic-ack-frequency, section 4): how its sender wants to be
// acknowledged. Its type is the only one of two bytes.
type AckFrequency struct {
	Seq         int64         // later frames have larger numbers
	Threshold   int64         // ack-eliciting packets that may come without an acknowledgment; 1 is as without the frame
	MaxAckDelay time.Duration // whole microseconds on the wire
	Reordering  int64         // packets; 1: each gap is acknowledged at once, 0: none is
}

// ConsumeAckFrequency reads the ACK_FREQUENCY frame at the start of b. A delay beyond an hour, which is invalid
// anyway, is read as an hour.
func ConsumeAckFrequency(b []byte) (AckFrequency, int) {
	typ, n := ConsumeFrameType(b)
	if n < 0 || typ != FrameAckFrequency {
		return AckFrequency{}, -1
	}
	f := fields{b: b, at: n}
	a := AckFrequency{Seq: f.int(), Threshold: f.int()}
	a.MaxAckDelay = time.Duration(min(f.int(), int64(time.Hour/time.Microsecond))) * time.Microsecond
	a.Reordering = f.int()
	return a, f.at
}

// AppendAckFrequency appends an ACK_FREQUENCY frame.
func AppendAckFrequency(b []byte, a AckFrequency) []byte {
	b = varint.Append(b, FrameAckFrequency)
	b = varint.Append(b, uint64(a.Seq))
	b = varint.Append(b, uint64(a.Threshold))
	b = varint.Append(b, uint64(a.MaxAckDelay.Microseconds()))
	return varint.Append(b, uint64(a.Reordering))
}

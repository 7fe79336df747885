package engine

import (
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// skipping returns an exchange in which the connection has just skipped a 1-RTT packet number, and that number. The
// peer, which is honest so far, acknowledges everything.
func skipping(t *testing.T, server bool) (*exchange, int64) {
	x := newExchange(t, server).handshake()
	if seen := x.seen[wire.AppSpace]; len(seen) != 1 {
		t.Fatalf("numbers were skipped in the handshake: %v", seen)
	}
	for range 2 * firstSkipGap {
		x.receive(wire.AppSpace, ping)
		x.receive(wire.AppSpace, ping)
		if seen := x.seen[wire.AppSpace]; len(seen) == 2 {
			x.queue = nil
			return x, seen[0].End
		}
	}
	t.Fatalf("no number was skipped: %v", x.seen[wire.AppSpace])
	return nil, 0
}

func TestAPacketNumberIsSkippedNowAndThen(t *testing.T) {
	for _, server := range []bool{true, false} {
		x, skipped := skipping(t, server)
		if seen := x.seen[wire.AppSpace]; seen[1].Start != skipped+1 {
			t.Errorf("skipped are all from %d to %d, want one", skipped, seen[1].Start)
		}
		if skipped < firstSkipGap {
			t.Errorf("number %d was skipped, want none before %d", skipped, firstSkipGap)
		}
		x.ack(wire.AppSpace)
		if err := x.conn.Err(); err != nil {
			t.Errorf("an honest peer is closed with %v", err)
		}
	}
}

func TestAnAcknowledgmentOfASkippedNumberCloses(t *testing.T) {
	// Rules: 9000:13.1/2
	// RFC 9000, section 21.4.
	for _, server := range []bool{true, false} {
		x, _ := skipping(t, server)
		seen := x.seen[wire.AppSpace]
		seen.Add(seen.Min(), seen.End())
		x.receive(wire.AppSpace, wire.AppendAck(nil, wire.Ack{}, seen, 1000))
		x.wantClose("an acknowledgment without gaps", wire.ProtocolViolation)
	}
}

func TestSkippedNumbersBecomeRarer(t *testing.T) {
	x, last := skipping(t, true)
	c := x.conn
	for gap := int64(2 * firstSkipGap); gap <= maxSkipGap; gap *= 2 {
		if c.answer.skip.gap != gap {
			t.Fatalf("the gap is %d, want %d", c.answer.skip.gap, gap)
		}
		// The number before the chosen one is not followed by a skipped one; the chosen one is.
		before := c.ledger.Next(wire.AppSpace)
		c.answer.skip.sent(c, c.answer.skip.next-1)
		if n := c.ledger.Next(wire.AppSpace); n != before {
			t.Fatal("a number was skipped out of turn")
		}
		if d := c.answer.skip.next - last; d < gap || d > 2*gap {
			t.Errorf("%d lie between skipped numbers, want %d to %d", d, gap, 2*gap)
		}
		last = c.answer.skip.next
		c.answer.skip.sent(c, last)
	}
	if c.answer.skip.gap != maxSkipGap {
		t.Errorf("the gap is %d, want %d at most", c.answer.skip.gap, maxSkipGap)
	}
}

package recovery

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// bulk is a transfer in full swing: with each step two packets are sent and the two that are a window old acknowledged.
type bulk struct {
	l      *Ledger
	now    instant.Time
	facts  []Fact
	ranges []rangeset.Range
}

func newBulk(window int) *bulk {
	b := &bulk{
		l:     quiet(congestion.NewCubic(1200)),
		now:   epoch,
		facts: []Fact{{Kind: 1, ID: 4, Start: 0, End: 1100}, {Kind: 2}},
		// An acknowledgment as they look after some losses: the newest range, and old ones repeated.
		ranges: make([]rangeset.Range, 1, 32),
	}
	b.l.ConfirmHandshake(epoch)
	for range window {
		b.send()
	}
	return b
}

func (b *bulk) send() {
	b.l.Allowance(b.now)
	b.l.OnSent(b.now, wire.AppSpace, Sent{Size: 1200, AckEliciting: true, Facts: b.facts})
}

func (b *bulk) step() {
	b.now = b.now.Add(time.Microsecond)
	b.send()
	b.send()
	oldest := b.l.spaces[wire.AppSpace].ring.first
	b.ranges = append(b.ranges[:0], rangeset.Range{Start: max(0, oldest-100), End: oldest + 2})
	for n := oldest - 102; n > 0 && len(b.ranges) < cap(b.ranges); n -= 4 {
		b.ranges = append(b.ranges, rangeset.Range{Start: n - 2, End: n})
	}
	if err := b.l.OnAck(b.now, wire.AppSpace, b.ranges, AckInfo{}); err != nil {
		panic(err)
	}
	if b.l.Deadline().IsNever() {
		panic("no deadline")
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	b := newBulk(1000)
	if n := testing.AllocsPerRun(5000, b.step); n != 0 {
		t.Errorf("%v allocations for two packets sent and acknowledged", n)
	}
}

func TestPingPongAllocatesNothing(t *testing.T) {
	b := newBulk(2)
	if n := testing.AllocsPerRun(5000, b.step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLossesAllocateNothing(t *testing.T) {
	b := newBulk(100)
	step := func() {
		b.now = b.now.Add(time.Millisecond)
		for range 10 {
			b.send()
		}
		first := b.l.spaces[wire.AppSpace].ring.first
		b.ranges = append(b.ranges[:0], rangeset.Range{Start: first + 9, End: first + 10})
		if err := b.l.OnAck(b.now, wire.AppSpace, b.ranges, AckInfo{}); err != nil {
			panic(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEmptyRingGivesItsMemoryBackAndGrowsAgain(t *testing.T) {
	l := quiet(congestion.NewReno(1200))
	facts := []Fact{{Kind: 1}, {Kind: 2}, {Kind: 3}}
	sp := &l.spaces[wire.AppSpace]
	for range 3 {
		for range 1000 {
			l.OnSent(epoch, wire.AppSpace, Sent{Size: 1200, AckEliciting: true, Facts: facts})
		}
		if len(sp.ring.slots) < 1000 || len(sp.ring.shelf.facts) < 3000 {
			t.Fatalf("%d slots and %d facts for 1000 packets", len(sp.ring.slots), len(sp.ring.shelf.facts))
		}
		all := []rangeset.Range{{Start: 0, End: l.Next(wire.AppSpace)}}
		if err := l.OnAck(epoch.Add(time.Millisecond), wire.AppSpace, all, AckInfo{}); err != nil {
			t.Fatal(err)
		}
		l.Trim()
		if sp.ring.slots != nil || sp.ring.shelf.facts != nil {
			t.Fatalf("%d slots and %d facts for nothing", len(sp.ring.slots), len(sp.ring.shelf.facts))
		}
	}
}

func TestRestingRingKeepsWhatIsOutstanding(t *testing.T) {
	l := quiet(congestion.NewReno(1200))
	sp := &l.spaces[wire.AppSpace]
	acked := func(start, end int64) {
		t.Helper()
		if err := l.OnAck(epoch.Add(time.Millisecond), wire.AppSpace, []rangeset.Range{{Start: start, End: end}}, AckInfo{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		from := l.Next(wire.AppSpace)
		for range 40 {
			l.OnSent(epoch, wire.AppSpace, Sent{Size: 1200, AckEliciting: true, InFlight: true, Facts: []Fact{{Kind: 1}}})
		}
		acked(from, from+40)
		for range 3 { // acknowledgments, which nobody acknowledges
			l.OnSent(epoch, wire.AppSpace, Sent{Size: 40, Facts: []Fact{{Kind: 9}}})
		}
		l.Trim()
		if len(sp.ring.slots) > 16 || len(sp.ring.shelf.facts) > 16 {
			t.Fatalf("%d slots and %d facts for a few packets", len(sp.ring.slots), len(sp.ring.shelf.facts))
		}
	}
	l.OnSent(epoch, wire.AppSpace, Sent{Size: 1200, AckEliciting: true, InFlight: true, Facts: []Fact{{Kind: 7}}})
	l.Trim()
	if last := sp.ring.at(sp.ring.next - 1); len(last.Facts) != 1 || last.Facts[0].Kind != 7 {
		t.Errorf("the facts of a packet under way: %v", last.Facts)
	}
	acked(l.Next(wire.AppSpace)-1, l.Next(wire.AppSpace))
}

// The cost of an acknowledgment must not depend on the window; compare the two.
func BenchmarkAckWindow100(b *testing.B)    { benchmarkAck(b, 100) }
func BenchmarkAckWindow100000(b *testing.B) { benchmarkAck(b, 100_000) }

func benchmarkAck(b *testing.B, window int) {
	w := newBulk(window)
	b.ReportAllocs()
	for b.Loop() {
		w.step()
	}
}

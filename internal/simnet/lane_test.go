package simnet

import (
	"math"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
)

// lost sends n datagrams over a link and returns which of them chance took.
func lost(l *Link, n int) []bool {
	gone := make([]bool, n)
	for i := range gone {
		fate, _ := l.Carry(epoch.Add(time.Duration(i)*ms), Packet{Payload: make([]byte, 100)})
		gone[i] = fate.Drop == DropLost
	}
	return gone
}

func TestALaneIsAsRandomAsALink(t *testing.T) {
	const n, p = 100_000, 0.1
	gone := lost(NewLink(1, 0, LinkConfig{Loss: p}).Lane(5, 3), n)
	losses, pairs, bits := 0, 0, [2]int{}
	for i := 1; i < n; i++ {
		if gone[i] {
			losses++
			bits[i&1]++
			if gone[i-1] {
				pairs++
			}
		}
	}
	// Four standard deviations: a seed that passes does so for ever.
	near := func(what string, got int, p, n float64) {
		if d := math.Abs(float64(got) - p*n); d > 4*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%s: %d, want about %.0f", what, got, p*n)
		}
	}
	near("losses", losses, p, n)
	near("losses in a row", pairs, p*p, n)
	near("losses of even numbers", bits[0], p, n/2)
}

func TestLanesShareQueueAndCountersAndNothingElse(t *testing.T) {
	l := NewLink(1, 0, LinkConfig{Rate: 1000, Queue: 250, Mask: 1})
	a, b := l.Lane(1, 1), l.Lane(1, 2)
	for _, lane := range []*Link{a, b, a, b, a, b} { // 100 bytes each: the first two masked, two queued, two too many
		lane.Carry(epoch, Packet{Payload: make([]byte, 100)})
	}
	if want := (Stats{Sent: 6, Masked: 2, QueueFull: 2, MaxQueue: 200}); *l.Stats != want || a.Entered() != 3 {
		t.Errorf("%+v, want %+v", *l.Stats, want)
	}
	one, other := lost(NewLink(1, 0, LinkConfig{Loss: 0.5}).Lane(1, 1), 100), lost(NewLink(1, 0, LinkConfig{Loss: 0.5}).Lane(1, 2), 100)
	same := 0
	for i := range one {
		if one[i] == other[i] {
			same++
		}
	}
	if same > 75 {
		t.Errorf("%d of 100 datagrams met the same fate on two lanes", same)
	}
}

func TestOverflowTakesBackWhatCarryCounted(t *testing.T) {
	l := NewLink(1, 0, LinkConfig{Duplicate: 1, Corrupt: 1, Reorder: 1})
	first, second := l.Carry(epoch, Packet{Payload: make([]byte, 100)})
	l.Overflow(&first, &second)
	if want := (Stats{Sent: 1, QueueFull: 1}); *l.Stats != want || !first.At.IsNever() || !second.At.IsNever() {
		t.Errorf("%+v, want %+v", *l.Stats, want)
	}
}

func TestDropsNameDatagramsBeyondTheMask(t *testing.T) {
	l := flood(1, 1000, LinkConfig{Drops: rangeset.Set{{Start: 1, End: 3}, {Start: 900, End: 901}}})
	l.want(t, Stats{Sent: 1000, Delivered: 997, DeliveredBytes: 99_700, Masked: 3})
	for _, id := range l.id {
		if id == 1 || id == 2 || id == 900 {
			t.Errorf("datagram %d arrived", id)
		}
	}
}

func TestRunsOfLossAndCorruptionAreNoLongerThanAsked(t *testing.T) {
	longest := func(gone []bool) (most int) {
		run := 0
		for _, g := range gone {
			if run++; !g {
				run = 0
			}
			most = max(most, run)
		}
		return most
	}
	if n := longest(lost(NewLink(1, 0, LinkConfig{Loss: 0.5, LossRun: 3}), 1000)); n != 3 {
		t.Errorf("%d in a row were lost, want 3", n)
	}
	flood(1, 8, LinkConfig{Corrupt: 1, CorruptRun: 3}).want(t, Stats{Sent: 8, Delivered: 8, DeliveredBytes: 800, Corrupted: 6})
}

func TestACycleIsDownAgainAndAgain(t *testing.T) {
	c := Cycle{Up: 5 * time.Second, Down: 2 * time.Second}
	for _, w := range []struct {
		at   time.Duration
		down bool
	}{{1, false}, {5*time.Second - 1, false}, {5 * time.Second, true}, {7*time.Second - 1, true}, {7 * time.Second, false}, {12 * time.Second, true}} {
		if got := c.down(instant.Time(w.at)); got != w.down {
			t.Errorf("after %v it is down: %v", w.at, got)
		}
	}
	if (Cycle{}).down(5) || (Cycle{Up: 1}).down(5) {
		t.Error("a cycle without a lower half is down")
	}
	flood(1, 100, LinkConfig{Cycle: Cycle{Up: 20 * ms, Down: 5 * ms}}).want(t, Stats{Sent: 100, Delivered: 80, DeliveredBytes: 8000, Outage: 20})
}

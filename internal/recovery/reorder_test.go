package recovery

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

func one(n int64) []rangeset.Range { return []rangeset.Range{{Start: n, End: n + 1}} }

// ackOne acknowledges one packet of the application space.
func ackOne(t *testing.T, l *Ledger, now instant.Time, n int64) {
	t.Helper()
	if err := l.OnAck(now, wire.AppSpace, one(n), AckInfo{}); err != nil {
		t.Fatal(err)
	}
}

func TestThresholdsAreBounded(t *testing.T) {
	l := quiet(congestion.NewReno(1200))
	now := epoch
	late := func(later int) {
		now = now.Add(time.Second)
		first := l.Next(wire.AppSpace)
		for range later + 1 {
			l.OnSent(now, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
		}
		now = now.Add(40 * time.Millisecond)
		ackOne(t, l, now, first+int64(later))
		if !l.Deadline().IsNever() {
			now = max(now, l.Deadline())
			l.Expire(now)
		}
		ackOne(t, l, now, first)
	}
	late(2 * maxPacketThreshold)
	if n := l.reorder.packetThreshold(); n != maxPacketThreshold {
		t.Errorf("the packet threshold is %d, want %d", n, maxPacketThreshold)
	}
	for range 2 * maxWidened {
		late(1)
	}
	if d := l.reorder.lossDelay(congestion.RTT{Smoothed: 40 * time.Millisecond}); d != 80*time.Millisecond {
		t.Errorf("the time threshold is %v, want twice the round-trip time at most", d)
	}
	if s := l.Stats(); s.Undone == 0 || s.SpuriousLost != 2*maxWidened+1 {
		t.Errorf("%d reductions were undone, %d losses were spurious", s.Undone, s.SpuriousLost)
	}
}

func TestThresholdsReturnAfterManyRealCongestionEvents(t *testing.T) {
	l := quiet(congestion.NewReno(1200))
	l.reorder = reordering{packets: 5, widened: 2}
	now := epoch
	for i := range reorderPersist + 1 {
		if n := l.reorder.packetThreshold(); n != packetThreshold+5 {
			t.Fatalf("after %d congestion events the packet threshold is %d", i, n)
		}
		first := l.Next(wire.AppSpace)
		for range packetThreshold + 6 {
			l.OnSent(now, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
		}
		now = now.Add(40 * time.Millisecond)
		if err := l.OnAck(now, wire.AppSpace, []rangeset.Range{{Start: first + 1, End: first + packetThreshold + 6}}, AckInfo{}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Millisecond)
	}
	if l.reorder != (reordering{}) {
		t.Errorf("after %d congestion events without a spurious loss the thresholds are still %+v", reorderPersist+1, l.reorder)
	}
}

// TestReorderingDoesNotCollapseTheWindow sends windows of which every tenth packet comes in after the next twenty, and
// watches both controllers.
func TestReorderingDoesNotCollapseTheWindow(t *testing.T) {
	for _, name := range congestion.Names() {
		c, _ := congestion.ByName(name, 1200)
		l := quiet(c)
		now, begin := epoch, c.Window()
		for range 7 {
			first := l.Next(wire.AppSpace)
			for n := 0; n < 100 || l.InFlight() < l.Window(); n++ {
				l.OnSent(now, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
			}
			now = now.Add(40 * time.Millisecond)
			for n := first; n < l.Next(wire.AppSpace)+20; n++ {
				now++
				if late := n - 20; late >= first && late%10 == 0 {
					ackOne(t, l, now, late)
				}
				if n < l.Next(wire.AppSpace) && n%10 != 0 {
					ackOne(t, l, now, n)
				}
			}
			now++
		}
		s := l.Stats()
		if s.Lost != s.SpuriousLost || s.Lost > 20 {
			t.Errorf("%s: %d packets lost, %d of them spuriously", name, s.Lost, s.SpuriousLost)
		}
		if c.Window() < 4*begin {
			t.Errorf("%s: a window of %d bytes became one of %d", name, begin, c.Window())
		}
	}
}

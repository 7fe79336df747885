package recovery

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

func quiet(c congestion.Controller) *Ledger {
	return New(Config{Server: true, Controller: c, DatagramSize: 1200, Fate: func(wire.Space, *Packet, Fate) {}})
}

func TestPeerThatNeverAcknowledgesCannotGrowTheRing(t *testing.T) {
	lost := 0
	l := New(Config{
		Server:       true,
		Controller:   congestion.NewReno(1200),
		DatagramSize: 1200,
		Fate: func(_ wire.Space, p *Packet, f Fate) {
			if f != Lost || p.Number != int64(lost) {
				t.Fatalf("packet %d is %v", p.Number, f)
			}
			lost++
		},
	})
	const notes = 20000
	l.OnSent(epoch, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
	for range notes {
		l.OnSent(epoch, wire.AppSpace, Sent{Size: 40, Facts: []Fact{{}}})
	}
	if slots := len(l.spaces[wire.AppSpace].ring.slots); slots > 2*maxSparse {
		t.Errorf("%d slots", slots)
	}
	if want := notes + 1 - maxSparse; lost != want || l.Stats().GivenUp != int64(want) {
		t.Errorf("%d packets given up, want %d", lost, want)
	}
	if l.InFlight() != 0 {
		t.Errorf("%d bytes in flight", l.InFlight())
	}
}

func TestWindowOfPacketsIsNeverGivenUp(t *testing.T) {
	l := quiet(congestion.NewReno(1200))
	for range 3 * maxSparse {
		l.OnSent(epoch, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
	}
	if n := l.Stats().Lost; n != 0 {
		t.Errorf("%d packets lost", n)
	}
}

func TestSkippedNumberIsNeverAcknowledged(t *testing.T) {
	l := quiet(congestion.NewReno(1200))
	for range maxSkipped + 1 { // numbers 0, 2, 4 ... are skipped
		l.Skip(wire.AppSpace)
		l.OnSent(epoch, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
	}
	ack := func(n int64) error {
		return l.OnAck(epoch.Add(time.Millisecond), wire.AppSpace, []rangeset.Range{{Start: n, End: n + 1}}, AckInfo{})
	}
	for n := int64(2); n <= 2*maxSkipped; n += 2 {
		if ack(n) != ErrNeverSent {
			t.Errorf("skipped number %d was acknowledged", n)
		}
	}
	if err := ack(0); err != nil {
		t.Errorf("the oldest skipped number should be forgotten: %v", err)
	}
	if err := ack(2*maxSkipped + 1); err != nil {
		t.Error(err)
	}
}

func TestLostRangesAreBounded(t *testing.T) {
	l := quiet(congestion.NewReno(1200))
	const n = 4 * maxLostRanges
	var odd []rangeset.Range
	for i := int64(n - 1); i > 0; i -= 2 {
		odd = append(odd, rangeset.Range{Start: i, End: i + 1})
	}
	for range n {
		l.OnSent(epoch, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
	}
	if err := l.OnAck(epoch.Add(time.Millisecond), wire.AppSpace, odd, AckInfo{}); err != nil {
		t.Fatal(err)
	}
	if got := len(l.spaces[wire.AppSpace].gone); got != maxLostRanges {
		t.Errorf("%d ranges remembered, want %d", got, maxLostRanges)
	}
	all := []rangeset.Range{{Start: 0, End: n}}
	if err := l.OnAck(epoch.Add(2*time.Millisecond), wire.AppSpace, all, AckInfo{}); err != nil {
		t.Fatal(err)
	}
	if got := l.Stats().SpuriousLost; got != maxLostRanges {
		t.Errorf("%d spurious losses counted, want the remembered %d", got, maxLostRanges)
	}
}

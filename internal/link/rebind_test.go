package link

import (
	"net/netip"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/simnet"
)

func TestARebindingShowsAnotherPortAndForgetsTheOld(t *testing.T) {
	for _, keep := range []bool{false, true} {
		l := newLab(t, Config{Rebind: Rebind{Keep: keep}})
		l.client.send(t, l.Addr(), 0, 100)
		old := l.server.wait(t, 1)[0].from
		if err := l.RebindNow(); err != nil {
			t.Fatal(err)
		}
		l.client.send(t, l.Addr(), 1, 100)
		moved := l.server.wait(t, 2)[1].from
		if moved == old || moved.Addr() != old.Addr() || l.Stats().Rebinds != 1 {
			t.Errorf("from %v to %v, %d rebindings", old, moved, l.Stats().Rebinds)
		}
		l.server.send(t, old, 2, 100)
		until(t, "it to arrive or not", func() bool { s := l.Stats().Down; return s.Sent == 1 && s.Balanced() })
		l.server.send(t, moved, 3, 100)
		want := []int{3}
		if keep {
			want = []int{2, 3}
		}
		got := ids(l.client.wait(t, len(want)))
		if len(got) != len(want) || got[0] != want[0] || l.Stats().Down.Stale != 2-len(want) {
			t.Errorf("keep %v: %v arrived, %+v", keep, got, l.Stats().Down)
		}
	}
}

func TestARebindingCanShowAnotherAddress(t *testing.T) {
	l := newLab(t, Config{Rebind: Rebind{Addr: true}})
	l.client.send(t, l.Addr(), 0, 100)
	seen := map[netip.Addr]bool{l.server.wait(t, 1)[0].from.Addr(): true}
	for i := range 3 {
		if err := l.RebindNow(); err != nil {
			t.Skip("this system has no such addresses: ", err)
		}
		l.client.send(t, l.Addr(), 1, 100)
		from := l.server.wait(t, 2+i)[1+i].from
		if seen[from.Addr()] {
			t.Errorf("%v again", from)
		}
		seen[from.Addr()] = true
		l.server.send(t, from, 2, 100)
		l.client.wait(t, 1+i)
	}
}

func TestWhatIsUnderWayKeepsItsSource(t *testing.T) {
	l := newLab(t, Config{Up: simnet.LinkConfig{Rate: 1000}}) // 0.1 s for a datagram
	for i := range 3 {
		l.client.send(t, l.Addr(), i, 100)
	}
	until(t, "all to enter", func() bool { return l.Stats().Up.Sent == 3 })
	l.RebindNow()
	l.client.send(t, l.Addr(), 3, 100)
	got := l.server.wait(t, 4)
	if got[0].from != got[2].from || got[2].from == got[3].from {
		t.Errorf("from %v, %v, %v, %v", got[0].from, got[1].from, got[2].from, got[3].from)
	}
}

func TestTheClockRebinds(t *testing.T) {
	l := newLab(t, Config{Rebind: Rebind{After: ms, Every: 2 * ms}})
	time.Sleep(10 * ms)
	if n := l.Stats().Rebinds; n != 0 {
		t.Errorf("%d rebindings before a client came", n)
	}
	l.client.send(t, l.Addr(), 0, 100)
	until(t, "rebindings", func() bool { return l.Stats().Rebinds >= 3 })

	once := newLab(t, Config{Rebind: Rebind{After: ms}})
	once.client.send(t, once.Addr(), 0, 100)
	until(t, "a rebinding", func() bool { return once.Stats().Rebinds == 1 })
}

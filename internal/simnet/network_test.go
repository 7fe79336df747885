package simnet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

var (
	here  = netip.MustParseAddrPort("192.0.2.1:1000")
	there = netip.MustParseAddrPort("192.0.2.2:2000")
)

const (
	epoch = instant.Time(time.Second)
	ms    = time.Millisecond
)

// lab is a network with one link from here to there, and what came out of it.
type lab struct {
	*Network
	at   []instant.Time
	id   []int // the number that send wrote into the payload
	ecn  []uint8
	from []netip.AddrPort
	data [][]byte
}

func newLab(seed uint64, c LinkConfig) *lab {
	l := &lab{Network: New(seed)}
	l.Link(here.Addr(), there.Addr(), c)
	return l
}

// send lets arrive what arrives before now, and sends a numbered datagram of a size.
func (l *lab) send(now instant.Time, id, size int) {
	l.until(now - 1)
	b := make([]byte, max(size, 4))
	binary.BigEndian.PutUint32(b, uint32(id))
	l.Send(now, Packet{From: here, To: there, Payload: b, ECN: 2})
}

// drain lets everything arrive.
func (l *lab) drain() *lab {
	l.until(1 << 62)
	return l
}

// until lets everything arrive up to an instant.
func (l *lab) until(end instant.Time) {
	for l.Next().Reached(end) {
		now := l.Next()
		for p, ok := l.Deliver(now); ok; p, ok = l.Deliver(now) {
			l.at = append(l.at, now)
			l.id = append(l.id, int(binary.BigEndian.Uint32(p.Payload)))
			l.ecn = append(l.ecn, p.ECN)
			l.from = append(l.from, p.From)
			l.data = append(l.data, bytes.Clone(p.Payload))
		}
	}
}

// flood sends n datagrams of 100 bytes, one a millisecond, and lets them arrive.
func flood(seed uint64, n int, c LinkConfig) *lab {
	l := newLab(seed, c)
	for i := range n {
		l.send(epoch.Add(time.Duration(i)*ms), i, 100)
	}
	return l.drain()
}

func (l *lab) stats() Stats { return l.Stats(here.Addr(), there.Addr()) }

// want compares counters; the exact numbers are those of the seed.
func (l *lab) want(t *testing.T, s Stats) {
	t.Helper()
	if got := l.stats(); got != s {
		t.Errorf("got  %+v\nwant %+v", got, s)
	}
}

func inOrder(id []int) bool {
	for i := 1; i < len(id); i++ {
		if id[i] < id[i-1] {
			return false
		}
	}
	return true
}

func TestAPerfectLinkDeliversEverythingInOrder(t *testing.T) {
	l := flood(1, 1000, LinkConfig{Delay: 10 * ms})
	l.want(t, Stats{Sent: 1000, Delivered: 1000, DeliveredBytes: 100_000})
	for i := range l.at {
		if want := epoch.Add(time.Duration(i+10) * ms); l.at[i] != want || l.id[i] != i {
			t.Fatalf("arrival %d is number %d at %d, want %d", i, l.id[i], l.at[i], want)
		}
	}
}

func TestLossIsIndependentAndAsOftenAsAsked(t *testing.T) {
	flood(1, 10_000, LinkConfig{Loss: 0.05}).want(t, Stats{Sent: 10_000, Delivered: 9495, DeliveredBytes: 949_500, Lost: 505})
}

func TestBurstsAreAsLongAsAsked(t *testing.T) {
	l := flood(1, 10_000, LinkConfig{Burst: Burst{Enter: 0.01, Leave: 0.2, Loss: 1}})
	l.want(t, Stats{Sent: 10_000, Delivered: 9589, DeliveredBytes: 958_900, BurstLost: 411})
	gaps := 0
	for i := 1; i < len(l.id); i++ {
		if l.id[i] != l.id[i-1]+1 {
			gaps++
		}
	}
	if mean := float64(l.stats().BurstLost) / float64(gaps); mean < 4 || mean > 6 {
		t.Errorf("bursts are %.2f datagrams long, want 5", mean)
	}
}

func TestAMaskDropsExactlyTheDatagramsNamed(t *testing.T) {
	l := flood(1, 100, LinkConfig{Mask: 1<<0 | 1<<3 | 1<<63})
	l.want(t, Stats{Sent: 100, Delivered: 97, DeliveredBytes: 9700, Masked: 3})
	for _, id := range l.id {
		if id == 0 || id == 3 || id == 63 {
			t.Errorf("datagram %d arrived", id)
		}
	}
}

func TestJitterDelaysButNeverReorders(t *testing.T) {
	l := flood(1, 1000, LinkConfig{Delay: 10 * ms, Jitter: 20 * ms})
	if !inOrder(l.id) {
		t.Error("jitter reordered")
	}
	var most time.Duration
	for i, at := range l.at {
		d := at.Sub(epoch.Add(time.Duration(l.id[i]) * ms))
		if d < 10*ms || d > 30*ms {
			t.Errorf("datagram %d took %v", l.id[i], d)
		}
		most = max(most, d)
	}
	if most < 29*ms {
		t.Errorf("the slowest took %v", most)
	}
}

func TestReorderedDatagramsAreOvertaken(t *testing.T) {
	l := flood(1, 1000, LinkConfig{Delay: 10 * ms, Reorder: 0.1, ReorderDelay: 5500 * time.Microsecond})
	l.want(t, Stats{Sent: 1000, Delivered: 1000, DeliveredBytes: 100_000, Reordered: 92})
	late := 0
	for i := 1; i < len(l.id); i++ {
		if l.id[i] < l.id[i-1] {
			late++
		}
	}
	if late == 0 || late > l.stats().Reordered {
		t.Errorf("%d arrivals out of order, %d held back", late, l.stats().Reordered)
	}
}

func TestDuplicatesArriveTwice(t *testing.T) {
	l := flood(1, 1000, LinkConfig{Delay: ms, Duplicate: 0.1, DuplicateDelay: 50 * ms})
	l.want(t, Stats{Sent: 1000, Delivered: 1087, DeliveredBytes: 108_700, Duplicated: 87})
	count := make(map[int]int)
	for _, id := range l.id {
		count[id]++
	}
	twice := 0
	for id := range 1000 {
		switch count[id] {
		case 1:
		case 2:
			twice++
		default:
			t.Errorf("datagram %d arrived %d times", id, count[id])
		}
	}
	if twice != l.stats().Duplicated {
		t.Errorf("%d arrived twice, %d were duplicated", twice, l.stats().Duplicated)
	}
}

func TestCorruptionChangesOneByte(t *testing.T) {
	l := newLab(1, LinkConfig{Corrupt: 0.2})
	sent := bytes.Repeat([]byte{0x55}, 50)
	for range 1000 {
		l.Send(epoch, Packet{From: here, To: there, Payload: sent})
	}
	l.drain().want(t, Stats{Sent: 1000, Delivered: 1000, DeliveredBytes: 50_000, Corrupted: 196})
	changed := 0
	for _, b := range l.data {
		wrong := 0
		for _, c := range b {
			if c != 0x55 {
				wrong++
			}
		}
		if wrong > 1 || len(b) != 50 {
			t.Errorf("%d bytes of %d are wrong", wrong, len(b))
		}
		changed += wrong
	}
	if changed != l.stats().Corrupted {
		t.Errorf("%d datagrams changed, %d were corrupted", changed, l.stats().Corrupted)
	}
	if !bytes.Equal(sent, bytes.Repeat([]byte{0x55}, 50)) {
		t.Error("the sender's own bytes were changed")
	}
}

func TestTheMTUDropsWhatIsLarger(t *testing.T) {
	l := newLab(1, LinkConfig{MTU: 1200})
	l.send(epoch, 0, 1200)
	l.send(epoch, 1, 1201)
	l.drain().want(t, Stats{Sent: 2, Delivered: 1, DeliveredBytes: 1200, TooLarge: 1})
}

func TestAHoleLowersTheMTUForATime(t *testing.T) {
	hole := Hole{Outage{epoch.Add(10 * ms), epoch.Add(20 * ms)}, 1200}
	l := newLab(1, LinkConfig{MTU: 1400, Holes: []Hole{hole}})
	for i, at := range []time.Duration{0, 10, 19, 20} {
		l.send(epoch.Add(at*ms), i, 1400)
	}
	l.drain().want(t, Stats{Sent: 4, Delivered: 2, DeliveredBytes: 2800, TooLarge: 2})

	hole.To = 0
	l = newLab(1, LinkConfig{Holes: []Hole{hole}})
	l.send(epoch, 0, 1400)
	l.send(epoch.Add(time.Hour), 1, 1400)
	l.send(epoch.Add(time.Hour), 2, 1200)
	l.drain().want(t, Stats{Sent: 3, Delivered: 2, DeliveredBytes: 2600, TooLarge: 1})
}

func TestECNFaults(t *testing.T) {
	for _, c := range []struct {
		fault         ECNFault
		ect0, ect1, n uint8 // what becomes of ECT(0), ECT(1), not ECT
	}{{ECNKept, 2, 1, 0}, {ECNCleared, 0, 0, 0}, {ECNSwapped, 1, 1, 0}, {ECNForced, 3, 3, 0}} {
		if a, b, n := c.fault.change(2), c.fault.change(1), c.fault.change(0); a != c.ect0 || b != c.ect1 || n != c.n {
			t.Errorf("fault %d makes %d, %d, %d of ECT(0), ECT(1), not ECT", c.fault, a, b, n)
		}
	}
	l := newLab(1, LinkConfig{ECN: ECNDropped})
	l.send(epoch, 0, 100)
	l.drain().want(t, Stats{Sent: 1, Disliked: 1})
}

func TestARateSpacesDatagramsAndAFullQueueDropsTheTail(t *testing.T) {
	l := newLab(1, LinkConfig{Rate: 100_000, Queue: 3000, Delay: ms}) // 1000 bytes take 10 ms
	for i := range 5 {
		l.send(epoch, i, 1000)
	}
	l.send(epoch.Add(10*ms), 5, 1000) // the first has left: there is room for one
	l.send(epoch.Add(10*ms), 6, 1000)
	l.drain().want(t, Stats{Sent: 7, Delivered: 4, DeliveredBytes: 4000, QueueFull: 3, MaxQueue: 3000})
	for i, want := range []struct {
		id int
		at time.Duration
	}{{0, 11 * ms}, {1, 21 * ms}, {2, 31 * ms}, {5, 41 * ms}} {
		if l.id[i] != want.id || l.at[i] != epoch.Add(want.at) {
			t.Errorf("arrival %d is number %d after %v, want %d after %v", i, l.id[i], l.at[i].Sub(epoch), want.id, want.at)
		}
	}
}

func TestAQueueThatNeverEmptiesKeepsItsMemory(t *testing.T) {
	l := newLab(1, LinkConfig{Rate: 100_000, Queue: 3000})
	for i := range 10_000 {
		l.send(epoch.Add(time.Duration(i)*5*ms), i, 1000)
		for {
			if _, ok := l.Deliver(epoch.Add(time.Duration(i) * 5 * ms)); !ok {
				break
			}
		}
	}
	if n := cap(l.links[hostPair{here.Addr(), there.Addr()}].waiting); n > 16 {
		t.Errorf("three datagrams wait in room for %d", n)
	}
}

func TestALongQueueMarksWhatIsECNCapable(t *testing.T) {
	l := newLab(1, LinkConfig{Rate: 100_000, Mark: 1500})
	for i := range 4 {
		l.send(epoch, i, 1000)
	}
	l.Send(epoch, Packet{From: here, To: there, Payload: make([]byte, 100)}) // not ECT
	l.drain().want(t, Stats{Sent: 5, Delivered: 5, DeliveredBytes: 4100, Marked: 2, MaxQueue: 4100})
	if !bytes.Equal(l.ecn, []byte{2, 2, 3, 3, 0}) {
		t.Errorf("ECN bits %v", l.ecn)
	}
}

func TestAnOutageStopsWhatEntersDuringIt(t *testing.T) {
	l := flood(1, 100, LinkConfig{Delay: 20 * ms, Outages: []Outage{{epoch.Add(10 * ms), epoch.Add(15 * ms)}, {epoch.Add(90 * ms), epoch.Add(time.Hour)}}})
	l.want(t, Stats{Sent: 100, Delivered: 85, DeliveredBytes: 8500, Outage: 15})
}

func TestRebindingShowsANewAddressAndForgetsTheOld(t *testing.T) {
	n := New(1)
	n.Join(here.Addr(), there.Addr(), LinkConfig{Delay: 10 * ms})
	moved := netip.MustParseAddrPort("198.51.100.9:7777")
	n.Rebind(epoch.Add(5*ms), here, moved)

	expect := func(now instant.Time, from, to netip.AddrPort) {
		t.Helper()
		p, ok := n.Deliver(now)
		if !ok || p.From != from || p.To != to {
			t.Errorf("got %v from %v to %v, want from %v to %v", ok, p.From, p.To, from, to)
		}
	}
	n.Send(epoch, Packet{From: here, To: there})
	n.Send(epoch, Packet{From: there, To: here}) // arrives after the NAT forgot
	n.Send(epoch.Add(5*ms), Packet{From: here, To: there})
	n.Send(epoch.Add(5*ms), Packet{From: there, To: moved})
	expect(epoch.Add(10*ms), here, there)
	expect(epoch.Add(15*ms), moved, there)
	expect(epoch.Add(15*ms), there, here)
	if s := n.Stats(there.Addr(), here.Addr()); s.Stale != 1 || s.Delivered != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestADatagramWithoutALinkIsCounted(t *testing.T) {
	n := New(1)
	n.Send(epoch, Packet{From: here, To: there})
	if n.Unroutable() != 1 || !n.Next().IsNever() {
		t.Error("a datagram went somewhere without a link")
	}
}

// everything has every fault at once.
var everything = LinkConfig{
	Outages: []Outage{{epoch.Add(500 * ms), epoch.Add(600 * ms)}}, Mask: 0x55, MTU: 1400, Rate: 200_000, Queue: 20_000, Mark: 500,
	Loss: 0.02, Burst: Burst{0.01, 0.3, 0.9}, Corrupt: 0.02, Delay: 10 * ms, Jitter: 5 * ms, Reorder: 0.05, ReorderDelay: 8 * ms,
	Duplicate: 0.03, DuplicateDelay: 30 * ms,
}

func TestTheSeedDecidesEverything(t *testing.T) {
	first, again, other := flood(7, 2000, everything), flood(7, 2000, everything), flood(8, 2000, everything)
	if first.Hash() != again.Hash() || first.stats() != again.stats() {
		t.Error("one seed, two outcomes")
	}
	if first.Hash() == other.Hash() {
		t.Error("two seeds, one outcome")
	}
	s := first.stats()
	if s.Sent+s.Duplicated != s.Delivered+s.Dropped() {
		t.Errorf("the books do not balance: %+v", s)
	}
}

func TestTrafficOneWayDoesNotChangeTheOther(t *testing.T) {
	run := func(back bool) []instant.Time {
		l := newLab(3, everything)
		l.Link(there.Addr(), here.Addr(), everything)
		for i := range 500 {
			now := epoch.Add(time.Duration(i) * ms)
			if back {
				l.until(now - 1)
				l.Send(now, Packet{From: there, To: here, Payload: make([]byte, 100)})
			}
			l.send(now, i, 100)
		}
		l.drain()
		var at []instant.Time
		for i := range l.at {
			if l.from[i] == here {
				at = append(at, l.at[i])
			}
		}
		return at
	}
	alone, shared := run(false), run(true)
	if len(alone) != len(shared) {
		t.Fatalf("%d arrivals alone, %d with traffic the other way", len(alone), len(shared))
	}
	for i := range alone {
		if alone[i] != shared[i] {
			t.Fatalf("arrival %d moved from %d to %d", i, alone[i], shared[i])
		}
	}
}

func TestChangingALinkKeepsWhatIsUnderWay(t *testing.T) {
	l := newLab(1, LinkConfig{Delay: 10 * ms})
	l.send(epoch, 0, 100)
	l.Link(here.Addr(), there.Addr(), LinkConfig{Loss: 1})
	l.send(epoch, 1, 100)
	l.drain().want(t, Stats{Sent: 2, Delivered: 1, DeliveredBytes: 100, Lost: 1})
}

func TestASteadyStreamAllocatesNothing(t *testing.T) {
	l := newLab(1, LinkConfig{Delay: 10 * ms, Rate: 1e6, Queue: 10_000})
	payload := make([]byte, 1200)
	now := epoch
	step := func() {
		now = now.Add(ms)
		l.Send(now, Packet{From: here, To: there, Payload: payload})
		for {
			if _, ok := l.Deliver(now); !ok {
				break
			}
		}
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("a datagram costs %v allocations", n)
	}
}

func TestMisuseIsABug(t *testing.T) {
	for name, f := range map[string]func(){
		"time goes backwards":     func() { n := New(1); n.Deliver(5); n.Deliver(4) },
		"never is not a time":     func() { New(1).Send(0, Packet{}) },
		"a probability above one": func() { New(1).Join(here.Addr(), there.Addr(), LinkConfig{Loss: 1.5}) },
		"a negative delay":        func() { New(1).Join(here.Addr(), there.Addr(), LinkConfig{Delay: -1}) },
		"a negative size":         func() { New(1).Join(here.Addr(), there.Addr(), LinkConfig{MTU: -1}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

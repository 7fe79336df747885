package congestion

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestInitialWindowFollowsTheDatagramSize(t *testing.T) {
	// Rules: 9002:7.2/1, 9002:7.2/2
	for _, tt := range []struct{ mss, window int }{
		{1200, 12000}, {1452, 14520}, {1500, 14720}, {9000, 18000},
	} {
		for _, name := range Names() {
			c, _ := ByName(name, tt.mss)
			if c.Window() != tt.window || !c.InSlowStart() {
				t.Errorf("%s with datagrams of %d: window %d, want %d", name, tt.mss, c.Window(), tt.window)
			}
			small, _ := ByName(name, 1200)
			small.(Resizer).SetDatagramSize(tt.mss)
			if small.Window() != tt.window {
				t.Errorf("%s resized to %d: window %d, want %d", name, tt.mss, small.Window(), tt.window)
			}
		}
	}
}

func TestUnknownNameIsAnErrorThatListsTheKnown(t *testing.T) {
	_, err := ByName("vegas", mss)
	if err == nil || !strings.Contains(err.Error(), "cubic") {
		t.Errorf("got %v", err)
	}
}

func TestSlowStartDoublesEachRoundTrip(t *testing.T) {
	for _, c := range controllers(t) {
		p := newPath(c, 50*time.Millisecond)
		for want := 12000; want < 1_000_000; want *= 2 {
			if c.Window() != want {
				t.Fatalf("%s: window %d, want %d", c.Name(), c.Window(), want)
			}
			p.full()
		}
	}
}

func TestWindowDoesNotGrowWhenItIsNotTheLimit(t *testing.T) {
	// Rules: 9002:7.8/1
	for _, c := range controllers(t) {
		p := newPath(c, 50*time.Millisecond)
		for range 10 {
			p.round(mss, false)
		}
		if c.Window() != 12000 {
			t.Errorf("%s in slow start: window %d", c.Name(), c.Window())
		}
		p.lose(p.now - 1)
		before := c.Window()
		for range 100 {
			p.round(mss, false)
		}
		if c.Window() != before {
			t.Errorf("%s in congestion avoidance: window %d, was %d", c.Name(), c.Window(), before)
		}
	}
}

func TestOneReductionPerRoundTrip(t *testing.T) {
	for _, c := range controllers(t) {
		p := newPath(c, 50*time.Millisecond)
		p.full()
		p.full()
		sentAt := p.now - 1
		p.lose(sentAt)
		once := c.Window()
		for range 10 {
			p.lose(sentAt)
		}
		c.OnLoss(Loss{Now: p.now, LargestSentAt: sentAt, CE: true})
		if c.Window() != once {
			t.Errorf("%s: window %d after losses from before the reduction, want %d", c.Name(), c.Window(), once)
		}
		// Acknowledgments of packets from before it do not grow the window either.
		c.OnAck(Ack{Now: p.now, Bytes: 48000, LargestSentAt: sentAt, WindowLimited: true})
		if c.Window() != once {
			t.Errorf("%s: window %d grew in recovery, was %d", c.Name(), c.Window(), once)
		}
		p.lose(p.now)
		if c.Window() >= once {
			t.Errorf("%s: window %d after a new loss, was %d", c.Name(), c.Window(), once)
		}
	}
}

func TestMarksReduceLikeLosses(t *testing.T) {
	// Rules: 9002:7.3.1/1
	for _, name := range Names() {
		marked, _ := ByName(name, mss)
		lossy, _ := ByName(name, mss)
		marked.OnLoss(Loss{Now: start + 1, LargestSentAt: start, CE: true})
		lossy.OnLoss(Loss{Now: start + 1, LargestSentAt: start, Bytes: mss, Packets: 1})
		if marked.Window() != lossy.Window() || marked.Window() >= 12000 {
			t.Errorf("%s: %d after a mark, %d after a loss", name, marked.Window(), lossy.Window())
		}
	}
}

func TestPersistentCongestionCollapsesAndSlowStartsAgain(t *testing.T) {
	// Rules: 9002:7.6.2/4
	for _, c := range controllers(t) {
		p := newPath(c, 50*time.Millisecond)
		p.full()
		p.full()
		c.OnLoss(Loss{Now: p.now, Bytes: mss, Packets: 2, LargestSentAt: p.now - 1, Persistent: true})
		if c.Window() != 2*mss || !c.InSlowStart() {
			t.Fatalf("%s: window %d, in slow start %v", c.Name(), c.Window(), c.InSlowStart())
		}
		p.now++
		p.full()
		if c.Window() != 4*mss {
			t.Errorf("%s: window %d a round trip later, want it doubled", c.Name(), c.Window())
		}
		for range 5 {
			p.full()
		}
		if c.InSlowStart() {
			t.Errorf("%s: slow start goes on above the threshold, at %d", c.Name(), c.Window())
		}
	}
}

func TestSeededControllerBeginsWhereTheOtherWas(t *testing.T) {
	for _, tt := range []struct {
		seed   Seed
		window int
	}{
		{Seed{Window: 500_000, MinRTT: time.Second, Rate: 1}, 500_000},
		{Seed{MinRTT: 100 * time.Millisecond, Rate: 1_000_000}, 100_000},
		{Seed{Window: 1}, 2400},
		{Seed{Rate: 1_000_000}, 12_000},
	} {
		for _, c := range controllers(t) {
			c.(Seeder).Seed(tt.seed)
			if c.Window() != tt.window {
				t.Errorf("%s seeded with %+v: window %d, want %d", c.Name(), tt.seed, c.Window(), tt.window)
			}
			if known := tt.window != 12_000; known == c.InSlowStart() {
				t.Errorf("%s seeded with %+v: in slow start %v", c.Name(), tt.seed, c.InSlowStart())
			}
			p := newPath(c, 50*time.Millisecond)
			for range 3 {
				p.full()
			}
			if c.Window() <= tt.window {
				t.Errorf("%s seeded with %+v does not grow", c.Name(), tt.seed)
			}
		}
	}
}

func TestWindowStaysWithinBoundsWhateverHappens(t *testing.T) {
	for seed := range uint64(20) {
		for _, c := range controllers(t) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			p := newPath(c, 20*time.Millisecond)
			for range 300 {
				before := c.Window()
				switch rnd.IntN(8) {
				case 0:
					p.lose(p.now - Time(rnd.Int64N(int64(30*time.Millisecond))))
				case 1:
					c.OnLoss(Loss{Now: p.now, LargestSentAt: p.now - 1, Persistent: rnd.IntN(4) == 0, Bytes: mss, Packets: 1})
				case 2:
					p.now = p.now.Add(time.Duration(rnd.Int64N(int64(time.Hour))))
				case 3:
					p.rtt = time.Duration(1 + rnd.Int64N(int64(time.Second)))
				default:
					p.round(min(c.Window(), 100*mss), rnd.IntN(4) > 0)
				}
				if w := c.Window(); w < 2*mss || w > 2*before+mss {
					t.Fatalf("%s, seed %d: window %d after %d", c.Name(), seed, w, before)
				}
			}
		}
	}
}

func TestCallsAllocateNothing(t *testing.T) {
	for _, c := range controllers(t) {
		p := newPath(c, 20*time.Millisecond)
		if n := testing.AllocsPerRun(100, func() {
			p.round(10*mss, true)
			p.lose(p.now - 1)
			c.PacingRate()
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.Name(), n)
		}
	}
}

package congestion

import (
	"math"
	"testing"
	"time"
)

// reduced returns a Cubic whose window was reduced from the given number of datagrams, and its path.
func reduced(datagrams int, rtt time.Duration) (*Cubic, *path) {
	c := NewCubic(mss)
	c.Seed(Seed{Window: datagrams * mss})
	p := newPath(c, rtt)
	p.lose(p.now)
	return c, p
}

func TestCubicReducesToSevenTenths(t *testing.T) {
	c, _ := reduced(1000, 100*time.Millisecond)
	if c.Window() != 700*mss {
		t.Errorf("window %d, want %d", c.Window(), 700*mss)
	}
	for range 30 {
		c.recovery = period{}
		c.OnLoss(Loss{Now: start + 1, LargestSentAt: start})
	}
	if c.Window() != 2*mss {
		t.Errorf("window %d, want the minimum", c.Window())
	}
}

// The window follows W_cubic(t) = C*(t-K)^3 + W_max, which for a W_max of 1000 segments is back there after
// K = cbrt(300/0.4) = 9.09 seconds.
func TestCubicFollowsItsCurve(t *testing.T) {
	const rtt = 100 * time.Millisecond
	c, p := reduced(1000, rtt)
	p.full()
	epoch := c.epoch
	k := math.Cbrt(300 / 0.4)
	for p.now.Sub(epoch) < 15*time.Second {
		p.full()
		// The increment aims at where the curve is a round trip later, and each round trip goes about all of the way.
		at := p.now.Sub(epoch).Seconds()
		want := 0.4*math.Pow(at-k, 3) + 1000
		next := 0.4*math.Pow(at+rtt.Seconds()-k, 3) + 1000
		if got := float64(c.Window()) / mss; got < want-4 || got > next+1 {
			t.Fatalf("%.1f segments after %.1f s, the curve is at %.1f and then %.1f", got, at, want, next)
		}
	}
	if c.Window() < 1050*mss {
		t.Errorf("window %d: the convex region was not reached", c.Window())
	}
}

func TestCubicIsAtLeastAsFastAsRenoOnShortPaths(t *testing.T) {
	const rtt = 2 * time.Millisecond
	c, p := reduced(40, rtt)
	for range 10 {
		p.full()
	}
	// In the Reno-friendly region W_est grows by alpha = 3*0.3/1.7 = 0.53 segments each round trip.
	if got, want := float64(c.Window())/mss, 28+10*cubicAlpha; math.Abs(got-want) > 0.5 {
		t.Errorf("%.2f segments after ten round trips, want about %.2f", got, want)
	}
	for c.estimate < c.prior {
		p.full()
	}
	// At the window of the last reduction alpha becomes 1.
	before := float64(c.Window()) / mss
	for range 10 {
		p.full()
	}
	if got := float64(c.Window())/mss - before; math.Abs(got-10) > 1.5 {
		t.Errorf("grew by %.2f segments in ten round trips, want about 10", got)
	}
}

func TestCubicConvergesFast(t *testing.T) {
	c, p := reduced(1000, 100*time.Millisecond)
	if c.max != 1000*mss {
		t.Fatalf("W_max %v", c.max)
	}
	p.lose(p.now) // at 700, below W_max
	if want := 700 * mss * 1.7 / 2; math.Abs(c.max-want) > 1 {
		t.Errorf("W_max %v, want %v", c.max, want)
	}
}

func TestCubicDoesNotCountTimeWithoutUse(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause func(p *path)
	}{
		{"an hour of silence", func(p *path) { p.now = p.now.Add(time.Hour) }},
		{"an hour of trickle", func(p *path) {
			for range 3600 {
				p.now = p.now.Add(time.Second - p.rtt)
				p.round(mss, false)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			busy, a := reduced(1000, 100*time.Millisecond)
			lazy, b := reduced(1000, 100*time.Millisecond)
			for range 50 {
				a.full()
				b.full()
			}
			tt.pause(b)
			for range 10 {
				a.full()
				b.full()
			}
			if d := lazy.Window() - busy.Window(); d < -2*mss || d > 2*mss {
				t.Errorf("window %d with the pause, %d without", lazy.Window(), busy.Window())
			}
		})
	}
}

func TestCubicNeverGrowsFasterThanHalfAWindowPerRoundTrip(t *testing.T) {
	c, p := reduced(100, 5*time.Second) // a path so long that the curve runs away
	for range 20 {
		before := c.Window()
		p.full()
		if c.Window() > before*3/2+before/4 { // 1.5 times the window at each ACK, compounded within the round
			t.Fatalf("from %d to %d in a round trip", before, c.Window())
		}
	}
}

func TestHystartLeavesSlowStartWhenTheQueueGrows(t *testing.T) {
	c := NewCubic(mss)
	p := newPath(c, 40*time.Millisecond)
	for range 3 {
		p.full() // 12000, 24000, 48000
	}
	p.rtt = 46 * time.Millisecond // an eighth above 40 is 5
	p.full()
	if !c.slowStart.inCSS() || !c.InSlowStart() {
		t.Fatal("a rise of 6 ms does not lead to conservative slow start")
	}
	for i := range hystartRounds {
		before := c.Window()
		if !c.InSlowStart() {
			t.Fatalf("slow start ended after %d rounds", i)
		}
		p.full()
		if grew := c.Window() - before; grew > before/hystartGrowth+mss {
			t.Errorf("round %d: grew by %d from %d", i, grew, before)
		}
	}
	if c.InSlowStart() {
		t.Error("slow start goes on after five rounds")
	}
	if c.k != 0 || c.prior == 0 {
		t.Errorf("K %v, cwnd_prior %v", c.k, c.prior)
	}
	before := c.Window()
	p.full()
	if c.Window() <= before || c.Window() > before+2*mss {
		t.Errorf("window went from %d to %d", before, c.Window())
	}
}

func TestHystartResumesWhenTheRiseWasJitter(t *testing.T) {
	c := NewCubic(mss)
	p := newPath(c, 40*time.Millisecond)
	for range 3 {
		p.full()
	}
	p.rtt = 60 * time.Millisecond
	p.full()
	if !c.slowStart.inCSS() {
		t.Fatal("not in conservative slow start")
	}
	p.rtt = 40 * time.Millisecond
	p.full()
	if c.slowStart.inCSS() {
		t.Fatal("still in conservative slow start")
	}
	before := c.Window()
	p.full()
	if c.Window() != 2*before {
		t.Errorf("window went from %d to %d, want it doubled", before, c.Window())
	}
}

func TestHystartIgnoresASmallRise(t *testing.T) {
	c := NewCubic(mss)
	p := newPath(c, time.Millisecond)
	for range 6 {
		p.full()
		p.rtt += 500 * time.Microsecond // less than MIN_RTT_THRESH each round
	}
	if c.slowStart.inCSS() || c.Window() != 12000<<6 {
		t.Errorf("window %d, conservative %v", c.Window(), c.slowStart.inCSS())
	}
}

package congestion

import (
	"math"
	"time"
)

// The constants of RFC 9438.
const (
	cubicC     = 0.4                                   // segments per second cubed
	cubicBeta  = 0.7                                   // multiplicative decrease
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta) // additive increase in the Reno-friendly region
)

// Cubic is the controller of RFC 9438. After a reduction the window first returns quickly toward the size at which
// congestion struck, lingers there, and then probes ever faster; the growth is a function of time rather than of
// round trips, and never less than Reno's. Slow start is HyStart++ (RFC 9406).
//
// Windows are kept in bytes, in floating point so that small increments are not lost; where the RFC counts segments, a
// segment is a datagram of mss bytes.
type Cubic struct {
	mss       int
	window    float64 // cwnd
	threshold float64 // ssthresh; +Inf before the first reduction
	recovery  period
	slowStart hystart
	first     bool // still in the first slow start, the only one in which HyStart++ is used

	max      float64       // W_max: where congestion struck last, lowered by fast convergence; 0: unknown
	prior    float64       // cwnd_prior: the window when the threshold was last set
	epoch    Time          // t_epoch: when this stage of congestion avoidance began; never: it has not
	k        time.Duration // K: how long after epoch the window is back at max
	estimate float64       // W_est: what Reno's window would be
	seen     Time          // the last moment that has been counted into, or cut out of, the time since epoch

	undo cubicUndo
}

// cubicUndo is what the last reduction overwrote: "the current value of the following variables before the congestion
// window is reduced" (RFC 9438, section 4.9.2), and what else a reduction changes here.
type cubicUndo struct {
	valid                         bool
	window, prior, threshold, max float64
	estimate                      float64
	k                             time.Duration
	epoch                         Time
	recovery                      period
	first                         bool
}

// NewCubic returns a Cubic in slow start for datagrams of mss bytes.
func NewCubic(mss int) *Cubic {
	checkMSS(mss)
	return &Cubic{mss: mss, window: float64(initialWindow(mss)), threshold: math.Inf(1), slowStart: newHystart(), first: true}
}

// Name returns "cubic".
func (c *Cubic) Name() string { return "cubic" }

// OnSent cuts idle time out of the time that the cubic function sees. RFC 9438, section 4.2: the elapsed time
// t "MUST NOT include periods during which cwnd has not been updated due to application-limited behavior".
func (c *Cubic) OnSent(s Sent) {
	if s.InFlight == s.Bytes { // nothing was in flight: the connection was idle until now
		c.skipTo(s.Now)
	}
}

// skipTo moves the epoch so that the time since c.seen does not count.
func (c *Cubic) skipTo(now Time) {
	if !c.epoch.IsNever() && now > c.seen {
		c.epoch = c.epoch.Add(now.Sub(c.seen))
		c.seen = now
	}
}

// OnAck grows the window unless it was not the limit or the acknowledged packets are older than the last reduction.
func (c *Cubic) OnAck(a Ack) {
	if c.recovery.covers(a.LargestSentAt) {
		return
	}
	if !a.WindowLimited {
		c.skipTo(a.Now)
		return
	}
	if c.InSlowStart() {
		c.growSlowStart(a)
		return
	}
	c.growAvoidance(a)
}

func (c *Cubic) growSlowStart(a Ack) {
	// RFC 9406, section 4.3 confines HyStart++ to the initial slow start.
	if !c.first {
		c.window += float64(a.Bytes)
		return
	}
	grow, done := c.slowStart.onAck(a)
	c.window += float64(grow)
	if done {
		// RFC 9438, section 4.10: "In this special case, CUBIC sets cwnd_prior = cwnd and switches to congestion
		// avoidance." With max unknown, the epoch will begin with K = 0 and W_max = cwnd.
		c.first = false
		c.threshold = c.window
		c.prior = c.window
	}
}

func (c *Cubic) growAvoidance(a Ack) {
	if c.epoch.IsNever() {
		c.beginEpoch(a.Now)
	}
	c.seen = a.Now
	acked := float64(a.Bytes)

	// RFC 9438, section 4.3: "Once W_est has grown to reach the cwnd at the time of most recently setting ssthresh [...]
	// the sender SHOULD set" alpha_cubic to 1.
	alpha := cubicAlpha
	if c.estimate >= c.prior {
		alpha = 1
	}
	c.estimate += alpha * acked * float64(c.mss) / c.window

	t := a.Now.Sub(c.epoch)
	if c.curve(t) < c.estimate {
		// The same section: "CUBIC is in the Reno-friendly region and cwnd SHOULD be set to W_est at each reception of a
		// new ACK." The RFC does not say what if that is less than cwnd; growth never shrinks the window here.
		c.window = max(c.window, c.estimate)
		return
	}
	// Section 4.2: the bounds "ensure that CUBIC's congestion window increase rate is non-decreasing and is less than the
	// increase rate of slow start". The increment (target - cwnd)/cwnd is for each segment acknowledged, since one ACK
	// frame may acknowledge many.
	target := min(max(c.curve(t+a.RTT.Smoothed), c.window), 1.5*c.window)
	c.window += (target - c.window) * min(acked/c.window, 1)
}

// beginEpoch starts a stage of congestion avoidance. If the window is not below max, be it because slow start ended
// without loss, because persistent congestion made max worthless or because the controller was seeded, K is 0 and W_max
// the window itself (RFC 9438, sections 4.8 and 4.10).
func (c *Cubic) beginEpoch(now Time) {
	c.epoch = now
	c.estimate = c.window
	c.k = 0
	if c.max <= c.window {
		c.max = c.window
		return
	}
	segments := (c.max - c.window) / float64(c.mss)
	c.k = time.Duration(math.Cbrt(segments/cubicC) * float64(time.Second))
}

// curve is W_cubic(t) = C*(t-K)^3 + W_max, in bytes.
func (c *Cubic) curve(t time.Duration) float64 {
	d := (t - c.k).Seconds()
	return float64(cubicC*d*d*d*float64(c.mss)) + c.max
}

// OnLoss reduces the window to 0.7 of itself, once per recovery period, and collapses it under persistent congestion.
//
// The reduction starts from the window rather than the flight size, for which RFC 9438, section 4.6 requires that the
// window does not grow while it is not filled; see OnAck. CE marks reduce to no less than two datagrams where the RFC
// lets TCP go down to one: RFC 9002, section 7.2 sets the minimum for QUIC.
func (c *Cubic) OnLoss(l Loss) {
	floor := float64(minimumWindow(c.mss))
	if !c.recovery.covers(l.LargestSentAt) {
		c.undo = cubicUndo{
			valid: !l.CE, window: c.window, prior: c.prior, threshold: c.threshold, max: c.max,
			estimate: c.estimate, k: c.k, epoch: c.epoch, recovery: c.recovery, first: c.first,
		}
		c.recovery.began = l.Now
		c.first = false
		c.prior = c.window
		// Fast convergence, section 4.7: the saturation point fell, so a new flow may want room.
		if c.window < c.max {
			c.max = c.window * (1 + cubicBeta) / 2
		} else {
			c.max = c.window
		}
		c.threshold = max(c.window*cubicBeta, floor)
		c.window = c.threshold
		c.epoch = 0
	}
	if l.Persistent {
		c.window = floor
		c.recovery = period{}
		c.max = 0
		c.epoch = 0
		c.undo.valid = false
	}
}

// Undo restores what the last reduction overwrote. RFC 9438, section 4.9.2: "In rare cases, when the detection happens long
// after a spurious loss event and the current cwnd is already higher than cwnd_prior, CUBIC SHOULD continue to use the
// current and the most recent values of these variables."
func (c *Cubic) Undo() {
	u := c.undo
	c.undo.valid = false
	if !u.valid {
		return
	}
	c.recovery = u.recovery
	if c.window >= c.prior {
		return
	}
	c.window, c.prior, c.threshold, c.max = u.window, u.prior, u.threshold, u.max
	c.estimate, c.k, c.epoch, c.first = u.estimate, u.k, u.epoch, u.first
}

// Window returns the congestion window in bytes.
func (c *Cubic) Window() int { return int(c.window) }

// PacingRate returns 0: the rate follows from the window.
func (c *Cubic) PacingRate() int64 { return 0 }

// InSlowStart reports whether the window is below the slow start threshold; Conservative Slow Start counts.
func (c *Cubic) InSlowStart() bool { return c.window < c.threshold }

// Seed begins in congestion avoidance at the seed's window.
func (c *Cubic) Seed(s Seed) {
	if w := seededWindow(s); w > 0 {
		c.window = float64(max(w, minimumWindow(c.mss)))
		c.threshold = c.window
		c.prior = c.window
		c.first = false
	}
}

// SetDatagramSize changes the datagram size. A window that is still the initial one is computed anew, as RFC 9002,
// section 7.2 asks; any other only keeps its minimum.
func (c *Cubic) SetDatagramSize(mss int) {
	checkMSS(mss)
	if c.first && c.window == float64(initialWindow(c.mss)) {
		c.window = float64(initialWindow(mss))
	}
	c.mss = mss
	c.window = max(c.window, float64(minimumWindow(mss)))
}

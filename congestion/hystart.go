package congestion

import (
	"math"
	"time"
)

// The constants of HyStart++ (RFC 9406, section 4.3). L, the limit on growth per ACK, is infinite, as the RFC recommends
// for senders that pace.
const (
	hystartMinThreshold = 4 * time.Millisecond  // MIN_RTT_THRESH
	hystartMaxThreshold = 16 * time.Millisecond // MAX_RTT_THRESH
	hystartDivisor      = 8                     // MIN_RTT_DIVISOR
	hystartSamples      = 8                     // N_RTT_SAMPLE
	hystartGrowth       = 4                     // CSS_GROWTH_DIVISOR
	hystartRounds       = 5                     // CSS_ROUNDS
)

const noRTT = time.Duration(math.MaxInt64)

// hystart is the slow start of RFC 9406: it watches the smallest round-trip time of each round, and when that rises,
// goes on in Conservative Slow Start (CSS) at a quarter of the growth until either the rise proves to be a false alarm or
// five rounds have confirmed it.
//
// A round is told apart by sent time instead of sequence number: it ends when a packet that was sent after its beginning
// is acknowledged. That is the same event, and works across packet number spaces.
type hystart struct {
	roundBegan Time          // sends at or after this belong to the next round
	lastMin    time.Duration // smallest sample of the round before
	currentMin time.Duration // smallest sample of this round so far
	samples    int           // samples in this round
	baseline   time.Duration // smallest sample of the round that led into CSS
	cssRounds  int           // rounds of CSS begun; 0: not in CSS
}

func newHystart() hystart { return hystart{lastMin: noRTT, currentMin: noRTT, baseline: noRTT} }

func (h *hystart) inCSS() bool { return h.cssRounds > 0 }

// onAck takes one acknowledgment during slow start and returns by how many bytes the window may grow, and whether slow
// start is over.
func (h *hystart) onAck(a Ack) (grow int, done bool) {
	if a.LargestSentAt >= h.roundBegan {
		if h.inCSS() {
			if h.cssRounds == hystartRounds {
				return 0, true
			}
			h.cssRounds++
		}
		h.roundBegan = a.Now
		h.lastMin, h.currentMin, h.samples = h.currentMin, noRTT, 0
	}
	h.sample(a.RTT.Latest)
	if h.inCSS() {
		return a.Bytes / hystartGrowth, false
	}
	return a.Bytes, false
}

func (h *hystart) sample(rtt time.Duration) {
	if rtt <= 0 {
		return
	}
	h.currentMin = min(h.currentMin, rtt)
	h.samples++
	if h.samples < hystartSamples {
		return
	}
	if h.inCSS() {
		if h.currentMin < h.baseline {
			h.baseline, h.cssRounds = noRTT, 0 // the rise was jitter: back to slow start
		}
		return
	}
	if h.lastMin == noRTT {
		return
	}
	threshold := max(hystartMinThreshold, min(h.lastMin/hystartDivisor, hystartMaxThreshold))
	if h.currentMin >= h.lastMin+threshold {
		h.baseline, h.cssRounds = h.currentMin, 1
	}
}

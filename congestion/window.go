package congestion

import "math"

// noThreshold is the slow start threshold before the first reduction: arbitrarily high.
const noThreshold = math.MaxInt

// initialWindow obeys RFC 9002, section 7.2: "Endpoints SHOULD use an initial congestion window of ten times the maximum
// datagram size (max_datagram_size), while limiting the window to the larger of 14,720 bytes or twice the maximum
// datagram size."
func initialWindow(mss int) int { return min(10*mss, max(2*mss, 14720)) }

// minimumWindow obeys the same section: "The RECOMMENDED value is 2 * max_datagram_size."
func minimumWindow(mss int) int { return 2 * mss }

func checkMSS(mss int) {
	if mss <= 0 {
		panic("BUG: congestion: the datagram size must be positive")
	}
}

// seededWindow is the window that a seed asks for, or 0 if it says nothing: the window itself, or else the product of
// rate and round-trip time.
func seededWindow(s Seed) int {
	if s.Window > 0 {
		return s.Window
	}
	if s.Rate <= 0 || s.MinRTT <= 0 {
		return 0
	}
	return int(min(float64(s.Rate)*s.MinRTT.Seconds(), math.MaxInt32))
}

// A period is a recovery period (RFC 9002, section 7.3.2): its purpose is "to limit congestion window reduction to once
// per round trip".
//
// It is kept as the time at which it began, not as a packet number, since one controller serves three packet number
// spaces. Packets sent at the very instant at which it began count as sent before it, as in appendix B.6.
type period struct{ began Time }

// covers reports whether a packet sent at t was sent before or at the beginning of the period.
func (p period) covers(t Time) bool { return t <= p.began }

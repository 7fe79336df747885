package recovery

import (
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
)

// rtt is the estimator of RFC 9002, section 5.
type rtt struct {
	congestion.RTT
	initial     time.Duration
	firstSample instant.Time // when the first sample was taken; never: not yet
}

func newRTT(initial time.Duration) rtt {
	return rtt{RTT: congestion.RTT{Smoothed: initial, Var: initial / 2}, initial: initial}
}

// update takes a sample and the acknowledgment delay that the peer reported for it, already limited to what it may be.
func (r *rtt) update(now instant.Time, sample, ackDelay time.Duration) {
	r.Latest = sample
	if r.firstSample.IsNever() {
		r.firstSample = now
		r.Min, r.Smoothed, r.Var = sample, sample, sample/2
		return
	}
	// "min_rtt ignores acknowledgment delay", appendix A.7.
	r.Min = min(r.Min, sample)
	// Section 5.3: "MUST NOT subtract the acknowledgment delay from the RTT sample if the resulting value is smaller than
	// the min_rtt."
	adjusted := sample
	if sample-r.Min >= ackDelay {
		adjusted -= ackDelay
	}
	// Section 5.3 computes rttvar from the new smoothed_rtt in its text, appendix A.7 from the old one, like RFC 6298;
	// this follows the appendix.
	r.Var = (3*r.Var + (r.Smoothed - adjusted).Abs()) / 4
	r.Smoothed = (7*r.Smoothed + adjusted) / 8
}

// period is the probe timeout without max_ack_delay and backoff (section 6.2.1).
func (r *rtt) period() time.Duration { return r.Smoothed + max(4*r.Var, granularity) }

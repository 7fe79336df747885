package recovery

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// rate estimates how fast the path delivers (draft-cheng-iccrg-delivery-rate-estimation). Each packet takes along the
// state of delivery at its sending; its acknowledgment, about a round trip later, tells how much was delivered meanwhile.
type rate struct {
	delivered   int64        // bytes acknowledged so far
	deliveredAt instant.Time // when that last grew
	firstSentAt instant.Time // when the packet that was acknowledged last was sent: the send phase being measured
	limited     int64        // samples up to this many bytes delivered are application limited; 0: none
}

// sample is what the packets acknowledged by one frame say together; the newest of them decides.
type sample struct {
	prior       int64
	priorAt     instant.Time
	sendElapsed time.Duration
	appLimited  bool
	found       bool
}

// onSent marks p, before which inFlight bytes were in flight.
func (r *rate) onSent(now instant.Time, p *Packet, inFlight int) {
	if inFlight == 0 {
		r.firstSentAt, r.deliveredAt = now, now
	}
	p.delivered, p.deliveredAt, p.firstSentAt = r.delivered, r.deliveredAt, r.firstSentAt
	p.appLimited = r.limited > 0
}

// onPause notes that the application left a gap in which inFlight bytes were in flight.
func (r *rate) onPause(inFlight int) { r.limited = max(r.delivered+int64(inFlight), 1) }

func (r *rate) onAcked(now instant.Time, p *Packet, s *sample) {
	r.delivered += int64(p.Size)
	r.deliveredAt = now
	if s.found && p.delivered < s.prior {
		return
	}
	*s = sample{
		prior:       p.delivered,
		priorAt:     p.deliveredAt,
		sendElapsed: p.SentAt.Sub(p.firstSentAt),
		appLimited:  p.appLimited,
		found:       true,
	}
	r.firstSentAt = p.SentAt
}

// finish returns the delivery rate in bytes per second, or 0 if s does not tell.
func (r *rate) finish(s sample, minRTT time.Duration) int64 {
	if r.limited > 0 && r.delivered > r.limited {
		r.limited = 0
	}
	if !s.found {
		return 0
	}
	// The longer of the two phases: acknowledgments may come compressed, and then make the path look too fast.
	interval := max(s.sendElapsed, r.deliveredAt.Sub(s.priorAt))
	// "Normally we expect interval >= MinRTT": a shorter one means that the sample is not to be trusted.
	if interval < minRTT || interval <= 0 {
		return 0
	}
	return int64(float64(r.delivered-s.prior) / interval.Seconds())
}

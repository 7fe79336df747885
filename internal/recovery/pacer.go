package recovery

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

const (
	// maxBurst bounds what the pacer lets out at once: four GSO messages of 64 KiB.
	maxBurst = 256 << 10
	// maxRate keeps products of a rate and a second within 63 bits; 68 Gbit/s.
	maxRate = 1 << 33
)

// pacer is a token bucket (RFC 9002, section 7.7: "the capacity of the 'bucket' is limited to the maximum burst size").
//
// Once it is empty it opens again only when a whole quantum has come together: a datagram at a time would cost a timer
// and a system call for each, and no segmentation offload. The quantum is ten datagrams or what a millisecond brings, the
// resolution of timers, whichever is more; but not more than a quarter of a small window, or there would be no pacing
// where it matters most.
//
// The bucket holds ten datagrams, about the initial window, so that much may go at once after idling, and two
// milliseconds on top, so that a timer that fires late costs nothing.
type pacer struct {
	budget int          // bytes that may be sent; negative after probes, which do not ask
	at     instant.Time // up to when budget has been credited; never: nothing was sent yet
	shut   bool         // empty, waiting for a quantum
}

// pace is what the pacer works toward at one moment.
type pace struct {
	rate     int64 // bytes per second
	burst    int   // bytes in a full bucket
	quantum  int   // bytes that open an empty one
	datagram int
}

func newPace(rate int64, window, datagram int) pace {
	rate = min(max(rate, 1), maxRate)
	perMilli := int(rate / 1000)
	return pace{
		rate:     rate,
		burst:    max(10*datagram, min(10*datagram+2*perMilli, maxBurst)),
		quantum:  min(max(2*datagram, min(10*datagram, window/4), perMilli), max(10*datagram, maxBurst/2)),
		datagram: datagram,
	}
}

// allowance credits the time that has passed and returns the bytes that may be sent now, or when to ask again.
func (p *pacer) allowance(now instant.Time, c pace) (bytes int, again instant.Time) {
	p.credit(now, c)
	if p.shut = p.budget < c.datagram || p.shut && p.budget < c.quantum; p.shut {
		return 0, now.Add(duration(c.quantum-p.budget, c.rate) + 1)
	}
	return p.budget, 0
}

func (p *pacer) credit(now instant.Time, c pace) {
	elapsed := now.Sub(p.at)
	if p.at.IsNever() || elapsed >= duration(c.burst-p.budget, c.rate) {
		p.budget, p.at = c.burst, now
		return
	}
	// Here elapsed is less than the time to fill the bucket. What a division drops stays in at, for the next time.
	if n := int(float64(c.rate) * elapsed.Seconds()); n > 0 {
		p.budget += n
		p.at = min(p.at.Add(duration(n, c.rate)), now)
	}
}

// spend takes away what was sent and reports whether less than a datagram is left.
func (p *pacer) spend(bytes, datagram int) (empty bool) {
	if p.at.IsNever() {
		return false // nobody has asked yet: only probes were sent
	}
	p.budget = max(p.budget-bytes, -maxBurst)
	return p.budget < datagram
}

// duration is how long n bytes take at a rate.
func duration(n int, rate int64) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}

// pace derives the current pace from the controller.
func (l *Ledger) pace() pace {
	window := l.ctl.Window()
	rate := l.ctl.PacingRate()
	if rate <= 0 {
		// RFC 9002, section 7.7: rate = N * congestion_window / smoothed_rtt, with N = 5/4. In slow start the window doubles
		// in a round trip, and so must the rate.
		n := 1.25
		if l.ctl.InSlowStart() {
			n = 2
		}
		rate = int64(min(n*float64(window)/max(l.rtt.Smoothed, time.Microsecond).Seconds(), maxRate))
	}
	return newPace(rate, window, l.datagram)
}

// Allowance returns how many bytes window and pacer allow to be sent now. With none and a time, the pacer asks to come
// back at that time; with none and no time, the window is full until the next acknowledgment or loss. Less than a whole
// datagram is not offered, since it would cut a run of equal datagrams short.
//
// Probes and packets that do not count in flight need no allowance. Ask when there is something to send: a refusal is
// taken as a sign that the path, not the application, is the limit.
func (l *Ledger) Allowance(now instant.Time) (bytes int, again instant.Time) {
	room := l.ctl.Window() - l.inFlight
	if room < l.datagram {
		l.fullAt, l.refusedAt = now, now
		return 0, 0
	}
	bytes, again = l.pacer.allowance(now, l.pace())
	if bytes == 0 {
		l.onPaced(now)
	}
	return min(bytes, room), again
}

// onPaced notes that the pacer has nothing left. RFC 9002, section 7.8: "A sender SHOULD NOT consider itself application
// limited if it would have fully utilized the congestion window without pacing delay." Whether it would have, nobody
// knows; a window that is already half full counts as evidence.
func (l *Ledger) onPaced(now instant.Time) {
	l.refusedAt = now
	if 2*l.inFlight >= l.ctl.Window() {
		l.fullAt = now
	}
}

package qlog

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// Metrics is what loss recovery and congestion control know. Zero means unknown.
type Metrics struct {
	Min, Smoothed, Latest, Var time.Duration
	Window, InFlight           int // bytes
	SSThresh                   int // bytes; 0: no threshold yet
	PTOCount                   int
	PacingRate                 int64 // bytes/s; written in bits/s, as the draft wants
}

// Metrics records those metrics that differ from what was last recorded, and nothing when none does:
// quic:recovery_metrics_updated.
func (t *Trace) Metrics(now instant.Time, m Metrics) {
	if t == nil || m == t.metrics {
		return
	}
	old := t.metrics
	t.metrics = m
	e := t.begin(now, "quic:recovery_metrics_updated")
	e.changedDuration("min_rtt", old.Min, m.Min)
	e.changedDuration("smoothed_rtt", old.Smoothed, m.Smoothed)
	e.changedDuration("latest_rtt", old.Latest, m.Latest)
	e.changedDuration("rtt_variance", old.Var, m.Var)
	e.changed("pto_count", int64(old.PTOCount), int64(m.PTOCount))
	e.changed("congestion_window", int64(old.Window), int64(m.Window))
	e.changed("bytes_in_flight", int64(old.InFlight), int64(m.InFlight))
	e.changed("ssthresh", int64(old.SSThresh), int64(m.SSThresh))
	e.changed("pacing_rate", old.PacingRate*8, m.PacingRate*8)
	t.end()
	if t.dropped > 0 {
		t.metrics = Metrics{} // the reader may have missed this one: write everything next time
	}
}

func (e *encoder) changed(k string, old, v int64) {
	if v != old {
		e.int(k, v)
	}
}

func (e *encoder) changedDuration(k string, old, d time.Duration) {
	if d != old {
		e.duration(k, d)
	}
}

// CongestionState records a change of the controller's state ("slow_start", "congestion_avoidance", "recovery", ...),
// and nothing when it did not change: quic:congestion_state_updated.
func (t *Trace) CongestionState(now instant.Time, state string) {
	if t == nil || state == t.state {
		return
	}
	e := t.begin(now, "quic:congestion_state_updated")
	if t.state != "" {
		e.text("old", t.state)
	}
	e.text("new", state)
	t.state = state
	t.end()
}

// ECNState records a step of the validation of a path's ECN capability, between "testing", "unknown", "failed" and
// "capable": quic:ecn_state_updated.
func (t *Trace) ECNState(now instant.Time, old, state string) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:ecn_state_updated")
	e.text("old", old)
	e.text("new", state)
	t.end()
}

// TimerExpired records that a timer fired: quic:timer_updated. The timer is "ack", "pto", "loss_timeout",
// "path_validation", "handshake_timeout" or "idle_timeout"; the space is "initial", "handshake", "application_data", or
// empty for a timer that belongs to none.
func (t *Trace) TimerExpired(now instant.Time, timer, space string) {
	if t == nil {
		return
	}
	e := t.begin(now, "quic:timer_updated")
	e.text("timer_type", timer)
	if space != "" {
		e.text("packet_number_space", space)
	}
	e.text("event_type", "expired")
	t.end()
}

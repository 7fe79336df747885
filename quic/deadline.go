package quic

import (
	"sync"
	"time"
)

// deadline is a point in wall time at which waiting calls give up. A deadline that was never set holds no timer.
type deadline struct {
	timer   *time.Timer
	expired bool
}

// set moves the deadline to t, zero for never, and wakes list when it passes. mu guards both and is held.
func (d *deadline) set(t time.Time, mu *sync.Mutex, list *waitList) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.expired = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.expired = true
		list.wake()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		mu.Lock()
		defer mu.Unlock()
		if d.timer != timer {
			return // moved while we waited for the lock
		}
		d.timer, d.expired = nil, true
		list.wake()
	})
	d.timer = timer
}

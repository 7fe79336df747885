package quic

import (
	"runtime"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
)

// now reads the clock for the core. mu is held: two goroutines that read it in one order and came by the lock in the
// other still show the core a time that never goes backwards.
func (c *Conn) now() instant.Time { return c.at(clock()) }

func (c *Conn) at(now instant.Time) instant.Time {
	c.latest = max(c.latest, now)
	return c.latest
}

// receive hands the core a run of datagrams, under one lock, and wakes whom they concern. What there is to answer is
// sent later, once for the whole batch.
func (c *Conn) receive(now instant.Time, run []engine.Datagram) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.broken || c.core == nil {
		return
	}
	now = c.at(now)
	c.heard, c.heardAt = true, now
	c.hearing.wake()
	for i := range run {
		d := &run[i]
		if !d.Path.Local.Addr().IsValid() {
			d.Path.Local = c.path.Local // the system does not tell
		}
		c.core.Receive(now, *d)
	}
	c.dispatch()
}

// resetByPeer tells the core that the peer has lost its state.
func (c *Conn) resetByPeer(now instant.Time) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.broken || c.core == nil {
		return
	}
	c.heard = true
	c.core.ResetByPeer(c.at(now))
	c.dispatch()
}

// abandon forgets a connection whose socket is closed: it can neither send nor hear any more.
func (c *Conn) abandon() {
	c.mu.Lock()
	defer c.leave(nil)
	c.forget()
}

// flush sends what the core has to say and rearms the timer. It is called with mu held and returns with mu held, but
// releases it around the system call. One goroutine at a time sends for a connection, so that datagrams leave in the
// order in which they were composed; the others leave a note and go.
//
// A patient flush first lets other goroutines run once: handlers that were woken together write together, and what they
// write leaves in one batch.
func (c *Conn) flush(now instant.Time, patient bool) {
	c.again = true
	if c.sending || c.broken {
		return
	}
	c.sending = true
	if patient {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
		now = c.now()
	}
	c.pump(now, maxRounds)
}

// pump sends until nobody leaves a note any more, and puts the sending token down. mu is held, as for flush.
//
// On a busy connection there is always another note. Whoever sends for the others would never come back to what it was
// called for, the reader to its socket or a goroutine to its request, so after a few rounds the token goes to a goroutine
// made for it, which ends with the notes.
func (c *Conn) pump(now instant.Time, rounds int) {
	if c.again {
		out := newOutbox()
		for c.again && !c.broken {
			if rounds == 0 {
				out.free()
				go c.carryOn()
				return
			}
			rounds--
			c.compose(now, out)
			if len(out.msgs) > 0 {
				c.arm(now) // while there is always another note, the deadlines still hold
				c.send(out)
				now = c.now()
			}
		}
		out.free()
	}
	c.sending = false
	c.sent.wake()
	c.arm(now)
}

// send sends with the lock released. It is held again even after a panic, as leave expects.
func (c *Conn) send(out *outbox) {
	c.mu.Unlock()
	defer c.mu.Lock()
	c.ep.send(out)
}

// carryOn takes the token over from a pump that had to go.
func (c *Conn) carryOn() {
	c.mu.Lock()
	defer c.leave(nil)
	if !c.broken {
		c.pump(c.now(), -1)
	}
}

// compose fills out with what the core has to send, as far as there is room, and tells what happened meanwhile. The
// caller holds mu and the sending token; again stays set when there may be more.
func (c *Conn) compose(now instant.Time, out *outbox) {
	c.again = false
	c.balance()
	for {
		if !out.room() {
			c.again = true
			break
		}
		t := c.core.Compose(now, out.space())
		if t.Size == 0 {
			break
		}
		out.add(c, t)
	}
	c.dispatch()
}

// tooLong tells the core that the interface takes no datagrams of a size: what was lost by that is sent again in smaller
// ones. It is called between the sending of a batch and the putting down of the token.
func (c *Conn) tooLong(size int) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.broken || c.core == nil {
		return
	}
	c.core.DatagramTooLarge(c.now(), size)
	c.again = true
}

// arm sets the timer for the core's deadline. A deadline that moved later is left to the timer as it stands: it fires
// early, finds nothing to do and is set anew, which is cheaper than moving it with every packet.
func (c *Conn) arm(now instant.Time) {
	if c.gone || c.broken {
		c.disarm()
		return
	}
	deadline := c.core.Deadline()
	if deadline.IsNever() || c.armed != instant.Never && c.armed <= deadline {
		return
	}
	c.armed = deadline
	wait := max(deadline.Sub(now), 0)
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.expire)
		return
	}
	c.timer.Reset(wait)
}

func (c *Conn) disarm() {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.armed = instant.Never
}

// expire is what the timer runs, in a goroutine of its own that ends with it.
func (c *Conn) expire() {
	c.mu.Lock()
	defer c.leave(nil)
	if c.gone || c.broken {
		return
	}
	c.armed = instant.Never
	now := c.now()
	if c.core.Deadline().Reached(now) {
		c.core.Expire(now)
		c.flush(now, false)
		return // whoever holds the token rearms
	}
	c.arm(now)
}

// lend takes the sending token for the endpoint's reader and composes into the batch it shares among connections. It
// reports whether there is more than the batch had room for; held says that the reader has the token already.
func (c *Conn) lend(now instant.Time, out *outbox, held bool) (holds, more bool) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.broken || c.core == nil {
		return held, false
	}
	if !held && c.sending {
		c.again = true
		return false, false
	}
	c.sending = true
	c.compose(c.at(now), out)
	return true, c.again
}

// settle puts down the token that lend took, after the batch was sent.
func (c *Conn) settle(now instant.Time) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.broken {
		return
	}
	c.pump(c.at(now), maxRounds)
}

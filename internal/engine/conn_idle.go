package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// idleState is the idle timeout (RFC 9000, section 10.1) and the keep-alive that prevents it.
type idleState struct {
	timeout   time.Duration // 0: none
	since     instant.Time  // when the timer was started last
	sentSince bool          // an ack-eliciting packet was sent since we last received one

	keepAlive   time.Duration // 0: none
	keepAliveAt instant.Time
	pingDue     bool

	effort effort // what is done for the peer in vain

	restAt instant.Time // when to look whether the connection has come to rest; never: it has
}

// restAfter is how long nothing has to happen before a connection gives back what only a busy one needs.
const restAfter = time.Second

func (i *idleState) start(now instant.Time, config *Config) {
	i.timeout, i.keepAlive, i.since = config.MaxIdleTimeout, config.KeepAlive, now
}

// negotiate takes the smaller of both ends' timeouts.
//
// RFC 9000, section 10.1: "Each endpoint advertises a max_idle_timeout, but the effective value at an endpoint is computed
// as the minimum of the two advertised values (or the sole advertised value, if only one endpoint advertises a non-zero
// value)."
func (i *idleState) negotiate(ours, theirs time.Duration) {
	i.timeout = ours
	if theirs > 0 && (ours == 0 || theirs < ours) {
		i.timeout = theirs
	}
	if i.keepAlive > 0 && i.timeout > 0 {
		i.keepAlive = min(i.keepAlive, i.timeout/2)
	}
}

// deadline returns when the connection is given up.
//
// RFC 9000, section 10.1: "To avoid excessively small idle timeout periods, endpoints MUST increase the idle timeout period
// to be at least three times the current Probe Timeout (PTO)."
func (i *idleState) deadline(pto time.Duration) instant.Time {
	if i.timeout == 0 {
		return instant.Never
	}
	return i.since.Add(max(i.timeout, 3*pto))
}

// received restarts the timer: a packet came and was processed.
func (i *idleState) received(now instant.Time) {
	i.since, i.sentSince = now, false
	i.stir(now)
	if i.keepAlive > 0 {
		i.keepAliveAt = now.Add(i.keepAlive)
	}
}

// sentEliciting restarts the timer "when sending an ack-eliciting packet if no other ack-eliciting packets have been sent
// since last receiving and processing a packet" (RFC 9000, section 10.1).
func (i *idleState) sentEliciting(now instant.Time) {
	if !i.sentSince {
		i.since, i.sentSince = now, true
		i.stir(now)
	}
	i.pingDue = false
}

// stir notes that the connection is not at rest.
func (i *idleState) stir(now instant.Time) {
	if i.restAt == instant.Never {
		i.restAt = now.Add(restAfter)
	}
}

// rest gives back the memory of a connection on which nothing has happened for a while; it looks again later when
// something has.
func (c *Conn) rest(now instant.Time) {
	i := &c.idle
	if !i.restAt.Reached(now) {
		return
	}
	i.restAt = instant.Never
	if now.Sub(i.since) < restAfter {
		i.restAt = i.since.Add(restAfter)
		return
	}
	c.ledger.Trim()
	c.streams.rest()
	crypto := c.spaces[wire.AppSpace].crypto
	crypto.out.buf.rest(crypto.out.end)
	crypto.in.buf.rest(crypto.in.end)
	c.pool = chunkPool{}
	c.draft, c.ranges = datagram{grease: c.draft.grease}, nil // it points to buffers of others and to old keys
	c.events.trim()
	if c.shake.confirmed {
		c.phase.rest(&c.spaces[wire.AppSpace])
		c.shake.tls.Rest()
	}
}

// rest gives back what only streams with something on the way need.
func (set *streamSet) rest() {
	set.datagrams.out.rest()
	set.datagrams.in.rest()
	set.free = nil
	set.data.rest()
	for _, q := range []*streamQueue{&set.control, &set.starved} {
		if q.n == 0 {
			*q = streamQueue{}
		}
	}
	for _, s := range set.byID { // any order: each stream by itself
		s.send.buf.rest(s.send.end)
		s.recv.buf.rest(s.recv.end)
	}
	if len(set.byID) == 0 {
		set.byID = nil
	}
}

// wakePeer makes the next packet ask for an answer.
func (i *idleState) wakePeer() {
	i.pingDue, i.keepAliveAt = true, instant.Never
}

// Ping asks the peer for a sign of life, with the next packet. RFC 9000, section 19.2: "Endpoints can use PING frames (type=0x01)
// to verify that their peers are still alive or to check reachability to the peer."
func (c *Conn) Ping(now instant.Time) {
	c.advance(now)
	if c.life.state == lifeOpen && c.shake.confirmed {
		c.idle.pingDue = true
	}
}

// Fading reports whether half of the idle timeout is over and the peer owes no answer: who still expects something of it has to
// speak up, for the peer's timer is running as well.
func (c *Conn) Fading(now instant.Time) bool {
	i := &c.idle
	return i.timeout > 0 && !i.sentSince && now.Sub(i.since) >= i.timeout/2
}

// appendTo appends the PING of a keep-alive, unless the packet asks for an answer already.
func (i *idleState) appendTo(d *datagram) {
	if i.pingDue && !d.current().eliciting {
		d.appendFrame(append(d.scratch(), byte(wire.FramePing)))
	}
}

package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// validation is the proof, being sought, that a path carries what we send there (RFC 9000, section 8.2).
type validation struct {
	state    sentVal // of the newest PATH_CHALLENGE
	sent     [maxChallenges]sentChallenge
	count    int          // challenges sent; sent holds the last of them
	again    instant.Time // when the next is sent, if no answer comes
	wait     time.Duration
	deadline instant.Time // when it is given up
}

type sentChallenge struct {
	data [8]byte
	full bool // in a datagram of minDatagramSize
}

// begin seeks the proof until a deadline, with the first challenge at once. pto is the path's probe timeout, as far as it is
// known.
//
// RFC 9000, section 8.2.4: "Endpoints SHOULD abandon path validation based on a timer. [...] A value of three times the larger
// of the current PTO or the PTO for the new path (using kInitialRtt, as defined in [QUIC-RECOVERY]) is RECOMMENDED."
func (v *validation) begin(now instant.Time, pto time.Duration) {
	*v = validation{deadline: now.Add(3 * max(pto, untriedPTO)), wait: max(pto, minChallengeWait)}
	v.state.set()
}

// resume is begin for a path that challenges went to before: their answers still count.
func (v *validation) resume(now instant.Time, pto time.Duration) {
	sent, count := v.sent, v.count
	v.begin(now, pto)
	v.sent, v.count = sent, count
}

// untriedPTO is the probe timeout of a path of which nothing is known.
const untriedPTO = 3*333*time.Millisecond + maxAckDelay

// minChallengeWait keeps a short path from being asked over and over while it has an outage.
const minChallengeWait = 100 * time.Millisecond

func (v *validation) end() { *v = validation{} }

// active reports whether an answer is waited for.
func (v *validation) active() bool { return !v.deadline.IsNever() }

// due returns when expire wants to be called.
func (v *validation) due() instant.Time { return instant.Earliest(v.deadline, v.again) }

// expire sends another challenge when it is time, and reports whether the proof is given up.
//
// RFC 9000, section 13.3: a check with PATH_CHALLENGE frames "is sent periodically until a matching PATH_RESPONSE frame is received": a
// response is sent only once, so that a challenge may have arrived and still want repeating. Section 8.2.1: "An endpoint
// SHOULD NOT probe a new path with packets containing a PATH_CHALLENGE frame more frequently than it would send an Initial
// packet": probe timeouts that double are how those are sent.
func (v *validation) expire(now instant.Time) (over bool) {
	if v.deadline.Reached(now) {
		return true
	}
	if v.again.Reached(now) {
		v.again = instant.Never
		v.state.set()
	}
	return false
}

// appendTo appends a PATH_CHALLENGE; false: it did not fit. RFC 9000, section 8.2.1: "The endpoint MUST use unpredictable
// data in every PATH_CHALLENGE frame so that it can associate the peer's response with the corresponding PATH_CHALLENGE."
func (v *validation) appendTo(c *Conn, now instant.Time, d *datagram) bool {
	s := &v.sent[v.count%maxChallenges]
	c.rand.Read(s.data[:])
	if !d.appendFrame(wire.AppendPathChallenge(d.scratch(), s.data)) {
		return false
	}
	s.full = d.limit >= minDatagramSize // the datagram will be padded as far as its limit goes
	v.count++
	v.state.sentIn(d.number())
	v.again = now.Add(v.wait)
	v.wait *= 2
	return true
}

// answered reports whether data answers one of the challenges, and whether that one filled a datagram.
func (v *validation) answered(data [8]byte) (ok, full bool) {
	for i := range min(v.count, maxChallenges) {
		if v.sent[i].data == data {
			return true, v.sent[i].full
		}
	}
	return false, false
}

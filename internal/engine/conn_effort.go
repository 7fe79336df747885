package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// effort weighs what a peer has us do against what comes of it.
//
// RFC 9000, section 21.9: "While there are legitimate uses for all messages, implementations SHOULD track cost of processing
// relative to progress and treat excessive quantities of any non-productive packets as indicative of an attack."
//
// The unit is a frame that changed nothing: a PING, an empty or repeated STREAM frame, an ACK of what is acknowledged, a
// limit that is none. Frames of one packet that bring something pay for a few of those beside them and for one of a later packet.
// Only packets that the peer alone can have made, 1-RTT packets that are no duplicates, are weighed: what others inject or repeat
// cannot end a connection. The handshake has its deadline.
type effort struct {
	gained  int64        // frames that brought something
	acked   bool         // the ACK frame being handled acknowledges something new
	wasted  int64        // negative: what was earned
	weighed instant.Time // until when time has forgiven
}

// gain notes that the frame being handled brought something.
func (e *effort) gain() { e.gained++ }

// weigh takes a packet of so many frames, padding apart, of which gained brought something.
func (e *effort) weigh(now instant.Time, frames, gained int64) *TransportError {
	if passed := now.Sub(e.weighed); passed >= forgiveEvery {
		e.wasted = max(e.wasted-int64(passed/forgiveEvery), min(e.wasted, 0))
		e.weighed = now.Add(-(passed % forgiveEvery))
	}
	wasted := max(frames-gained, 0)
	if gained > 0 {
		e.wasted = max(e.wasted-1, -maxEarned) + max(wasted-paidFor, 0)
	} else {
		e.wasted += max(wasted, 1) // a packet of nothing but padding as well
	}
	if e.wasted > maxWasted {
		return violation(wire.ProtocolViolation, 0, "too many frames that change nothing")
	}
	return nil
}

// forgiveEvery is how long a connection has to live for each frame that brought nothing: time forgives a thousand a second.
const forgiveEvery = time.Millisecond

package engine

import (
	"bytes"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// refusal counts the flights of a client that were refused.
type refusal struct {
	flight int // the last one; 0: none
	times  int
}

// Refused takes note that an ICMP message says that nobody listens where a datagram of ours went; quote is how that datagram
// began, as far as the message tells. A client that has heard nothing of the server ends with ErrRefused when that was said
// of patience of its flights; in all other cases nothing happens.
//
// Anybody can make up an ICMP message, so one is believed only where it can do no more than silence would do a little later: while
// nothing was heard, and when the next flight, after a probe timeout, is refused as well. Once a packet of the server has come
// there is a server, and what ICMP says counts for nothing.
func (c *Conn) Refused(now instant.Time, quote []byte, patience int) {
	now = c.advance(now)
	if c.server || c.life.state != lifeOpen || c.stats.PacketsReceived > 0 || c.ids.wasRetry || !c.isOurs(quote) {
		return
	}
	r := &c.shake.refused
	if flight := c.ledger.PTOCount() + 1; flight > r.flight { // what is said of one flight counts once
		r.flight = flight
		r.times++
	}
	if r.times >= patience {
		c.vanish(now, ErrRefused)
	}
}

// isOurs reports whether quote may be the beginning of a packet that we sent, as far as it goes: of a long header to the ID that
// the server is addressed by.
func (c *Conn) isOurs(quote []byte) bool {
	if len(quote) == 0 {
		return true // some systems quote the UDP header only
	}
	want := append([]byte{0, 0, 0, 0, 0}, byte(c.ids.remote[0].id.Len()))
	want = c.ids.remote[0].id.AppendTo(want)
	n := min(len(quote), len(want))
	return wire.IsLong(quote[0]) && (n <= 5 || bytes.Equal(quote[5:n], want[5:n]))
}

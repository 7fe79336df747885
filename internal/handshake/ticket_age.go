package handshake

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"time"
)

// RFC 8446, section 4.2.11.1: "The client's view of the age of a ticket is the time since the receipt of the NewSessionTicket
// message. Clients MUST NOT attempt to use tickets which have ages greater than the "ticket_lifetime" value which was provided with
// the ticket. The "obfuscated_ticket_age" field of each PskIdentity contains an obfuscated version of the ticket age formed by
// taking the age in milliseconds".
//
// crypto/tls remembers only the second in which a ticket came, so that the age it tells is up to a second too large: larger than
// the server's own view of it, which GnuTLS takes for a reason to reject 0-RTT. So the rest of that second is kept with the
// session, and the clock of the handshake that uses it lags by as much until the handshake is done.

// agePrefix marks the entry of tls.SessionState.Extra that has it, in nanoseconds.
const agePrefix = "godwit ticket age 1\x00"

// keepTime makes the Config's clock, on a copy, one that can lag.
func (h *Handshake) keepTime(c *tls.Config) {
	clock := c.Time
	if clock == nil {
		clock = time.Now
	}
	h.clock = clock
	c.Time = func() time.Time {
		now := clock()
		if !h.complete {
			now = now.Add(-h.lag)
		}
		return now
	}
}

// arrived returns the entry for a ticket that comes at this moment.
func (h *Handshake) arrived() []byte {
	return binary.BigEndian.AppendUint32([]byte(agePrefix), uint32(h.clock().Nanosecond()))
}

// lagFor has the clock lag for a session that is about to be used.
func (h *Handshake) lagFor(s *tls.SessionState) {
	h.lag = 0
	for _, e := range s.Extra {
		if rest, ok := bytes.CutPrefix(e, []byte(agePrefix)); ok && len(rest) == 4 {
			h.lag = time.Duration(binary.BigEndian.Uint32(rest)) % time.Second
		}
	}
}

package engine

import "github.com/godwit-net/godwit/internal/instant"

// RenewIDs gives the peer new connection IDs for all that it has, which it gives up: their generator makes others now.
//
// RFC 9000, section 5.1.2: "Such an endpoint can cause its peer to retire connection IDs by sending a NEW_CONNECTION_ID frame
// with an increased Retire Prior To field. The endpoint SHOULD continue to accept the previously issued connection IDs until
// they are retired by the peer."
func (c *Conn) RenewIDs(now instant.Time) {
	c.advance(now)
	if c.ids.renewDue = c.ids.length > 0; c.life.state == lifeOpen {
		c.ids.renew(c)
	}
}

// renew does what RenewIDs wants as soon as it may.
//
// RFC 9000, section 5.1.2: "Endpoints SHOULD NOT issue updates of the Retire Prior To field before receiving
// RETIRE_CONNECTION_ID frames that retire all connection IDs indicated by the previous Retire Prior To value." The first ID is
// in the long headers of the handshake and stays until that is confirmed.
func (x *connIDs) renew(c *Conn) {
	if !x.renewDue || !c.shake.confirmed || x.local[0].seq < x.priorTo {
		return
	}
	x.renewDue = false
	before, next := x.priorTo, x.localNext
	x.priorTo = next
	if x.issue(c); x.localNext == next {
		x.priorTo = before // there are no others: the peer keeps those it has
	}
}

// current returns how many IDs the peer has that it was not asked to give up.
//
// RFC 9000, section 5.1.1: "An endpoint MAY send connection IDs that temporarily exceed a peer's limit if the NEW_CONNECTION_ID
// frame also requires the retirement of any excess, by including a sufficiently large value in the Retire Prior To field."
func (x *connIDs) current() (n int64) {
	for i := range x.local {
		if x.local[i].seq >= x.priorTo {
			n++
		}
	}
	return n
}

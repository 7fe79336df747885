package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// leftIDs are IDs of ours that the peer has given up, of which packets may still be on their way: a peer that moves to
// another path gives up the ID of the old one with the first packets on the new one, which may be faster. Dropped, they would
// be losses that are none, and answered with stateless resets.
type leftIDs []leftID

type leftID struct {
	id    wire.ConnID
	until instant.Time
}

// add keeps an ID for as long as a packet that was sent to it may take, in place of the oldest if there are many.
func (l *leftIDs) add(c *Conn, id wire.ConnID) {
	if len(*l) >= maxLeftIDs {
		oldest := (*l)[0].id
		l.drop(c, func(left leftID) bool { return left.id == oldest })
	}
	*l = append(*l, leftID{id: id, until: c.now.Add(3 * c.ledger.PTO())})
}

// drop forgets those that over says.
func (l *leftIDs) drop(c *Conn, over func(leftID) bool) {
	kept := (*l)[:0]
	for _, left := range *l {
		if over(left) {
			c.events.push(Event{Kind: EventIDRetired, ID: left.id})
		} else {
			kept = append(kept, left)
		}
	}
	if *l = kept; len(kept) == 0 {
		*l = nil
	}
}

func (l leftIDs) contains(id []byte) bool {
	for i := range l {
		if string(l[i].id.Bytes()) == string(id) {
			return true
		}
	}
	return false
}

// due returns when expire wants to be called.
func (l leftIDs) due() (t instant.Time) {
	for i := range l {
		t = instant.Earliest(t, l[i].until)
	}
	return t
}

func (l *leftIDs) expire(c *Conn, now instant.Time) {
	if l.due().Reached(now) {
		l.drop(c, func(left leftID) bool { return left.until.Reached(now) })
	}
}

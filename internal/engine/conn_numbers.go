package engine

import (
	"errors"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/internal/wire"
)

// endOfNumbers is the packet number that no packet has. A connection keeps it in a field of its own, because it would take a test
// fourteen thousand years to come here.
const endOfNumbers = varint.Max

// errNumbersSpent ends a connection that has no packet number left.
var errNumbersSpent = errors.New("quic: the packet numbers are used up")

// stopIfNumbered ends the connection when a space has used up its packet numbers.
//
// RFC 9000, section 12.3: "If the packet number for sending reaches 2^62-1, the sender MUST close the connection without sending
// a CONNECTION_CLOSE frame or any further packets". One that closed before says nothing more either: openPacket refuses.
func (c *Conn) stopIfNumbered(now instant.Time) {
	if c.life.state != lifeOpen {
		return
	}
	for space := range c.spaces {
		if s := &c.spaces[space]; s.write != nil && c.isSpent(wire.Space(space)) {
			c.vanish(now, errNumbersSpent)
			return
		}
	}
}

// isSpent reports whether a space has no packet number left.
func (c *Conn) isSpent(space wire.Space) bool { return c.ledger.Next(space) >= c.life.numbersEnd }

package engine

import "github.com/godwit-net/godwit/internal/wire"

// skipper leaves 1-RTT packet numbers unused now and then, and so catches a peer that acknowledges what it has not
// received in order to be sent more than the path carries.
//
// RFC 9000, section 21.4: "An endpoint MAY skip packet numbers when sending packets to detect this behavior. An endpoint
// can then immediately close the connection with a connection error of type PROTOCOL_VIOLATION".
//
// An honest peer pays for each skipped number with an acknowledgment at once and one more range until that is
// acknowledged. So the gaps grow: a cheat is caught within a few hundred packets, and a long
// transfer hardly notices.
type skipper struct {
	next int64 // the first number after which one is skipped; 0: not chosen yet
	gap  int64 // how far apart skipped numbers are at least
}

// sent follows the packet numbers of the application space, and skips the next one when its turn has come. Nothing is
// skipped before the handshake is confirmed, which has to take the fewest bytes and gives nobody a reason to cheat.
func (s *skipper) sent(c *Conn, number int64) {
	if !c.shake.confirmed {
		return
	}
	if s.next == 0 {
		s.gap = firstSkipGap
		s.choose(c, number)
	}
	if number < s.next {
		return
	}
	c.ledger.Skip(wire.AppSpace)
	s.gap = min(2*s.gap, maxSkipGap)
	s.choose(c, number)
}

// choose picks the next number at random, from one gap to two gaps away.
func (s *skipper) choose(c *Conn, number int64) {
	s.next = number + s.gap + int64(c.rand.Uint64()%uint64(s.gap))
}

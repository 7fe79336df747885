package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// narrowState finds out that the path in use does not carry what QUIC needs, although it carries something. A handshake, a
// migration and a move to the preferred address need whole datagrams both ways, but a server follows a client that a small
// challenge finds, and a path may change.
//
// RFC 9000, section 14.2: "If a QUIC endpoint determines that the PMTU between any pair of local and remote IP addresses cannot
// support the smallest allowed maximum datagram size of 1200 bytes, it MUST immediately cease sending QUIC packets, except for those
// in PMTU probes or those containing CONNECTION_CLOSE frames, on the affected path. An endpoint MAY terminate the connection if an
// alternative path cannot be found."
//
// Chance and full queues take whole datagrams as well, so suspicion asks: in each round it sends a whole datagram and a small one, and
// no round counts but one in which the small one passes and the whole one is lost. From the first that counts nothing else is sent
// but acknowledgments and what a probe timeout owes. As there is no other path that we know to be good, the connection
// is closed after the last: "An endpoint that has no valid network path to its peer MAY signal this using the NO_VIABLE_PATH
// connection error" (section 8.2.4).
type narrowState struct {
	lost   int   // whole datagrams that were lost, with none that was sent later acknowledged
	newest int64 // the newest whole datagram that was acknowledged

	since  int64        // the questions began with this packet number
	at     instant.Time // when the next round begins; never: nothing is asked, or a round is under way
	asking bool
	turn   narrowTurn
	whole  question
	small  question
	tried  int // rounds
	proved int // those that count
}

// narrowTurn is how far a round has come.
type narrowTurn uint8

const (
	narrowRests  narrowTurn = iota // no round is under way
	narrowBegins                   // the whole datagram is to be sent
	narrowGoesOn                   // so is the small one
	narrowWaits                    // both were sent
)

// question is a packet whose fate tells something.
type question struct {
	number int64
	fate   recovery.Fate // Probed: it is not known yet
}

const (
	// narrowRounds is how many rounds have to count. On a path that loses every second packet, whatever its size, these many do
	// once in sixty thousand times, and only if no other whole datagram arrives for as long.
	narrowRounds = 8

	// narrowTries ends the questions on a path that carries neither size for long.
	narrowTries = 3 * narrowRounds

	// narrowPause is what lies between two rounds at the least, so that no queue, outage or change of routes is taken for the
	// path itself.
	narrowPause = time.Second
)

// settle takes the fate of a packet with a short header.
func (n *narrowState) settle(now instant.Time, p *recovery.Packet, fate recovery.Fate) {
	if fate == recovery.Probed {
		return
	}
	if n.turn >= narrowGoesOn && p.Number == n.whole.number || n.turn == narrowWaits && p.Number == n.small.number {
		n.answer(now, p.Number, fate)
		return
	}
	switch {
	case p.MTUProbe || p.Size <= minDatagramSize-nearlyFull:
	case fate == recovery.Acked:
		n.lost, n.newest = 0, max(n.newest, p.Number)
		if p.Size >= minDatagramSize && p.Number >= n.since {
			n.forget()
		}
	case p.Size <= minDatagramSize && p.Number > n.newest:
		// That it is lost says the acknowledgment of another, smaller one.
		if n.lost++; n.lost >= blackHoleLosses {
			n.ask(p.Number + 1)
		}
	}
}

// ask begins to ask, with the first round at once. The next packet has the number next.
func (n *narrowState) ask(next int64) {
	if !n.asking {
		n.forget()
		n.asking, n.turn, n.since = true, narrowBegins, next
	}
}

// forget ends all suspicion.
func (n *narrowState) forget() { *n = narrowState{newest: n.newest} }

// restart is forget for another path, on which the next packet has the number next.
func (n *narrowState) restart(next int64) { *n = narrowState{newest: next - 1} }

// answer takes the fate of a question, and ends the round when that of both is known.
func (n *narrowState) answer(now instant.Time, number int64, fate recovery.Fate) {
	q := &n.small
	if number == n.whole.number {
		if q = &n.whole; fate == recovery.Acked {
			n.newest = max(n.newest, number)
			n.forget()
			return
		}
	}
	q.fate = fate
	if n.turn != narrowWaits || n.whole.fate == recovery.Probed || n.small.fate == recovery.Probed {
		return
	}
	if n.small.fate == recovery.Acked {
		n.proved++
	}
	n.turn = narrowRests
	if n.tried++; n.tried >= narrowTries {
		n.forget()
		return
	}
	n.at = now.Add(narrowPause)
}

// isProved reports whether the path was found too narrow.
func (n *narrowState) isProved() bool { return n.proved >= narrowRounds }

// holds reports whether data has to wait for what comes of the questions.
func (n *narrowState) holds() bool { return n.proved > 0 }

// due returns when expire wants to be called.
func (n *narrowState) due() instant.Time { return n.at }

// expire begins the next round.
func (n *narrowState) expire(now instant.Time) {
	if n.at.Reached(now) {
		n.at, n.turn = instant.Never, narrowBegins
	}
}

// compose writes the next question if it is time for one. "PMTU probes consume congestion window" (section 14.4): what is in flight
// has to leave room.
func (n *narrowState) compose(c *Conn, now instant.Time, buf []byte) (Transmit, bool) {
	begins := n.turn == narrowBegins
	if !begins && n.turn != narrowGoesOn || !c.path.validated || !c.shake.confirmed || len(buf) < minDatagramSize {
		return Transmit{}, false
	}
	if allowed, _ := c.ledger.Allowance(now); begins && allowed < minDatagramSize {
		return Transmit{}, false
	}
	d := &c.draft
	d.begin(buf, minDatagramSize)
	if !c.openPacket(d, wire.AppSpace) {
		return Transmit{}, false
	}
	d.appendFrame(append(d.scratch(), byte(wire.FramePing)))
	q := question{number: d.number(), fate: recovery.Probed}
	if begins {
		d.pad(minDatagramSize - seal.Overhead)
		d.current().mtuProbe = true
		n.whole, n.turn = q, narrowGoesOn
	} else {
		n.small, n.turn = q, narrowWaits
	}
	d.close()
	size := c.finish(now, d)
	c.sent(size)
	return Transmit{Path: c.path.Path, Size: size, Segment: size}, true
}

// stopIfNarrow closes a connection whose path is proved to be too narrow.
func (c *Conn) stopIfNarrow(now instant.Time) {
	if c.path.narrow.isProved() && c.life.state == lifeOpen {
		c.fail(now, violation(wire.NoViablePath, 0, "the path does not carry datagrams of 1200 bytes"))
	}
}

// owesPing reports whether the next datagram is the second that a probe timeout owes, and nothing has come of two timeouts in a
// row: then it is a PING alone, which passes where the first, that carries data, may not.
func (c *Conn) owesPing() bool {
	return c.ledger.ProbesOwed(wire.AppSpace) == 1 && c.ledger.PTOCount() > 2 && c.shake.confirmed
}

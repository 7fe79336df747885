package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// keyPhase is the state of key updates in the application's space (RFC 9001, section 6).
//
// The keys in use stand in the space itself. Those of the next phase are made ahead, so that a packet that brings the
// update takes no longer than one that does not: the timing channel of section 6.3 is closed by that.
type keyPhase struct {
	phase    bool // the bit we send
	nextRead *seal.Keys
	oldRead  *seal.Keys   // of the phase before, for packets that were overtaken
	dropAt   instant.Time // when oldRead goes

	firstRead  int64 // lowest packet number received in this phase; -1: none yet
	firstSent  int64 // first packet number sent in this phase
	confirmed  bool  // a packet of this phase was acknowledged: another update is allowed
	sealed     int64 // packets protected in this phase
	forgeries  int64 // packets that failed authentication, in all phases
	sealLimit  int64
	forgeLimit int64
	updates    int
	asked      bool // the application wants an update
	overtaken  bool // the packet being handled was opened with oldRead
}

// start takes the first pair of application keys.
func (k *keyPhase) start(s *space) {
	k.nextRead = s.read.Next()
	k.firstRead, k.firstSent = -1, 0
	k.sealLimit, k.forgeLimit = s.write.Limits()
}

// ready makes the keys of the next phase where a rest has taken them, before it is known whether they are needed.
func (k *keyPhase) ready(s *space) {
	if k.nextRead == nil {
		k.nextRead = s.read.Next()
	}
}

// rest gives back what can be derived again.
func (k *keyPhase) rest(s *space) {
	if s.read == nil || s.write == nil {
		return
	}
	k.nextRead = nil
	s.read.Rest()
	s.write.Rest()
}

// openPhase decrypts a 1-RTT packet with the keys of the phase it was sent in; nil: it is not authentic.
func (c *Conn) openPhase(now instant.Time, s *space, b []byte, hdrLen int, number int64) ([]byte, *TransportError) {
	const keyPhaseBit = 0x04
	k := &c.phase
	k.ready(s)
	bit := b[0]&keyPhaseBit != 0
	keys, update := s.read, false
	k.overtaken = false
	switch {
	case bit == k.phase:
	case k.oldRead != nil && (k.firstRead < 0 || number < k.firstRead):
		// RFC 9001, section 6.5: "A recovered packet number that is lower than any packet number from the current key
		// phase uses the previous packet protection keys".
		keys, k.overtaken = k.oldRead, true
	default:
		keys, update = k.nextRead, true
	}
	payload, ok := keys.Open(b, hdrLen, number)
	if !ok {
		k.forgeries++
		if k.forgeries > k.forgeLimit {
			// RFC 9001, section 6.6: "the endpoint MUST immediately close the connection with a connection error of type
			// AEAD_LIMIT_REACHED".
			return nil, violation(wire.AEADLimitReached, 0, "too many packets failed authentication")
		}
		return nil, nil
	}
	if update {
		if k.updates > 0 && c.ledger.Next(wire.AppSpace) == k.firstSent {
			// RFC 9001, section 6.2: "If an endpoint detects a second update before it has sent any packets with updated keys
			// containing an acknowledgment for the packet that initiated the key update, it indicates that its peer has updated
			// keys twice without awaiting confirmation."
			return nil, violation(wire.KeyUpdateError, 0, "the peer updated its keys twice")
		}
		c.updateKeys(now, s, true)
	}
	if bit == k.phase && (k.firstRead < 0 || number < k.firstRead) {
		if k.firstRead < 0 && k.oldRead != nil {
			// RFC 9001, section 6.5: "An endpoint SHOULD retain old read keys for no more than three times the PTO after
			// having received a packet protected using the new keys."
			k.dropAt = now.Add(3 * c.ledger.PTO())
		}
		k.firstRead = number
	}
	return payload, nil
}

// updateKeys moves both directions to the next phase: a read key that answers the peer's update, or our own initiative.
func (c *Conn) updateKeys(now instant.Time, s *space, byPeer bool) {
	k := &c.phase
	k.ready(s)
	k.oldRead, s.read = s.read, k.nextRead
	k.nextRead = s.read.Next()
	s.write = s.write.Next()
	k.phase = !k.phase
	k.firstRead, k.firstSent = -1, c.ledger.Next(wire.AppSpace)
	k.confirmed, k.sealed, k.asked = false, 0, false
	k.updates++
	k.dropAt = instant.Never
	by := "local"
	if byPeer {
		c.idle.effort.wasted += keyUpdateCost
		by = "remote"
	}
	c.trace.KeyUpdated(now, by, k.updates)
}

// expire forgets the keys of the phase before when their time is over.
func (k *keyPhase) expire(now instant.Time) {
	if k.dropAt.Reached(now) {
		k.oldRead, k.dropAt = nil, instant.Never
	}
}

// acknowledged notes that the peer has a packet of ours, as the packet being handled says.
func (k *keyPhase) acknowledged(largest int64) *TransportError {
	if largest < k.firstSent {
		return nil
	}
	if k.overtaken {
		// RFC 9001, section 6.2: "An endpoint that receives an acknowledgment that is carried in a packet protected with old
		// keys where any acknowledged packet was protected with newer keys MAY treat that as a connection error of type
		// KEY_UPDATE_ERROR." Let through, it would have us wear out keys that we could never replace.
		return violation(wire.KeyUpdateError, wire.FrameAck, "new keys are acknowledged in old ones")
	}
	k.confirmed = true
	return nil
}

// UpdateKeys has the next packet for which RFC 9001, section 6.1, allows it bring a key update.
func (c *Conn) UpdateKeys() { c.phase.asked = true }

// updateIfWorn updates the keys long before they have protected as many packets as they may (RFC 9001, section 6.6), or when
// the application wants it.
func (c *Conn) updateIfWorn(now instant.Time) {
	k, s := &c.phase, &c.spaces[wire.AppSpace]
	if k.sealed < min(keyUpdateEvery, k.sealLimit/2) && !k.asked {
		return
	}
	if !c.shake.confirmed || !k.confirmed || k.oldRead != nil {
		return
	}
	c.updateKeys(now, s, false)
}

// stopIfWornOut closes the connection when its keys have protected almost as many packets as they may, and the peer, which
// does not acknowledge the last update, lets us have no others. What is left is for the CONNECTION_CLOSE.
//
// RFC 9001, section 6.6: "If a key update is not possible or integrity limits are reached, the endpoint MUST stop using the
// connection and only send stateless resets in response to receiving packets. It is RECOMMENDED that endpoints immediately
// close the connection with a connection error of type AEAD_LIMIT_REACHED before reaching a state where key updates are not
// possible."
func (c *Conn) stopIfWornOut(now instant.Time) {
	if k := &c.phase; k.sealLimit > 0 && k.sealed >= k.sealLimit-2*maxSegments && c.life.state == lifeOpen {
		if c.updateIfWorn(now); k.sealed > 0 {
			c.fail(now, violation(wire.AEADLimitReached, 0, "the keys are worn out and cannot be updated"))
		}
	}
}

package engine

import (
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// Kinds of facts: what a packet can carry that has to be settled when the packet is acknowledged or lost. A frame that is
// not here, such as PING or PADDING, leaves nothing to settle.
const (
	factAck           uint8 = iota + 1 // End: the largest packet acknowledged
	factCrypto                         // Start, End
	factStream                         // ID, Start, End, Fin
	factReset                          // ID; End: the reliable size, 0 of a RESET_STREAM
	factStop                           // ID
	factStreamBlocked                  // ID
	factMaxStreamData                  // ID
	factMaxData
	factDataBlocked
	factMaxStreams     // ID: direction
	factStreamsBlocked // ID: direction
	factNewID          // ID: sequence number
	factRetireID       // ID: sequence number
	factHandshakeDone
	factNewToken
	factAckFrequency
	factPath // PATH_CHALLENGE, PATH_RESPONSE
)

// settle applies the fate of a packet to each thing it carried. RFC 9000, section 13.3 says frame by frame what is sent
// again: the information, in its newest state, and never the packet.
func (c *Conn) settle(space wire.Space, p *recovery.Packet, fate recovery.Fate) {
	if fate == recovery.Lost && p.InFlight {
		c.stats.PacketsLost++
	}
	if c.life.state != lifeOpen {
		return
	}
	c.idle.effort.acked = c.idle.effort.acked || fate == recovery.Acked
	c.path.mtu.settle(c.now, p, fate)
	if space == wire.AppSpace && c.shake.confirmed {
		c.path.narrow.settle(c.now, p, fate)
	}
	for i := range p.Facts {
		c.settleFact(space, p.Number, &p.Facts[i], fate)
	}
}

func (c *Conn) settleFact(space wire.Space, packet int64, f *recovery.Fact, fate recovery.Fate) {
	switch f.Kind {
	case factAck:
		if fate == recovery.Acked {
			c.spaces[space].acks.acknowledged(f.End)
		}
	case factCrypto:
		if s := c.spaces[space].crypto; s != nil {
			s.out.settleData(&c.pool, packet, *f, fate)
		}
	case factStream, factReset, factStop, factStreamBlocked, factMaxStreamData:
		if s := c.streams.byID[f.ID]; s != nil {
			c.settleStream(s, packet, f, fate)
		}
	case factMaxData:
		c.flow.window.announce.settleLatest(packet, fate)
	case factDataBlocked:
		c.flow.blocked.settleLatest(packet, fate)
	case factMaxStreams:
		c.streams.remote[f.ID].announce.settleLatest(packet, fate)
	case factStreamsBlocked:
		c.streams.local[f.ID].blocked.settleLatest(packet, fate)
	case factNewID, factRetireID:
		c.ids.settle(packet, *f, fate)
	case factHandshakeDone:
		c.shake.doneFrame.settle(packet, fate)
	case factNewToken:
		c.path.tokens.settle(packet, fate)
	case factAckFrequency:
		c.answer.request.settle(c, packet, fate)
	case factPath:
		// RFC 9000, section 13.3: a PATH_RESPONSE is sent once; a PATH_CHALLENGE again until it is answered, when its own timer says
		// so (validation.expire). A path that carries small packets alone would lose one a round trip.
	default:
		panic("BUG: a packet carried a fact of unknown kind")
	}
}

// settleStream applies the fate of a frame about one stream.
func (c *Conn) settleStream(s *stream, packet int64, f *recovery.Fact, fate recovery.Fate) {
	switch f.Kind {
	case factStream:
		s.send.settleData(&c.pool, packet, *f, fate)
		if fate == recovery.Acked && s.send.short {
			c.tellWritableWhenRoomy(s)
		}
	case factReset:
		s.send.settleReset(packet, f, fate)
	case factStop:
		s.recv.stop.settle(packet, fate)
	case factStreamBlocked:
		s.send.blocked.settleLatest(packet, fate)
	case factMaxStreamData:
		s.recv.window.announce.settleLatest(packet, fate)
	}
	if fate != recovery.Acked {
		c.touch(s)
	}
	c.finishIfOver(s)
}

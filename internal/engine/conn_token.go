package engine

import (
	"bytes"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// tokenState is the tokens with which a client proves its address when it comes again (RFC 9000, section 8.1.3).
type tokenState struct {
	token []byte  // the server's, until it has arrived; the client's, until the application takes it
	send  sentVal // NEW_TOKEN
}

// offer gives the client, whose address is proved, a token for its next connection. One that is still on its way is
// replaced: it was for another address.
func (s *tokenState) offer(c *Conn, now instant.Time) {
	if !c.server || c.config.Tokens == nil {
		return
	}
	t := c.config.Tokens
	s.token = t.key(c.version.current).NewToken(t.time(now), c.path.Remote.Addr(), c.rand.Uint64())
	s.send.set()
}

// appendTo appends a NEW_TOKEN frame when it is owed; false: it did not fit.
func (s *tokenState) appendTo(d *datagram) bool {
	if !s.send.isUnsent() {
		return true
	}
	if !d.appendFrame(wire.AppendNewToken(d.scratch(), s.token)) {
		return false
	}
	s.send.sentIn(d.number())
	d.addFact(recovery.Fact{Kind: factNewToken})
	return true
}

// settle applies the fate of a packet that carried NEW_TOKEN. RFC 9000, section 13.3: "NEW_TOKEN frames are retransmitted if
// the packet containing them is lost."
func (s *tokenState) settle(packet int64, fate recovery.Fate) {
	if s.send.settleLatest(packet, fate); s.send.hasArrived() {
		s.token = nil
	}
}

// handleNewToken takes the server's token. A later one takes the place of one that the application has not taken.
func (c *Conn) handleNewToken(token []byte) *TransportError {
	if c.server {
		// RFC 9000, section 19.7: "A server MUST treat receipt of a NEW_TOKEN frame as a connection error of type
		// PROTOCOL_VIOLATION."
		return violation(wire.ProtocolViolation, wire.FrameNewToken, "NEW_TOKEN from a client")
	}
	if len(token) > maxToken {
		return nil // too long to come back in a datagram that has anything else in it
	}
	if c.path.tokens.token == nil {
		c.events.push(Event{Kind: EventNewToken})
	}
	c.path.tokens.token = bytes.Clone(token)
	return nil
}

// TakeToken returns, once, the newest token that the server has given for the next connection to it; nil: there is none.
// It is what Config.Token wants.
func (c *Conn) TakeToken() []byte {
	if c.server {
		return nil
	}
	t := c.path.tokens.token
	c.path.tokens.token = nil
	return t
}

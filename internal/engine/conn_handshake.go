package engine

import (
	"bytes"
	"errors"
	"time"

	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// handshakeState is the TLS handshake and what hangs on its progress.
type handshakeState struct {
	tls       *handshake.Handshake
	started   instant.Time
	deadline  instant.Time // never once the handshake is done
	done      bool         // complete, in the sense of RFC 9001, section 4.1.1
	confirmed bool         // section 4.1.2
	ended     instant.Time // when it was complete

	doneFrame sentVal    // HANDSHAKE_DONE
	refused   refusal    // what ICMP says of a client's first flights
	token     []byte     // of a Retry packet or of an earlier connection, to be repeated in Initial packets
	first     opening    // a server's first packet, which the Acceptor has opened
	early     []Datagram // datagrams that came before their keys
	replay    bool       // keys have come: take them again
}

// A cryptoStream carries one space's handshake bytes both ways (RFC 9000, section 7.5). It is a stream without flow
// control, so it is made of a stream's parts.
type cryptoStream struct {
	out sendPart
	in  recvPart
}

func newCryptoStream() *cryptoStream {
	s := new(cryptoStream)
	s.in.final = -1
	return s
}

// owes reports whether appendTo would append anything.
func (s *cryptoStream) owes() bool { return s != nil && len(s.out.toSend) > 0 }

// appendTo appends CRYPTO frames; false: something is left.
func (s *cryptoStream) appendTo(d *datagram) bool {
	if !s.owes() {
		return true
	}
	p := &s.out
	for len(p.toSend) > 0 {
		from, end := p.toSend[0].Start, p.toSend[0].End
		room := d.room() - maxCryptoHeader
		if room <= 0 {
			return false
		}
		end = min(end, from+int64(room))
		d.appendFrame(wire.AppendCryptoHeader(d.scratch(), from, int(end-from)))
		for off := from; off < end; {
			off += int64(d.appendBytes(p.buf.view(off, int(end-off))))
		}
		p.toSend.Sub(from, end)
		d.addFact(recovery.Fact{Kind: factCrypto, Start: from, End: end})
	}
	return true
}

// maxCryptoHeader is the longest header of a CRYPTO frame: type, offset, length.
const maxCryptoHeader = 1 + 8 + 4

// startHandshake encodes our transport parameters and lets TLS begin.
func (c *Conn) startHandshake(now instant.Time) error {
	c.params = wire.DefaultTransportParams()
	p := &c.params
	p.MaxIdleTimeout = c.config.MaxIdleTimeout
	p.MaxUDPPayloadSize = maxReceivePayload
	p.InitialMaxData = c.config.ConnWindow
	p.InitialMaxStreamDataBidiLocal = c.config.StreamWindow
	p.InitialMaxStreamDataBidiRemote = c.config.StreamWindow
	p.InitialMaxStreamDataUni = c.config.StreamWindow
	p.InitialMaxStreamsBidi = c.config.MaxStreamsBidi
	p.InitialMaxStreamsUni = c.config.MaxStreamsUni
	p.MaxDatagramFrameSize = c.config.MaxDatagramFrame
	p.MaxAckDelay = maxAckDelay
	p.AckDelayExponent = ackDelayExponent
	p.HasMinAckDelay, p.MinAckDelay = true, minAckDelay
	p.ActiveConnIDLimit = maxRemoteIDs
	p.GreaseQUICBit, p.ResetStreamAt = true, true
	c.ids.fillParams(c, p)

	h := &c.shake
	h.started = now
	h.deadline = now.Add(c.config.HandshakeTimeout)
	if c.server {
		h.tls = handshake.NewServer(c.config.TLS, nil) // the parameters depend on the client's
	} else {
		h.tls = handshake.NewClient(c.config.TLS, c.encodeParams(now))
	}
	c.config.TLS = nil // it is not needed any more, and not ours to keep alive
	h.tls.SetVersion(c.version.original)
	c.enableEarly()
	if err := h.tls.Start(); err != nil {
		return err
	}
	if err := c.pumpHandshake(now); err != nil {
		return err
	}
	return nil
}

// encodeParams encodes our transport parameters, which are final now.
func (c *Conn) encodeParams(now instant.Time) []byte {
	c.params.Versions = c.versionInfo()
	c.trace.ParametersSet(now, "local", traceParams(&c.params))
	return c.params.AppendTo(nil, c.rand.Uint64())
}

// maxReceivePayload is the largest UDP payload we take: all of them.
const maxReceivePayload = 65527

// handleCrypto takes handshake bytes and hands TLS those that are in order.
func (c *Conn) handleCrypto(now instant.Time, space wire.Space, f wire.Crypto) *TransportError {
	s := c.spaces[space].crypto
	if s == nil {
		return nil // the frame before it, in the same packet, ended the handshake
	}
	in := &s.in
	end := f.Offset + int64(len(f.Data))
	if end > in.read+maxCryptoBuffer {
		// RFC 9000, section 7.5: "If an endpoint's buffer is exceeded during the handshake, it can [...] close the
		// connection with a CRYPTO_BUFFER_EXCEEDED error code."
		return violation(wire.CryptoBufferExceeded, wire.FrameCrypto, "more handshake data than fits")
	}
	if !in.store(&c.pool, f.Offset, f.Data) {
		return violation(wire.CryptoBufferExceeded, wire.FrameCrypto, "too many gaps in handshake data")
	}
	c.settleVersion()
	level := levelOf[space]
	for in.contiguous() > in.read {
		b := in.buf.view(in.read, int(in.contiguous()-in.read))
		err := c.shake.tls.Receive(level, b)
		in.read += int64(len(b))
		c.idle.effort.gain()
		in.buf.discardBefore(&c.pool, in.read)
		if err != nil {
			return tlsError(err)
		}
		if err := c.pumpHandshake(now); err != nil {
			return err
		}
	}
	return nil
}

var levelOf = [wire.NumSpaces]handshake.Level{
	wire.InitialSpace: handshake.InitialLevel, wire.HandshakeSpace: handshake.HandshakeLevel, wire.AppSpace: handshake.AppLevel,
}

// spaceOf is the inverse of levelOf; 0-RTT shares the application's space.
func spaceOf(l handshake.Level) (wire.Space, bool) {
	switch l {
	case handshake.InitialLevel:
		return wire.InitialSpace, true
	case handshake.HandshakeLevel:
		return wire.HandshakeSpace, true
	case handshake.AppLevel, handshake.EarlyLevel:
		return wire.AppSpace, true
	}
	return 0, false
}

// tlsError turns a failure of TLS into the connection error that RFC 9001, section 4.8 makes of it.
func tlsError(err error) *TransportError {
	e := &TransportError{Code: wire.InternalError, Frame: wire.FrameCrypto, Reason: err.Error(), Cause: err}
	var alert *handshake.Error
	if errors.As(err, &alert) {
		e.Code = wire.ErrorCode(alert.Code())
	}
	return e
}

// pumpHandshake does what TLS wants done.
func (c *Conn) pumpHandshake(now instant.Time) *TransportError {
	for {
		e, ok := c.shake.tls.Next()
		if !ok {
			if err := c.shake.tls.Err(); err != nil {
				return tlsError(err)
			}
			return nil
		}
		if e.Kind == handshake.PeerParams {
			if err := c.handlePeerParams(now, e.Data); err != nil {
				return err
			}
			continue
		}
		if e.Kind == handshake.NeedParams {
			c.shake.tls.SetParams(c.encodeParams(now))
			continue
		}
		switch e.Kind {
		case handshake.Done:
			if err := c.handshakeDone(now); err != nil {
				return err
			}
			continue
		case handshake.EarlyRejected:
			c.rejectEarly(now)
			continue
		}
		space, ok := spaceOf(e.Level)
		if !ok {
			continue
		}
		if e.Kind == handshake.Data {
			if s := c.spaces[space].crypto; s != nil {
				s.out.write(&c.pool, e.Data, maxSendBuffer)
			}
			continue
		}
		if err := c.installKeys(now, space, e); err != nil {
			return err
		}
	}
}

// installInitialKeys derives the keys of Initial packets from the client's first destination connection ID.
func (c *Conn) installInitialKeys(id []byte) {
	c.version.keyID = wire.MakeConnID(id)
	s, keys := &c.spaces[wire.InitialSpace], seal.Of(c.version.current)
	switch {
	case !c.server:
		s.write, s.read = keys.Initial(id)
	case c.shake.first.keys != nil:
		s.read, s.write = c.shake.first.keys, keys.ServerInitial(id)
	default:
		s.read, s.write = keys.Initial(id)
	}
}

// installKeys takes a secret that TLS has agreed on.
func (c *Conn) installKeys(now instant.Time, space wire.Space, e handshake.Event) *TransportError {
	version := c.version.current
	if e.Level == handshake.EarlyLevel {
		version = c.version.original
	}
	keys, err := seal.Of(version).New(e.Suite, e.Secret)
	if err != nil {
		return &TransportError{Code: wire.InternalError, Reason: err.Error(), Cause: err}
	}
	if e.Level == handshake.EarlyLevel {
		c.installEarly(keys)
		return nil
	}
	s := &c.spaces[space]
	if e.Kind == handshake.WriteKeys {
		s.write = keys
		if space == wire.AppSpace {
			if err := c.endEarly(); err != nil {
				return err
			}
			if c.server {
				c.events.push(Event{Kind: EventAnswered})
			}
		}
	} else {
		s.read = keys
	}
	if space == wire.HandshakeSpace {
		c.early.decided = true
		c.ledger.SetHasHandshakeKeys()
	}
	if space == wire.AppSpace && s.read != nil && s.write != nil {
		c.phase.start(s)
		c.phase.firstSent = c.ledger.Next(space)
	}
	if e.Kind == handshake.ReadKeys && len(c.shake.early) > 0 {
		c.shake.replay = true
	}
	return nil
}

// handlePeerParams validates and adopts the peer's transport parameters.
func (c *Conn) handlePeerParams(now instant.Time, encoded []byte) *TransportError {
	p, err := wire.ConsumeTransportParams(encoded, !c.server)
	if err != nil {
		return violation(wire.TransportParameterError, wire.FrameCrypto, err.Error())
	}
	if err := c.ids.checkParams(c, &p); err != nil {
		return err
	}
	if err := c.negotiateVersion(now, p.Versions); err != nil {
		return err
	}
	// What TLS gave is its own and overwritten: keep what outlives this call.
	p.Versions = wire.VersionInfo{}
	p.OriginalDstID, p.InitialSrcID, p.RetrySrcID = nil, bytes.Clone(p.InitialSrcID), nil
	given := p
	c.early.withholdLimits(&p)
	c.peer = p
	c.applyLimits()
	c.idle.negotiate(c.config.MaxIdleTimeout, p.MaxIdleTimeout)
	c.ledger.SetMaxAckDelay(p.MaxAckDelay)
	if p.HasResetToken {
		c.ids.setToken(c, 0, p.ResetToken)
	}
	c.ids.adoptPreferred(p.PreferredAddress)
	c.ids.issue(c)
	c.trace.ParametersSet(now, "remote", traceParams(&given))
	return nil
}

// handshakeDone notes that TLS has finished on our side.
func (c *Conn) handshakeDone(now instant.Time) *TransportError {
	h := &c.shake
	h.done, h.ended, h.deadline = true, now, instant.Never
	c.trace.ALPN(now, h.tls.State().NegotiatedProtocol)
	c.events.push(Event{Kind: EventHandshakeDone})
	if !c.server {
		return nil
	}
	// RFC 9001, section 4.1.2: "the TLS handshake is considered confirmed at the server when the handshake completes. The
	// server MUST send a HANDSHAKE_DONE frame as soon as the handshake is complete."
	h.doneFrame.set()
	c.confirm(now)
	c.path.tokens.offer(c, now)
	err := h.tls.SendTicket()
	if _, ok := errors.AsType[*handshake.PanicError](err); ok {
		return tlsError(err) // as after any other panic of the application's
	}
	if err != nil {
		c.trace.PacketDropped(now, qlog.Dropped{Trigger: "session_ticket"})
	}
	return nil
}

// handleHandshakeDone takes the HANDSHAKE_DONE frame.
func (c *Conn) handleHandshakeDone(now instant.Time) *TransportError {
	// RFC 9000, section 19.20: "A server MUST treat receipt of a HANDSHAKE_DONE frame as a connection error of type
	// PROTOCOL_VIOLATION."
	if c.server {
		return violation(wire.ProtocolViolation, wire.FrameHandshakeDone, "HANDSHAKE_DONE from a client")
	}
	if c.shake.done {
		c.confirm(now)
	}
	return nil
}

// confirm notes that both sides have finished: the handshake's keys are of no use any more (RFC 9001, section 4.9.2).
func (c *Conn) confirm(now instant.Time) {
	if c.shake.confirmed {
		return
	}
	c.shake.confirmed = true
	c.discardSpace(now, wire.InitialSpace)
	c.discardSpace(now, wire.HandshakeSpace)
	c.ledger.ConfirmHandshake(now)
	c.ids.forgetOriginal(c)
	c.ids.renew(c)
	c.events.push(Event{Kind: EventHandshakeConfirmed})
	c.followPreferred(now)
}

// discardSpace forgets the keys of a space and all that was sent and received in it.
func (c *Conn) discardSpace(now instant.Time, space wire.Space) {
	s := &c.spaces[space]
	if s.discarded {
		return
	}
	s.crypto.out.buf.release(&c.pool)
	s.crypto.in.buf.release(&c.pool)
	*s.crypto = cryptoStream{} // what is being received ends here
	*s = spaceDiscarded
	if space == wire.InitialSpace {
		c.version.other = initialKeys{}
	}
	c.ledger.DropSpace(now, space)
	c.trace.KeyDiscarded(now, space.String())
}

// spaceDiscarded is what is left of a space whose keys are gone.
var spaceDiscarded = space{discarded: true, acks: ackState{largest: -1}}

// took returns how long the handshake took, 0 while it lasts.
func (h *handshakeState) took() time.Duration {
	if !h.done {
		return 0
	}
	return h.ended.Sub(h.started)
}

package engine

import (
	"bytes"

	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/internal/wire"
)

// EarlyConfig allows 0-RTT (RFC 9001, section 4.6).
type EarlyConfig struct {
	// State is what the application promises its peer, on a server. A client that tries 0-RTT counts on it, so 0-RTT is accepted
	// only while it is the same as when the ticket was issued.
	State []byte

	// Mark, on a server, returns what goes into a new ticket besides. Admit is shown it when the ticket comes back, and says
	// whether 0-RTT is accepted. It must say yes to no ticket twice.
	Mark  func() []byte
	Admit func(mark []byte) bool
}

// earlyState is the state of 0-RTT on a connection.
type earlyState struct {
	progress earlyProgress
	sending  bool       // a client: the keys in the application's space are those of 0-RTT
	read     *seal.Keys // a server's
	decided  bool       // a server: the ClientHello was read; without keys there will be none
	dropAt   instant.Time

	limits     *earlyLimits // a client that tries; nil otherwise
	resumed    []byte       // what the application remembered of the connection before
	learned    []byte       // what it learned on this one
	held       bool         // streams were opened that the server, which rejected 0-RTT, does not allow yet
	firstAfter int64        // a client that was rejected: packets below were 0-RTT
}

// earlyLimits is two versions of what a client knows about the server.
type earlyLimits struct {
	remembered wire.TransportParams  // what 0-RTT keeps to
	fresh      *wire.TransportParams // what came with the handshake, in force with the 1-RTT keys; nil: nothing yet
}

// earlyProgress is how far 0-RTT has come.
type earlyProgress uint8

const (
	earlyNone     earlyProgress = iota // not tried, or nobody knows yet; a server knows by 0-RTT packets
	earlyTried                         // a client sends; the server has not answered
	earlyAccepted                      // (RFC 9001, section 4.6.2)
	earlyRejected
)

// EarlyOutcome returns how far 0-RTT has come: "tried", "accepted" or "rejected"; empty: it was not tried.
func (c *Conn) EarlyOutcome() string {
	return [...]string{"", "tried", "accepted", "rejected"}[c.early.progress]
}

// Early reports whether 0-RTT is on: under way or accepted.
func (c *Conn) Early() bool {
	return c.early.progress == earlyTried || c.early.progress == earlyAccepted
}

// EarlyState returns what the application handed to LearnEarlyState on the connection whose session a client resumes with
// 0-RTT; nil without one.
func (c *Conn) EarlyState() []byte { return c.early.resumed }

// LearnEarlyState has a client remember state with the session, for the next connection's 0-RTT.
func (c *Conn) LearnEarlyState(state []byte) {
	c.early.learned = bytes.Clone(state)
	c.shake.tls.StoreAgain()
}

// enableEarly tells TLS of 0-RTT if the configuration allows it.
func (c *Conn) enableEarly() {
	if c.config.Early != nil {
		c.shake.tls.EnableEarlyData(handshake.EarlyData{Store: c.storeEarly, Resume: c.resumeEarly})
	}
}

// storeEarly says what is kept with a session: the version, the server's transport parameters, what concerns the application,
// and the server's mark.
//
// RFC 9000, section 7.4.1: "To enable 0-RTT, endpoints store the values of the server transport parameters with any session
// tickets it receives on the connection."
func (c *Conn) storeEarly() ([]byte, bool) {
	p, state := c.peer, c.early.learned
	if c.server {
		p, state = c.params, c.config.Early.State
	}
	// "A client MUST NOT use remembered values for the following parameters: ack_delay_exponent, max_ack_delay,
	// initial_source_connection_id, original_destination_connection_id, preferred_address, retry_source_connection_id, and
	// stateless_reset_token."
	d := wire.DefaultTransportParams()
	p.AckDelayExponent, p.MaxAckDelay = d.AckDelayExponent, d.MaxAckDelay
	p.InitialSrcID, p.OriginalDstID, p.RetrySrcID, p.PreferredAddress = nil, nil, nil, nil
	p.HasResetToken, p.ResetToken = false, d.ResetToken

	p.Versions = wire.VersionInfo{}

	b := varint.Append(nil, uint64(c.version.current))
	b = appendBlock(b, p.AppendTo(nil, 0))
	b = appendBlock(b, state)
	if c.server {
		b = append(b, c.config.Early.Mark()...)
	}
	return b, true
}

// resumeEarly says whether 0-RTT may be used with a session that storeEarly wrote stored for.
func (c *Conn) resumeEarly(stored []byte) bool {
	version, n := varint.Consume(stored)
	if n < 0 || version != uint64(c.version.original) {
		return false
	}
	encoded, rest, ok := consumeBlock(stored[n:])
	if !ok {
		return false
	}
	state, mark, ok := consumeBlock(rest)
	if !ok {
		return false
	}
	p, err := wire.ConsumeTransportParams(encoded, true)
	if err != nil {
		return false
	}
	e := &c.early
	if c.server {
		// RFC 9000, section 7.4.1: "A server MUST reject 0-RTT data if the restored values for transport parameters cannot be
		// supported." RFC 9114, section 7.2.4.2, says the like of settings.
		return reduced(&p, &c.params) == "" && bytes.Equal(state, c.config.Early.State) && c.config.Early.Admit(mark)
	}
	e.limits, e.resumed = &earlyLimits{remembered: p}, bytes.Clone(state)
	return p.InitialMaxData > 0 && p.InitialMaxStreamsBidi+p.InitialMaxStreamsUni > 0
}

func appendBlock(b, block []byte) []byte {
	return append(varint.Append(b, uint64(len(block))), block...)
}

func consumeBlock(b []byte) (block, rest []byte, ok bool) {
	size, n := varint.Consume(b)
	if n < 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(size)], b[n+int(size):], true
}

// reduced names a limit that is smaller in now than in before, "" when there is none.
//
// RFC 9000, section 7.4.1: "a server that accepts 0-RTT data MUST NOT set values for the following parameters (Section 18.2)
// that are smaller than the remembered values of the parameters." RFC 9221, section 3, adds max_datagram_frame_size, and
// draft-ietf-quic-reliable-stream-reset, section 3: "When the server accepts 0-RTT data, the server MUST NOT disable this extension on
// the resumed connection."
func reduced(before, now *wire.TransportParams) string {
	for _, l := range [...]struct {
		name        string
		before, now int64
	}{
		{"active_connection_id_limit", before.ActiveConnIDLimit, now.ActiveConnIDLimit},
		{"initial_max_data", before.InitialMaxData, now.InitialMaxData},
		{"initial_max_stream_data_bidi_local", before.InitialMaxStreamDataBidiLocal, now.InitialMaxStreamDataBidiLocal},
		{"initial_max_stream_data_bidi_remote", before.InitialMaxStreamDataBidiRemote, now.InitialMaxStreamDataBidiRemote},
		{"initial_max_stream_data_uni", before.InitialMaxStreamDataUni, now.InitialMaxStreamDataUni},
		{"initial_max_streams_bidi", before.InitialMaxStreamsBidi, now.InitialMaxStreamsBidi},
		{"initial_max_streams_uni", before.InitialMaxStreamsUni, now.InitialMaxStreamsUni},
		{"max_datagram_frame_size", before.MaxDatagramFrameSize, now.MaxDatagramFrameSize},
	} {
		if l.now < l.before {
			return l.name
		}
	}
	if before.ResetStreamAt && !now.ResetStreamAt {
		return "reset_stream_at"
	}
	return ""
}

// installEarly takes the keys of 0-RTT: a client's to send with, a server's to read with.
func (c *Conn) installEarly(keys *seal.Keys) {
	e := &c.early
	if c.server {
		e.read, e.progress = keys, earlyAccepted
		c.shake.replay = c.shake.replay || len(c.shake.early) > 0
	} else {
		c.spaces[wire.AppSpace].write = keys
		e.sending, e.progress = true, earlyTried
		copyLimits(&c.peer, &e.limits.remembered)
		c.applyLimits()
	}
	c.events.push(Event{Kind: EventEarlyData})
}

// copyLimits takes over what 0-RTT remembers of the server's parameters.
func copyLimits(to, from *wire.TransportParams) {
	to.ActiveConnIDLimit, to.MaxDatagramFrameSize = from.ActiveConnIDLimit, from.MaxDatagramFrameSize
	to.ResetStreamAt = from.ResetStreamAt
	to.InitialMaxData = from.InitialMaxData
	to.InitialMaxStreamDataBidiLocal = from.InitialMaxStreamDataBidiLocal
	to.InitialMaxStreamDataBidiRemote = from.InitialMaxStreamDataBidiRemote
	to.InitialMaxStreamDataUni = from.InitialMaxStreamDataUni
	to.InitialMaxStreamsBidi, to.InitialMaxStreamsUni = from.InitialMaxStreamsBidi, from.InitialMaxStreamsUni
}

// withholdLimits keeps the limits of the handshake back while 0-RTT is being sent.
//
// RFC 9000, section 7.4.1: "When sending frames in 0-RTT packets, a client MUST only use remembered transport parameters;
// importantly, it MUST NOT use updated values that it learns from the server's updated transport parameters".
func (e *earlyState) withholdLimits(p *wire.TransportParams) {
	if e.sending {
		fresh := *p
		e.limits.fresh = &fresh
		copyLimits(p, &e.limits.remembered)
	}
}

// endEarly is for a client that installs 1-RTT keys: the server has had its chance to reject, and the limits of the handshake
// are in force. RFC 9001, section 4.9.3: "a client SHOULD discard 0-RTT keys as soon as it installs 1-RTT keys".
func (c *Conn) endEarly() *TransportError {
	e := &c.early
	if !e.sending {
		return nil
	}
	e.sending, e.progress = false, earlyAccepted
	if name := reduced(&e.limits.remembered, e.limits.fresh); name != "" {
		return violation(wire.ProtocolViolation, wire.FrameCrypto, "0-RTT was accepted with less "+name)
	}
	copyLimits(&c.peer, e.limits.fresh)
	e.limits = nil
	c.applyLimits()
	c.ids.issue(c)
	return nil
}

// rejectEarly is for a client whose 0-RTT the server rejects. All streams begin again, under the limits of this connection.
//
// RFC 9001, section 4.6.2: "When 0-RTT is rejected, all connection characteristics that the client assumed might be
// incorrect. [...] The client therefore MUST reset the state of all streams, including application state bound to those
// streams." Bytes that were written stay written: they are sent once more, in 1-RTT packets, from offset 0.
func (c *Conn) rejectEarly(now instant.Time) {
	e := &c.early
	if !e.sending {
		return // offered, but no keys came of it
	}
	e.sending, e.progress, e.held = false, earlyRejected, true
	e.resumed = nil
	e.firstAfter = c.ledger.Next(wire.AppSpace)
	c.spaces[wire.AppSpace].write = nil
	c.ledger.Abandon(now, wire.AppSpace)
	fresh := e.limits.fresh
	if e.limits = nil; fresh == nil {
		none := wire.DefaultTransportParams() // nothing is allowed before the parameters come
		fresh = &none
	}
	copyLimits(&c.peer, fresh)
	c.flow.max, c.flow.sent = 0, 0
	c.flow.blocked.clear()
	set := &c.streams
	set.control, set.data, set.starved = streamQueue{}, schedule{}, streamQueue{}
	for dir := range set.local {
		set.local[dir].max = 0
		set.local[dir].blocked.clear()
	}
	c.eachLocal(func(s *stream) {
		s.queued = 0
		s.send.rewind()
	})
	c.applyLimits()
	c.ids.issue(c)
	c.events.push(Event{Kind: EventEarlyRejected})
}

// rewind makes a sending part as if nothing of it had ever been sent.
func (s *sendPart) rewind() {
	s.next, s.max = 0, 0
	s.blocked.clear()
	s.toSend = s.toSend[:0]
	if s.delivers() {
		s.end = s.reliable // no final size has been told to this server
	}
	if s.hasBytes() && s.end > 0 {
		s.toSend = append(s.toSend, rangeset.Range{End: s.end})
	}
	if s.fin.isSet() {
		s.fin.set()
	}
	if s.reset.isSet() {
		s.reset.set()
	}
}

// eachLocal calls f for every stream of ours, in the order of their numbers.
func (c *Conn) eachLocal(f func(s *stream)) {
	kind := int64(0)
	if c.server {
		kind = serverInitiated
	}
	for dir := bidi; dir <= uni; dir++ {
		for n := range c.streams.local[dir].opened {
			if s := c.streams.byID[n<<2|int64(dir)*unidirectional|kind]; s != nil {
				f(s)
			}
		}
	}
}

// applyLimits lets the streams that exist go as far as the peer's parameters say.
func (c *Conn) applyLimits() {
	c.flow.max = max(c.flow.max, c.peer.InitialMaxData)
	c.flow.blocked.clear()
	c.handleMaxStreams(wire.MaxStreams{Max: c.peer.InitialMaxStreamsBidi})
	c.handleMaxStreams(wire.MaxStreams{Max: c.peer.InitialMaxStreamsUni, Uni: true})
	c.eachLocal(func(s *stream) {
		if limit := c.peerStreamLimit(s.id); limit > s.send.max {
			s.send.max = limit
			s.send.blocked.clear()
		}
		c.withdrawPromises(s)
		c.touch(s)
	})
	c.feed()
}

// isHeld reports whether a stream was opened under limits that turned out not to hold.
func (c *Conn) isHeld(id int64) bool {
	return c.early.held && c.isLocal(id) && id>>2 >= c.streams.local[directionOf(id)].max
}

// releaseHeld looks after a raised limit for streams that waited for it.
func (c *Conn) releaseHeld() {
	if c.early.held {
		c.eachLocal(c.touch)
	}
}

// readKeys returns the keys that open a packet, nil when there are none; gone: there will be none any more.
func (c *Conn) readKeys(in *incoming) (keys *seal.Keys, gone bool) {
	if in.typ == wire.Packet0RTT {
		e := &c.early
		// RFC 9001, section 4.6.2: "When rejecting 0-RTT, a server MUST NOT process any 0-RTT packets, even if it could."
		gone = !c.server || c.config.Early == nil || e.decided
		if gone && c.server && e.progress == earlyNone {
			e.progress = earlyRejected
			c.events.push(Event{Kind: EventEarlyRejected})
		}
		return e.read, gone
	}
	s := &c.spaces[in.space]
	return s.read, s.discarded
}

// has1RTT notes that a server has received a 1-RTT packet.
//
// RFC 9001, section 4.9.3: "After receiving a 1-RTT packet, servers MUST discard 0-RTT keys within a short time; the
// RECOMMENDED time period is three times the Probe Timeout".
func (e *earlyState) has1RTT(c *Conn, now instant.Time) {
	if e.read != nil && e.dropAt == instant.Never {
		e.dropAt = now.Add(3 * c.ledger.PTO())
	}
}

func (e *earlyState) expire(now instant.Time) {
	if e.dropAt.Reached(now) {
		e.read, e.dropAt = nil, instant.Never
	}
}

// acknowledged judges an acknowledgment of packets from lowest on.
//
// RFC 9001, section 4.6.2: "When 0-RTT was rejected, a client SHOULD treat receipt of an acknowledgment for a 0-RTT packet as
// a connection error of type PROTOCOL_VIOLATION, if it is able to detect the condition."
func (e *earlyState) acknowledged(lowest int64) *TransportError {
	if lowest < e.firstAfter {
		return violation(wire.ProtocolViolation, wire.FrameAck, "0-RTT was rejected, and is acknowledged")
	}
	return nil
}

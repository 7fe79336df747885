package engine

import (
	"crypto/subtle"

	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// connIDs is the connection IDs of both ends (RFC 9000, section 5.1).
type connIDs struct {
	original wire.ConnID // the client's first destination connection ID
	first    wire.ConnID // a server's: the one in the first datagram that came here, another than original after a Retry
	routed   bool        // datagrams to first still lead here

	length    int       // of every ID of ours
	local     []localID // those the peer may send to, oldest first
	left      leftIDs   // those it has given up
	localNext int64     // sequence number of the next one
	priorTo   int64     // the peer is asked to give up those before this number
	renewDue  bool      // and is to be asked to give up all that it has
	remote    []remoteID
	retire    []retirement // RETIRE_CONNECTION_ID frames owed or on their way
	retiredTo int64        // the peer's Retire Prior To
	retired   rangeset.Set // sequence numbers of the peer's IDs that we gave up of our own will

	adopted   bool        // a client: remote[0] is the ID that the server chose
	peerFirst wire.ConnID // the Source Connection ID of the peer's first Initial packet
	retrySrc  wire.ConnID // of a Retry packet, received or sent
	wasRetry  bool

	resetKey seal.ResetKey // our IDs' stateless reset tokens derive from it
}

type localID struct {
	seq  int64
	id   wire.ConnID
	send sentVal // NEW_CONNECTION_ID
}

type remoteID struct {
	seq      int64
	id       wire.ConnID
	token    [16]byte
	hasToken bool
	used     bool // on path; false: to spare
	path     Path
}

type retirement struct {
	seq  int64
	send sentVal
}

// initClient reports whether there is an ID for us.
func (x *connIDs) initClient(c *Conn, original wire.ConnID) bool {
	x.original = original
	x.remote = []remoteID{{id: original, used: true, path: c.path.Path}}
	return x.addLocal(c) != nil
}

// initServer reports whether there is an ID for us.
func (x *connIDs) initServer(c *Conn, in Incoming) bool {
	x.original, x.first, x.routed = in.DstID, in.DstID, true
	if in.Retried {
		x.original, x.retrySrc, x.wasRetry = in.Original, in.DstID, true
	}
	x.peerFirst, x.adopted = in.SrcID, true
	x.remote = []remoteID{{id: in.SrcID, used: true, path: c.path.Path}}
	if x.length == 0 {
		panic("BUG: a server's connection IDs have a length")
	}
	c.events.push(Event{Kind: EventIDIssued, ID: in.DstID})
	return x.addLocal(c) != nil
}

// isLocal reports whether id is one of ours.
func (x *connIDs) isLocal(id []byte) bool {
	for i := range x.local {
		if string(x.local[i].id.Bytes()) == string(id) {
			return true
		}
	}
	return x.routed && string(x.first.Bytes()) == string(id) || x.left.contains(id)
}

func (x *connIDs) isOriginal(id []byte) bool { return string(x.original.Bytes()) == string(id) }

func (x *connIDs) isPeerFirst(id []byte) bool { return string(x.peerFirst.Bytes()) == string(id) }

func (x *connIDs) remoteID() wire.ConnID { return x.remote[0].id }

// adoptServerID takes the ID that the server's first Initial packet comes from.
//
// RFC 9000, section 7.2: "A client MUST change the Destination Connection ID it uses for sending packets in response to
// only the first received Initial or Retry packet."
func (x *connIDs) adoptServerID(src []byte) {
	if !x.adopted {
		x.adopted = true
		x.peerFirst = wire.MakeConnID(src)
		x.remote[0].id = x.peerFirst
	}
}

// retried takes the ID that a Retry packet asks us to use.
func (x *connIDs) retried(src []byte) {
	x.wasRetry, x.retrySrc = true, wire.MakeConnID(src)
	x.remote[0].id = x.retrySrc
}

// fillParams writes what of our transport parameters speaks of connection IDs.
func (x *connIDs) fillParams(c *Conn, p *wire.TransportParams) {
	p.InitialSrcID = x.local[0].id.AppendTo([]byte{})
	p.DisableActiveMigration = c.config.OneID
	if c.server {
		p.OriginalDstID = x.original.AppendTo([]byte{})
		if x.wasRetry {
			p.RetrySrcID = x.retrySrc.AppendTo([]byte{})
		}
		p.HasResetToken, p.ResetToken = true, c.config.ResetKey.Token(x.local[0].id.Bytes())
		if v4, v6 := c.config.PreferredV4, c.config.PreferredV6; v4.IsValid() || v6.IsValid() {
			if l := x.addLocal(c); l != nil {
				p.PreferredAddress = &wire.PreferredAddress{V4: v4, V6: v6, ID: l.id, ResetToken: c.config.ResetKey.Token(l.id.Bytes())}
			}
		}
	}
}

// checkParams authenticates the connection IDs of the handshake.
//
// RFC 9000, section 7.3: "An endpoint MUST treat the following as a connection error of type TRANSPORT_PARAMETER_ERROR or
// PROTOCOL_VIOLATION: *  absence of the retry_source_connection_id transport parameter from the server after receiving a
// Retry packet, [...] *  a mismatch between values received from a peer in these transport parameters and the value sent in
// the corresponding Destination or Source Connection ID fields of Initial packets."
func (x *connIDs) checkParams(c *Conn, p *wire.TransportParams) *TransportError {
	is := func(param []byte, id wire.ConnID) bool { return param != nil && string(param) == string(id.Bytes()) }
	bad := func(name string) *TransportError {
		return violation(wire.TransportParameterError, wire.FrameCrypto, name+" does not match the handshake's packets")
	}
	switch {
	case !is(p.InitialSrcID, x.peerFirst):
		return bad("initial_source_connection_id")
	case c.server:
	case !is(p.OriginalDstID, x.original):
		return bad("original_destination_connection_id")
	case x.wasRetry && !is(p.RetrySrcID, x.retrySrc), !x.wasRetry && p.RetrySrcID != nil:
		return bad("retry_source_connection_id")
	}
	return nil
}

// setToken remembers the stateless reset token of a remote ID.
func (x *connIDs) setToken(c *Conn, seq int64, token [16]byte) {
	for i := range x.remote {
		if r := &x.remote[i]; r.seq == seq {
			r.token, r.hasToken = token, true
			r.watch(c, EventTokenAdded)
		}
	}
}

// watch tells whether the token of an ID is to be looked out for.
//
// RFC 9000, section 10.3.1: "An endpoint MUST NOT check for any stateless reset tokens associated with connection IDs it
// has not used or for connection IDs that have been retired."
func (r *remoteID) watch(c *Conn, kind EventKind) {
	if r.used && r.hasToken {
		c.events.push(Event{Kind: kind, Token: r.token})
	}
}

// isResetToken compares with the tokens of the IDs in use, in constant time (RFC 9000, section 10.3.1).
func (x *connIDs) isResetToken(b []byte) bool {
	found := 0
	for i := range x.remote {
		if r := &x.remote[i]; r.used && r.hasToken {
			found |= subtle.ConstantTimeCompare(r.token[:], b)
		}
	}
	return found == 1
}

// adoptPreferred takes the ID that came with the preferred address. Any path may use it, whether we move there or not.
//
// RFC 9000, section 5.1.1: "If the preferred_address transport parameter is sent, the sequence number of the supplied
// connection ID is 1."
func (x *connIDs) adoptPreferred(a *wire.PreferredAddress) {
	if a != nil {
		x.remote = append(x.remote, remoteID{seq: 1, id: a.ID, token: a.ResetToken, hasToken: true})
	}
}

// issue gives the peer as many IDs as it is willing to keep and we to hold.
//
// RFC 9000, section 5.1.1: "An endpoint that selects a zero-length connection ID during the handshake cannot issue a new
// connection ID."
func (x *connIDs) issue(c *Conn) {
	limit := min(c.peer.ActiveConnIDLimit, maxLocalIDs)
	if c.config.OneID {
		limit = 1
	}
	for x.length > 0 && x.current() < limit {
		l := x.addLocal(c)
		if l == nil {
			return // the peer makes do with those it has
		}
		l.send.set()
	}
}

// handleNew takes a NEW_CONNECTION_ID frame.
func (x *connIDs) handleNew(c *Conn, f wire.NewConnectionID) *TransportError {
	if x.remoteID().Len() == 0 {
		// RFC 9000, section 19.15: "An endpoint that is sending packets with a zero-length Destination Connection ID MUST
		// treat receipt of a NEW_CONNECTION_ID frame as a connection error of type PROTOCOL_VIOLATION."
		return violation(wire.ProtocolViolation, wire.FrameNewConnectionID, "NEW_CONNECTION_ID although none is used")
	}
	for i := range x.remote {
		if r := &x.remote[i]; r.seq == f.Seq && r.id == f.ID {
			return nil
		} else if r.seq == f.Seq || r.id == f.ID {
			return violation(wire.ProtocolViolation, wire.FrameNewConnectionID, "NEW_CONNECTION_ID contradicts an earlier one")
		}
	}
	if x.retired.Contains(f.Seq) {
		return nil // a repetition: the retirement is on its way, or has arrived
	}
	if f.Seq < x.retiredTo || x.isRetiring(f.Seq) {
		// RFC 9000, section 19.15: an ID below Retire Prior To is retired at once, if that was not done already.
		return x.addRetirement(f.Seq)
	}
	x.remote = append(x.remote, remoteID{seq: f.Seq, id: f.ID})
	x.setToken(c, f.Seq, f.ResetToken)
	if !c.server {
		c.events.push(Event{Kind: EventIDToSpare})
	}
	if f.RetirePriorTo > x.retiredTo {
		x.retiredTo = f.RetirePriorTo
		if err := x.retirePriorTo(c); err != nil {
			return err
		}
	}
	if len(x.remote) > maxRemoteIDs {
		// RFC 9000, section 5.1.1: "if the number of active connection IDs exceeds the value advertised in its
		// active_connection_id_limit transport parameter, an endpoint MUST close the connection with an error of type
		// CONNECTION_ID_LIMIT_ERROR."
		return violation(wire.ConnectionIDLimitError, wire.FrameNewConnectionID, "more connection IDs than the limit")
	}
	return nil
}

// retirePriorTo gives up the IDs that the peer wants back. The one in use is replaced by one to spare, the oldest.
func (x *connIDs) retirePriorTo(c *Conn) *TransportError {
	moves := x.remote[0].seq < x.retiredTo
	kept := x.remote[:0]
	for _, r := range x.remote {
		if r.seq >= x.retiredTo {
			kept = append(kept, r)
			continue
		}
		r.watch(c, EventTokenRemoved)
		if err := x.addRetirement(r.seq); err != nil {
			return err
		}
	}
	x.remote = kept // never empty: the ID that came with the demand is not below it
	if moves {
		x.use(c, c.path.Path)
	}
	return nil
}

func (x *connIDs) isRetiring(seq int64) bool {
	for i := range x.retire {
		if x.retire[i].seq == seq {
			return true
		}
	}
	return false
}

func (x *connIDs) addRetirement(seq int64) *TransportError {
	if x.isRetiring(seq) {
		return nil
	}
	if len(x.retire) >= maxRetiring {
		return violation(wire.ConnectionIDLimitError, wire.FrameNewConnectionID, "too many connection IDs to retire at once")
	}
	x.retire = append(x.retire, retirement{seq: seq, send: unsent})
	return nil
}

// handleRetire takes a RETIRE_CONNECTION_ID frame in a packet to the ID dst, and gives the peer a new ID for the old.
func (x *connIDs) handleRetire(c *Conn, seq int64, dst []byte) *TransportError {
	if x.length == 0 {
		// RFC 9000, section 19.16: "An endpoint that provides a zero-length connection ID MUST treat receipt of a
		// RETIRE_CONNECTION_ID frame as a connection error of type PROTOCOL_VIOLATION."
		return violation(wire.ProtocolViolation, wire.FrameRetireConnectionID, "an ID is retired although ours is empty")
	}
	if seq >= x.localNext {
		// RFC 9000, section 19.16: "Receipt of a RETIRE_CONNECTION_ID frame containing a sequence number greater than any
		// previously sent to the peer MUST be treated as a connection error of type PROTOCOL_VIOLATION."
		return violation(wire.ProtocolViolation, wire.FrameRetireConnectionID, "an ID is retired that was never issued")
	}
	for i, l := range x.local {
		if l.seq != seq {
			continue
		}
		if string(l.id.Bytes()) == string(dst) {
			// "The sequence number specified in a RETIRE_CONNECTION_ID frame MUST NOT refer to the Destination Connection ID
			// field of the packet in which the frame is contained. The peer MAY treat this as a connection error of type
			// PROTOCOL_VIOLATION."
			return violation(wire.ProtocolViolation, wire.FrameRetireConnectionID, "an ID is retired in a packet sent to it")
		}
		if len(x.local) == 1 { // we must stay reachable
			next := x.addLocal(c)
			if next == nil {
				return errNoID
			}
			next.send.set()
		}
		x.local = append(x.local[:i], x.local[i+1:]...)
		x.left.add(c, l.id)
		x.issue(c)
		x.renew(c)
		break
	}
	return nil
}

// forgetOriginal stops datagrams to the client's first destination ID from leading here.
func (x *connIDs) forgetOriginal(c *Conn) {
	if x.routed {
		x.routed = false
		c.events.push(Event{Kind: EventIDRetired, ID: x.first})
	}
}

// withdraw takes back all IDs and tokens.
func (x *connIDs) withdraw(c *Conn) {
	x.forgetOriginal(c)
	x.left.drop(c, func(leftID) bool { return true })
	for _, l := range x.local {
		c.events.push(Event{Kind: EventIDRetired, ID: l.id})
	}
	for i := range x.remote {
		x.remote[i].watch(c, EventTokenRemoved)
	}
}

// owes reports whether appendTo would append anything.
func (x *connIDs) owes() bool {
	for i := range x.local {
		if x.local[i].send.isUnsent() {
			return true
		}
	}
	for i := range x.retire {
		if x.retire[i].send.isUnsent() {
			return true
		}
	}
	return false
}

// appendTo appends the frames that are owed; false: they did not all fit.
func (x *connIDs) appendTo(d *datagram) bool {
	for i := range x.retire {
		r := &x.retire[i]
		if !r.send.isUnsent() {
			continue
		}
		if !d.appendFrame(wire.AppendRetireConnectionID(d.scratch(), r.seq)) {
			return false
		}
		r.send.sentIn(d.number())
		d.addFact(recovery.Fact{Kind: factRetireID, ID: r.seq})
	}
	for i := range x.local {
		l := &x.local[i]
		if !l.send.isUnsent() {
			continue
		}
		f := wire.NewConnectionID{Seq: l.seq, RetirePriorTo: min(x.priorTo, l.seq), ID: l.id, ResetToken: x.resetKey.Token(l.id.Bytes())}
		if !d.appendFrame(wire.AppendNewConnectionID(d.scratch(), f)) {
			return false
		}
		l.send.sentIn(d.number())
		d.addFact(recovery.Fact{Kind: factNewID, ID: l.seq})
	}
	return true
}

// settle applies the fate of a packet that carried a frame about ID seq.
func (x *connIDs) settle(packet int64, f recovery.Fact, fate recovery.Fate) {
	if f.Kind == factNewID {
		for i := range x.local {
			if x.local[i].seq == f.ID {
				x.local[i].send.settle(packet, fate)
			}
		}
		return
	}
	for i := range x.retire {
		if x.retire[i].seq != f.ID {
			continue
		}
		if x.retire[i].send.settle(packet, fate); x.retire[i].send.hasArrived() {
			x.retire = append(x.retire[:i], x.retire[i+1:]...)
		}
		return
	}
}

package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// Tokens is what address validation tokens are made with and looked at by (RFC 9000, section 8.1).
type Tokens struct {
	Key seal.TokenKey
	// Unix is the time at instant 0, in seconds since 1970: tokens outlive the process whose instants they were made by.
	Unix int64
}

// key returns the key of the tokens of a version. RFC 9369, section 5: "Servers MUST validate the originating version of any
// session ticket or token and not accept one issued from a different version."
func (t *Tokens) key(version uint32) seal.TokenKey {
	if version == wire.Version2 {
		return t.Key.Version2()
	}
	return t.Key
}

func (t *Tokens) time(now instant.Time) int64 { return t.Unix + int64(now)/1e9 }

// Validation is when a client without a good token has to prove its address, by coming back with the token of a Retry
// packet, before anything is kept of it. It costs a round trip.
type Validation uint8

const (
	ValidateAuto   Validation = iota // while more than MaxUnvalidated connections are in their handshake
	ValidateAlways                   // each time
	ValidateNever                    // the anti-amplification limit has to do
)

// mustValidate reports whether a client that has shown no token is sent a Retry packet.
func (a *Acceptor) mustValidate() bool {
	switch a.Validation {
	case ValidateAlways:
		return true
	case ValidateNever:
		return false
	}
	return a.HalfOpen >= MaxUnvalidated
}

// begin judges the Initial packet h of a client that may connect.
func (a *Acceptor) begin(now instant.Time, d Datagram, h wire.LongHeader, reply []byte, random uint64) Verdict {
	in := Incoming{Path: d.Path, DstID: wire.MakeConnID(h.DstID), SrcID: wire.MakeConnID(h.SrcID), Version: h.Version}
	key := a.Tokens.key(h.Version)
	unix := a.Tokens.time(now)
	switch key.Kind(unix, h.Token) {
	case seal.RetryKind:
		t := seal.RetryToken{Client: d.Path.Remote, Retry: h.DstID}
		if !key.OpenRetryToken(unix, h.Token, &t) {
			return a.refuseToken(d, h, reply)
		}
		in.Validated, in.Retried, in.Original = true, true, wire.MakeConnID(t.Original)
	case seal.NewKind:
		// RFC 9000, section 8.1.3: "If the token is invalid, then the server SHOULD proceed as if the client did not have a
		// validated address, including potentially sending a Retry packet."
		in.Validated = key.OpenNewToken(unix, h.Token, d.Path.Remote.Addr()) && !a.spent.has(seal.TokenNonce(h.Token))
	}
	if len(h.DstID) < minClientID && !in.Retried {
		return Verdict{Reason: DropSmall} // an ID that we chose, for a Retry packet, may be shorter
	}
	if !in.Validated && a.mustValidate() {
		return a.retry(unix, d, h, reply, random)
	}
	var ok bool
	if in.first, ok = openFirst(d, h); !ok {
		return Verdict{Reason: DropForged}
	}
	if in.Validated && !in.Retried {
		a.spent.add(seal.TokenNonce(h.Token))
	}
	return Verdict{Kind: Accept, Incoming: in}
}

// retry asks the client to come back with a token (RFC 9000, section 17.2.5). The answer is a small part of what it
// answers, and nothing is kept.
func (a *Acceptor) retry(unix int64, d Datagram, h wire.LongHeader, reply []byte, random uint64) Verdict {
	src, ok := a.newID(random, h.DstID)
	if !ok {
		return Verdict{Reason: DropNoID}
	}
	token := a.Tokens.key(h.Version).RetryToken(unix, seal.RetryToken{Client: d.Path.Remote, Original: h.DstID, Retry: src.Bytes()}, random)
	b := wire.AppendRetryOf(reply[:0], h.Version, h.SrcID, src.Bytes(), token)
	tag := seal.Of(h.Version).RetryTag(h.DstID, b)
	return Verdict{Kind: Reply, Reason: AnswerRetry, Size: len(append(b, tag[:]...))}
}

// refuseToken ends the attempt of a client whose Retry token is ours by its form, and is not good: too old, from another
// address, or of a secret that is gone.
//
// RFC 9000, section 8.1.2: "If a server receives a client Initial that contains an invalid Retry token but is otherwise
// valid, it knows the client will not accept another Retry token. The server can discard such a packet and allow the
// client to time out to detect handshake failure, but that could impose a significant latency penalty on the client.
// Instead, the server SHOULD immediately close (Section 10.2) the connection with an INVALID_TOKEN error. Note that a server
// has not established any state for the connection at this point and so does not enter the closing period."
func (a *Acceptor) refuseToken(d Datagram, h wire.LongHeader, reply []byte) Verdict {
	if _, ok := openFirst(d, h); !ok {
		return Verdict{Reason: DropForged}
	}
	b, lengthAt := wire.AppendLongHeader(reply[:0], wire.LongHeader{
		Type: wire.PacketInitial, Version: h.Version, DstID: h.SrcID, SrcID: h.DstID,
	}, 0, 1)
	pnOffset := len(b) - 1
	b = wire.AppendConnectionClose(b, wire.ConnectionClose{Code: uint64(wire.InvalidToken), Reason: []byte("the Retry token is not good")})
	wire.SetLength(b, lengthAt, len(b)-pnOffset+seal.Overhead)
	return Verdict{Kind: Reply, Reason: AnswerInvalidToken, Size: len(seal.Of(h.Version).ServerInitial(h.DstID).Seal(b, pnOffset, 1, 0))}
}

// spentTokens remembers the tokens of NEW_TOKEN frames that were shown, so that each proves an address but once.
//
// RFC 9000, section 8.1.4: "To protect against such attacks, servers MUST ensure that replay of tokens is prevented or
// limited. [...] Tokens that are provided in NEW_TOKEN frames (Section 19.7) need to be valid for longer but SHOULD NOT be
// accepted multiple times." The memory is bounded: of two halves the older is forgotten when the younger is full. A token that comes a
// second time is like none.
type spentTokens struct{ young, old map[[16]byte]struct{} }

// has reports whether a token was shown before.
func (s *spentTokens) has(nonce [16]byte) bool {
	_, young := s.young[nonce]
	_, old := s.old[nonce]
	return young || old
}

// add notes a token; false: it was shown before.
func (s *spentTokens) add(nonce [16]byte) bool {
	if s.has(nonce) {
		return false
	}
	if s.young == nil || len(s.young) >= maxSpentTokens {
		s.old, s.young = s.young, make(map[[16]byte]struct{})
	}
	s.young[nonce] = struct{}{}
	return true
}

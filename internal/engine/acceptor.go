package engine

import (
	"slices"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// VerdictKind is what to do with a datagram that belongs to no connection.
type VerdictKind uint8

const (
	Drop   VerdictKind = iota // nothing; Reason says why
	Reply                     // send back Size bytes of the reply buffer, where the datagram came from
	Accept                    // make a connection of Incoming with NewServer
)

// Verdict is what an Acceptor found.
type Verdict struct {
	Kind     VerdictKind
	Reason   string // one of the DropX or AnswerX constants; empty for Accept
	Size     int
	Incoming Incoming
}

// Reasons for dropping a datagram, as they are counted.
const (
	DropGarbage  = "garbage"         // not a QUIC packet
	DropSmall    = "too_small"       // an Initial or unknown version in a datagram that may not begin a connection
	DropStranger = "unknown_conn_id" // a packet of a connection that is not here
	DropNoID     = "no_conn_id"      // there is no connection ID for the answer
	DropForged   = "not_authentic"   // an Initial packet that would begin a connection, and is not authentic
)

// Reasons for answering one, as they are counted.
const (
	AnswerRetry        = "retry"               // with a Retry packet
	AnswerInvalidToken = "invalid_token"       // with CONNECTION_CLOSE
	AnswerVersions     = "version_negotiation" // with what we speak
	AnswerReset        = "stateless_reset"     // to a packet of a connection that is not here
)

// Incoming is a connection that a client wants, as its first datagram tells it.
type Incoming struct {
	Path    Path
	Version uint32      // of its first packet; 0: version 1
	DstID   wire.ConnID // random, chosen by the client, or after a Retry packet by the Acceptor
	SrcID   wire.ConnID

	Validated bool        // a token has proved that the client is at its address
	Retried   bool        // the token was a Retry packet's, and
	Original  wire.ConnID // this the ID that the client chose before that

	first opening // its first packet, which is authentic
}

// An Acceptor judges datagrams that belong to no connection: some begin one, some are answered without keeping any
// state, the rest is dropped. The zero value refuses connections but still answers with stateless resets.
type Acceptor struct {
	Server     bool        // whether clients may connect
	Versions   []uint32    // those that they may begin with; nil: all that are known here
	IDs        IDGenerator // of the endpoint; nil: 8 random bytes
	ResetKey   seal.ResetKey
	Tokens     Tokens
	Validation Validation
	HalfOpen   int // how many connections are in their handshake, for ValidateAuto; the caller's to keep

	spent spentTokens
}

// minClientID is the least length of a client's first destination connection ID (RFC 9000, section 7.2).
const minClientID = 8

// Receive judges a datagram, whose payload may be decrypted in place. A reply is written to the front of reply, which needs room for 1200 bytes.
func (a *Acceptor) Receive(now instant.Time, d Datagram, reply []byte, random uint64) Verdict {
	b := d.Payload
	if len(b) < 1+idLen(a.IDs) {
		return Verdict{Reason: DropGarbage}
	}
	if !wire.IsLong(b[0]) {
		return a.resetStateless(b, reply, random)
	}
	h, n := wire.ConsumeLongHeader(b)
	switch {
	case n < 0 || h.Type == wire.PacketVersionNegotiation:
		return Verdict{Reason: DropGarbage}
	case !a.Server:
		return Verdict{Reason: DropStranger}
	case !slices.Contains(versionsOrDefault(a.Versions), h.Version):
		return a.negotiate(d, h, reply, random)
	case h.Type != wire.PacketInitial:
		return Verdict{Reason: DropStranger}
	case len(b) < wire.MinInitialSize || len(h.DstID) > wire.MaxConnIDLen:
		return Verdict{Reason: DropSmall}
	}
	// Deviation: RFC 9000, section 17.2 says that packets without the fixed bit "are not valid packets in this version and MUST be
	// discarded." RFC 9287, section 3: "An endpoint that advertises the grease_quic_bit transport parameter MUST accept packets with
	// the QUIC Bit set to a value of 0." We advertise it to all, and quinn's clients, when they come back, clear the bit in their first
	// packet, without the token that section 3.1 wants.
	return a.begin(now, d, h, reply, random)
}

// negotiate answers a version that is not ours.
//
// RFC 9000, section 5.2.2: "Servers MUST drop smaller packets that specify unsupported versions."
func (a *Acceptor) negotiate(d Datagram, h wire.LongHeader, reply []byte, random uint64) Verdict {
	if len(d.Payload) < wire.MinInitialSize {
		return Verdict{Reason: DropSmall}
	}
	b := wire.AppendVersionNegotiation(reply[:0], byte(random), h.SrcID, h.DstID, a.offered(random))
	return Verdict{Kind: Reply, Reason: AnswerVersions, Size: len(b)}
}

// offered is what a Version Negotiation packet lists: what we speak, and at either end of it a reserved version, so that
// clients learn to ignore what they do not know (RFC 9000, section 15).
func (a *Acceptor) offered(random uint64) []uint32 {
	reserved := wire.ReservedVersion(uint32(random >> 8))
	if random&0x40 != 0 {
		return append([]uint32{reserved}, versionsOrDefault(a.Versions)...)
	}
	return append(slices.Clone(versionsOrDefault(a.Versions)), reserved)
}

// resetStateless answers a packet of a connection that we must have had and lost.
//
// RFC 9000, section 10.3.3: "An endpoint MUST ensure that every Stateless Reset that it sends is smaller than the packet that
// triggered it, unless it maintains state sufficient to prevent looping."
func (a *Acceptor) resetStateless(b, reply []byte, random uint64) Verdict {
	size, n := min(len(b)-1, maxStatelessReset), idLen(a.IDs)
	if size < minStatelessReset || n == 0 {
		return Verdict{Reason: DropStranger}
	}
	out := reply[:size]
	for i := range out {
		random = random*6364136223846793005 + 1442695040888963407 // only has to look like a packet
		out[i] = byte(random >> 56)
	}
	out[0] = out[0]&0x3f | 0x40
	token := a.ResetKey.Token(b[1 : 1+n])
	copy(out[size-16:], token[:])
	return Verdict{Kind: Reply, Reason: AnswerReset, Size: size}
}

// maxStatelessReset makes a reset as long as a short packet with little in it.
const maxStatelessReset = 43

package seal

import (
	"encoding/binary"
	"net/netip"
)

// A TokenKey is a server's secret for address validation tokens (RFC 9000, section 8.1). All servers that clients may find
// at one address share it, and it should survive a restart, or tokens that were given out before are worth nothing.
//
// Keys rotate by themselves: each token is of the generation, TokenPeriod long, in which it was made, and has a key of its
// own that derives from the secret, the generation and the token's nonce. Those of the present generation and the one
// before are opened. A TokenKey is a plain value without memory, so that any number of connections may use it at once.
//
// The nonce is a hash, under the secret, of everything that goes into a token and of something random, as in synthetic
// initialisation vectors (RFC 5297): two tokens with one nonce are one token.
type TokenKey [32]byte

// A RetryToken is what the token of a Retry packet says of the connection that it interrupted.
type RetryToken struct {
	Client   netip.AddrPort // it went to
	Original []byte         // the destination connection ID of the client's first Initial packet, at most 20 bytes
	Retry    []byte         // the source connection ID of the Retry packet: 20 bytes at most
}

// Times are seconds since 1970: tokens outlive processes. Their lives and their generations are given in seconds too.
const (
	// RetryTokenLife is how long the token of a Retry packet is good for. RFC 9000, section 8.1.4: "Servers SHOULD ensure
	// that tokens sent in Retry packets are only accepted for a short time, as they are returned immediately by clients."
	// That is a round trip, and for a client whose packets are lost four probe timeouts, which take 1, 2, 4 and 8 seconds.
	RetryTokenLife = 20

	// NewTokenLife is how long the token of a NEW_TOKEN frame is good for: a client that comes back within a day is spared
	// the round trip of a Retry.
	NewTokenLife = TokenPeriod

	// TokenPeriod is the length of a generation. No token lives longer than that, so two generations cover all.
	TokenPeriod = 24 * 60 * 60

	// tokenSkew is by how much the clock of another server with this secret may be ahead.
	tokenSkew = 5
)

// A TokenKind tells the two kinds of tokens apart. RFC 9000, section 8.1.1: "A token sent in a NEW_TOKEN frame or a Retry
// packet MUST be constructed in a way that allows the server to identify how it was provided to a client."
type TokenKind uint8

const (
	ForeignToken TokenKind = iota // not ours: of another server, of another secret, or too old to tell
	RetryKind                     // of a Retry packet
	NewKind                       // of a NEW_TOKEN frame
)

// A token is its kind, the generation it is of, the nonce, and, encrypted, the time it was made and for a Retry packet the
// original connection ID.
const (
	tokenEpochAt  = 1
	tokenNonceAt  = tokenEpochAt + 4
	tokenNonceLen = 16
	tokenSealedAt = tokenNonceAt + tokenNonceLen
	tokenTimeLen  = 8
	newTokenLen   = tokenSealedAt + tokenTimeLen + Overhead
	minRetryToken = newTokenLen
	maxRetryToken = newTokenLen + 20

	// MaxTokenLen is the length in bytes of the longest token.
	MaxTokenLen = maxRetryToken
)

// NewToken makes the token of a NEW_TOKEN frame for a client at addr, whose port may be another when it comes back. Tokens
// that are made in one second for one address differ by random.
func (k TokenKey) NewToken(now int64, addr netip.Addr, random uint64) []byte {
	var plain [tokenTimeLen]byte
	binary.BigEndian.PutUint64(plain[:], uint64(now))
	return k.seal(NewKind, now, plain[:], addressBinding(addr), random)
}

// RetryToken makes the token of a Retry packet.
func (k TokenKey) RetryToken(now int64, t RetryToken, random uint64) []byte {
	plain := make([]byte, tokenTimeLen, tokenTimeLen+20)
	binary.BigEndian.PutUint64(plain, uint64(now))
	plain = append(plain, t.Original...)
	return k.seal(RetryKind, now, plain, t.binding(), random)
}

// OpenNewToken reports whether token is of a NEW_TOKEN frame that went to addr, and has not expired.
func (k TokenKey) OpenNewToken(now int64, token []byte, addr netip.Addr) bool {
	plain, ok := k.open(NewKind, now, token, addressBinding(addr))
	return ok && fresh(now, plain, NewTokenLife)
}

// OpenRetryToken reports whether token is of a Retry packet that went to t.Client and called itself t.Retry, and has not
// expired. It fills in t.Original.
func (k TokenKey) OpenRetryToken(now int64, token []byte, t *RetryToken) bool {
	plain, ok := k.open(RetryKind, now, token, t.binding())
	if !ok || !fresh(now, plain, RetryTokenLife) {
		return false
	}
	t.Original = plain[tokenTimeLen:]
	return true
}

// Kind returns what a token looks like from outside: nobody has to have made it with this key. Of a token that is longer
// ago than two generations nothing is known.
func (k TokenKey) Kind(now int64, token []byte) TokenKind {
	if len(token) < newTokenLen || !currentEpoch(now, binary.BigEndian.Uint32(token[tokenEpochAt:])) {
		return ForeignToken
	}
	switch kind := TokenKind(token[0]); {
	case kind == RetryKind && len(token) <= maxRetryToken, kind == NewKind && len(token) == newTokenLen:
		return kind
	}
	return ForeignToken
}

// TokenNonce returns what tells one of our tokens from all others.
func TokenNonce(token []byte) [tokenNonceLen]byte { return [tokenNonceLen]byte(token[tokenNonceAt:]) }

func epochOf(now int64) uint32 { return uint32(now / TokenPeriod) }

// currentEpoch reports whether the generation is accepted: the present one, the one before, and the next when it is about to
// begin and another server may have it already.
func currentEpoch(now int64, epoch uint32) bool {
	return epoch == epochOf(now) || epoch == epochOf(now)-1 || epoch == epochOf(now+tokenSkew)
}

// fresh reports whether a token's time is not over, nor yet to come.
func fresh(now int64, plain []byte, life int64) bool {
	made := int64(binary.BigEndian.Uint64(plain))
	return made <= now+tokenSkew && now < made+life
}

func addressBinding(addr netip.Addr) []byte {
	a := addr.As16() // without a zone
	return a[:]
}

func (t *RetryToken) binding() []byte {
	b := binary.BigEndian.AppendUint16(addressBinding(t.Client.Addr()), t.Client.Port())
	return append(b, t.Retry...)
}

func (k TokenKey) seal(kind TokenKind, now int64, plain, binding []byte, random uint64) []byte {
	b := make([]byte, tokenSealedAt, tokenSealedAt+len(plain)+Overhead)
	b[0] = byte(kind)
	binary.BigEndian.PutUint32(b[tokenEpochAt:], epochOf(now))
	content := hmacSHA256(k.derive("plain"), plain)
	place := hmacSHA256(k.derive("place"), binding)
	var all [1 + 16 + 16 + 8]byte
	all[0] = byte(kind)
	copy(all[1:], content[:16])
	copy(all[17:], place[:16])
	binary.BigEndian.PutUint64(all[33:], random)
	nonce := hmacSHA256(k.derive("nonce"), all[:])
	copy(b[tokenNonceAt:], nonce[:])
	key := k.tokenKey(b[:tokenSealedAt])
	return newGCM(key[:16]).Seal(b, key[16:28], plain, append(b[:tokenSealedAt:tokenSealedAt], binding...))
}

func (k TokenKey) open(kind TokenKind, now int64, token, binding []byte) ([]byte, bool) {
	if k.Kind(now, token) != kind {
		return nil, false
	}
	key := k.tokenKey(token[:tokenSealedAt])
	head := token[:tokenSealedAt:tokenSealedAt]
	plain, err := newGCM(key[:16]).Open(nil, key[16:28], token[tokenSealedAt:], append(head, binding...))
	return plain, err == nil
}

// tokenKey derives key and IV of one token from its clear part: kind, generation and nonce.
func (k TokenKey) tokenKey(head []byte) [32]byte {
	generation := hmacSHA256(k.derive("generation"), head[:tokenNonceAt])
	return hmacSHA256(generation[:], head[tokenNonceAt:])
}

// Version2 returns the key of the tokens of QUIC version 2, which are good for nothing in version 1, nor those in it (RFC
// 9369, section 5).
func (k TokenKey) Version2() TokenKey { return TokenKey(k.derive("QUIC version 2")) }

func (k TokenKey) derive(purpose string) []byte {
	sum := hmacSHA256(k[:], []byte("godwit token v1 "+purpose))
	return sum[:]
}

// A Secret is what a server derives its other keys from, so that a restart, or servers side by side, need to keep but one
// thing. Each derived key tells nothing of the others.
type Secret [32]byte

// ResetKey returns the key of stateless resets.
func (s Secret) ResetKey() ResetKey { return s.derive("stateless reset") }

// TokenKey returns the key of address validation tokens.
func (s Secret) TokenKey() TokenKey { return s.derive("address validation token") }

// derive is HKDF-Expand (RFC 5869) with the secret as its pseudorandom key and one block of output.
func (s Secret) derive(purpose string) [32]byte {
	return hmacSHA256(s[:], append([]byte("godwit v1 "+purpose), 1))
}

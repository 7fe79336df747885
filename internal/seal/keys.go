// Package seal is packet protection (RFC 9001, sections 5 and 6): it turns a packet in the clear into one that may travel
// and back, in place and without allocating.
//
// A Keys holds one direction of one encryption level. Sealing is one call. Opening is two, because the caller must decode
// the packet number between them: Unprotect removes header protection, Open decrypts. The package also computes what
// protects packets without keys of their own: the Retry integrity tag and stateless reset tokens.
package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

// Overhead is by how many bytes Seal lengthens a packet: the authentication tag, 16 bytes in every suite.
const Overhead = 16

const (
	ivLen     = 12
	sampleLen = 16
	maxSecret = 48
	maxKey    = 32
)

// Keys protects or opens the packets of one direction at one encryption level. It is used by one goroutine at a time:
// scratch memory lives inside it, which is why nothing is allocated per packet.
type Keys struct {
	suite   *suite
	version *Version

	aead cipher.AEAD

	// The nonce is the IV exclusive-or the packet number (section 5.3). The number reaches only the last eight bytes, so the
	// first four of nonce never change and ivTail keeps the rest of the IV.
	nonce  [ivLen]byte
	ivTail uint64

	// Header protection: an AES block, or for ChaCha20 the key itself.
	hpBlock cipher.Block
	hpKey   [maxKey]byte
	mask    [sampleLen]byte

	secret [maxSecret]byte
}

// Initial is Version.Initial of version 1.
func Initial(dstID []byte) (client, server *Keys) { return version1.Initial(dstID) }

// New is Version.New of version 1.
func New(suite uint16, secret []byte) (*Keys, error) { return version1.New(suite, secret) }

// Initial returns the keys of Initial packets (section 5.2). They depend on nothing but dstID, the Destination Connection
// ID of the first Initial packet the client sent (or of the first one after a Retry), at most 20 bytes: they keep out
// accidents, not attackers.
func (v *Version) Initial(dstID []byte) (client, server *Keys) {
	return v.ClientInitial(dstID), v.ServerInitial(dstID)
}

// ClientInitial returns the keys of a client's Initial packets; see Initial.
func (v *Version) ClientInitial(dstID []byte) *Keys { return v.initial(dstID, v.labelClient) }

// ServerInitial returns the keys of a server's Initial packets; see Initial.
func (v *Version) ServerInitial(dstID []byte) *Keys { return v.initial(dstID, v.labelServer) }

func (v *Version) initial(dstID []byte, label string) *Keys {
	common := hmacSHA256(v.salt, dstID) // HKDF-Extract
	var secret [32]byte
	suiteAES128.expandLabel(secret[:], common[:], label)
	return newKeys(&suiteAES128, v, secret[:])
}

// New returns the keys that follow from a secret TLS has handed out. suite is the number of a TLS 1.3 cipher suite
// (AES128GCM, AES256GCM or ChaCha20Poly1305); the secret is as long as the suite's hash: 32, 48 or 32 bytes. Anything else
// is an error. The secret is copied.
func (v *Version) New(suite uint16, secret []byte) (*Keys, error) {
	s := suiteByID(suite)
	if s == nil {
		return nil, fmt.Errorf("seal: cipher suite %#04x has no packet protection", suite)
	}
	if len(secret) != s.hashLen {
		return nil, fmt.Errorf("seal: a secret of %d bytes for cipher suite %#04x, which takes %d", len(secret), suite, s.hashLen)
	}
	return newKeys(s, v, secret), nil
}

func newKeys(s *suite, v *Version, secret []byte) *Keys {
	k := &Keys{suite: s, version: v}
	k.setSecret(secret)
	s.expandLabel(k.hpKey[:s.keyLen], secret, v.labelHP)
	if !s.chacha {
		k.hpBlock = newAES(k.hpKey[:s.keyLen])
	}
	return k
}

// Rest gives back what can be derived again, some 1.3 KiB with AES; the next packet does.
func (k *Keys) Rest() { k.aead, k.hpBlock = nil, nil }

// wake derives again what Rest has given back.
func (k *Keys) wake() {
	s := k.suite
	var key [maxKey]byte
	s.expandLabel(key[:s.keyLen], k.secret[:s.hashLen], k.version.labelKey)
	k.aead = s.newAEAD(key[:s.keyLen])
	if !s.chacha {
		k.hpBlock = newAES(k.hpKey[:s.keyLen])
	}
}

// setSecret derives the AEAD and the IV; header protection is left as it is.
func (k *Keys) setSecret(secret []byte) {
	s := k.suite
	copy(k.secret[:], secret)
	var key [maxKey]byte
	s.expandLabel(key[:s.keyLen], secret, k.version.labelKey)
	k.aead = s.newAEAD(key[:s.keyLen])
	s.expandLabel(k.nonce[:], secret, k.version.labelIV)
	k.ivTail = binary.BigEndian.Uint64(k.nonce[4:])
}

// Next returns the keys after a key update (section 6.1); k stays usable. "The header protection key is not updated."
func (k *Keys) Next() *Keys {
	s := k.suite
	if k.aead == nil {
		k.wake()
	}
	n := &Keys{suite: s, version: k.version, hpBlock: k.hpBlock, hpKey: k.hpKey}
	var secret [maxSecret]byte
	s.expandLabel(secret[:s.hashLen], k.secret[:s.hashLen], k.version.labelUpdate)
	n.setSecret(secret[:s.hashLen])
	return n
}

// Limits returns the AEAD's confidentiality and integrity limits (section 6.6), in packets: how many packets one Keys may
// seal, and how many packets that fail to open a connection may see in all, across its keys.
func (k *Keys) Limits() (seal, open int64) { return k.suite.sealLimit, k.suite.openLimit }

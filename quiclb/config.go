// Package quiclb makes and reads QUIC connection IDs that tell a load balancer which server they belong to, and nobody else:
// QUIC-LB, draft-ietf-quic-load-balancers, after its version 21.
//
// A load balancer that goes by addresses and ports loses a connection whose client gets another address, as it does behind
// a NAT that forgets, or in another network. A server whose connection IDs a Generator makes stays reachable: every ID that
// it ever gives to a client carries its server ID, encrypted, and the load balancer's Decoder, which has the key, reads it in
// any packet without keeping anything of the connection.
//
// Both are told by a Config, which a configuration agent, whatever that is, brings to all load balancers and then to all
// servers. Up to seven of them can be in use at a time, so that keys and lengths can be changed: see Config.ID, and
// quic.Endpoint.ReplaceConnIDs, which has the clients of running connections move to the new one.
//
// The draft's second plaintext vector, its worked example and its fourth ciphertext vector have misprints, and so has its
// description of decryption; quiclb_test.go says which.
package quiclb

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// Config is what load balancers and servers have to agree on. A server ID and a nonce of 19 bytes at the most make up an ID, with
// one more byte before them. 8 bytes of each are a good choice with a key: 16 in all are encrypted in one pass.
type Config struct {
	// ID is the configuration's number, 0 to 6, which stands in the clear at the front of every ID: load balancers know by it
	// which Config an ID was made by while several are in use. Section 3.1: "A Configuration Agent SHOULD NOT use a codepoint to represent a new
	// configuration until it takes precautions to make sure that all connections using CIDs with an old configuration at that codepoint have closed or transitioned."
	ID int
	// ServerIDLen is the length of every server ID, 1 to 15 bytes.
	ServerIDLen int
	// NonceLen is the length of what makes every ID another, 4 to 18 bytes. With a key a nonce is used once, and a server has
	// used up all of 4 bytes after 2^32 IDs, of which it gives every connection some and every Retry packet one; without a key
	// nonces are random. A server that is started again, with the same key, begins at a random one: make them 8 bytes or more.
	NonceLen int
	// Key is the 16 bytes of an AES-128 key. Nil: nothing is encrypted, and anybody can tell by their IDs which connections
	// are of one server, which should give each client one ID only (section 9): see quic.Routing.Stationary.
	Key []byte
	// Len is the length of an ID, the same on all servers, 20 bytes at most. What is beyond server ID and nonce is random.
	// Default 0: 1 + ServerIDLen + NonceLen.
	Len int
	// TellsLen has an ID tell its own length in its first byte, for hardware that decrypts packets. Default false: the bits
	// are random.
	TellsLen bool
}

const (
	maxLen      = 20 // of a connection ID: RFC 9000, section 17.2
	maxPlain    = 19 // "the server ID and nonce lengths MUST sum to 19 octets or less"
	minNonce    = 4
	onePass     = 16 // as many bytes of server ID and nonce are one block of AES
	unroutable  = 7  // the codepoint of IDs that no Config made
	idShift     = 5  // of the codepoint in the first byte
	lenMask     = 1<<idShift - 1
	maxConfigs  = unroutable
	maxServerID = 15
)

// codec is a Config that is in use. It is for one goroutine at a time.
type codec struct {
	Config
	length int          // of an ID
	plain  int          // of server ID and nonce
	block  cipher.Block // nil: no key

	in, out     [aes.BlockSize]byte // of one pass
	left, right [aes.BlockSize]byte // the halves
}

func newCodec(c Config) (*codec, error) {
	k := &codec{Config: c, plain: c.ServerIDLen + c.NonceLen, length: c.Len}
	if k.length == 0 {
		k.length = 1 + k.plain
	}
	switch {
	case c.ID < 0 || c.ID >= maxConfigs:
		return nil, fmt.Errorf("quiclb: a configuration's ID is %d, not between 0 and %d", c.ID, maxConfigs-1)
	case c.ServerIDLen < 1 || c.ServerIDLen > maxServerID:
		return nil, fmt.Errorf("quiclb: server IDs of %d bytes, not of 1 to %d", c.ServerIDLen, maxServerID)
	case c.NonceLen < minNonce:
		return nil, fmt.Errorf("quiclb: nonces of %d bytes, fewer than %d", c.NonceLen, minNonce)
	case k.plain > maxPlain:
		return nil, fmt.Errorf("quiclb: server ID and nonce have %d bytes, more than %d", k.plain, maxPlain)
	case k.length < 1+k.plain || k.length > maxLen:
		return nil, fmt.Errorf("quiclb: IDs of %d bytes, not of %d to %d", k.length, 1+k.plain, maxLen)
	case c.Key == nil:
		return k, nil
	case len(c.Key) != aes.BlockSize:
		return nil, errors.New("quiclb: the key is not one of AES-128, which has 16 bytes")
	}
	block, err := aes.NewCipher(c.Key)
	if err != nil {
		return nil, fmt.Errorf("quiclb: %w", err)
	}
	k.block, k.Key = block, nil
	return k, nil
}

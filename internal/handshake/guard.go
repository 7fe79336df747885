package handshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"runtime/debug"
	"time"
)

// crypto/tls calls some of what an application supplies through interfaces, and much of that has no error to return: a private
// key's Public, a ClientSessionCache, the clock. What panics there is noted, the call returns nothing, and the handshake fails with
// the note as soon as crypto/tls has come back: see blame.

// catch notes a panic. It is deferred around every such call; the first one counts.
func (h *Handshake) catch(callback string) {
	if v := recover(); v != nil && h.panicked == nil {
		h.panicked = &PanicError{Callback: callback, Value: v, Stack: debug.Stack()}
	}
}

// blame fails the handshake if something has panicked. crypto/tls then waits, or is done: nobody else writes panicked.
func (h *Handshake) blame() error {
	if h.panicked == nil || h.err != nil {
		return nil
	}
	return h.fail(h.panicked)
}

var errPanicked = errors.New("handshake: a panic") // what crypto/tls is told; the caller is told the PanicError

// guard wraps, on a copy, what is called through an interface.
func (h *Handshake) guard(c *tls.Config) {
	if c.Rand != nil {
		c.Rand = guardedRand{c.Rand, h}
	}
	if c.KeyLogWriter != nil {
		c.KeyLogWriter = guardedKeyLog{c.KeyLogWriter, h}
	}
	if clock := c.Time; clock != nil {
		c.Time = func() (now time.Time) {
			defer h.catch("Time")
			return clock()
		}
	}
	if c.ClientSessionCache != nil && !h.server {
		c.ClientSessionCache = guardedCache{c.ClientSessionCache, h}
	}
	for i := range c.Certificates {
		if guarded := h.guardKey(&c.Certificates[i]); guarded != &c.Certificates[i] {
			c.Certificates = append([]tls.Certificate(nil), c.Certificates...)
			c.Certificates[i] = *guarded
		}
	}
	for name, cert := range c.NameToCertificate { // deprecated, and obeyed
		if guarded := h.guardKey(cert); guarded != cert {
			c.NameToCertificate = maps.Clone(c.NameToCertificate)
			c.NameToCertificate[name] = guarded
		}
	}
}

// guardKey returns cert, or a copy of it whose private key cannot panic. The keys of the standard library need no guard.
func (h *Handshake) guardKey(cert *tls.Certificate) *tls.Certificate {
	if cert == nil {
		return nil
	}
	var guarded crypto.PrivateKey
	switch key := cert.PrivateKey.(type) {
	case *ecdsa.PrivateKey, *rsa.PrivateKey, ed25519.PrivateKey, guardedKey, guardedMessageKey:
		return cert
	case crypto.MessageSigner:
		guarded = guardedMessageKey{guardedKey{key, h}, key}
	case crypto.Signer:
		guarded = guardedKey{key, h}
	default:
		return cert // of no use, as crypto/tls will say
	}
	c := *cert
	c.PrivateKey = guarded
	return &c
}

type guardedKey struct {
	key crypto.Signer
	h   *Handshake
}

func (k guardedKey) Public() (public crypto.PublicKey) {
	defer k.h.catch("Certificates: Public of a private key")
	return k.key.Public()
}

func (k guardedKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	err = errPanicked
	defer k.h.catch("Certificates: Sign of a private key")
	return k.key.Sign(rand, digest, opts)
}

// guardedMessageKey is for a key that hashes the message itself.
type guardedMessageKey struct {
	guardedKey
	whole crypto.MessageSigner
}

func (k guardedMessageKey) SignMessage(rand io.Reader, msg []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	err = errPanicked
	defer k.h.catch("Certificates: SignMessage of a private key")
	return k.whole.SignMessage(rand, msg, opts)
}

type guardedRand struct {
	io.Reader
	h *Handshake
}

func (r guardedRand) Read(p []byte) (n int, err error) {
	err = errPanicked
	defer r.h.catch("Rand")
	return r.Reader.Read(p)
}

type guardedKeyLog struct {
	io.Writer
	h *Handshake
}

func (w guardedKeyLog) Write(p []byte) (n int, err error) {
	err = errPanicked
	defer w.h.catch("KeyLogWriter")
	return w.Writer.Write(p)
}

// guardedCache is a client's session cache. One that panics has no session.
type guardedCache struct {
	tls.ClientSessionCache
	h *Handshake
}

func (c guardedCache) Get(key string) (s *tls.ClientSessionState, ok bool) {
	defer c.h.catch("ClientSessionCache: Get")
	return c.ClientSessionCache.Get(key)
}

func (c guardedCache) Put(key string, s *tls.ClientSessionState) {
	defer c.h.catch("ClientSessionCache: Put")
	c.ClientSessionCache.Put(key, s)
}

package tunnel

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

// A Key is who an exit is: the private key that entries pin, and the secret that it shares with them. Both live and change
// together; a new Key makes the tokens of the old one worthless.
type Key struct {
	seed   [ed25519.SeedSize]byte
	secret Secret
}

// NewKey makes a Key that nobody else has.
func NewKey() *Key {
	k := new(Key)
	rand.Read(k.seed[:])
	rand.Read(k.secret[:])
	return k
}

// Pin returns the hash of the public key.
func (k *Key) Pin() Pin { return pinOf(k.private()) }

// Token makes the token for an exit with this key that listens on addrs, one to eight of "host:port", the likeliest first.
func (k *Key) Token(addrs ...string) (Token, error) {
	t := Token{Addrs: addrs, Exit: k.Pin(), Secret: k.secret}
	if err := t.check(); err != nil {
		return Token{}, err
	}
	return t, nil
}

func (k *Key) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.seed[:]) }

// quicSecret is the secret of the exit's endpoint: of its stateless resets above all. It derives from what entries do not
// know, as every token of one exit has the same secret, and whoever knows this one can end connections.
func (k *Key) quicSecret() [32]byte { return derive(k.seed[:], "godwit tunnel quic secret v1") }

// entryKey is the private key of the entries that have the secret.
func (s Secret) entryKey() ed25519.PrivateKey {
	seed := derive(s[:], "godwit tunnel entry key v1")
	return ed25519.NewKeyFromSeed(seed[:])
}

// derive makes a further secret for one purpose.
func derive(secret []byte, purpose string) (out [32]byte) {
	b, err := hkdf.Key(sha256.New, secret, nil, purpose, len(out))
	if err != nil {
		panic("BUG: tunnel: HKDF: " + err.Error()) // only a wrong length makes it fail
	}
	copy(out[:], b)
	return out
}

// pinOf returns the pin of a key's public half.
func pinOf(key ed25519.PrivateKey) Pin {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic("BUG: tunnel: " + err.Error())
	}
	return sha256.Sum256(spki)
}

// certificate wraps a public key in the X.509 certificate that TLS wants to see. What it says beside the key is read by
// nobody, so it says the same at any time: a machine whose clock is wrong is no reason for a tunnel not to come up.
func certificate(key ed25519.PrivateKey) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: serverName},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, section 4.1.2.5: no well-defined end
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic("BUG: tunnel: " + err.Error())
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

package seal

import (
	"crypto/aes"
	"crypto/cipher"

	"golang.org/x/crypto/chacha20poly1305"
)

// The TLS 1.3 cipher suites, by their registered numbers: crypto/tls is above this floor, so that the names are repeated
// here. TLS_AES_128_CCM_SHA256 is not among them: crypto/tls does not negotiate it.
const (
	AES128GCM        uint16 = 0x1301 // TLS_AES_128_GCM_SHA256
	AES256GCM        uint16 = 0x1302 // TLS_AES_256_GCM_SHA384
	ChaCha20Poly1305 uint16 = 0x1303 // TLS_CHACHA20_POLY1305_SHA256
)

// A suite is what a TLS cipher suite means for packets.
type suite struct {
	sha384  bool // the hash of the key schedule is SHA-384, not SHA-256
	keyLen  int  // bytes; AEAD key and header protection key alike
	hashLen int  // bytes; the length of a secret
	chacha  bool

	// RFC 9001, section 6.6, in packets: the AEAD's confidentiality and integrity limits.
	sealLimit, openLimit int64
}

var (
	suiteAES128 = suite{keyLen: 16, hashLen: 32, sealLimit: 1 << 23, openLimit: 1 << 52}
	suiteAES256 = suite{keyLen: 32, hashLen: 48, sha384: true, sealLimit: 1 << 23, openLimit: 1 << 52}

	// "For AEAD_CHACHA20_POLY1305, the confidentiality limit is greater than the number of possible packets (2^62) and so
	// can be disregarded."
	suiteChaCha20 = suite{keyLen: 32, hashLen: 32, chacha: true, sealLimit: 1 << 62, openLimit: 1 << 36}
)

func suiteByID(id uint16) *suite {
	switch id {
	case AES128GCM:
		return &suiteAES128
	case AES256GCM:
		return &suiteAES256
	case ChaCha20Poly1305:
		return &suiteChaCha20
	}
	return nil
}

// newAEAD returns the suite's AEAD under a key of keyLen bytes.
func (s *suite) newAEAD(key []byte) cipher.AEAD {
	if s.chacha {
		aead, err := chacha20poly1305.New(key)
		if err != nil {
			panic("BUG: seal: " + err.Error())
		}
		return aead
	}
	return newGCM(key)
}

func newGCM(key []byte) cipher.AEAD {
	aead, err := cipher.NewGCM(newAES(key))
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	return aead
}

func newAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	return block
}

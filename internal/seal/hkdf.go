package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
)

// expandLabel is HKDF-Expand-Label of RFC 8446, section 7.1, with an empty context. It writes len(out) bytes.
func (s *suite) expandLabel(out, secret []byte, label string) {
	const prefix = "tls13 "
	info := make([]byte, 0, 32)
	info = append(info, byte(len(out)>>8), byte(len(out)), byte(len(prefix)+len(label)))
	info = append(info, prefix...)
	info = append(info, label...)
	info = append(info, 0)
	var b []byte
	var err error
	if s.sha384 {
		b, err = hkdf.Expand(sha512.New384, secret, string(info), len(out))
	} else {
		b, err = hkdf.Expand(sha256.New, secret, string(info), len(out))
	}
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	copy(out, b)
}

// extract is HKDF-Extract with SHA-256.
func extract(salt, secret []byte) []byte {
	prk, err := hkdf.Extract(sha256.New, secret, salt)
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	return prk
}

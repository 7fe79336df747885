package seal

import (
	"crypto/cipher"
	"fmt"
)

// A Version holds what packet protection takes from the QUIC version: the salt of the Initial secrets, the HKDF labels,
// and the fixed key of the Retry integrity tag. Nothing else in the package depends on the version.
type Version struct {
	salt                                    []byte
	labelClient, labelServer                string // from the common Initial secret to a side's
	labelKey, labelIV, labelHP, labelUpdate string // from a secret to its keys, and to the next secret
	retryKey                                [16]byte
	retryNonce                              [12]byte
}

// Of returns the Version of a QUIC version number: 1, or 0x6b3343cf for version 2. Package wire, on this floor too, tells
// whether a number is one of them; any other is a programming error.
func Of(version uint32) *Version {
	switch version {
	case 1:
		return &version1
	case 0x6b3343cf:
		return &version2
	}
	panic(fmt.Sprintf("BUG: seal: packet protection of version %#x", version))
}

// The AEADs of Retry packets are stateless, so that all connections share them.
var retryAEAD1, retryAEAD2 = newGCM(version1.retryKey[:]), newGCM(version2.retryKey[:])

func (v *Version) retryAEAD() cipher.AEAD {
	if v == &version2 {
		return retryAEAD2
	}
	return retryAEAD1
}

// version1 is QUIC version 1.
var version1 = Version{
	// RFC 9001, section 5.2: "initial_salt = 0x38762cf7f55934b34d179ae6a4c80cadccbb7f0a".
	salt: []byte{
		0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
	},
	labelClient: "client in", labelServer: "server in",
	// Sections 5.1 and 6.1.
	labelKey: "quic key", labelIV: "quic iv", labelHP: "quic hp", labelUpdate: "quic ku",
	// Section 5.8: "The secret key, K, is 128 bits equal to 0xbe0c690b9f66575a1d766b54e368c84e. The nonce, N, is 96 bits
	// equal to 0x461599d35d632bf2239825bb."
	retryKey: [16]byte{
		0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e,
	},
	retryNonce: [12]byte{0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb},
}

// version2 is QUIC version 2: RFC 9369, section 3.3.
var version2 = Version{
	// "initial_salt = 0x0dede3def700a6db819381be6e269dcbf9bd2ed9"
	salt: []byte{
		0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
	},
	labelClient: "client in", labelServer: "server in",
	labelKey: "quicv2 key", labelIV: "quicv2 iv", labelHP: "quicv2 hp", labelUpdate: "quicv2 ku",
	// "key = 0x8fb4b01b56ac48e260fbcbcead7ccc92", "nonce = 0xd86969bc2d7c6d9990efb04a"
	retryKey: [16]byte{
		0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2, 0x60, 0xfb, 0xcb, 0xce, 0xad, 0x7c, 0xcc, 0x92,
	},
	retryNonce: [12]byte{0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a},
}

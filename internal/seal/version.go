package seal

// A version holds what packet protection takes from the QUIC version: the salt of the Initial secrets, the HKDF labels,
// and the fixed key of the Retry integrity tag. A later version (RFC 9369 calls its successor labels "quicv2 key" and so
// on) is one more value of this type; nothing else in the package depends on the version.
type version struct {
	salt                                    []byte
	labelClient, labelServer                string // from the common Initial secret to a side's
	labelKey, labelIV, labelHP, labelUpdate string // from a secret to its keys, and to the next secret
	retryKey                                [16]byte
	retryNonce                              [12]byte
}

// version1 is QUIC version 1.
var version1 = version{
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

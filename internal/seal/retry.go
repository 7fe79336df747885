package seal

import "crypto/cipher"

// retryAEAD is fixed by the version, and stateless, so that all connections share it.
var retryAEAD cipher.AEAD = newGCM(version1.retryKey[:])

// RetryTag returns the Retry Integrity Tag (section 5.8). originalDstID is the Destination Connection ID of the Initial
// packet that the Retry answers, at most 20 bytes long, retryWithoutTag the Retry packet up to the tag.
func RetryTag(originalDstID, retryWithoutTag []byte) [16]byte {
	if len(originalDstID) > 255 {
		panic("BUG: seal: connection ID too long")
	}
	pseudo := make([]byte, 0, 1+len(originalDstID)+len(retryWithoutTag))
	pseudo = append(pseudo, byte(len(originalDstID)))
	pseudo = append(pseudo, originalDstID...)
	pseudo = append(pseudo, retryWithoutTag...)
	var tag [16]byte
	retryAEAD.Seal(tag[:0], version1.retryNonce[:], nil, pseudo)
	return tag
}

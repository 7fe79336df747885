package seal

// RetryTag is Version.RetryTag of version 1.
func RetryTag(originalDstID, retryWithoutTag []byte) [16]byte {
	return version1.RetryTag(originalDstID, retryWithoutTag)
}

// RetryTag returns the Retry Integrity Tag (section 5.8). originalDstID is the Destination Connection ID of the Initial
// packet that the Retry answers, at most 20 bytes long, retryWithoutTag the Retry packet up to the tag.
func (v *Version) RetryTag(originalDstID, retryWithoutTag []byte) [16]byte {
	if len(originalDstID) > 255 {
		panic("BUG: seal: connection ID too long")
	}
	pseudo := make([]byte, 0, 1+len(originalDstID)+len(retryWithoutTag))
	pseudo = append(pseudo, byte(len(originalDstID)))
	pseudo = append(pseudo, originalDstID...)
	pseudo = append(pseudo, retryWithoutTag...)
	var tag [16]byte
	v.retryAEAD().Seal(tag[:0], v.retryNonce[:], nil, pseudo)
	return tag
}

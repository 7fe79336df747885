package seal

// A ResetKey is an endpoint's secret for stateless resets. It should survive a restart of the endpoint, or nobody believes
// the resets it sends afterwards.
type ResetKey [32]byte

// Token returns the stateless reset token of a connection ID: HMAC-SHA256 of the ID, cut to 16 bytes, which is the example of
// RFC 9000, section 10.3.2. It does not allocate.
func (k ResetKey) Token(id []byte) [16]byte {
	sum := hmacSHA256(k[:], id)
	return [16]byte(sum[:16])
}

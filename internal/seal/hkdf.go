package seal

import (
	"crypto/sha256"
	"crypto/sha512"
)

// HKDF (RFC 5869) and HMAC (RFC 2104) for the only sizes that QUIC's key schedule has: keys no longer than a block of the
// hash, short messages, and output no longer than the hash, so that expanding is one HMAC. Everything stays on the stack.
// Through crypto/hkdf the Initial keys, which a server derives for any stranger's datagram, are 96 allocations and half of
// the time. The tests hold these functions against crypto/hkdf and crypto/hmac.

const (
	ipad, opad = 0x36, 0x5c

	maxHMACMessage = 64 // bytes; labels and connection IDs are about half of that
)

// expandLabel is HKDF-Expand-Label of RFC 8446, section 7.1, with an empty context. It writes len(out) bytes.
func (s *suite) expandLabel(out, secret []byte, label string) {
	const prefix = "tls13 "
	if len(out) > s.hashLen || 3+len(prefix)+len(label)+2 > maxHMACMessage {
		panic("BUG: seal: HKDF expansion too long")
	}
	var buf [maxHMACMessage]byte
	info := append(buf[:0], byte(len(out)>>8), byte(len(out)), byte(len(prefix)+len(label)))
	info = append(info, prefix...)
	info = append(info, label...)
	info = append(info, 0) // the context's length
	info = append(info, 1) // HKDF's block counter
	if s.sha384 {
		t := hmacSHA384(secret, info)
		copy(out, t[:])
	} else {
		t := hmacSHA256(secret, info)
		copy(out, t[:])
	}
}

func hmacSHA256(key, message []byte) [sha256.Size]byte {
	checkHMAC(len(key), sha256.BlockSize, len(message))
	var b [sha256.BlockSize + maxHMACMessage]byte
	pad(b[:sha256.BlockSize], key, ipad)
	n := copy(b[sha256.BlockSize:], message)
	inner := sha256.Sum256(b[:sha256.BlockSize+n])
	pad(b[:sha256.BlockSize], key, opad)
	n = copy(b[sha256.BlockSize:], inner[:])
	return sha256.Sum256(b[:sha256.BlockSize+n])
}

func hmacSHA384(key, message []byte) [sha512.Size384]byte {
	checkHMAC(len(key), sha512.BlockSize, len(message))
	var b [sha512.BlockSize + maxHMACMessage]byte
	pad(b[:sha512.BlockSize], key, ipad)
	n := copy(b[sha512.BlockSize:], message)
	inner := sha512.Sum384(b[:sha512.BlockSize+n])
	pad(b[:sha512.BlockSize], key, opad)
	n = copy(b[sha512.BlockSize:], inner[:])
	return sha512.Sum384(b[:sha512.BlockSize+n])
}

func checkHMAC(key, block, message int) {
	if key > block || message > maxHMACMessage {
		panic("BUG: seal: HMAC key or message too long")
	}
}

// pad fills a block with the key, extended by zeros, exclusive-or a constant.
func pad(block, key []byte, with byte) {
	n := copy(block, key)
	clear(block[n:])
	for i := range block {
		block[i] ^= with
	}
}

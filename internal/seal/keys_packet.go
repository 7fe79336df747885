package seal

import (
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
)

// Seal protects a packet in place and returns it, Overhead bytes longer. pkt is the header including its packet number,
// then the payload in the clear; pnOffset is where the packet number begins, pnLen how many bytes it takes, pn its full
// value. pkt must have capacity for the tag, and the caller pads the payload so that pnLen plus its length is at least 4:
// without that there is no header protection sample (section 5.4.2).
func (k *Keys) Seal(pkt []byte, pnOffset, pnLen int, pn int64) []byte {
	hdrLen := pnOffset + pnLen
	if len(pkt) < pnOffset+4 {
		panic("BUG: seal: packet too short for a header protection sample")
	}
	if cap(pkt)-len(pkt) < Overhead {
		panic("BUG: seal: no room for the tag")
	}
	if k.aead == nil {
		k.wake()
	}
	binary.BigEndian.PutUint64(k.nonce[4:], k.ivTail^uint64(pn))
	pkt = k.aead.Seal(pkt[:hdrLen], k.nonce[:], pkt[hdrLen:], pkt[:hdrLen])

	k.setMask(pkt[pnOffset+4:])
	pkt[0] ^= k.mask[0] & protectedBits(pkt[0])
	for i := range pnLen {
		pkt[pnOffset+i] ^= k.mask[1+i]
	}
	return pkt
}

// Unprotect removes header protection in place, from the first byte and from the packet number, which begins at pnOffset.
// It returns the packet number as it was sent, truncated to pnLen bytes, and that length, 1 to 4. "An endpoint MUST discard
// packets that are not long enough to contain a complete sample" (section 5.4.2): for those ok is false and pkt is as it was.
//
// What it returns is not authentic before Open has succeeded.
func (k *Keys) Unprotect(pkt []byte, pnOffset int) (truncated uint32, pnLen int, ok bool) {
	if len(pkt) < pnOffset+4+sampleLen {
		return 0, 0, false
	}
	if k.aead == nil {
		k.wake()
	}
	k.setMask(pkt[pnOffset+4:])
	pkt[0] ^= k.mask[0] & protectedBits(pkt[0])
	pnLen = int(pkt[0]&3) + 1

	// Four bytes are always read and written, whatever the length is, so that the time taken says nothing about it
	// (section 9.5): the bytes behind the packet number are masked with zeros.
	number := pkt[pnOffset : pnOffset+4]
	unused := 32 - 8*pnLen
	clear := binary.BigEndian.Uint32(number) ^ binary.BigEndian.Uint32(k.mask[1:])&(^uint32(0)<<unused)
	binary.BigEndian.PutUint32(number, clear)
	return clear >> unused, pnLen, true
}

// Open decrypts pkt[hdrLen:] in place and returns the payload, which aliases pkt. hdrLen is the length of the header with
// its packet number, pn the decoded number. ok is false when the packet is not authentic; its payload is then destroyed, so
// that there is no second try with other keys: choose them by the Key Phase bit and the number (section 6.5).
func (k *Keys) Open(pkt []byte, hdrLen int, pn int64) (payload []byte, ok bool) {
	if len(pkt) < hdrLen+Overhead {
		return nil, false
	}
	if k.aead == nil {
		k.wake()
	}
	binary.BigEndian.PutUint64(k.nonce[4:], k.ivTail^uint64(pn))
	payload, err := k.aead.Open(pkt[hdrLen:hdrLen], k.nonce[:], pkt[hdrLen:], pkt[:hdrLen])
	return payload, err == nil
}

// setMask computes the header protection mask from a sample (sections 5.4.3 and 5.4.4).
func (k *Keys) setMask(sample []byte) {
	if k.hpBlock != nil {
		k.hpBlock.Encrypt(k.mask[:], sample[:sampleLen])
		return
	}
	c, err := chacha20.NewUnauthenticatedCipher(k.hpKey[:], sample[4:sampleLen])
	if err != nil {
		panic("BUG: seal: " + err.Error())
	}
	c.SetCounter(binary.LittleEndian.Uint32(sample))
	k.mask = [sampleLen]byte{}
	c.XORKeyStream(k.mask[:5], k.mask[:5])
}

// protectedBits returns which bits of a first byte are under header protection: the low four of a long header, the low five
// of a short one. The bit that tells them apart is not among them.
func protectedBits(first byte) byte {
	if first&0x80 != 0 {
		return 0x0f
	}
	return 0x1f
}

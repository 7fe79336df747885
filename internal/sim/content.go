package sim

import "encoding/binary"

// content is an endless sequence of bytes that can be computed at any offset, so that a reader checks every byte without
// either end remembering any.
type content uint64

// fill writes to p the bytes from an offset on.
func (c content) fill(p []byte, offset int64) {
	var word [8]byte
	for len(p) > 0 {
		binary.LittleEndian.PutUint64(word[:], c.word(uint64(offset)/8))
		n := copy(p, word[offset%8:])
		p = p[n:]
		offset += int64(n)
	}
}

// match returns how many bytes of p are those from an offset on.
func (c content) match(p []byte, offset int64) int {
	var word [8]byte
	for i := 0; i < len(p); {
		binary.LittleEndian.PutUint64(word[:], c.word(uint64(offset+int64(i))/8))
		for _, b := range word[(offset+int64(i))%8:] {
			if i == len(p) {
				break
			}
			if p[i] != b {
				return i
			}
			i++
		}
	}
	return len(p)
}

// word returns eight bytes of the sequence: SplitMix64, which mixes well enough that no two offsets look alike.
func (c content) word(n uint64) uint64 {
	x := uint64(c) + (n+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

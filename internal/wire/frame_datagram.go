package wire

import "github.com/godwit-net/godwit/internal/varint"

// ConsumeDatagram reads the DATAGRAM frame at the start of b (RFC 9221, section 4) and returns its data. Without a Length
// field "the Datagram Data field extends to the end of the packet". Its size for the limit max_datagram_frame_size is n.
func ConsumeDatagram(b []byte) (data []byte, n int) {
	f := afterType(b)
	if f.failed() {
		return nil, -1
	}
	if b[0] == byte(FrameDatagramLen) {
		data = f.bytes(f.varint())
	} else {
		data = f.bytes(uint64(len(b) - f.at))
	}
	return data, f.at
}

// AppendDatagram appends a DATAGRAM frame with a Length field.
func AppendDatagram(b []byte, data []byte) []byte {
	b = append(b, byte(FrameDatagramLen))
	b = varint.Append(b, uint64(len(data)))
	return append(b, data...)
}

// DatagramLen returns how many bytes AppendDatagram writes for size bytes of data.
func DatagramLen(size int) int { return 1 + varint.Len(uint64(size)) + size }

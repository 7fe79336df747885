package link

import (
	"bufio"
	"encoding/binary"
	"io"
	"net/netip"
	"sync"
	"time"
)

// capture writes a pcap file of raw IP packets. nil is none.
type capture struct {
	mu  sync.Mutex
	w   *bufio.Writer
	buf []byte
	err error // the first; nothing is written after it
}

func newCapture(w io.Writer) *capture {
	if w == nil {
		return nil
	}
	c := &capture{w: bufio.NewWriterSize(w, 64<<10)}
	h := binary.LittleEndian.AppendUint32(nil, 0xa1b23c4d) // times in nanoseconds
	h = append(h, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)      // version 2.4
	h = binary.LittleEndian.AppendUint32(h, 1<<18)
	h = binary.LittleEndian.AppendUint32(h, 101) // LINKTYPE_RAW
	_, c.err = c.w.Write(h)
	return c
}

// write adds a datagram, with the IP and UDP headers that it has or would have.
func (c *capture) write(from, to netip.AddrPort, payload []byte, ecn uint8) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	now := time.Now()
	b := binary.LittleEndian.AppendUint32(c.buf[:0], uint32(now.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(now.Nanosecond()))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	record := len(b)
	b = appendPacket(b, from, to, payload, ecn)
	binary.LittleEndian.PutUint32(b[record-8:], uint32(len(b)-record))
	binary.LittleEndian.PutUint32(b[record-4:], uint32(len(b)-record))
	c.buf = b
	_, c.err = c.w.Write(b)
}

// flush writes out what is buffered and returns the first error.
func (c *capture) flush() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = c.w.Flush()
	}
	return c.err
}

// appendPacket appends an IP packet with a UDP datagram in it.
func appendPacket(b []byte, from, to netip.AddrPort, payload []byte, ecn uint8) []byte {
	const protocol, hops = 17, 64
	size := 8 + len(payload)
	src, dst := from.Addr().AsSlice(), to.Addr().AsSlice()
	if from.Addr().Is4() {
		ip := len(b)
		b = append(b, 0x45, ecn)
		b = binary.BigEndian.AppendUint16(b, uint16(20+size))
		b = append(b, 0, 0, 0x40, 0, hops, protocol, 0, 0) // don't fragment
		b = append(append(b, src...), dst...)
		binary.BigEndian.PutUint16(b[ip+10:], ^fold(sum(0, b[ip:])))
	} else {
		b = append(b, 0x60, ecn<<4, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(size))
		b = append(b, protocol, hops)
		b = append(append(b, src...), dst...)
	}
	datagram := len(b)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(b, 0, 0)
	b = append(b, payload...)
	// The checksum covers a pseudo header: addresses, protocol, length (RFC 768; RFC 8200, section 8.1).
	s := sum(sum(protocol+uint32(size), src), dst)
	check := ^fold(sum(s, b[datagram:]))
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(b[datagram+6:], check)
	return b
}

// sum adds 16-bit words (RFC 1071). 64 KiB of them do not overflow it.
func sum(s uint32, b []byte) uint32 {
	for len(b) >= 2 {
		s += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

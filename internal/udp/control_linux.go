package udp

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// controlSize is the room for control data of one message. Received, that is at most IPV6_PKTINFO (40 bytes on a 64-bit
// system), IP_TOS or IPV6_TCLASS (24) and UDP_GRO (24).
const controlSize = 128

// ecnMask selects the ECN field of the TOS byte and of the traffic class.
const ecnMask = 0b11

// controlData is what the kernel says about a received message besides its bytes and its sender.
type controlData struct {
	local   netip.Addr // zero: not said
	segment int        // size of each coalesced datagram; 0: not coalesced
	ecn     uint8
}

// parseControl reads control messages (cmsg(3)). What it does not know it skips, what is cut short ends it.
func parseControl(b []byte) (c controlData) {
	for len(b) >= unix.SizeofCmsghdr {
		size := cmsgLen(b)
		if size < unix.SizeofCmsghdr || size > uint64(len(b)) {
			return c
		}
		level := binary.NativeEndian.Uint32(b[unix.SizeofCmsghdr-8:])
		kind := binary.NativeEndian.Uint32(b[unix.SizeofCmsghdr-4:])
		c.take(int(level), int(kind), b[unix.SizeofCmsghdr:size])
		b = b[min(uint64(unix.CmsgSpace(int(size)-unix.SizeofCmsghdr)), uint64(len(b))):]
	}
	return c
}

// take reads the data of one control message.
func (c *controlData) take(level, kind int, data []byte) {
	switch {
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		// struct in_pktinfo: interface, ipi_spec_dst, ipi_addr. The former address is ours even when the packet went to
		// a broadcast address.
		c.local = netip.AddrFrom4([4]byte(data[4:8]))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		c.local = inZone([16]byte(data[:16]), binary.NativeEndian.Uint32(data[16:]))
	case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(data) >= 1:
		c.ecn = data[0] & ecnMask // one byte, unlike all the others (ip(7))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
		c.ecn = uint8(binary.NativeEndian.Uint32(data)) & ecnMask
	case level == unix.SOL_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		c.segment = int(binary.NativeEndian.Uint32(data) & 0xffff) // the kernel writes an int that holds a u16
	}
}

// appendControl appends the control messages for a message that is split every segment bytes (0: not at all) and goes
// to an IPv6 peer or, also on an IPv6 socket, to an IPv4 one.
func appendControl(b []byte, m *Message, segment int) []byte {
	v6 := m.Remote.Addr().Is6() && !m.Remote.Addr().Is4In6()
	if segment > 0 {
		b = appendCmsg(b, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(b[len(b)-cmsgAlign(2):], uint16(segment))
	}
	if ecn := m.ECN & ecnMask; ecn != 0 {
		level, kind := unix.IPPROTO_IP, unix.IP_TOS
		if v6 {
			level, kind = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		}
		b = appendCmsg(b, level, kind, 4)
		binary.NativeEndian.PutUint32(b[len(b)-cmsgAlign(4):], uint32(ecn))
	}
	// An address of the wrong family, or none, is left out: the routing table chooses.
	switch local := m.Local.Unmap(); {
	case local.Is4() && !v6:
		b = appendCmsg(b, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		ip := local.As4()
		copy(b[len(b)-cmsgAlign(unix.SizeofInet4Pktinfo)+4:], ip[:])
	case local.Is6() && v6:
		b = appendCmsg(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		data := b[len(b)-cmsgAlign(unix.SizeofInet6Pktinfo):]
		ip := local.As16()
		copy(data, ip[:])
		binary.NativeEndian.PutUint32(data[16:], zones.index(local.Zone()))
	}
	return b
}

// appendCmsg appends a control message with size bytes of zeros for its data, padded as the next one needs it.
func appendCmsg(b []byte, level, kind, size int) []byte {
	at := len(b)
	b = append(b, zeros[:unix.CmsgSpace(size)]...)
	if strconv.IntSize == 64 {
		binary.NativeEndian.PutUint64(b[at:], uint64(unix.CmsgLen(size)))
	} else {
		binary.NativeEndian.PutUint32(b[at:], uint32(unix.CmsgLen(size)))
	}
	binary.NativeEndian.PutUint32(b[at+unix.SizeofCmsghdr-8:], uint32(level))
	binary.NativeEndian.PutUint32(b[at+unix.SizeofCmsghdr-4:], uint32(kind))
	return b
}

// cmsgLen returns the cmsg_len of the header that b begins with: a size_t.
func cmsgLen(b []byte) uint64 {
	if strconv.IntSize == 64 {
		return binary.NativeEndian.Uint64(b)
	}
	return uint64(binary.NativeEndian.Uint32(b))
}

// cmsgAlign returns the room that size bytes of data take in a control message.
func cmsgAlign(size int) int { return unix.CmsgSpace(size) - unix.SizeofCmsghdr }

var zeros [controlSize]byte

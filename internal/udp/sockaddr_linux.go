package udp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sockaddr is a struct sockaddr_in or sockaddr_in6 as the kernel lays it out.
type sockaddr [unix.SizeofSockaddrInet6]byte

// encode writes a for a socket of the family that v6 says and returns the length. An IPv6 socket knows an IPv4 address
// by its mapped form; an IPv6 address on an IPv4 socket is left to the kernel to refuse.
func (s *sockaddr) encode(a netip.AddrPort, v6 bool) uint32 {
	ip := a.Addr()
	if ip.Is4() && !v6 {
		binary.NativeEndian.PutUint16(s[0:], unix.AF_INET)
		binary.BigEndian.PutUint16(s[2:], a.Port())
		b := ip.As4()
		copy(s[4:], b[:])
		clear(s[8:unix.SizeofSockaddrInet4])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(s[0:], unix.AF_INET6)
	binary.BigEndian.PutUint16(s[2:], a.Port())
	clear(s[4:8]) // flow label
	b := [16]byte{}
	if ip.IsValid() {
		b = ip.As16()
	}
	copy(s[8:], b[:])
	binary.NativeEndian.PutUint32(s[24:], zones.index(ip.Zone()))
	return unix.SizeofSockaddrInet6
}

// decode returns the address in s, of which the kernel has filled n bytes; the zero AddrPort if that is none.
func (s *sockaddr) decode(n uint32) netip.AddrPort {
	if n < unix.SizeofSockaddrInet4 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(s[2:])
	switch binary.NativeEndian.Uint16(s[0:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port)
	case unix.AF_INET6:
		if n < unix.SizeofSockaddrInet6 {
			return netip.AddrPort{}
		}
		return netip.AddrPortFrom(inZone([16]byte(s[8:24]), binary.NativeEndian.Uint32(s[24:])), port)
	}
	return netip.AddrPort{}
}

// inZone returns the address that the kernel writes as b, with the zone that a link-local one is of.
func inZone(b [16]byte, zone uint32) netip.Addr {
	ip := netip.AddrFrom16(b).Unmap()
	if zone != 0 && (ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast()) && ip.Is6() {
		return ip.WithZone(zones.name(zone))
	}
	return ip
}

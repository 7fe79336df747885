package udp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	errAddrInUse        = syscall.EADDRINUSE
	errAddrNotAvailable = syscall.EADDRNOTAVAIL
	errMessageTooLong   = syscall.EMSGSIZE
)

// configure sets the options that must hold before the first packet, and notes which of them the kernel knows.
func (s *Socket) configure(fd uintptr, v6 bool, c Config) error {
	sock := int(fd)
	set := func(level, option, value int) bool {
		return unix.SetsockoptInt(sock, level, option, value) == nil
	}
	// "UDP datagrams MUST NOT be fragmented at the IP layer. In IPv4 [IPv4], the Don't Fragment (DF) bit MUST
	// be set if possible" (RFC 9000, section 14). PROBE also keeps the kernel from believing ICMP messages about the path MTU,
	// which section 14.2.1 wants validated first. The IPv4 options hold for the IPv4 peers of an IPv6 socket.
	set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	if v6 {
		set(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
	}
	s.kernel.v6 = v6
	if !c.Portable && hasCall(fd, unix.SYS_RECVMMSG) && hasCall(fd, unix.SYS_SENDMMSG) {
		s.got.RecvMmsg, s.got.SendMmsg = true, true
		s.got.ECN = set(unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
		if v6 {
			s.got.ECN = set(unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1) && s.got.ECN
			set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) // for IPv4 as well, as a mapped address
		} else {
			set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
		if !c.DisableOffload {
			_, err := unix.GetsockoptInt(sock, unix.SOL_UDP, unix.UDP_SEGMENT)
			s.got.GSO = err == nil
			s.got.GRO = set(unix.SOL_UDP, unix.UDP_GRO, 1)
		}
	}
	if c.ReusePort {
		return unix.SetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	return nil
}

// hasCall reports whether the kernel, or what filters its calls, knows sendmmsg or recvmmsg. A call for no message does
// nothing.
func hasCall(fd, number uintptr) bool {
	_, _, errno := syscall.Syscall6(number, fd, 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno == 0 || errno == syscall.EAGAIN
}

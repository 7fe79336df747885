package udp

import (
	"errors"
	"syscall"
)

const (
	errAddrInUse        = syscall.Errno(10048) // WSAEADDRINUSE
	errAddrNotAvailable = syscall.Errno(10049) // WSAEADDRNOTAVAIL
	errMessageTooLong   = syscall.Errno(10040) // WSAEMSGSIZE

	ipDontFragment   = 14 // IP_DONTFRAGMENT
	ipv6DontFragment = 14 // IPV6_DONTFRAG
)

// configure sets the options that must hold before the first packet.
func (s *Socket) configure(fd uintptr, v6 bool, c Config) error {
	// "the Don't Fragment (DF) bit MUST be set if possible" (RFC 9000, section 14): a refusal leaves it unset.
	if v6 {
		_ = syscall.SetsockoptInt(syscall.Handle(fd), syscall.IPPROTO_IPV6, ipv6DontFragment, 1)
	}
	_ = syscall.SetsockoptInt(syscall.Handle(fd), syscall.IPPROTO_IP, ipDontFragment, 1)
	if c.ReusePort {
		return errors.New("Windows cannot share a UDP port among sockets")
	}
	return nil
}

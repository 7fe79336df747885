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

// configure sets the options that must hold before the first packet.
func (s *Socket) configure(fd uintptr, v6 bool, c Config) error {
	// "the Don't Fragment (DF) bit MUST be set if possible" (RFC 9000, section 14): macOS before 11 has no such option.
	if v6 {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1)
	}
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_DONTFRAG, 1)
	if c.ReusePort {
		return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	return nil
}

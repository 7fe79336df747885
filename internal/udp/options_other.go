//go:build !linux && !darwin && !windows

package udp

import (
	"errors"
	"syscall"
)

const (
	errAddrInUse        = syscall.EADDRINUSE
	errAddrNotAvailable = syscall.EADDRNOTAVAIL
	errMessageTooLong   = syscall.EMSGSIZE
)

// configure sets nothing. Deviation: don't-fragment stays what the system makes it, which for IPv6 is what RFC 9000,
// section 14 asks for.
func (s *Socket) configure(_ uintptr, _ bool, c Config) error {
	if c.ReusePort {
		return errors.New("sharing a UDP port among sockets is not supported on this system")
	}
	return nil
}

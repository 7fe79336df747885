package udp

import (
	"errors"
	"syscall"
)

// isUnroutable reports whether a send failed because the local address is gone or nothing leads to the remote one: on Linux
// EINVAL is what a source address gets that the host does not have.
func isUnroutable(err error) bool {
	for _, e := range [...]error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL, syscall.ENETDOWN, syscall.EINVAL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

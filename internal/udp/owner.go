package udp

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"syscall"
)

// refusal is an error of Listen: one line for the operator around the system's error.
type refusal struct {
	line string
	err  error
}

func (r *refusal) Error() string { return r.line }
func (r *refusal) Unwrap() error { return r.err }

// listenError says what was wrong with addr and what helps.
func listenError(addr netip.AddrPort, err error) error {
	line := ""
	switch {
	case errors.Is(err, errAddrInUse):
		owner := PortOwner("udp", int(addr.Port()))
		if owner == "" {
			owner = "another process"
		}
		line = fmt.Sprintf("UDP port %d is taken by %s: choose another with --listen, or stop it", addr.Port(), owner)
	case errors.Is(err, errAddrNotAvailable):
		line = fmt.Sprintf("UDP address %s belongs to no interface of this host: choose another with --listen", addr.Addr())
	case errors.Is(err, fs.ErrPermission):
		line = fmt.Sprintf("UDP port %d needs a privilege that this process does not have: choose one above 1023 with --listen", addr.Port())
	default:
		cause := err
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			cause = errno // without the net package's account of the call
		}
		line = fmt.Sprintf("UDP address %s cannot be opened: %v", addr, cause)
	}
	return &refusal{line, err}
}

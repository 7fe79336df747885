//go:build !windows

package tunnel

import "syscall"

// errRefused is the system's word for a port on which nobody listens.
const errRefused = syscall.ECONNREFUSED

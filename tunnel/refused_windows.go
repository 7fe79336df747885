package tunnel

import "syscall"

// errRefused is the system's word for a port on which nobody listens: WSAECONNREFUSED.
const errRefused = syscall.Errno(10061)

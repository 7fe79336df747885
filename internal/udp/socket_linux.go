package udp

import (
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is what the batched path keeps per socket.
type kernel struct {
	raw     syscall.RawConn
	v6      bool        // of the family AF_INET6
	gso     atomic.Bool // cleared when the kernel turns out not to split
	send    func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno)
	batches sync.Pool   // of *batch
	watched atomic.Bool // WatchRefusals is on
}

// start makes the batched path ready.
func (s *Socket) start() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	s.kernel.raw = raw
	s.kernel.gso.Store(s.got.GSO)
	s.kernel.send = sendmmsg
	s.kernel.batches.New = func() any { return newBatch(s) }
	return nil
}

// segments reports whether the kernel splits what is sent.
func (s *Socket) segments() bool { return s.kernel.gso.Load() }

// mmsghdr is struct mmsghdr of sendmmsg(2) and recvmmsg(2). The compiler pads it as C does.
type mmsghdr struct {
	msg unix.Msghdr
	n   uint32 // bytes moved
}

// sendmmsg returns how many of hdrs were sent, or the error of the first.
func sendmmsg(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, fd,
		uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// recvmmsg returns how many of hdrs were filled, or an error.
func recvmmsg(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, fd,
		uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

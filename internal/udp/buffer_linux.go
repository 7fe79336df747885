package udp

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// raiseBuffers asks for the buffers that c wants and notes what was got.
func (s *Socket) raiseBuffers(c Config) {
	read, write := c.wantedBuffers()
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // fails on a closed socket only
		s.got.ReadBuffer = raiseBuffer(int(fd), unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, read)
		s.got.WriteBuffer = raiseBuffer(int(fd), unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, write)
	})
	s.got.Warning = bufferWarning(s.got, read, write)
}

// raiseBuffer returns the size of a buffer after it has asked for want bytes, first as anybody and then as the
// administrator, to whom the limits of the system do not apply.
func raiseBuffer(fd, option, force, want int) int {
	if got := bufferSize(fd, option); got >= want {
		return got
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, want)
	if bufferSize(fd, option) < want {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, want)
	}
	return bufferSize(fd, option)
}

// bufferSize returns what a caller may ask for to have this buffer: the kernel doubles it for its own bookkeeping and
// reports the double (socket(7)).
func bufferSize(fd, option int) int {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	if err != nil {
		return 0
	}
	return n / 2
}

func bufferWarning(got Features, read, write int) string {
	var short, settings []string
	if got.ReadBuffer < read {
		short = append(short, fmt.Sprintf("receive buffer is %d KiB instead of %d KiB", got.ReadBuffer>>10, read>>10))
		settings = append(settings, fmt.Sprintf("net.core.rmem_max=%d", read))
	}
	if got.WriteBuffer < write {
		short = append(short, fmt.Sprintf("send buffer is %d KiB instead of %d KiB", got.WriteBuffer>>10, write>>10))
		settings = append(settings, fmt.Sprintf("net.core.wmem_max=%d", write))
	}
	if short == nil {
		return ""
	}
	return "UDP " + strings.Join(short, ", ") + ": run sysctl -w " + strings.Join(settings, " ")
}

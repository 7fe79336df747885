//go:build !linux

package udp

import "fmt"

// raiseBuffers asks for the buffers that c wants and halves what the system refuses.
func (s *Socket) raiseBuffers(c Config) {
	read, write := c.wantedBuffers()
	s.got.ReadBuffer = halveUntil(s.conn.SetReadBuffer, read)
	s.got.WriteBuffer = halveUntil(s.conn.SetWriteBuffer, write)
	if s.got.ReadBuffer < read {
		s.got.Warning = fmt.Sprintf("UDP receive buffer is %d KiB instead of %d KiB: raise the system's limit on socket buffers",
			s.got.ReadBuffer>>10, read>>10)
	}
}

// halveUntil returns the first of want, want/2, ... that set accepts, 0 if that is none of them.
func halveUntil(set func(int) error, want int) int {
	const least = 64 << 10
	for n := want; n >= least; n /= 2 {
		if set(n) == nil {
			return n
		}
	}
	return 0
}

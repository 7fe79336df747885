//go:build !linux

package udp

// kernel and kernelReader are empty: there are no batched system calls here.
type (
	kernel       struct{}
	kernelReader struct{}
)

func (s *Socket) start() error { return nil }

func (r *Reader) start() {
	r.msgs = make([]Message, 1)
	r.slab = make([]byte, slabSize)
}

func (s *Socket) segments() bool { return false }

func (s *Socket) sendBatches([]Message) (int, error) { panic("BUG: no batched sending on this system") }

func (r *Reader) readBatch() ([]Message, error) { panic("BUG: no batched reading on this system") }

package http3

import "sync"

// buffer is a pooled slice of bytes. Whoever got it frees it, once.
type buffer struct {
	b       []byte
	section fieldSection // one that is being encoded behind b
}

var (
	readBuffers  = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, readBufferSize)} }}
	frameBuffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, frameRoom+2*responseBufferSize)} }}
	copyBuffers  = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, frameRoom+copyBufferSize)} }}
)

func getBuffer(pool *sync.Pool) *buffer { return pool.Get().(*buffer) }

// free empties *b and gives it back to pool; a nil *b is nothing.
func freeBuffer(pool *sync.Pool, b **buffer) {
	if *b != nil && cap((*b).b) <= maxPooled {
		(*b).b = (*b).b[:0]
		pool.Put(*b)
	}
	*b = nil
}

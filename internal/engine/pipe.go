package engine

// A pipe holds a window of a byte sequence in chunks: writes anywhere in the window, reads anywhere in it, and the front
// is discarded when nobody needs it any more. A stream's received bytes live in one, and its bytes to be sent in
// another; the bytes of the handshake likewise.
//
// Chunks have two sizes, by offset alone: the first smallSpan bytes are cut into small chunks, so that a request of
// fifty bytes costs one of them, and everything behind them into large ones. Where a byte lies is thus arithmetic.
type pipe struct {
	chunks [][]byte // ring; nil where nothing was written yet
	head   int      // index in chunks of the first chunk held
	count  int      // chunks held
	first  int      // number of the first chunk held
	start  int64    // offset of the first byte held; lower ones are discarded
}

const (
	smallChunk  = 2 << 10
	smallSpan   = 16 << 10
	smallChunks = smallSpan / smallChunk
	largeChunk  = 16 << 10
)

// chunkOf returns the number of the chunk that holds offset, and where in it.
func chunkOf(off int64) (number, at int) {
	if off < smallSpan {
		return int(off / smallChunk), int(off % smallChunk)
	}
	off -= smallSpan
	return smallChunks + int(off/largeChunk), int(off % largeChunk)
}

// chunkSize returns the size of chunk number.
func chunkSize(number int) int {
	if number < smallChunks {
		return smallChunk
	}
	return largeChunk
}

// writeAt stores b at offset off, which is not below start.
func (p *pipe) writeAt(pool *chunkPool, off int64, b []byte) {
	for len(b) > 0 {
		number, at := chunkOf(off)
		n := copy(p.chunk(pool, number)[at:], b)
		b = b[n:]
		off += int64(n)
	}
}

// view returns stored bytes from off on, as many as lie together, at most max.
func (p *pipe) view(off int64, max int) []byte {
	number, at := chunkOf(off)
	c := p.chunks[p.slot(number)]
	return c[at:min(len(c), at+max)]
}

// readAt copies len(b) stored bytes from offset off into b.
func (p *pipe) readAt(off int64, b []byte) {
	for len(b) > 0 {
		n := copy(b, p.view(off, len(b)))
		b = b[n:]
		off += int64(n)
	}
}

// discardBefore gives back the chunks that lie wholly below off.
func (p *pipe) discardBefore(pool *chunkPool, off int64) {
	if off <= p.start {
		return
	}
	p.start = off
	number, _ := chunkOf(off)
	for p.count > 0 && p.first < number {
		pool.put(p.chunks[p.head])
		p.chunks[p.head] = nil
		p.head = (p.head + 1) & (len(p.chunks) - 1)
		p.first++
		p.count--
	}
	if p.count == 0 {
		p.first = number
	}
}

// release gives everything back; the pipe is empty and begins at 0 again.
func (p *pipe) release(pool *chunkPool) {
	for ; p.count > 0; p.count-- {
		pool.put(p.chunks[p.head])
		p.chunks[p.head] = nil
		p.head = (p.head + 1) & (len(p.chunks) - 1)
	}
	ring := p.chunks
	if len(ring) > 16 {
		ring = nil // a long ring was for a long transfer
	}
	*p = pipe{chunks: ring}
}

// rest gives back the chunks of a pipe that holds nothing, which ends at end; it goes on from there.
func (p *pipe) rest(end int64) {
	if p.start < end {
		return
	}
	p.chunks, p.head, p.count = nil, 0, 0
	p.first, _ = chunkOf(p.start)
}

// chunk returns chunk number, making room for it and getting it from the pool when it is not there.
func (p *pipe) chunk(pool *chunkPool, number int) []byte {
	if n := number - p.first + 1; n > p.count {
		p.grow(n)
		p.count = n
	}
	i := p.slot(number)
	if p.chunks[i] == nil {
		p.chunks[i] = pool.get(chunkSize(number))
	}
	return p.chunks[i]
}

func (p *pipe) slot(number int) int { return (p.head + number - p.first) & (len(p.chunks) - 1) }

// grow makes the ring hold at least n chunks.
func (p *pipe) grow(n int) {
	if n <= len(p.chunks) {
		return
	}
	size := max(4, len(p.chunks))
	for size < n {
		size *= 2
	}
	ring := make([][]byte, size)
	for i := range p.count {
		ring[i] = p.chunks[(p.head+i)&(len(p.chunks)-1)]
	}
	p.chunks, p.head = ring, 0
}

// chunkPool keeps a connection's unused chunks. It is what makes a stream's steady state free of allocation.
type chunkPool struct {
	small, large [][]byte
}

func (f *chunkPool) get(size int) []byte {
	list := &f.small
	if size == largeChunk {
		list = &f.large
	}
	if n := len(*list); n > 0 {
		c := (*list)[n-1]
		(*list)[n-1] = nil
		*list = (*list)[:n-1]
		return c
	}
	return make([]byte, size)
}

func (f *chunkPool) put(c []byte) {
	switch {
	case c == nil:
	case len(c) == smallChunk && len(f.small) < maxFreeSmall:
		f.small = append(f.small, c)
	case len(c) == largeChunk && len(f.large) < maxFreeLarge:
		f.large = append(f.large, c)
	}
}

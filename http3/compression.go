package http3

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// CompressionStats says how much QPACK's dynamic tables (RFC 9204) were used.
type CompressionStats struct {
	Inserted int64 // entries that we put into the tables of peers
	Sections int64 // field sections sent that refer to such a table

	PeerInserted int64 // entries that peers put into our tables
	PeerSections int64 // field sections decoded that refer to our table
	Blocked      int64 // of these, such as came before their entries
}

// compressionCounters is CompressionStats while it is counted: a server's, or
// one connection's of a client.
type compressionCounters struct {
	inserted, sections, peerInserted, peerSections, blocked atomic.Int64
}

func (c *compressionCounters) stats() CompressionStats {
	return CompressionStats{c.inserted.Load(), c.sections.Load(), c.peerInserted.Load(), c.peerSections.Load(), c.blocked.Load()}
}

// instructionStream is one of our two QPACK streams (RFC 9204, section 4.2). It
// is opened when there is something to say on it. The lock of its owner guards
// it.
type instructionStream struct {
	c   *conn
	typ h3.StreamType
	mu  *sync.Mutex

	waiting []byte       // what flow control has no room for, or nobody has asked to send
	written int64        // bytes that the stream took
	s       *quic.Stream // nil: not open yet
	opening bool
	timer   *time.Timer // sends what waits; nil: none was needed yet
	armed   bool
}

// flush writes what waits: at once, or, with later, along with what the
// connection sends next.
func (i *instructionStream) flush(later bool) {
	switch {
	case len(i.waiting) == 0:
	case i.s == nil:
		if !i.opening {
			i.opening = true
			go i.open()
		}
	case later && i.s.TryQueue(i.waiting), !later && i.s.TryWrite(i.waiting):
		i.written += int64(len(i.waiting))
		i.waiting = i.waiting[:0]
		if cap(i.waiting) > maxKeptInstructions {
			i.waiting = nil
		}
	}
}

// flushSoon sees to it that what waits is sent before long, with what comes
// until then.
func (i *instructionStream) flushSoon() {
	switch {
	case i.armed:
		return
	case i.timer == nil:
		i.timer = time.AfterFunc(replyDelay, i.expire)
	default:
		i.timer.Reset(replyDelay)
	}
	i.armed = true
}

func (i *instructionStream) expire() {
	defer i.c.q.Contain(uint64(h3.H3InternalError))
	i.mu.Lock()
	defer i.mu.Unlock()
	i.armed = false
	i.flush(false)
}

// open opens the stream and sends what has come together. A peer that allows
// no unidirectional stream is told nothing: what depends on it ends at its
// limits.
func (i *instructionStream) open() {
	defer i.c.q.Contain(uint64(h3.H3InternalError))
	ctx, cancel := context.WithTimeout(i.c.q.Context(), openTimeout)
	defer cancel()
	s, err := i.c.q.OpenUniStream(ctx)
	if err != nil {
		return
	}
	c, typ := i.c, i.typ
	context.AfterFunc(s.Context(), func() {
		defer c.q.Contain(uint64(h3.H3InternalError))
		if c.q.Err() == nil { // the peer stopped it
			c.fail(violation(typ.Closed()))
		}
	})
	c.putFirst(s)
	c.trace.streamType(s.ID(), "local", typ)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.s = s
	i.waiting = append(h3.AppendStreamType(nil, typ), i.waiting...)
	i.flush(false)
}

package http3

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// body is the content of a message that is being received: an http.Request's
// or an http.Response's Body. Reading and closing may happen in two
// goroutines.
type body struct {
	owner  bodyOwner
	limit  int // of the trailer section, as decoded
	closed atomic.Bool

	mu     sync.Mutex // held while reading, so that Close waits for nobody
	r      messageReader
	length h3.BodyLength
	err    error // what Read returns from now on
}

// bodyOwner is the exchange that a body belongs to.
type bodyOwner interface {
	beforeRead()                // before the first byte is waited for
	trailer() *http.Header      // where trailers go
	readFailed(err error) error // err ended the reading: what does Read return?
	on() *quic.Conn             // what ends when Read panics
	bodyClosed()                // Close, before the end was read
	bodyEnded()                 // the end was read
}

// Read reads content. It returns io.EOF when the message is complete, its
// trailers included; io.ErrUnexpectedEOF when it is shorter than its
// Content-Length; and an *Error when the peer gave up.
func (b *body) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.guard(&err)
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.err != nil {
		return 0, b.err
	}
	b.owner.beforeRead()
	if len(p) == 0 {
		return 0, nil
	}
	if n, err = b.read(p); err == nil {
		return n, nil
	}
	b.r.free()
	switch {
	case err == io.EOF:
		b.owner.bodyEnded()
	case b.closed.Load():
		err = http.ErrBodyReadAfterClose
	default:
		short := err == errShortBody
		if err = b.owner.readFailed(err); short {
			err = io.ErrUnexpectedEOF // what net/http calls it
		}
	}
	b.err = err
	return n, err
}

// guard is deferred by Read, whose caller may be a goroutine that has no recover
// boundary: that of an http.Transport, which sends what a proxy received. A
// panic of ours ends the connection as it does elsewhere.
func (b *body) guard(err *error) {
	if r := recover(); r != nil {
		b.err = &panicError{r}
		*err = b.err
		q := b.owner.on()
		q.Panicked(r)
		q.CloseWithError(uint64(h3.H3InternalError), "a bug in this endpoint; its log has the stack")
	}
}

// "A request or response that is defined as having content [...] is malformed
// if the value of the Content-Length header field does not equal the sum of the
// DATA frame lengths received" (RFC 9114, section 4.1.2).
var errShortBody = &h3.Error{Code: h3.H3MessageError, Reason: "less content than content-length says", Stream: true}

func (b *body) read(p []byte) (int, error) {
	for b.r.left == 0 || b.r.skipping {
		part, err := b.r.next()
		switch {
		case err == io.EOF:
			if b.length.Done() != nil {
				return 0, errShortBody
			}
			return 0, io.EOF
		case err != nil:
			return 0, err
		case part == h3.PartTrailers:
			if err := b.readTrailer(); err != nil {
				return 0, err
			}
			continue
		}
		if err := b.length.Add(b.r.left); err != nil {
			return 0, err
		}
	}
	return b.r.read(p)
}

func (b *body) readTrailer() error {
	section, err := b.r.section(b.limit)
	if err != nil {
		return err
	}
	into := b.owner.trailer()
	if *into == nil {
		*into = make(http.Header)
	}
	var values valueSlab
	fields := h3.TrailerFields{Field: func(name, value string) { values.add(*into, name, value) }}
	if err := b.r.decode(section, b.limit, fields.Add); err != nil {
		return err
	}
	return fields.Done()
}

// Close gives up what was not read. A Read that waits fails.
func (b *body) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	b.owner.bodyClosed()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.r.free()
	return nil
}

// atEnd reports whether the end was read already. It does not wait for a
// reader, who is then not at the end.
func (b *body) atEnd() bool {
	if !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	return b.r.ended && b.r.left == 0 && len(b.r.unread()) == 0
}

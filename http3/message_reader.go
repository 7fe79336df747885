package http3

import (
	"io"
	"slices"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
)

// messageReader is the receiving half of a message: it takes the frames of a
// request stream apart (RFC 9114, section 4.1) as their bytes come, and holds
// no more of them than it must. One goroutine at a time uses it.
//
// Its errors are *h3.Error for what the peer did wrong, io.EOF where the
// stream ends and may end, and the stream's own.
type messageReader struct {
	s       stream
	conn    *conn // whose dynamic table and qlog are used; nil: none
	grammar h3.Message

	ahead *buffer // what was read ahead is ahead.b[at:]
	at    int
	left  int64 // bytes of the current frame's payload that were not consumed
	empty emptyRun

	skipping  bool // what is left is of no interest
	dynamic   bool // the latest section refers to the dynamic table
	undecoded bool // one that does was not decoded
	ended     bool // the end of the stream was read
	freed     bool
}

func (r *messageReader) trace() *tracer {
	if r.conn == nil {
		return nil
	}
	return r.conn.trace
}

var (
	errTooManyEmptyFrames = &h3.Error{Code: h3.H3ExcessiveLoad, Reason: "too many frames without content"}
	errSectionTooLong     = &h3.Error{Code: h3.H3ExcessiveLoad, Reason: "field section above the limit", Stream: true}
)

// emptyRun is a run of frames that carry nothing.
type emptyRun struct {
	n     int
	since time.Time
}

// tooLong counts one more and reports whether there are too many in too short
// a time.
func (e *emptyRun) tooLong() bool {
	e.n++
	switch {
	case e.n == 1:
		e.since = time.Now()
	case e.n > maxEmptyFrames && time.Since(e.since) < emptyWindow:
		return true
	case e.n > maxEmptyFrames:
		*e = emptyRun{}
	}
	return false
}

// next finds the next frame that is part of the message: a header section, a
// trailer section, or DATA that is not empty. The payload of the one before
// must be consumed. It skips frames of unknown types, whatever their length.
func (r *messageReader) next() (h3.MessagePart, error) {
	for {
		if r.skipping { // a deadline came between
			if err := r.skip(); err != nil {
				return 0, err
			}
		}
		h, err := r.frameHeader()
		if err != nil {
			return 0, err
		}
		part, err := r.grammar.Frame(h.Type)
		if err != nil {
			return 0, err
		}
		r.left = h.Length
		switch {
		case part == h3.PartHeaders || part == h3.PartTrailers:
			r.empty = emptyRun{}
			return part, nil // traced when its fields are known
		case part == h3.PartData && h.Length > 0:
			r.trace().frameParsed(r.s.ID(), h)
			r.empty = emptyRun{}
			return part, nil
		}
		r.trace().frameParsed(r.s.ID(), h)
		if r.empty.tooLong() {
			return 0, errTooManyEmptyFrames
		}
		if err := r.skip(); err != nil {
			return 0, err
		}
	}
}

// frameHeader reads the header of a frame, or the end of the stream.
func (r *messageReader) frameHeader() (h3.FrameHeader, error) {
	for {
		if h, n := h3.ConsumeFrameHeader(r.unread()); n > 0 {
			r.at += n
			return h, nil
		}
		err := r.fill()
		if err == io.EOF {
			if len(r.unread()) > 0 {
				err = h3.ErrTruncatedFrame
			} else if ferr := r.grammar.Fin(); ferr != nil {
				err = ferr
			}
		}
		if err != nil {
			return h3.FrameHeader{}, err
		}
	}
}

// section reads the payload of a HEADERS frame, which is valid until the next
// call. One that is longer than limit is refused before it is buffered: an
// encoding longer than what it encodes is not worth waiting for. One that
// refers to entries of the dynamic table that have not arrived is waited for
// before it is buffered: "While blocked, encoded field section data SHOULD
// remain in the blocked stream's flow-control window" (RFC 9204, section 2.2.1).
func (r *messageReader) section(limit int) ([]byte, error) {
	if r.left > int64(limit) {
		return nil, errSectionTooLong
	}
	if err := r.unblock(); err != nil {
		return nil, err
	}
	for int64(len(r.unread())) < r.left {
		if err := r.fill(); err != nil {
			return nil, truncated(err)
		}
	}
	p := r.unread()[:r.left]
	r.at += len(p)
	r.left = 0
	return p, nil
}

// unblock reads the beginning of a section and waits until it can be decoded,
// unless all of it has been read already.
func (r *messageReader) unblock() error {
	r.dynamic = false
	for r.left > 0 && r.conn != nil {
		start := r.unread()
		whole := int64(len(start)) >= r.left
		if len(start) > 0 {
			if start[0] == 0 {
				return nil // it does not refer to the table
			}
			r.dynamic, r.undecoded = true, true
			if whole {
				return nil
			}
			if ok, err := r.conn.decoder().await(r.s, start); ok || err != nil {
				return err
			}
		}
		if err := r.fill(); err != nil {
			return truncated(err)
		}
	}
	return nil
}

// decode decodes the section that was read last, and calls f for each field.
func (r *messageReader) decode(section []byte, limit int, f func(name, value string) error) (err error) {
	field := func(x qpack.Field) error { return f(x.Name, x.Value) }
	var log [][2]string
	if r.trace() != nil {
		field = func(x qpack.Field) error {
			if x.Sensitive {
				log = append(log, [2]string{x.Name, "(sensitive)"})
			} else {
				log = append(log, loggedField(x.Name, x.Value))
			}
			return f(x.Name, x.Value)
		}
	}
	if r.dynamic {
		err = r.conn.decoder().decode(r.s, section, limit, field)
	} else {
		d := qpack.Decoder{MaxSize: limit}
		err = d.DecodeFields(section, field)
	}
	if err == nil {
		r.undecoded = false
	}
	r.trace().headersParsed(r.s.ID(), int64(len(section)), log)
	return err
}

// read reads content of the current DATA frame, at least one byte of it.
func (r *messageReader) read(p []byte) (int, error) {
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	if len(r.unread()) == 0 && len(p) < readBufferSize && int64(len(p)) < r.left {
		if err := r.fill(); err != nil {
			return 0, truncated(err)
		}
	}
	if ahead := r.unread(); len(ahead) > 0 {
		n := copy(p, ahead)
		r.at += n
		r.left -= int64(n)
		return n, nil
	}
	n, err := r.s.Read(p)
	r.left -= int64(n)
	if n > 0 && err == io.EOF {
		r.ended = true
		err = nil
	}
	return n, truncated(err)
}

// skip discards the rest of the current frame's payload.
func (r *messageReader) skip() error {
	r.skipping = true
	for r.left > 0 {
		if len(r.unread()) == 0 {
			if err := r.fill(); err != nil {
				return truncated(err)
			}
		}
		n := min(r.left, int64(len(r.unread())))
		r.at += int(n)
		r.left -= n
	}
	r.skipping = false
	return nil
}

func (r *messageReader) unread() []byte {
	if r.ahead == nil {
		return nil
	}
	return r.ahead.b[r.at:]
}

// fill reads more of the stream behind what is unread.
func (r *messageReader) fill() error {
	if r.ended {
		return io.EOF
	}
	if r.ahead == nil {
		r.ahead, r.at = getBuffer(&readBuffers), 0
	}
	b := r.ahead.b
	if r.at > 0 {
		b = b[:copy(b, b[r.at:])]
		r.at = 0
	}
	if len(b) == cap(b) {
		// A header section that does not fit. The buffer doubles as the bytes
		// come: what the peer announces costs it nothing, what it sends does.
		b = slices.Grow(b, len(b))
	}
	n, err := r.s.Read(b[len(b):cap(b)])
	r.ahead.b = b[:len(b)+n]
	if err == io.EOF {
		r.ended = true
		if n > 0 {
			err = nil
		}
	}
	if n > 0 {
		return nil
	}
	return err
}

// free gives the buffer back. Nothing can be read afterwards, so what comes of
// the stream will not be decoded.
func (r *messageReader) free() {
	if !r.freed && r.conn != nil && (r.undecoded || !r.ended || r.left > 0 || len(r.unread()) > 0) {
		r.conn.decoder().abandoned(r.s.ID())
	}
	r.freed = true
	freeBuffer(&readBuffers, &r.ahead)
	r.ended = true
}

// truncated names the end of a stream inside a frame.
func truncated(err error) error {
	if err == io.EOF {
		return h3.ErrTruncatedFrame
	}
	return err
}

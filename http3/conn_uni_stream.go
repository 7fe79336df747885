package http3

import (
	"io"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
	"github.com/godwit-net/godwit/quic"
)

// uniStream reads one of the peer's unidirectional streams: the control stream,
// QPACK's two, or one to be ignored. It is fed by what there is to read and
// waits without a goroutine.
type uniStream struct {
	c     *conn
	s     *quic.Stream
	typ   h3.StreamType
	known bool   // typ was read
	rest  []byte // the beginning of a type or a frame, at most h3.MaxControlFrame
	empty emptyRun

	control h3.ControlStream
	replies qpack.DecoderStream
}

// watch begins to read a stream that the peer opened.
func (c *conn) watch(s *quic.Stream) {
	u := &uniStream{c: c, s: s}
	u.control.Server = c.server
	s.AfterReadable(u.step)
}

// step reads what there is and arranges to be called again.
func (u *uniStream) step() {
	defer u.c.q.Contain(uint64(h3.H3InternalError))
	b := getBuffer(&readBuffers)
	defer freeBuffer(&readBuffers, &b)
	n, err := u.s.Read(b.b[:cap(b.b)])
	if n > 0 {
		if verr := u.receive(b.b[:n]); verr != nil {
			u.fail(verr)
			return
		}
	}
	if err != nil {
		u.ended(err)
		return
	}
	u.s.AfterReadable(u.step)
}

// opened notes that the peer has opened a stream of type t, if it may.
func (c *conn) opened(t h3.StreamType) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.uni.Open(t)
}

// fail ends the stream or the connection, whichever the rule says.
func (u *uniStream) fail(err error) {
	e := violation(err)
	if e == nil {
		panic("BUG: " + err.Error())
	}
	if e.Stream {
		u.s.StopReading(uint64(e.Code))
		return
	}
	u.c.fail(e)
}

// ended judges the end of the stream.
func (u *uniStream) ended(err error) {
	_, reset := err.(*quic.StreamError)
	if err != io.EOF && !reset {
		return // the connection ended
	}
	if cerr := u.typ.Closed(); u.known && cerr != nil {
		u.fail(cerr)
	}
}

// receive takes the next bytes of the stream, in any portions.
func (u *uniStream) receive(b []byte) error {
	if len(u.rest) > 0 {
		b = append(u.rest, b...)
		u.rest = nil
	}
	if !u.known {
		t, n := h3.ConsumeStreamType(b)
		if n == 0 {
			u.rest = append(u.rest, b...)
			return nil
		}
		u.typ, u.known, b = t, true, b[n:]
		u.c.trace.streamType(u.s.ID(), "remote", t)
		if err := u.c.opened(t); err != nil {
			return err
		}
	}
	switch u.typ {
	case h3.StreamControl:
		return u.receiveControl(b)
	case h3.StreamQPACKEncoder:
		if len(b) == 0 {
			return nil // nothing but the type: no use of the table yet
		}
		return u.c.decoder().receive(b)
	case h3.StreamQPACKDecoder:
		return u.c.receiveReplies(&u.replies, b)
	}
	panic("BUG: a stream of type " + u.typ.String() + " is read")
}

func (u *uniStream) receiveControl(b []byte) error {
	for len(b) > 0 {
		f, n, err := u.control.Consume(b)
		if err != nil {
			return err
		}
		if n == 0 {
			// At most one frame short of its last byte, and h3 refused it if it
			// could be longer than h3.MaxControlFrame.
			u.rest = append(u.rest, b...)
			return nil
		}
		b = b[n:]
		switch f.Type {
		case h3.FrameSettings, h3.FrameGoAway, h3.FramePriorityUpdateRequest:
			u.empty = emptyRun{}
		default:
			// A long one comes in portions, of which the first counts.
			if n <= h3.MaxFrameHeader && u.empty.tooLong() {
				return errTooManyEmptyFrames
			}
		}
		u.c.receive(u.s.ID(), f)
	}
	return nil
}

package quic

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/godwit-net/godwit/internal/engine"
)

// Stream is one stream of a connection: an ordered, reliable sequence of bytes in one direction or in both. One
// goroutine may read while another writes. The sending part ends with Close, WriteFinal or Reset, the receiving part
// with io.EOF, an error, or StopReading; when both have ended nothing is left to release.
type Stream struct {
	conn *Conn
	id   int64

	early bool // opened by the peer before the handshake was done
	// Under conn.mu.
	reading, writing      waitList
	readErr, writeErr     error // what Read and Write return from now on
	readUntil, writeUntil deadline
	whenReadable          func()
	ctx                   context.Context
	cancel                context.CancelCauseFunc
	over                  error // why the context is done; nil: it is not
}

// errFinished is what Write returns after the sending part was ended by Close or WriteFinal.
var errFinished = errors.New("quic: write on a stream whose sending part has ended")

// newStream makes the handle of a stream the core knows. mu is held.
func (c *Conn) newStream(id int64) *Stream {
	s := &Stream{conn: c, id: id}
	if s.IsUni() {
		if s.local() {
			s.readErr = engine.ErrWrongDirection
		} else {
			s.writeErr = engine.ErrWrongDirection
		}
	}
	if c.streams == nil {
		c.streams = make(map[int64]*Stream)
	}
	c.streams[id] = s
	return s
}

// streamOpened hands a stream that the peer opened to the application. mu is held.
func (c *Conn) streamOpened(id int64) {
	s := c.newStream(id)
	s.early = !c.handshook
	if c.handle != nil {
		go s.run(c.handle)
		return
	}
	c.arrived = append(c.arrived, s)
	c.accepting.wake()
}

// ID returns the stream's identifier, as RFC 9000, section 2.1, numbers them.
func (s *Stream) ID() int64 { return s.id }

// IsUni reports whether the stream has one direction only.
func (s *Stream) IsUni() bool { return s.id&2 != 0 }

// local reports whether we opened the stream: clients open even ones.
func (s *Stream) local() bool { return (s.id&1 == 0) == s.conn.client }

// Conn returns the connection of the stream.
func (s *Stream) Conn() *Conn { return s.conn }

// Read reads what has arrived, at least one byte, and waits while there is none. It returns io.EOF when the peer ended
// the stream, with the last bytes already if the end is known by then, a *StreamError when the peer reset it,
// os.ErrDeadlineExceeded after the read deadline, and the connection's error when that ended. When it was the peer who
// closed the connection, what had arrived before can be read first.
func (s *Stream) Read(p []byte) (n int, err error) {
	c := s.conn
	c.mu.Lock()
	defer c.leave(&err)
	for {
		switch {
		case s.readErr != nil:
			return 0, s.readErr
		case c.err != nil && c.broken:
			return 0, c.err
		case s.readUntil.expired:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		now := c.now()
		n, fin, err := c.core.Read(now, s.id, p)
		switch {
		case err != nil && c.err != nil:
			return 0, c.err
		case err != nil:
			s.readErr = err
		case fin:
			s.readErr = io.EOF
		}
		if n > 0 || s.readErr != nil {
			c.flush(now, false) // flow control, and the end of the stream with all it frees
		}
		switch {
		case n > 0 && s.readErr == io.EOF:
			return n, io.EOF
		case n > 0:
			return n, nil
		}
		if s.readErr == nil {
			s.reading.wait(&c.mu, nil)
		}
	}
}

// Write copies p into the send buffer, waiting for room where there is none, and returns how many bytes it took: fewer
// than len(p) only with an error. It returns a *StreamError when the peer asked us to stop, and os.ErrDeadlineExceeded
// after the write deadline.
func (s *Stream) Write(p []byte) (int, error) { return s.write(p, false) }

// WriteFinal writes p and ends the sending part: bytes and end travel together, in one packet when they fit.
func (s *Stream) WriteFinal(p []byte) (int, error) { return s.write(p, true) }

func (s *Stream) write(p []byte, final bool) (n int, err error) {
	c := s.conn
	c.mu.Lock()
	defer c.leave(&err)
	for told := false; ; {
		switch {
		case s.writeErr != nil:
			return n, s.writeErr
		case c.err != nil:
			return n, c.err
		case s.writeUntil.expired:
			return n, os.ErrDeadlineExceeded
		}
		now := c.now()
		k, err := c.core.Write(now, s.id, p[n:])
		n += k
		if err != nil {
			s.writeErr = err
			return n, err
		}
		if n == len(p) {
			if final {
				s.finish()
			}
			c.flush(now, true)
			return n, nil
		}
		if k > 0 || !told { // room may have come while the lock was released: look before waiting
			told = k == 0
			c.flush(now, false)
			continue
		}
		s.writing.wait(&c.mu, nil)
		told = false
	}
}

// finish ends the sending part in the core. mu is held.
func (s *Stream) finish() {
	s.writeErr = errFinished
	if err := s.conn.core.Finish(s.conn.now(), s.id); err != nil {
		s.writeErr = err
	}
}

// Close ends the sending part after what was written; the peer reads io.EOF. It does not wait, and it leaves the
// receiving part alone. Closing twice, or after Reset, does nothing. On a stream that only the peer sends on it fails.
func (s *Stream) Close() (err error) {
	c := s.conn
	c.mu.Lock()
	defer c.leave(&err)
	switch {
	case s.writeErr == engine.ErrWrongDirection:
		return s.writeErr
	case s.writeErr != nil:
		return nil
	case c.err != nil:
		return c.err
	}
	s.finish()
	s.writing.wake()
	c.flush(c.now(), true)
	return nil
}

// Reset abandons the sending part: what was not delivered is dropped, but for what SetReliableBoundary promised, and the peer's
// Read fails with a *StreamError that carries code. After everything was delivered, or a second time, it does nothing.
func (s *Stream) Reset(code uint64) {
	mustFit(code)
	c := s.conn
	c.mu.Lock()
	defer c.leave(nil)
	if c.err != nil || s.writeErr != nil && s.writeErr != errFinished {
		return
	}
	now := c.now()
	s.writeErr = &engine.StreamError{Stream: s.id, Code: code}
	c.core.Reset(now, s.id, code)
	s.writing.wake()
	c.flush(now, false)
}

// StopReading abandons the receiving part: the peer is asked to stop sending with code, and what has arrived is dropped.
func (s *Stream) StopReading(code uint64) {
	mustFit(code)
	c := s.conn
	c.mu.Lock()
	defer c.leave(nil)
	if c.err != nil || s.readErr != nil {
		return
	}
	now := c.now()
	s.readErr = &engine.StreamError{Stream: s.id, Code: code}
	c.core.Stop(now, s.id, code)
	s.readable()
	c.flush(now, false)
}

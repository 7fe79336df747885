package quic

import (
	"io"
	"os"
)

// TryWrite is Write for short messages that must neither wait nor be sent in part: it takes all of p if the send buffer and
// the peer's flow control have room for it, and reports false and takes nothing otherwise. It does so, too, when Write
// would fail.
func (s *Stream) TryWrite(p []byte) bool { return s.tryWrite(p, true) }

// TryQueue is TryWrite, but sends nothing by itself: p leaves with whatever the connection sends next.
func (s *Stream) TryQueue(p []byte) bool { return s.tryWrite(p, false) }

func (s *Stream) tryWrite(p []byte, send bool) bool {
	c := s.conn
	c.mu.Lock()
	defer c.leave(nil)
	if s.writeErr != nil || c.err != nil {
		return false
	}
	now := c.now()
	ok, err := c.core.WriteWhole(now, s.id, p)
	if err != nil {
		s.writeErr = err
	}
	if ok && send {
		c.flush(now, true)
	}
	return ok
}

// Delivered returns how many bytes of what was written the peer's transport has acknowledged, from the first one on. They
// have arrived, though its application need not have read them.
func (s *Stream) Delivered() int64 {
	c := s.conn
	c.mu.Lock()
	defer c.leave(nil)
	if c.err != nil {
		return 0
	}
	return c.core.Delivered(s.id)
}

// Await waits until done is closed, and returns nil, or until Read cannot succeed any more, and returns what Read would:
// os.ErrDeadlineExceeded after the read deadline, a *StreamError when the peer reset the stream or StopReading was
// called, the connection's error. What has arrived stays unread, and within the peer's flow control.
func (s *Stream) Await(done <-chan struct{}) (err error) {
	c := s.conn
	c.mu.Lock()
	defer c.leave(&err)
	for {
		if s.readErr == nil && c.err == nil {
			now := c.now()
			_, fin, err := c.core.Read(now, s.id, nil)
			switch {
			case err != nil:
				s.readErr = err
				c.flush(now, false)
			case fin:
				s.readErr = io.EOF
			}
		}
		switch {
		case s.readErr != nil && s.readErr != io.EOF:
			return s.readErr
		case c.err != nil:
			return c.err
		case s.readUntil.expired:
			return os.ErrDeadlineExceeded
		}
		if !s.reading.wait(&c.mu, done) {
			return nil
		}
	}
}

package quic

import (
	"context"
	"time"
)

// SetDeadline sets both deadlines.
func (s *Stream) SetDeadline(t time.Time) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.readUntil.set(t, &s.conn.mu, &s.reading)
	s.writeUntil.set(t, &s.conn.mu, &s.writing)
	return nil
}

// SetReadDeadline makes Read fail with os.ErrDeadlineExceeded from t on; the zero time means never.
func (s *Stream) SetReadDeadline(t time.Time) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.readUntil.set(t, &s.conn.mu, &s.reading)
	return nil
}

// SetWriteDeadline makes Write fail with os.ErrDeadlineExceeded from t on; the zero time means never.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.writeUntil.set(t, &s.conn.mu, &s.writing)
	return nil
}

// Context returns a context that is done when the peer stopped or reset the stream, when both parts have ended, or
// when the connection ended; context.Cause says which. It is made when first asked for.
func (s *Stream) Context() context.Context {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancelCause(context.Background())
		if s.over != nil {
			s.cancel(s.over)
		}
	}
	return s.ctx
}

// done ends the stream's context. mu is held.
func (s *Stream) done(why error) {
	if s.over != nil {
		return
	}
	s.over = why
	if s.cancel != nil {
		s.cancel(why)
	}
}

// AfterReadable runs f once, in a goroutine of its own, when Read would not block: data, the end, a reset, or the end
// of the connection. Nothing waits meanwhile: an idle stream costs no goroutine. There is one waiter at a time: a
// second call replaces the first one's f. A read deadline does not run it.
func (s *Stream) AfterReadable(f func()) {
	c := s.conn
	c.mu.Lock()
	defer c.leave(nil)
	if s.readErr != nil || c.err != nil || c.core.Readable(s.id) {
		s.whenReadable = nil
		go f()
		return
	}
	s.whenReadable = f
}

// readable tells those who wait that Read would not block any more. mu is held.
func (s *Stream) readable() {
	s.reading.wake()
	if f := s.whenReadable; f != nil {
		s.whenReadable = nil
		go f()
	}
}

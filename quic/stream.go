package quic

import (
	"context"
	"time"
)

// Stream is one stream of a connection: an ordered, reliable sequence of bytes in one direction or in both. One
// goroutine may read while another writes. The sending part ends with Close, WriteFinal or Reset, the receiving part
// with io.EOF, an error, or StopReading; when both have ended nothing is left to release.
type Stream struct{}

// ID returns the stream's identifier, as RFC 9000, section 2.1, numbers them.
func (s *Stream) ID() int64 { panic("BUG: not yet") }

// IsUni reports whether the stream has one direction only.
func (s *Stream) IsUni() bool { panic("BUG: not yet") }

// Conn returns the connection of the stream.
func (s *Stream) Conn() *Conn { panic("BUG: not yet") }

// Read reads what has arrived, at least one byte, and waits while there is none. It returns io.EOF when the peer ended
// the stream, a *StreamError when the peer reset it, os.ErrDeadlineExceeded after the read deadline, and the
// connection's error when that ended. Bytes that arrived before the end are read first.
func (s *Stream) Read(p []byte) (int, error) { panic("BUG: not yet") }

// Write copies p into the send buffer, waiting for room where there is none, and returns how many bytes it took: fewer
// than len(p) only with an error. It returns a *StreamError when the peer asked us to stop.
func (s *Stream) Write(p []byte) (int, error) { panic("BUG: not yet") }

// WriteFinal writes p and ends the sending part: bytes and end travel together, in one packet when they fit.
func (s *Stream) WriteFinal(p []byte) (int, error) { panic("BUG: not yet") }

// Close ends the sending part after what was written; the peer reads io.EOF. It does not wait, and it leaves the
// receiving part alone. Closing twice, or after Reset, does nothing.
func (s *Stream) Close() error { panic("BUG: not yet") }

// Reset abandons the sending part: what was not delivered is dropped, and the peer's Read fails with a *StreamError
// that carries code. After the end was sent and acknowledged, or a second time, it does nothing.
func (s *Stream) Reset(code uint64) { panic("BUG: not yet") }

// StopReading abandons the receiving part: the peer is asked to stop sending with code, and what has arrived is dropped.
func (s *Stream) StopReading(code uint64) { panic("BUG: not yet") }

// SetDeadline sets both deadlines.
func (s *Stream) SetDeadline(t time.Time) error { panic("BUG: not yet") }

// SetReadDeadline makes Read fail with os.ErrDeadlineExceeded from t on; the zero time means never.
func (s *Stream) SetReadDeadline(t time.Time) error { panic("BUG: not yet") }

// SetWriteDeadline makes Write fail with os.ErrDeadlineExceeded from t on; the zero time means never.
func (s *Stream) SetWriteDeadline(t time.Time) error { panic("BUG: not yet") }

// Context returns a context that is done when the peer stopped or reset the stream, when both parts have ended, or
// when the connection ended; context.Cause says which. It is made when first asked for.
func (s *Stream) Context() context.Context { panic("BUG: not yet") }

// AfterReadable runs f once, in a goroutine of its own, when Read would not block: data, the end, a reset, or the end
// of the connection. Nothing waits meanwhile: an idle stream costs no goroutine. There is one waiter at a time: a
// second call replaces the first one's f.
func (s *Stream) AfterReadable(f func()) { panic("BUG: not yet") }

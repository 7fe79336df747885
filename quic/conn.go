package quic

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/godwit-net/godwit/qlog"
)

// Conn is a QUIC connection. Its methods may be called by many goroutines at once.
type Conn struct{}

// OpenStream opens a bidirectional stream; it waits while the peer's limit allows no further one. The peer learns of
// the stream with its first bytes.
func (c *Conn) OpenStream(ctx context.Context) (*Stream, error) { panic("BUG: not yet") }

// OpenUniStream opens a stream on which only we send; it waits as OpenStream does.
func (c *Conn) OpenUniStream(ctx context.Context) (*Stream, error) { panic("BUG: not yet") }

// AcceptStream waits for the next stream the peer opened, of either kind: Stream.IsUni tells which.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) { panic("BUG: not yet") }

// HandleStreams runs f in a new goroutine for every stream the peer opens from now on, and for those that already wait.
// It takes the place of AcceptStream and saves the goroutine that would sit in it. Streams that the peer opens after
// the connection ended are not handed out.
func (c *Conn) HandleStreams(f func(*Stream)) { panic("BUG: not yet") }

// Close closes the connection with application error code 0. Data that is still buffered is not sent.
func (c *Conn) Close() error { panic("BUG: not yet") }

// CloseWithError closes the connection with an application error code; the peer's calls fail with an *ApplicationError
// that carries code and reason. It does not wait for the peer. Closing twice does nothing.
func (c *Conn) CloseWithError(code uint64, reason string) error { panic("BUG: not yet") }

// Context returns a context that is done when the connection has ended; context.Cause of it says why.
func (c *Conn) Context() context.Context { panic("BUG: not yet") }

// Err returns why the connection ended, or nil while it lives.
func (c *Conn) Err() error { panic("BUG: not yet") }

// LocalAddr returns our address, a *net.UDPAddr; it can change when a connection migrates.
func (c *Conn) LocalAddr() net.Addr { panic("BUG: not yet") }

// RemoteAddr returns the peer's address, a *net.UDPAddr; it can change when the peer migrates.
func (c *Conn) RemoteAddr() net.Addr { panic("BUG: not yet") }

// TLS returns the state of the TLS handshake.
func (c *Conn) TLS() tls.ConnectionState { panic("BUG: not yet") }

// Stats returns what the connection has measured and counted.
func (c *Conn) Stats() ConnStats { panic("BUG: not yet") }

// Trace runs f with the connection's qlog when it has one, and does nothing otherwise. f runs under the connection's
// lock: it may only write to t.
func (c *Conn) Trace(f func(now congestionTime, t *qlog.Trace)) { panic("BUG: not yet") }

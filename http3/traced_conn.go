package http3

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/godwit-net/godwit/quic"
)

// tracedConn is what httptrace.GotConnInfo shows of a QUIC connection: its
// addresses. It is no byte stream.
type tracedConn struct{ q *quic.Conn }

func (c tracedConn) LocalAddr() net.Addr              { return c.q.LocalAddr() }
func (c tracedConn) RemoteAddr() net.Addr             { return c.q.RemoteAddr() }
func (c tracedConn) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (c tracedConn) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (c tracedConn) Close() error                     { return net.ErrClosed }
func (c tracedConn) SetDeadline(time.Time) error      { return net.ErrClosed }
func (c tracedConn) SetReadDeadline(time.Time) error  { return net.ErrClosed }
func (c tracedConn) SetWriteDeadline(time.Time) error { return net.ErrClosed }

// tlsNone is the state of a handshake that failed.
var tlsNone tls.ConnectionState

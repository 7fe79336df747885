package http3

import (
	"net/http"

	"github.com/godwit-net/godwit/quic"
)

// ClientConn is the client's side of one HTTP/3 connection. It belongs to
// whoever made it; a Transport makes its own.
type ClientConn struct {
	conn *quic.Conn
}

// NewClientConn speaks HTTP/3 on c, which has finished its handshake, with the
// settings of a zero Transport. It sends SETTINGS at once. c must not be used
// for anything else, its AcceptStream included.
func NewClientConn(c *quic.Conn) *ClientConn { panic("BUG: not yet") }

// RoundTrip sends one request on this connection and returns its response,
// whose Body must be closed. It waits, as long as the request's context
// allows, while the server's limit of concurrent streams is reached. It never
// sends a request twice: an error for which Unprocessed is true leaves that to
// the caller.
func (cc *ClientConn) RoundTrip(req *http.Request) (*http.Response, error) { panic("BUG: not yet") }

// Conn returns the QUIC connection underneath.
func (cc *ClientConn) Conn() *quic.Conn { return cc.conn }

// CanTakeRequest reports whether a new request has a chance: the connection is
// alive and the server has not sent GOAWAY.
func (cc *ClientConn) CanTakeRequest() bool { panic("BUG: not yet") }

// Running counts the requests whose response is not complete.
func (cc *ClientConn) Running() int { panic("BUG: not yet") }

// Shutdown takes no more requests and closes the connection with H3_NO_ERROR
// when the last running one is complete. It does not wait for that.
func (cc *ClientConn) Shutdown() { panic("BUG: not yet") }

// Close closes the connection at once with H3_NO_ERROR.
func (cc *ClientConn) Close() error { panic("BUG: not yet") }

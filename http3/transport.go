package http3

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"

	"github.com/godwit-net/godwit/quic"
)

// Transport is an [http.RoundTripper] for HTTP/3. It keeps one connection per
// authority (host and port) and dials it once for any number of waiting
// requests. The zero value is ready to use; the fields must not change once it
// is in use; its methods may be called from any goroutine.
//
// There is no fallback to TCP here: a host without HTTP/3 is an error.
type Transport struct {
	// TLSClientConfig is cloned for each connection; "h3" is put in front of
	// NextProtos and ServerName is the request's host unless set. nil: the
	// system's roots.
	TLSClientConfig *tls.Config

	// QUIC tunes the connections. nil: the defaults of package quic.
	QUIC *quic.Config

	// Dial opens a connection to addr ("host:port"). nil: quic.Dial. The
	// connection must have finished its handshake.
	Dial func(ctx context.Context, addr string, tlsConf *tls.Config, c *quic.Config) (*quic.Conn, error)

	// MaxResponseHeaderBytes limits a response's header section, counted as
	// decoded (RFC 9114, section 4.2.2). Trailers and each 1xx response are
	// held to the same limit. 0: 10 MiB, as net/http has it.
	MaxResponseHeaderBytes int64

	// DisableCompression stops the Transport from asking for gzip on its own
	// and decoding it silently. As in net/http that happens only when the
	// request has no Accept-Encoding and no Range header and is not HEAD.
	DisableCompression bool

	// Logger receives what no caller can be told. nil: slog.Default().
	Logger *slog.Logger

	pool pool
}

// RoundTrip sends one request and returns its response, whose Body must be
// closed. The URL's scheme must be https.
//
// A request that certainly was not processed (the server said so by GOAWAY or
// H3_REQUEST_REJECTED, or its connection ended before anything was sent) is
// sent again on a fresh connection, provided that it has no body or a GetBody.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) { panic("BUG: not yet") }

// CloseIdleConnections closes the connections on which no request is running.
func (t *Transport) CloseIdleConnections() { panic("BUG: not yet") }

// Close closes all connections, running requests or not. Further requests
// fail with net.ErrClosed.
func (t *Transport) Close() error { panic("BUG: not yet") }

// NewClientConn speaks HTTP/3 on c with the settings of t, outside of its pool.
func (t *Transport) NewClientConn(c *quic.Conn) *ClientConn { panic("BUG: not yet") }

type pool struct{}

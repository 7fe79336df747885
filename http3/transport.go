package http3

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
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
	//
	// With its EarlyData, requests with the methods GET, HEAD and OPTIONS and
	// without content are sent in 0-RTT where an earlier connection's session
	// allows it, and again after the handshake when the server answers 425 (Too
	// Early); all others wait for the handshake. Sessions are kept in
	// TLSClientConfig.ClientSessionCache, or in the Transport if that is nil.
	QUIC *quic.Config

	// Dial opens a connection to addr ("host:port"). nil: quic.Dial. The
	// connection must have finished its handshake or use 0-RTT.
	Dial func(ctx context.Context, addr string, tlsConf *tls.Config, c *quic.Config) (*quic.Conn, error)

	// MaxResponseHeaderBytes limits a response's header section, counted as
	// decoded (RFC 9114, section 4.2.2). Trailers and each 1xx response are
	// held to the same limit. 0: 10 MiB, as net/http has it.
	MaxResponseHeaderBytes int64

	// DisableCompression stops the Transport from asking for gzip on its own
	// and decoding it silently. As in net/http that happens only when the
	// request has no Accept-Encoding and no Range header and is not HEAD.
	DisableCompression bool

	// ExpectContinueTimeout is how long a request with "Expect: 100-continue"
	// waits for the server's word before it sends its content all the same.
	// 0: 1 second.
	ExpectContinueTimeout time.Duration

	// Logger receives the panics of Dial and, at level Debug, why a connection
	// was closed on a server that broke a rule. nil: slog.Default().
	Logger *slog.Logger

	pool pool

	sessionsOnce sync.Once
	sessionCache tls.ClientSessionCache
}

// sessions is the Transport's own session cache.
func (t *Transport) sessions() tls.ClientSessionCache {
	t.sessionsOnce.Do(func() { t.sessionCache = tls.NewLRUClientSessionCache(maxSessions) })
	return t.sessionCache
}

// RoundTrip sends one request and returns its response, whose Body must be
// closed. The URL's scheme must be https.
//
// A request that certainly was not processed (the server said so by GOAWAY or
// H3_REQUEST_REJECTED, or its connection ended before anything was sent) is
// sent again on a fresh connection, provided that it has no body or a GetBody.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkRequest(req); err != nil {
		closeBody(req)
		return nil, err
	}
	ctx := req.Context()
	addr := authority(req.URL.Host)
	for attempt := 1; ; attempt++ {
		cc, err := t.pool.get(ctx, t, addr)
		if err != nil {
			closeBody(req)
			return nil, err
		}
		res, early, err := cc.roundTripFirst(req)
		// What went in 0-RTT is safe: when no handshake came of it, it is sent again.
		failed := err != nil && early && !cc.shaken.Load() && !cc.q.TLS().HandshakeComplete
		if err == nil || !(failed || Unprocessed(err)) || ctx.Err() != nil || attempt == maxAttempts {
			return res, err
		}
		again, ok := rewind(req)
		if !ok {
			return nil, err
		}
		req = again
		t.pool.discard(addr, cc)
	}
}

// rewind returns req with its content at the beginning again.
func rewind(req *http.Request) (again *http.Request, ok bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again = new(http.Request)
	*again = *req
	again.Body = body
	return again, true
}

// CloseIdleConnections closes the connections on which no request is running.
func (t *Transport) CloseIdleConnections() {
	for _, cc := range t.pool.all() {
		cc.closeIfIdle()
	}
}

// Close closes all connections, running requests or not. Further requests
// fail with net.ErrClosed.
func (t *Transport) Close() error {
	for _, cc := range t.pool.close() {
		cc.Close()
	}
	return nil
}

// dial opens a connection to addr.
func (t *Transport) dial(ctx context.Context, addr string) (*ClientConn, error) {
	dial := t.Dial
	if dial == nil {
		dial = quic.Dial
	}
	tlsConf := ConfigureTLS(t.TLSClientConfig)
	if t.QUIC != nil && t.QUIC.EarlyData && tlsConf.ClientSessionCache == nil {
		tlsConf.ClientSessionCache = t.sessions()
	}
	if tlsConf.ServerName == "" {
		tlsConf.ServerName, _, _ = net.SplitHostPort(removeZone(addr))
	}
	q, err := dial(ctx, addr, tlsConf, t.QUIC)
	if err != nil {
		return nil, err
	}
	// With 0-RTT the protocol is the one before, until the handshake is done.
	if s := q.TLS(); s.HandshakeComplete && s.NegotiatedProtocol != NextProto {
		p := s.NegotiatedProtocol
		q.CloseWithError(uint64(h3.H3NoError), "")
		return nil, fmt.Errorf("http3: %s chose protocol %q", addr, p)
	}
	return t.NewClientConn(q), nil
}

// dialTraced is dial with the trace of a request around it. It runs in a
// goroutine that belongs to nobody: a panic becomes the error of all who wait.
func (t *Transport) dialTraced(ctx context.Context, addr string) (cc *ClientConn, err error) {
	defer func() {
		if r := recover(); r != nil {
			if cc != nil {
				cc.Close()
			}
			cc, err = nil, t.dialPanicked(r)
		}
	}()
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	cc, err = t.dial(ctx, addr)
	if trace != nil && trace.TLSHandshakeDone != nil {
		if err == nil {
			trace.TLSHandshakeDone(*cc.tlsState(), nil)
		} else {
			trace.TLSHandshakeDone(tlsNone, err)
		}
	}
	return cc, err
}

func (t *Transport) log() *slog.Logger {
	if t.Logger != nil {
		return t.Logger
	}
	return slog.Default()
}

// wantsGzip reports whether to ask for gzip without being asked: as net/http
// has it, "if the user has set Range, we can't know".
func (t *Transport) wantsGzip(req *http.Request) bool {
	return !t.DisableCompression && req.Header.Get("Accept-Encoding") == "" && req.Header.Get("Range") == "" &&
		req.Method != http.MethodHead && req.Method != http.MethodConnect
}

func (t *Transport) maxResponseHeaderBytes() int {
	if t.MaxResponseHeaderBytes > 0 {
		return int(min(t.MaxResponseHeaderBytes, math.MaxInt32))
	}
	return defaultMaxResponseHeaderBytes
}

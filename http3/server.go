package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// Server runs an [http.Handler] on QUIC connections. Its zero value with a
// TLSConfig is ready to use. The fields must not change once it serves; its
// methods may be called from any goroutine.
type Server struct {
	// Handler answers the requests. nil: http.DefaultServeMux.
	Handler http.Handler

	// TLSConfig holds the certificates. It is cloned; "h3" is put in front of
	// NextProtos where it is missing. Only ListenAndServe uses it.
	TLSConfig *tls.Config

	// QUIC tunes the connections of ListenAndServe. nil: the defaults of
	// package quic.
	QUIC *quic.Config

	// MaxHeaderBytes limits the header section of a request, counted as
	// decoded: the bytes of every name and value and 32 for each field
	// (RFC 9114, section 4.2.2). It is announced to clients, and a request
	// above it is answered with 431. 0: http.DefaultMaxHeaderBytes, 1 MiB.
	// Trailers are held to the same limit.
	MaxHeaderBytes int

	// ReadHeaderTimeout limits how long a request may take from its first byte
	// to the end of its header section. 0: 10 seconds. Negative: no limit.
	ReadHeaderTimeout time.Duration

	// ReadTimeout limits the whole reading of a request, its body included,
	// from its first byte. 0: no limit. A handler may move it with
	// http.ResponseController.SetReadDeadline.
	ReadTimeout time.Duration

	// WriteTimeout limits the time from the end of the header section to the
	// last write of the response. 0: no limit. A handler may move it with
	// http.ResponseController.SetWriteDeadline.
	WriteTimeout time.Duration

	// IdleTimeout closes, with GOAWAY and H3_NO_ERROR, a connection on which no
	// request has run for so long, however lively its transport is. 0: only
	// the idle timeout of QUIC ends it.
	IdleTimeout time.Duration

	// Origins are what clients are told by an ORIGIN frame (RFC 9412) that they
	// may ask for on the same connection: "https://example.com",
	// "https://example.com:8443". The certificate has to hold for them. nil:
	// clients are told nothing. At most a few dozen: a client need not read
	// more than 4 KiB of it.
	Origins []string

	// ConnectProtocols are the protocols that extended CONNECT may ask for (RFC 9220),
	// those that Handler knows to speak in a Tunnel: "websocket", "connect-udp". Clients
	// are told that there are such, and requests for others are answered with 501. A
	// handler finds which in r.Header.Get(":protocol"), and the rest of the request is as
	// with GET. It must not be set for handlers that only know the upgrade of HTTP/1.1:
	// browsers that may use extended CONNECT need not try that. nil: none.
	ConnectProtocols []string

	// ShareEqually has the responses of a connection take turns, whatever
	// clients and handlers say about priorities: for connections that bring
	// the requests of many users, whose urgencies are not to be held against
	// each other (RFC 9218, section 13.1). false: urgent responses go first.
	ShareEqually bool

	// ConnContext, when not nil, may derive the context that the requests of a
	// connection inherit; it holds http.ServerContextKey and
	// http.LocalAddrContextKey already and ends with the connection.
	ConnContext func(ctx context.Context, c *quic.Conn) context.Context

	// Logger receives the panics and other errors of handlers and, at level
	// Debug, why a connection was closed on a client that broke a rule.
	// nil: slog.Default().
	Logger *slog.Logger

	serverState
}

// Stats is what a Server has done and is doing. All numbers are counts.
type Stats struct {
	Conns    int   // open connections
	Running  int   // requests under way: from their first byte until their handler has returned and their stream is ended
	Requests int64 // requests handed to the handler since the start
	Rejected int64 // requests refused with H3_REQUEST_REJECTED since the start
	Panics   int64 // handlers that panicked, http.ErrAbortHandler not counted

	Compression CompressionStats
}

// ListenAndServe listens on the UDP address addr ("127.0.0.1:8443", ":443";
// empty: ":443") and serves until Shutdown or Close. Its error is never nil;
// after Shutdown or Close it is http.ErrServerClosed.
func (s *Server) ListenAndServe(addr string) error {
	if addr == "" {
		addr = ":443"
	}
	e, err := quic.Listen(addr, ConfigureTLS(s.TLSConfig), s.QUIC)
	if err != nil {
		return err
	}
	defer e.Close()
	return s.Serve(e)
}

// Serve accepts the connections of e and serves them until e or s is closed.
// The endpoint's TLS configuration must offer "h3" (see ConfigureTLS); a
// connection that chose another protocol is closed at once. Serve does not
// close e unless s is closed or shut down. Its error is never nil; after Shutdown
// or Close it is http.ErrServerClosed.
func (s *Server) Serve(e *quic.Endpoint) error {
	if err := s.track(e); err != nil {
		return err
	}
	e.SetEarlyState(s.earlyState())
	defer s.untrack(e)
	for {
		q, err := e.Accept(context.Background())
		if err != nil {
			if s.isClosed() {
				return http.ErrServerClosed
			}
			return err
		}
		if p := q.TLS().NegotiatedProtocol; p != NextProto {
			q.CloseWithError(uint64(h3.H3GeneralProtocolError), "this server speaks h3, not "+strconv.Quote(p))
			continue
		}
		go s.open(q)
	}
}

// ServeConn serves one connection, whatever protocol it negotiated, and
// returns when it ended: nil when either side ended it in peace (H3_NO_ERROR,
// idle timeout), http.ErrServerClosed when s is shut down already, and
// otherwise the reason.
func (s *Server) ServeConn(q *quic.Conn) error {
	if !s.open(q) && s.isClosed() {
		return http.ErrServerClosed
	}
	<-q.Context().Done()
	err := publicError(q.Err())
	if e, ok := err.(*Error); ok && e.Code == NoError || errors.Is(err, quic.ErrIdleTimeout) {
		return nil
	}
	return err
}

// open begins to serve q. It returns false when s is closed, and q then is too.
func (s *Server) open(q *quic.Conn) bool {
	defer q.Contain(uint64(h3.H3InternalError))
	c := newServerConn(s, q)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.close()
		return false
	}
	if s.conns == nil {
		s.conns = make(map[*serverConn]struct{})
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	context.AfterFunc(q.Context(), func() { s.forget(c) })
	c.serve()
	return true
}

// forget drops a connection that ended.
func (s *Server) forget(c *serverConn) {
	c.mu.Lock()
	if c.idle != nil {
		c.idle.Stop()
	}
	c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.emptied != nil {
		close(s.emptied)
		s.emptied = nil
	}
}

// Shutdown ends the server gracefully: it stops accepting, sends GOAWAY on
// every connection, refuses requests that come later with H3_REQUEST_REJECTED,
// waits for the running ones and closes each connection with H3_NO_ERROR when
// its last request is done. A connection without a running request is closed
// at once, so a client that vanished delays nothing. When ctx ends first, what
// is left is closed as Close does it and ctx's error is returned.
// A Server that was shut down cannot serve again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	conns := slices.Collect(maps.Keys(s.conns))
	endpoints := slices.Collect(maps.Keys(s.endpoints))
	if len(conns) > 0 && s.emptied == nil {
		s.emptied = make(chan struct{})
	}
	emptied := s.emptied
	s.mu.Unlock()

	// An endpoint that shuts down refuses new connections; when its context
	// ends it closes.
	refusing, closeAll := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	for _, e := range endpoints {
		ended.Go(func() { e.Shutdown(refusing) })
	}
	defer ended.Wait()
	defer closeAll()

	for _, c := range conns {
		c.drain()
	}
	if emptied == nil {
		return ctx.Err()
	}
	select {
	case <-emptied:
		return nil
	case <-ctx.Done():
		s.Close()
		return ctx.Err()
	}
}

// Close closes all connections at once with H3_NO_ERROR, running requests or not, and
// the endpoints given to Serve. It does not wait for handlers: their contexts
// end and their writes fail.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	conns := slices.Collect(maps.Keys(s.conns))
	endpoints := slices.Collect(maps.Keys(s.endpoints))
	s.mu.Unlock()
	for _, c := range conns {
		c.close()
	}
	var err error
	for _, e := range endpoints {
		err = errors.Join(err, e.Close())
	}
	return err
}

// Stats counts what s has done so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	conns := len(s.conns)
	s.mu.Unlock()
	return Stats{
		Conns:    conns,
		Running:  int(s.running.Load()),
		Requests: s.requests.Load(),
		Rejected: s.rejected.Load(),
		Panics:   s.panics.Load(),

		Compression: s.compression.stats(),
	}
}

// ConfigureTLS returns a copy of c (nil: an empty configuration) that offers
// HTTP/3: "h3" is put in front of NextProtos unless it is among them. Others stay,
// so that one configuration may serve an endpoint with several protocols.
func ConfigureTLS(c *tls.Config) *tls.Config {
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS13}
	} else {
		c = c.Clone()
	}
	if !slices.Contains(c.NextProtos, NextProto) {
		c.NextProtos = append([]string{NextProto}, c.NextProtos...)
	}
	return c
}

// serverState is what a Server knows about itself.
type serverState struct {
	running, requests, rejected, panics atomic.Int64

	compression compressionCounters

	mu        sync.Mutex
	closed    bool // shut down or closed: nothing new is served
	conns     map[*serverConn]struct{}
	endpoints map[*quic.Endpoint]struct{}
	emptied   chan struct{} // closed when the last connection has ended; made by Shutdown
}

// track notes an endpoint that s accepts from.
func (s *Server) track(e *quic.Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return http.ErrServerClosed
	}
	if s.endpoints == nil {
		s.endpoints = make(map[*quic.Endpoint]struct{})
	}
	s.endpoints[e] = struct{}{}
	return nil
}

func (s *Server) untrack(e *quic.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed { // otherwise Shutdown and Close still need it
		delete(s.endpoints, e)
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) log() *slog.Logger {
	if s.Logger != nil {
		return s.Logger
	}
	return slog.Default()
}

func (s *Server) maxHeaderBytes() int {
	if s.MaxHeaderBytes > 0 {
		return s.MaxHeaderBytes
	}
	return http.DefaultMaxHeaderBytes
}

// announced is what s tells clients about itself.
func (s *Server) announced() h3.Settings {
	settings := announced(s.maxHeaderBytes())
	settings.EnableConnectProtocol = len(s.ConnectProtocols) > 0
	return settings
}

func (s *Server) readHeaderTimeout() time.Duration {
	if s.ReadHeaderTimeout == 0 {
		return defaultReadHeaderTimeout
	}
	return s.ReadHeaderTimeout
}

package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// Server is a gateway. It is used once: New, Listen, Serve.
type Server struct {
	plan  *plan
	site  http.Handler
	proxy *proxy // nil: the demo site

	// Set by Listen.
	udp    *quic.Endpoint
	tcp    net.Listener // nil: UDP only
	keyLog *os.File     // nil: none
	h3     *http3.Server
	h1     *http.Server // HTTP/1.1 and HTTP/2; nil: UDP only

	// life ends with Serve: upgraded connections, which nobody waits for, end with it.
	life context.Context
	end  context.CancelFunc
}

// New checks c and makes a Server of it. It opens nothing; its error is a *ConfigError.
func New(c Config) (*Server, error) {
	p, err := compile(c)
	if err != nil {
		return nil, err
	}
	s := &Server{plan: p}
	s.life, s.end = context.WithCancel(context.Background())
	if p.target == nil {
		s.site = newDemo()
	} else {
		s.proxy = newProxy(p.target, p.Logger, os.DirFS("/"))
		s.site = s.proxy
	}
	return s, nil
}

// Certificate describes the certificate that clients are shown.
func (s *Server) Certificate() Certificate { return s.plan.cert.describe() }

// Addr returns the address of the socket, with the port that was chosen if Config left that to the system. TCP and UDP
// have the same. It must not be called before Listen.
func (s *Server) Addr() *net.UDPAddr { return s.udp.Addr().(*net.UDPAddr) }

// Serve serves until ctx is done, then refuses new connections, lets running requests end for the time of Config.Grace,
// and closes what is left. A client that vanished delays it no longer than that. The error is nil, or why a socket
// could not be served any more. The Server is closed when Serve returns, and the last line of the log counts what there was.
func (s *Server) Serve(ctx context.Context) error {
	ended := make(chan error, 2)
	go func() { ended <- s.h3.Serve(s.udp) }()
	if s.tcp != nil {
		go func() { ended <- s.h1.ServeTLS(s.tcp, "", "") }()
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
		if errors.Is(failed, http.ErrServerClosed) || errors.Is(failed, quic.ErrClosed) {
			failed = nil // by Close
		}
	}
	s.drain()
	s.LogCounters("served")
	return failed
}

// newServers makes the servers of the sockets that are bound.
func (s *Server) newServers() {
	s.h3 = &http3.Server{Handler: s.handler(""), IdleTimeout: idleTimeout, Logger: s.plan.Logger}
	if s.plan.target == nil {
		s.h3.ConnectProtocols = []string{"websocket"}
	}
	if s.tcp != nil {
		s.h1 = s.newTCPServer()
	}
}

// newTCPServer makes the server of HTTP/1.1 and HTTP/2.
func (s *Server) newTCPServer() *http.Server {
	return &http.Server{
		Handler:           s.handler(fmt.Sprintf(`h3=":%d"; ma=86400`, s.Addr().Port)),
		TLSConfig:         s.tlsConfig(tls.VersionTLS12, "h2", "http/1.1"),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          log.New(errorLog{s.plan.Logger}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return s.life },
	}
}

// drain ends the servers within the grace period.
func (s *Server) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), s.plan.Grace)
	defer cancel()
	var late sync.Map // which server did not end in time
	var ended sync.WaitGroup
	shutdown := func(name string, f func(context.Context) error) {
		ended.Go(func() {
			if errors.Is(f(ctx), context.DeadlineExceeded) {
				late.Store(name, true)
			}
		})
	}
	shutdown("HTTP/3", s.h3.Shutdown)
	if s.h1 != nil {
		shutdown("TCP", s.h1.Shutdown)
	}
	ended.Wait()
	for name := range late.Range {
		s.plan.Logger.Warn("the grace period is over: what was still running is cut off", "on", name, "grace", s.plan.Grace)
	}
	s.Close()
}

// Close closes everything at once. Serve, if it runs, returns.
func (s *Server) Close() error {
	s.end()
	var err error
	for _, c := range []struct {
		open  bool
		close func() error
	}{
		{s.h3 != nil, func() error { return s.h3.Close() }},
		{s.h1 != nil, func() error { return s.h1.Close() }},
		{s.udp != nil, func() error { return s.udp.Close() }},
		{s.tcp != nil, func() error { return ignoreClosed(s.tcp.Close()) }},
		{s.keyLog != nil, func() error { return ignoreClosed(s.keyLog.Close()) }},
	} {
		if c.open {
			err = errors.Join(err, c.close())
		}
	}
	if s.proxy != nil {
		s.proxy.transport.CloseIdleConnections()
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// tlsConfig is the configuration of one of the sockets.
func (s *Server) tlsConfig(floor uint16, protocols ...string) *tls.Config {
	c := &tls.Config{GetCertificate: s.plan.cert.get, MinVersion: floor, NextProtos: protocols}
	if s.keyLog != nil {
		c.KeyLogWriter = s.keyLog
	}
	return c
}

// errorLog receives what net/http has to say. That a client did not like our certificate, or spoke plain HTTP, is of
// interest to few.
type errorLog struct{ log *slog.Logger }

var _ io.Writer = errorLog{}

func (e errorLog) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	text := strings.TrimSpace(string(line))
	if strings.HasPrefix(text, "http: TLS handshake error") || strings.HasPrefix(text, "http2:") {
		level = slog.LevelDebug
	}
	e.log.Log(context.Background(), level, text)
	return len(line), nil
}

package tunnel

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

// EntryConfig says what an entry needs to know.
type EntryConfig struct {
	// Token is the exit's.
	Token Token

	// Silence is how long the exit may be silent while requests are under way before they fail and the exit is tried
	// anew. Default 3 seconds.
	Silence time.Duration

	// Logger receives when the tunnel is up and when it is away, and why. nil: slog.Default().
	Logger *slog.Logger
}

// Entry is the end of the tunnel that clients see: an HTTP/1.1 server. It does not need the exit to start, and looks for
// it for ever. Its methods may be called by many goroutines at once.
type Entry struct {
	log      *slog.Logger
	listener net.Listener
	server   http.Server
	proxy    *httputil.ReverseProxy
	link     *link

	ctx  context.Context // of the link
	stop context.CancelFunc
	done sync.WaitGroup
}

// ListenEntry opens the TCP address addr ("127.0.0.1:8081") for clients. Nothing is served, and the exit not called, before
// Serve is called. Whoever can reach addr can use the tunnel.
func ListenEntry(addr string, c EntryConfig) (*Entry, error) {
	if err := c.Token.check(); err != nil {
		return nil, err
	}
	e := &Entry{log: c.Logger}
	if e.log == nil {
		e.log = slog.Default()
	}
	silence := c.Silence
	if silence <= 0 {
		silence = defaultSilence
	}
	e.link = newLink(c.Token, silence, e.log)
	var err error
	if e.listener, err = net.Listen("tcp", addr); err != nil {
		return nil, err
	}
	quiet := slog.NewLogLogger(e.log.Handler(), slog.LevelDebug)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	e.proxy = e.newProxy(quiet)
	e.server = http.Server{
		Handler:           http.HandlerFunc(e.serve),
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          quiet,
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e, nil
}

// Addr is the address that clients talk to.
func (e *Entry) Addr() *net.TCPAddr { return e.listener.Addr().(*net.TCPAddr) }

// Serve connects to the exit and serves clients until Shutdown or Close; it then returns nil.
func (e *Entry) Serve() error {
	e.done.Go(func() { e.link.run(e.ctx) })
	if err := e.server.Serve(e.listener); err != http.ErrServerClosed {
		e.stop()
		return err
	}
	return nil
}

// Shutdown takes no more requests, waits for those under way, and closes everything. When ctx ends first, what is left is
// closed at once and ctx's error returned.
func (e *Entry) Shutdown(ctx context.Context) error {
	err := e.server.Shutdown(ctx)
	if err != nil {
		e.server.Close()
	}
	e.stop()
	e.done.Wait()
	return err
}

// Close closes everything at once, requests under way included.
func (e *Entry) Close() error {
	err := e.server.Close()
	e.stop()
	e.done.Wait()
	return err
}

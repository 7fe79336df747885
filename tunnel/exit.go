package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// ExitConfig says what an exit needs to know.
type ExitConfig struct {
	// To is the platform: "http://host:port" or "https://host:port", without path or anything else.
	To *url.URL

	// Key is who the exit is. nil: a new one, which nobody can keep but through Exit.Key.
	Key *Key

	// Logger receives which entries come and go, and failures of the platform. nil: slog.Default().
	Logger *slog.Logger
}

// Exit is the end of the tunnel that the platform sees. Its methods may be called by many goroutines at once.
type Exit struct {
	key       *Key
	to        *url.URL
	log       *slog.Logger
	endpoint  *quic.Endpoint
	server    http3.Server
	upstream  *http.Transport
	proxy     *httputil.ReverseProxy
	container bool // InContainer, for the hint that goes with a refused 127.0.0.1
}

// ListenExit opens the UDP address addr (":4433", "127.0.0.1:0") for entries. Nothing is served before Serve is called.
func ListenExit(addr string, c ExitConfig) (*Exit, error) {
	if err := CheckPlatform(c.To); err != nil {
		return nil, err
	}
	x := &Exit{key: c.Key, to: c.To, log: c.Logger, container: InContainer()}
	if x.key == nil {
		x.key = NewKey()
	}
	if x.log == nil {
		x.log = slog.Default()
	}
	var err error
	x.endpoint, err = quic.Listen(addr, x.key.exitTLS(), &quic.Config{
		MaxIdleTimeout: idleTimeout,
		Windows:        windows,
		MaxStreams:     maxRequests,
		Secret:         x.key.quicSecret(),
		Logger:         x.log,
	})
	if err != nil {
		return nil, err
	}
	x.server = http3.Server{Handler: http.HandlerFunc(x.serve), MaxHeaderBytes: maxHeaderBytes, Logger: x.log, ShareEqually: true}
	x.upstream = platformTransport()
	x.proxy = x.newProxy()
	return x, nil
}

// CheckPlatform says, in one line, what is wrong with a URL as ExitConfig.To; nil: nothing.
func CheckPlatform(u *url.URL) error {
	switch {
	case u == nil:
		return errors.New("tunnel: the platform's URL is missing")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is no URL of a platform: http://HOST:PORT is wanted", u)
	case u.Hostname() == "":
		return fmt.Errorf("%q names no host: http://HOST:PORT is wanted", u)
	case u.User != nil:
		return fmt.Errorf("%q holds a user name, which the tunnel would not send", u.Redacted())
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		// A prefix would have to be taken out of redirects, cookies and pages again.
		return fmt.Errorf("%q has more than a host and a port: the tunnel does not change paths", u)
	}
	return nil
}

// Addr is the address of the UDP socket.
func (x *Exit) Addr() *net.UDPAddr { return x.endpoint.Addr().(*net.UDPAddr) }

// Key is the exit's key.
func (x *Exit) Key() *Key { return x.key }

// Features describes the UDP socket in one line for a log.
func (x *Exit) Features() string { return x.endpoint.Features() }

// Serve serves entries until Shutdown or Close; it then returns nil.
func (x *Exit) Serve() error {
	for {
		q, err := x.endpoint.Accept(context.Background())
		if errors.Is(err, quic.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go x.serveConn(q)
	}
}

// serveConn serves one entry, which has proved that it is one.
func (x *Exit) serveConn(q *quic.Conn) {
	defer q.Contain(uint64(http3.InternalError))
	remote := q.RemoteAddr()
	x.log.Info("entry connected", "from", remote)
	if err := x.server.ServeConn(q); err != nil && !errors.Is(err, http.ErrServerClosed) {
		x.log.Info("entry gone", "from", remote, "reason", err)
		return
	}
	x.log.Info("entry gone", "from", remote)
}

// Shutdown refuses new entries and new requests, waits for those under way, and closes everything. When ctx ends first,
// what is left is closed at once and ctx's error returned.
func (x *Exit) Shutdown(ctx context.Context) error {
	// The endpoint refuses connections as soon as it shuts down; it must not outlive those that the server drains.
	refusing, closeAll := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { x.endpoint.Shutdown(refusing) })
	err := x.server.Shutdown(ctx)
	closeAll()
	ended.Wait()
	x.upstream.CloseIdleConnections()
	return err
}

// Close closes everything at once, requests under way included.
func (x *Exit) Close() error {
	err := errors.Join(x.server.Close(), x.endpoint.Close())
	x.upstream.CloseIdleConnections()
	return err
}

package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
)

// protocols are what a client may ask the gateway with.
var protocols = []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"}

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// running is a gateway that serves.
type running struct {
	*Server
	t    *testing.T
	logs *logBuffer
	base string // https://127.0.0.1:port
	stop func() error
}

// start runs a gateway on a port of its own until the test ends.
func start(t *testing.T, c Config) *running {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	logs := new(logBuffer)
	if c.Logger == nil {
		c.Logger = newLogger(logs)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	r := &running{Server: s, t: t, logs: logs, base: fmt.Sprintf("https://127.0.0.1:%d", s.Addr().Port)}
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

// transport returns a RoundTripper that speaks one protocol and accepts any certificate.
func transport(t *testing.T, protocol string) http.RoundTripper {
	conf := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if protocol == "HTTP/3.0" {
		rt := &http3.Transport{TLSClientConfig: conf, DisableCompression: true}
		t.Cleanup(func() { rt.Close() })
		return rt
	}
	var p http.Protocols
	p.SetHTTP1(protocol == "HTTP/1.1")
	p.SetHTTP2(protocol == "HTTP/2.0")
	rt := &http.Transport{TLSClientConfig: conf, Protocols: &p, DisableCompression: true}
	t.Cleanup(rt.CloseIdleConnections)
	return rt
}

// within gives a test's requests an end, so that a hang is a failure and not a timeout of the whole run.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// answered is a response as it was read.
type answered struct {
	status  int
	proto   string
	header  http.Header
	trailer http.Header
	body    string
}

// do sends one request and reads its response.
func (r *running) do(rt http.RoundTripper, method, path string, header http.Header, body io.Reader) answered {
	r.t.Helper()
	req, err := http.NewRequestWithContext(within(r.t), method, r.base+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answered{res.StatusCode, res.Proto, res.Header, res.Trailer, string(content)}
}

// everyProtocol runs f once for each protocol, with a client that speaks it.
func everyProtocol(t *testing.T, f func(t *testing.T, protocol string, rt http.RoundTripper)) {
	for _, protocol := range protocols {
		t.Run(strings.TrimSuffix(protocol, ".0"), func(t *testing.T) { f(t, protocol, transport(t, protocol)) })
	}
}

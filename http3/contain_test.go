package http3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// burningLog is a slog.Handler that panics once it is lit: what logs does so where this package does its own work.
type burningLog struct{ lit *atomic.Bool }

func (burningLog) Enabled(context.Context, slog.Level) bool { return true }
func (b burningLog) WithAttrs([]slog.Attr) slog.Handler     { return b }
func (b burningLog) WithGroup(string) slog.Handler          { return b }

func (b burningLog) Handle(context.Context, slog.Record) error {
	if b.lit.CompareAndSwap(true, false) {
		panic("the log has burnt down")
	}
	return nil
}

// halves answers with content of which the second half waits.
type halves struct {
	content []byte
	wait    chan struct{}
}

func newHalves() *halves {
	h := &halves{make([]byte, 1<<20), make(chan struct{})}
	rand.Read(h.content)
	return h
}

func (h *halves) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		if tunnel, err := http3.TakeTunnel(w); err == nil {
			go io.Copy(io.Discard, tunnel) // as proxies do it: nobody recovers there
			<-r.Context().Done()
		}
		return
	}
	switch r.URL.Path {
	case "/panic":
		panic("the handler has burnt down")
	case "/echo":
		io.Copy(w, r.Body)
	case "/halves":
		half := len(h.content) / 2
		w.Write(h.content[:half])
		http.NewResponseController(w).Flush()
		<-h.wait
		w.Write(h.content[half:])
	}
}

// begin fetches the first half; finish does the rest.
func (h *halves) begin(t *testing.T, c *http.Client, url string) (finish func()) {
	t.Helper()
	res, err := c.Get(url + "/halves")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(h.content)/2)
	if _, err := io.ReadFull(res.Body, got); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		close(h.wait)
		rest, err := io.ReadAll(res.Body)
		if res.Body.Close(); err != nil || !bytes.Equal(append(got, rest...), h.content) {
			t.Errorf("what came is not what was sent: %v", err)
		}
	}
}

// echoes sees to it that a server answers.
func echoes(t *testing.T, c *http.Client, url string) {
	t.Helper()
	res, err := c.Post(url+"/echo", "", strings.NewReader("still there"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); string(got) != "still there" || err != nil {
		t.Errorf("%q came back, %v", got, err)
	}
}

// oneStack wants one line with a stack in a log.
func oneStack(t *testing.T, l *logged, more string) {
	t.Helper()
	waitFor(t, "a line in the log", func() bool { return strings.Contains(l.String(), "level=ERROR") })
	if text := l.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "burnt down") || !strings.Contains(text, "stack=") || !strings.Contains(text, more) {
		t.Errorf("the log says: %s", text)
	}
}

// TestAPanicOutsideOfHandlersEndsOneConnection has a server panic as it reads what a client says, once for each kind of stream. That
// connection ends and is counted; another one, in the middle of a response, notices nothing.
func TestAPanicOutsideOfHandlersEndsOneConnection(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(t *testing.T, c *quic.Conn)
	}{
		{"the control stream", func(t *testing.T, c *quic.Conn) { openUni(t, c, uni(h3.StreamControl, frame(h3.FrameData))) }},
		{"the encoder stream", func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamQPACKEncoder, []byte{0x3f, 0xff, 0xff, 0x7f}))
		}},
		{"the decoder stream", func(t *testing.T, c *quic.Conn) { openUni(t, c, uni(h3.StreamQPACKDecoder, []byte{0x81})) }},
		{"the beginning of a stream", func(t *testing.T, c *quic.Conn) {
			openUni(t, c, uni(h3.StreamControl, settings))
			openUni(t, c, uni(h3.StreamControl, settings))
		}},
		{"the end of a stream", func(t *testing.T, c *quic.Conn) { openUni(t, c, uni(h3.StreamControl, settings)).Close() }},
		{"the header of a request", func(t *testing.T, c *quic.Conn) { openRequest(t, c, frame(h3.FrameData, 1)) }},
		{"the content of a request", func(t *testing.T, c *quic.Conn) {
			openRequest(t, c, join(headers(":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/echo"), frame(h3.FrameSettings)))
		}},
		{"the content of a tunnel", func(t *testing.T, c *quic.Conn) {
			openRequest(t, c, join(headers(":method", "CONNECT", ":authority", "localhost:80"), frame(h3.FrameSettings)))
		}},
		{"what became of our control stream", func(t *testing.T, c *quic.Conn) {
			s, err := c.AcceptStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.StopReading(0)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lit atomic.Bool
			var log logged
			content := newHalves()
			h := start(t, content, func(s *http3.Server) {
				s.Logger = slog.New(burningLog{&lit})
				s.QUIC = &quic.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			})
			finish := content.begin(t, h.Client, h.URL)
			c := h.dial(t)
			lit.Store(true)
			test.do(t, c)
			<-c.Context().Done()
			var e *quic.ApplicationError
			if !errors.As(c.Err(), &e) || h3.ErrorCode(e.Code) != h3.H3InternalError || !e.Remote {
				t.Errorf("closed with %v", c.Err())
			}
			oneStack(t, &log, "contain_test.go")
			finish()
			echoes(t, h.Client, h.URL)
			waitFor(t, "requests to end", func() bool { return h.Server.Stats().Running == 0 })
			if s := h.Endpoint.Stats(); s.Panicked != 1 || h.Server.Stats().Panics != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestAPanicOfAHandlerLeavesOthersAlone is about requests of the same connection.
func TestAPanicOfAHandlerLeavesOthersAlone(t *testing.T) {
	var log logged
	content := newHalves()
	h := start(t, content, func(s *http3.Server) { s.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	finish := content.begin(t, h.Client, h.URL)
	if res, err := h.Client.Get(h.URL + "/panic"); err == nil {
		t.Errorf("an answer: %v", res.Status)
	}
	oneStack(t, &log, "contain_test.go")
	finish()
	echoes(t, h.Client, h.URL)
	if s := h.Endpoint.Stats(); s.Panicked != 0 || s.Accepted != 1 || h.Server.Stats().Panics != 1 {
		t.Errorf("%+v, %+v", s, h.Server.Stats())
	}
}

// TestAConnContextThatPanicsEndsItsConnection is about the one callback of a Server that is not a handler.
func TestAConnContextThatPanicsEndsItsConnection(t *testing.T) {
	for _, test := range []struct {
		name    string
		context func(context.Context) context.Context
	}{
		{"it panics", func(context.Context) context.Context { panic("ConnContext has burnt down") }},
		{"it returns nothing", func(context.Context) context.Context { return nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lit atomic.Bool
			var log logged
			content := newHalves()
			h := start(t, content, func(s *http3.Server) {
				s.ConnContext = func(ctx context.Context, c *quic.Conn) context.Context {
					if lit.CompareAndSwap(true, false) {
						return test.context(ctx)
					}
					return ctx
				}
				s.QUIC = &quic.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			})
			finish := content.begin(t, h.Client, h.URL)
			lit.Store(true)
			if c, err := quic.Dial(t.Context(), h.Addr, clientTLS(), nil); err == nil { // the end may come first
				<-c.Context().Done()
			}
			waitFor(t, "a line in the log", func() bool { return strings.Contains(log.String(), "stack=") })
			finish()
			echoes(t, h.Client, h.URL)
			if s := h.Endpoint.Stats(); s.Panicked != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A server that is open still does not say that it is closed.
func TestServeConnSaysThatAConnectionBroke(t *testing.T) {
	quiet := &quic.Config{Logger: slog.New(slog.DiscardHandler)}
	e, err := quic.Listen("127.0.0.1:0", serverTLS(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	go func() {
		if c, err := quic.Dial(t.Context(), e.Addr().String(), clientTLS(), quiet); err == nil {
			<-c.Context().Done()
		}
	}()
	q, err := e.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &http3.Server{ConnContext: func(context.Context, *quic.Conn) context.Context { panic("ConnContext has burnt down") }}
	if err, ok := errors.AsType[*http3.Error](s.ServeConn(q)); !ok || err.Code != http3.InternalError || err.Remote {
		t.Errorf("%v", err)
	}
}

// burning is a request's content that panics.
type burning struct{ read, closed bool }

func (b *burning) Read(p []byte) (int, error) {
	if b.read {
		panic("the content has burnt down")
	}
	return 0, io.EOF
}

func (b *burning) Close() error {
	if b.closed {
		panic("the content has burnt down")
	}
	return nil
}

// TestWhatARequestBringsAlongMayPanic has what a request's caller supplies panic in goroutines of the Transport. That request fails;
// another one on the same connection goes on.
func TestWhatARequestBringsAlongMayPanic(t *testing.T) {
	for _, test := range []struct {
		name  string
		body  io.Reader
		trace *httptrace.ClientTrace
		both  bool // two panics
	}{
		{name: "Read of the content", body: &burning{read: true}},
		{name: "Close of the content", body: &burning{closed: true}},
		{name: "both", body: &burning{true, true}, both: true},
		{name: "the trace", body: &burning{}, trace: &httptrace.ClientTrace{
			WroteRequest: func(httptrace.WroteRequestInfo) { panic("the trace has burnt down") },
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log logged
			content := newHalves()
			h := start(t, content)
			e, err := quic.NewEndpoint("127.0.0.1:0", &quic.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			h.Transport.Dial = e.Dial
			finish := content.begin(t, h.Client, h.URL)
			req, err := http.NewRequest(http.MethodPost, h.URL+"/echo", test.body)
			if err != nil {
				t.Fatal(err)
			}
			if test.trace != nil {
				req = req.WithContext(httptrace.WithClientTrace(req.Context(), test.trace))
			}
			if res, err := h.Client.Do(req); err == nil { // the answer may come before the panic
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			} else if !strings.Contains(err.Error(), "burnt down") {
				t.Error(err)
			}
			want := int64(1)
			if test.both {
				want = 2
			}
			waitFor(t, "the panic to be counted", func() bool { return e.Stats().Panicked == want })
			finish()
			echoes(t, h.Client, h.URL)
			if !test.both {
				oneStack(t, &log, "contain_test.go")
			}
			if s := e.Stats(); s.Panicked != want || s.Dialled != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestADialMayPanic has a Transport's Dial, or a trace of it, panic: who waits gets an error, and the next one a connection.
func TestADialMayPanic(t *testing.T) {
	h := start(t, newHalves())
	var lit atomic.Bool
	for name, arm := range map[string]func(*http3.Transport) *httptrace.ClientTrace{
		"Dial": func(tr *http3.Transport) *httptrace.ClientTrace {
			dialled := false
			tr.Dial = func(ctx context.Context, addr string, tlsConf *tls.Config, c *quic.Config) (*quic.Conn, error) {
				if !dialled {
					dialled = true
					panic("the dial has burnt down")
				}
				return quic.Dial(ctx, addr, tlsConf, c)
			}
			return nil
		},
		"Dial, and the log of it": func(tr *http3.Transport) *httptrace.ClientTrace {
			tr.Logger = slog.New(burningLog{&lit})
			lit.Store(true)
			tr.Dial = func(ctx context.Context, addr string, tlsConf *tls.Config, c *quic.Config) (*quic.Conn, error) {
				if lit.Load() {
					panic("the dial has burnt down")
				}
				return quic.Dial(ctx, addr, tlsConf, c)
			}
			return nil
		},
		"the trace": func(*http3.Transport) *httptrace.ClientTrace {
			return &httptrace.ClientTrace{TLSHandshakeDone: func(tls.ConnectionState, error) { panic("the trace has burnt down") }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log logged
			tr := &http3.Transport{TLSClientConfig: clientTLS(), Logger: slog.New(slog.NewTextHandler(&log, nil))}
			defer tr.Close()
			req, _ := http.NewRequest(http.MethodGet, h.URL+"/echo", nil)
			if trace := arm(tr); trace != nil {
				req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
			}
			if _, err := tr.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "burnt down") {
				t.Errorf("error %v", err)
			}
			if tr.Logger.Handler() != (burningLog{&lit}) {
				oneStack(t, &log, "contain_test.go")
			}
			echoes(t, &http.Client{Transport: tr}, h.URL)
		})
	}
}

// TestAPanicInAClientEndsOneConnection has a client panic as it reads what a server says.
func TestAPanicInAClientEndsOneConnection(t *testing.T) {
	for _, test := range []struct {
		name string
		say  []byte
	}{
		{"the control stream", uni(h3.StreamControl, frame(h3.FrameData))},
		{"the encoder stream", uni(h3.StreamQPACKEncoder, []byte{0x3f, 0xff, 0xff, 0x7f})},
		{"the decoder stream", uni(h3.StreamQPACKDecoder, []byte{0x81})},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lit atomic.Bool
			var log logged
			content := newHalves()
			good := start(t, content)
			e, err := quic.NewEndpoint("127.0.0.1:0", &quic.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			tr := &http3.Transport{TLSClientConfig: clientTLS(), Dial: e.Dial, Logger: slog.New(burningLog{&lit})}
			t.Cleanup(func() { tr.Close() })
			client := &http.Client{Transport: tr}
			finish := content.begin(t, client, good.URL)
			bad := rawServer(t, func(c *quic.Conn) { sayOn(c, test.say) })
			lit.Store(true)
			if res, err := client.Get(bad.URL); err == nil {
				t.Errorf("an answer: %v", res.Status)
			}
			oneStack(t, &log, "contain_test.go")
			finish()
			echoes(t, client, good.URL)
			if s := e.Stats(); s.Panicked != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

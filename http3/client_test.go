package http3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// rawServer runs script for every connection; the script is the server.
func rawServer(t *testing.T, script func(c *quic.Conn)) *host {
	t.Helper()
	e, err := quic.Listen("127.0.0.1:0", serverTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http3.Transport{TLSClientConfig: clientTLS()}
	var scripts sync.WaitGroup
	scripts.Go(func() {
		for {
			c, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			scripts.Go(func() { script(c) })
		}
	})
	t.Cleanup(func() {
		tr.Close()
		e.Close()
		scripts.Wait()
	})
	addr := e.Addr().String()
	return &host{URL: "https://" + addr, Addr: addr, Transport: tr, Client: &http.Client{Transport: tr}, Endpoint: e}
}

// nextRequest waits for the next request stream and reads its first bytes.
func nextRequest(c *quic.Conn) *quic.Stream {
	for {
		s, err := c.AcceptStream(context.Background())
		if err != nil {
			return nil
		}
		if !s.IsUni() {
			s.Read(make([]byte, 1000))
			return s
		}
	}
}

// sayOn opens a unidirectional stream that begins with b, if there is still a
// connection.
func sayOn(c *quic.Conn, b []byte) {
	if s, err := c.OpenUniStream(context.Background()); err == nil {
		s.Write(b)
	}
}

// answering is a script that answers each request with b.
func answering(b ...[]byte) func(c *quic.Conn) {
	return func(c *quic.Conn) {
		sayOn(c, uni(h3.StreamControl, settings))
		for s := nextRequest(c); s != nil; s = nextRequest(c) {
			s.WriteFinal(join(b...))
		}
	}
}

var ok200 = headers(":status", "200")

func TestServersThatBreakARule(t *testing.T) {
	control := func(b ...[]byte) func(c *quic.Conn) {
		return func(c *quic.Conn) {
			sayOn(c, uni(h3.StreamControl, b...))
		}
	}
	for _, test := range []struct {
		name   string
		code   http3.ErrorCode
		script func(c *quic.Conn)
	}{
		{"the control stream begins with another frame", h3.H3MissingSettings, control(frame(h3.FrameGoAway, 0))},
		{"GOAWAY names no request stream", h3.H3IDError, control(settings, frame(h3.FrameGoAway, 3))},
		{"GOAWAY increases", h3.H3IDError, func(c *quic.Conn) {
			nextRequest(c)
			sayOn(c, uni(h3.StreamControl, settings, frame(h3.FrameGoAway, 4), frame(h3.FrameGoAway, 8)))
		}},
		{"MAX_PUSH_ID from a server", h3.H3FrameUnexpected, control(settings, frame(h3.FrameMaxPushID, 0))},
		{"a push stream", h3.H3IDError, func(c *quic.Conn) {
			sayOn(c, uni(h3.StreamPush, id(0)))
		}},
		{"a bidirectional stream from a server", h3.H3StreamCreationError, func(c *quic.Conn) {
			if s, err := c.OpenStream(context.Background()); err == nil {
				s.Write([]byte("x"))
			}
		}},
		{"PUSH_PROMISE", h3.H3IDError, answering(frame(h3.FramePushPromise, 0, 0, 0))},
		{"DATA before HEADERS", h3.H3FrameUnexpected, answering(frame(h3.FrameData, 'x'))},
		{"a field section that is none", h3.QPACKDecompressionFailed, answering(frame(h3.FrameHeaders, 0, 0, 0x80))},
	} {
		t.Run(test.name, func(t *testing.T) {
			conns := make(chan *quic.Conn, 3)
			h := rawServer(t, func(c *quic.Conn) {
				conns <- c
				test.script(c)
			})
			_, err := h.Client.Get(h.URL)
			wantCode(t, err, test.code)
			closedWith(t, <-conns, test.code)
		})
	}
}

func TestClientRefusesBadResponses(t *testing.T) {
	for _, test := range []struct {
		name  string
		bytes []byte
		want  error // nil: H3_MESSAGE_ERROR
	}{
		{"no status", headers("a", "b"), nil},
		{"a status that is none", headers(":status", "20"), nil},
		{"status 101", headers(":status", "101"), nil},
		{"a path", headers(":status", "200", ":path", "/"), nil},
		{"a capital in a name", headers(":status", "200", "Etag", "x"), nil},
		{"a connection field", headers(":status", "200", "connection", "close"), nil},
		{"nothing at all", nil, nil},
		{"an interim response only", headers(":status", "103"), nil},
		{"more content than declared", join(headers(":status", "200", "content-length", "1"), frame(h3.FrameData, 1, 2)), nil},
		{"less content than declared", join(headers(":status", "200", "content-length", "2"), frame(h3.FrameData, 1)),
			io.ErrUnexpectedEOF},
		{"a header that is too large", announced(h3.FrameHeaders, 11<<20), &http3.Error{Code: http3.ExcessiveLoad}},
		{"more and more interim responses", bytes.Repeat(headers(":status", "103"), 10), &http3.Error{Code: http3.ExcessiveLoad}},
		{"pseudo-header fields in trailers", join(ok200, headers(":status", "200")), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := rawServer(t, answering(test.bytes))
			res, err := h.Client.Get(h.URL)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			var e *http3.Error
			switch {
			case test.want == nil:
				wantCode(t, err, http3.MessageError)
			case errors.As(test.want, &e):
				wantCode(t, err, e.Code)
			case !errors.Is(err, test.want):
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestWhatAClientMustTolerate(t *testing.T) {
	h := rawServer(t, func(c *quic.Conn) {
		for s := nextRequest(c); s != nil; s = nextRequest(c) {
			sayOn(c, uni(0x21, []byte("grease")))
			s.Write(join(frame(0x21, 1), announced(0x40, 1<<20), make([]byte, 1<<20), headers(":status", "103"), frame(0x21),
				headers(":status", "200", "x", "a", "x", "b"), frame(h3.FrameData), frame(h3.FrameData, []byte("hel")...),
				frame(0x21, 1), frame(h3.FrameData, []byte("lo")...), headers("x-sum", "5")))
			s.WriteFinal(frame(0x21))
			s.StopReading(uint64(h3.H3NoError))
		}
	})
	res, err := h.Client.Get(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if string(b) != "hello" || err != nil || res.Trailer.Get("X-Sum") != "5" || len(res.Header["X"]) != 2 {
		t.Errorf("%q %v %v %v", b, err, res.Header, res.Trailer)
	}
}

func TestACompleteResponseSurvivesThatItsRequestIsStopped(t *testing.T) {
	h := rawServer(t, func(c *quic.Conn) {
		s := nextRequest(c)
		s.WriteFinal(join(ok200, frame(h3.FrameData, []byte("enough")...)))
		s.StopReading(uint64(h3.H3NoError))
	})
	body, feed := io.Pipe()
	go func() {
		for {
			if _, err := feed.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}()
	res, err := h.Client.Post(h.URL, "", body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); string(b) != "enough" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	res.Body.Close()
}

func TestUnprocessedRequestsAreSentAgain(t *testing.T) {
	reject := func(c *quic.Conn, s *quic.Stream) {
		s.StopReading(uint64(h3.H3RequestRejected))
		s.Reset(uint64(h3.H3RequestRejected))
	}
	goAway := func(c *quic.Conn, s *quic.Stream) {
		sayOn(c, uni(h3.StreamControl, settings, frame(h3.FrameGoAway, byte(s.ID()))))
	}
	for _, test := range []struct {
		name   string
		refuse func(c *quic.Conn, s *quic.Stream)
		body   func() io.Reader
		again  bool
	}{
		{"rejected, without a body", reject, func() io.Reader { return nil }, true},
		{"rejected, with a body that can be had again", reject, func() io.Reader { return strings.NewReader("x") }, true},
		{"rejected, with a body that cannot", reject, func() io.Reader { return onlyReader{strings.NewReader("x")} }, false},
		{"behind GOAWAY", goAway, func() io.Reader { return strings.NewReader("x") }, true},
		{"cancelled by the server", func(c *quic.Conn, s *quic.Stream) { s.Reset(uint64(h3.H3RequestCancelled)) },
			func() io.Reader { return nil }, false},
		{"the connection closes", func(c *quic.Conn, s *quic.Stream) { c.CloseWithError(uint64(h3.H3NoError), "") },
			func() io.Reader { return nil }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var conns atomic.Int32
			h := rawServer(t, func(c *quic.Conn) {
				first := conns.Add(1) == 1
				for s := nextRequest(c); s != nil; s = nextRequest(c) {
					if first {
						test.refuse(c, s)
						continue
					}
					s.WriteFinal(ok200)
				}
			})
			res, err := h.Client.Post(h.URL, "", test.body())
			if err == nil {
				res.Body.Close()
			}
			if (err == nil) != test.again || (conns.Load() == 2) != test.again {
				t.Errorf("error %v after %d connections; again: %v", err, conns.Load(), test.again)
			}
		})
	}
}

func TestARequestIsNotRetriedForEver(t *testing.T) {
	var requests atomic.Int32
	h := rawServer(t, func(c *quic.Conn) {
		for s := nextRequest(c); s != nil; s = nextRequest(c) {
			requests.Add(1)
			s.Reset(uint64(h3.H3RequestRejected))
		}
	})
	_, err := h.Client.Get(h.URL)
	if !http3.Unprocessed(err) {
		t.Errorf("error %v", err)
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("%d attempts", n)
	}
}

func TestOneDialServesAllWhoWait(t *testing.T) {
	h := start(t, http.NotFoundHandler())
	var dials atomic.Int32
	begin := make(chan bool)
	h.Transport.Dial = func(ctx context.Context, addr string, tlsConf *tls.Config, c *quic.Config) (*quic.Conn, error) {
		dials.Add(1)
		<-begin
		return quic.Dial(ctx, addr, tlsConf, c)
	}
	var requests sync.WaitGroup
	for range 20 {
		requests.Go(func() {
			res, err := h.Client.Get(h.URL)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
		})
	}
	impatient, cancel := context.WithCancel(t.Context())
	requests.Go(func() {
		req, _ := http.NewRequestWithContext(impatient, "GET", h.URL, nil)
		if _, err := h.Client.Do(req); !errors.Is(err, context.Canceled) {
			t.Error("impatient:", err)
		}
	})
	cancel()
	time.Sleep(10 * time.Millisecond)
	close(begin)
	requests.Wait()
	if n := dials.Load(); n != 1 {
		t.Errorf("%d dials", n)
	}
}

func TestADialThatNobodyWaitsForEnds(t *testing.T) {
	dialling, ended := make(chan bool), make(chan error, 1)
	tr := &http3.Transport{Dial: func(ctx context.Context, addr string, _ *tls.Config, _ *quic.Config) (*quic.Conn, error) {
		close(dialling)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-dialling
		cancel()
	}()
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://localhost", nil)
	if _, err := tr.RoundTrip(req); err != context.Canceled {
		t.Errorf("RoundTrip = %v", err)
	}
	<-ended
}

func TestTheTransportNoticesADeadConnection(t *testing.T) {
	h := start(t, http.NotFoundHandler())
	for range 3 {
		res, err := h.Client.Get(h.URL)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		h.Transport.CloseIdleConnections()
	}
	h.Transport.Close()
	if _, err := h.Client.Get(h.URL); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	h := start(t, readAnything)
	type closer struct {
		io.Reader
		io.Closer
	}
	for _, test := range []struct {
		name string
		make func(req *http.Request)
		want string
	}{
		{"a scheme other than https", func(r *http.Request) { r.URL.Scheme = "http" }, "scheme"},
		{"no host", func(r *http.Request) { r.URL.Host = "" }, "no Host"},
		{"a field name that is none", func(r *http.Request) { r.Header["a b"] = []string{"c"} }, "field"},
		{"a field value that is none", func(r *http.Request) { r.Header.Set("A", "b\nc") }, "field"},
		{"a method that is none", func(r *http.Request) { r.Method = "G T" }, "method"},
		{"a host that is none", func(r *http.Request) { r.Host = "a@b" }, "authority"},
		{"an upgrade", func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }, "Upgrade"},
		{"a trailer that may not be one", func(r *http.Request) { r.Trailer = http.Header{"Content-Length": nil} }, "trailer"},
		{"less content than declared", func(r *http.Request) { r.ContentLength = 100 }, "ContentLength=100 with Body length 4"},
		{"more content than declared", func(r *http.Request) { r.ContentLength = 2 }, "ContentLength=2"},
		{"a body that fails", func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("x"), failing{}))
			r.ContentLength = -1
		}, "the body failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, _ := http.NewRequest("POST", h.URL, strings.NewReader("body"))
			test.make(req)
			closed := make(chan bool, 1)
			req.Body = closer{req.Body, closeFunc(func() error { closed <- true; return nil })}
			res, err := h.Transport.RoundTrip(req)
			if err == nil {
				res.Body.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("RoundTrip = %v, want %q", err, test.want)
			}
			<-closed
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the body failed") }

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

func TestAHeaderAboveTheServersLimitIsNotSent(t *testing.T) {
	h := start(t, http.NotFoundHandler(), func(s *http3.Server) { s.MaxHeaderBytes = 1000 })
	req, _ := http.NewRequest("GET", h.URL, nil)
	req.Header.Set("X", strings.Repeat("x", 1000))
	waitFor(t, "SETTINGS has arrived", func() bool {
		res, err := h.Client.Do(req)
		if err == nil { // sent before it did
			res.Body.Close()
			return false
		}
		if !strings.Contains(err.Error(), "the server takes 1000") {
			t.Fatal(err)
		}
		return true
	})
}

func TestCancellingARequest(t *testing.T) {
	entered, stopped := make(chan bool, 1), make(chan error, 1)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		_, err := io.ReadAll(r.Body)
		stopped <- err
	}))
	ctx, cancel := context.WithCancelCause(t.Context())
	body, feed := io.Pipe()
	req, _ := http.NewRequestWithContext(ctx, "POST", h.URL, body)
	go func() {
		feed.Write([]byte("x"))
		<-entered
		cancel(errors.New("changed my mind"))
	}()
	if _, err := h.Client.Do(req); err == nil || !strings.Contains(err.Error(), "changed my mind") {
		t.Errorf("Do = %v", err)
	}
	wantCode(t, <-stopped, http3.RequestCancelled)
	for { // until the body is closed
		if _, err := feed.Write([]byte("y")); err == io.ErrClosedPipe {
			break
		}
	}
}

func TestTraceHooks(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(103)
		io.Copy(w, r.Body)
	}))
	for i, want := range []string{
		"GetConn TLSHandshakeStart TLSHandshakeDone GotConn(false) WroteHeaders Wait100Continue GotFirstResponseByte " +
			"Got103 Got100Continue Got100 WroteRequest",
		"GetConn GotConn(true) WroteHeaders Wait100Continue GotFirstResponseByte Got103 Got100Continue Got100 WroteRequest",
	} {
		var mu sync.Mutex
		var seen []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf(format, args...))
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GetConn: func(string) { note("GetConn") },
			GotConn: func(i httptrace.GotConnInfo) {
				note("GotConn(%v)", i.Reused)
				if i.Conn.RemoteAddr().String() != h.Addr {
					t.Error("RemoteAddr", i.Conn.RemoteAddr())
				}
			},
			TLSHandshakeStart:    func() { note("TLSHandshakeStart") },
			TLSHandshakeDone:     func(tls.ConnectionState, error) { note("TLSHandshakeDone") },
			WroteHeaders:         func() { note("WroteHeaders") },
			Wait100Continue:      func() { note("Wait100Continue") },
			Got100Continue:       func() { note("Got100Continue") },
			GotFirstResponseByte: func() { note("GotFirstResponseByte") },
			Got1xxResponse:       func(code int, _ textproto.MIMEHeader) error { note("Got%d", code); return nil },
			WroteRequest:         func(httptrace.WroteRequestInfo) { note("WroteRequest") },
		})
		req := expectContinue(h.URL).WithContext(ctx)
		res, err := h.Client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "content" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		res.Body.Close()
		waitFor(t, "the hook after the last byte of the request, which a fast response may overtake", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(seen, "WroteRequest")
		})
		mu.Lock()
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("request %d:\n got %s\nwant %s", i, got, want)
		}
		mu.Unlock()
	}
}

func TestAClientConnShutsDownWithItsLastRequest(t *testing.T) {
	leave := make(chan bool)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-leave }))
	q := h.dial(t)
	cc := http3.NewClientConn(q)
	if !cc.CanTakeRequest() || cc.Conn() != q {
		t.Error("a fresh connection takes no request")
	}
	got := make(chan error, 1)
	go func() {
		req, _ := http.NewRequest("GET", h.URL, nil)
		res, err := cc.RoundTrip(req)
		if err == nil {
			res.Body.Close()
		}
		got <- err
	}()
	waitFor(t, "the request runs", func() bool { return h.Server.Stats().Running == 1 && cc.Running() == 1 })
	cc.Shutdown()
	if cc.CanTakeRequest() || q.Err() != nil {
		t.Errorf("after Shutdown: %v, %v", cc.CanTakeRequest(), q.Err())
	}
	req, _ := http.NewRequest("GET", h.URL, nil)
	if _, err := cc.RoundTrip(req); !http3.Unprocessed(err) {
		t.Errorf("RoundTrip after Shutdown = %v", err)
	}
	close(leave)
	if err := <-got; err != nil {
		t.Errorf("the running request: %v", err)
	}
	<-q.Context().Done()
}

func TestAResponseWithoutContentNeedsNoClose(t *testing.T) {
	h := rawServer(t, func(c *quic.Conn) {
		for s := nextRequest(c); s != nil; s = nextRequest(c) {
			s.Write(headers(":status", "204"))
			time.Sleep(5 * time.Millisecond)
			s.Close() // the end comes late
		}
	})
	cc := http3.NewClientConn(h.dial(t))
	req, _ := http.NewRequest("GET", h.URL, nil)
	res, err := cc.RoundTrip(req)
	if err != nil || res.Body != http.NoBody || res.ContentLength != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	waitFor(t, "the call is over", func() bool { return cc.Running() == 0 })
}

func TestRequestsWaitForStreams(t *testing.T) {
	var running, most atomic.Int32
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond)
		running.Add(-1)
	}), func(s *http3.Server) { s.QUIC = &quic.Config{MaxStreams: 3} })
	var requests sync.WaitGroup
	for range 30 {
		requests.Go(func() {
			res, err := h.Client.Get(h.URL)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
		})
	}
	requests.Wait()
	if most.Load() > 3 {
		t.Errorf("%d at once", most.Load())
	}
}

package http3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// patience is how long a test waits for what must happen; no test passes or fails by how long it took.
const patience = time.Minute

// waitFor waits until ok, which nothing announces, or fails the test.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func wantCode(t testing.TB, err error, code http3.ErrorCode) {
	t.Helper()
	var e *http3.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error %v, want %v", err, code)
	}
}

func TestContentStreamsBothWaysAtOnce(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				w.Write(bytes.ToUpper(buf[:n]))
				w.(http.Flusher).Flush()
			}
			if err != nil {
				return
			}
		}
	}))
	body, feed := io.Pipe()
	req, _ := http.NewRequest("POST", h.URL, body)
	go feed.Write([]byte("one"))
	res, err := h.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 3)
	for _, word := range []string{"one", "two", "ten"} {
		if word != "one" {
			feed.Write([]byte(word))
		}
		if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != strings.ToUpper(word) {
			t.Fatalf("echo of %q: %q, %v", word, buf, err)
		}
	}
	feed.Close()
	if n, err := res.Body.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("end: %d, %v", n, err)
	}
}

func TestLargeContentArrivesWhole(t *testing.T) {
	const size = 20 << 20
	sum := func(r io.Reader) string {
		h := sha256.New()
		n, err := io.Copy(h, r)
		return fmt.Sprintf("%d %v %x", n, err, h.Sum(nil))
	}
	pattern := func() io.Reader { return io.LimitReader(&counting{}, size) }
	want := sum(pattern())
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case "PUT":
			io.WriteString(w, sum(r.Body))
		case "GET":
			io.Copy(w, pattern())
		case "POST": // by one large Write
			b, _ := io.ReadAll(pattern())
			w.Write(b)
		}
	}))
	for _, method := range []string{"PUT", "GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			var body io.Reader
			if method == "PUT" {
				body = pattern()
			}
			req, _ := http.NewRequest(method, h.URL, body)
			res, err := h.Client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got := ""
			if method == "PUT" {
				b, _ := io.ReadAll(res.Body)
				got = string(b)
			} else {
				got = sum(res.Body)
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// counting is an endless stream in which no two places look alike.
type counting struct{ n uint32 }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		c.n = c.n*1664525 + 1013904223
		p[i] = byte(c.n >> 24)
	}
	return len(p), nil
}

func TestTheContextEndsWithTheClientsInterest(t *testing.T) {
	for _, how := range []string{"the request is cancelled", "the response body is closed", "the connection closes",
		"the handler returns"} {
		t.Run(how, func(t *testing.T) {
			contexts := make(chan context.Context, 1)
			ended := make(chan error, 1)
			h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				contexts <- r.Context()
				w.(http.Flusher).Flush()
				if how == "the handler returns" {
					return
				}
				<-r.Context().Done()
				ended <- context.Cause(r.Context())
			}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", h.URL, nil)
			res, err := h.Client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			switch how {
			case "the request is cancelled":
				cancel()
				wantCode(t, <-ended, http3.RequestCancelled)
				if _, err := res.Body.Read(make([]byte, 1)); err != context.Canceled {
					t.Errorf("Read = %v", err)
				}
			case "the response body is closed":
				res.Body.Close()
				wantCode(t, <-ended, http3.RequestCancelled)
			case "the connection closes":
				h.Transport.Close()
				wantCode(t, <-ended, http3.NoError)
			case "the handler returns":
				c := <-contexts
				<-c.Done()
				if c.Err() != context.Canceled || context.Cause(c) != context.Canceled {
					t.Errorf("context: %v, %v", c.Err(), context.Cause(c))
				}
			}
		})
	}
}

// logged collects the records of a slog.Logger.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAPanicEndsItsRequestOnly(t *testing.T) {
	var log logged
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			io.WriteString(w, "half a resp")
			panic("oops")
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/goexit":
			runtime.Goexit()
		}
		io.WriteString(w, "fine")
	}), func(s *http3.Server) { s.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for _, path := range []string{"/abort", "/panic", "/goexit"} {
		_, err := h.Client.Get(h.URL + path)
		wantCode(t, err, http3.InternalError)
	}
	res, err := h.Client.Get(h.URL + "/ok")
	if err != nil {
		t.Fatal("the connection did not survive:", err)
	}
	res.Body.Close()
	text := log.String()
	if n := strings.Count(text, "the handler panicked"); n != 2 || !strings.Contains(text, "server_test.go") {
		t.Errorf("%d panics logged:\n%s", n, text)
	}
	if s := h.Server.Stats(); s.Panics != 2 || s.Conns != 1 {
		t.Errorf("stats: %+v", s)
	}
	waitFor(t, "no request is running", func() bool { return h.Server.Stats().Running == 0 })
}

func TestTwoHundredRequestsAtOnce(t *testing.T) {
	var together sync.WaitGroup
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	}))
	for i := range 200 {
		together.Go(func() {
			want := strings.Repeat(fmt.Sprint(i), 1000)
			res, err := h.Client.Post(h.URL, "", strings.NewReader(want))
			if err != nil {
				t.Error(err)
				return
			}
			b, err := io.ReadAll(res.Body)
			res.Body.Close()
			if string(b) != want || err != nil {
				t.Errorf("request %d: %d bytes, %v", i, len(b), err)
			}
		})
	}
	together.Wait()
	if s := h.Server.Stats(); s.Requests != 200 || s.Conns != 1 {
		t.Errorf("stats: %+v", s)
	}
}

func TestContentBelowTheDeclaredLengthIsNotTakenForComplete(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "hell")
	}))
	_, err := h.Client.Get(h.URL)
	wantCode(t, err, http3.InternalError)
}

func TestAHandlerMayAnswerBeforeItHasReadTheRequest(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "enough")
	}))
	body, feed := io.Pipe() // never ends
	defer feed.Close()
	req, _ := http.NewRequest("POST", h.URL, body)
	go func() {
		for {
			if _, err := feed.Write(make([]byte, 10_000)); err != nil {
				return
			}
		}
	}()
	res, err := h.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); string(b) != "enough" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestWritesAfterTheHandlerReturnedFail(t *testing.T) {
	writers := make(chan http.ResponseWriter, 1)
	requests := make(chan *http.Request, 1)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writers <- w
		requests <- r
	}))
	res, err := h.Client.Post(h.URL, "", strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	w, r := <-writers, <-requests
	waitFor(t, "the handler returned", func() bool { return h.Server.Stats().Running == 0 })
	if _, err := w.Write([]byte("late")); err == nil {
		t.Error("Write works")
	}
	if err := http.NewResponseController(w).Flush(); err == nil {
		t.Error("Flush works")
	}
	if _, err := r.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
		t.Errorf("Read = %v", err)
	}
	if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("Hijack = %v", err)
	}
}

func TestTimeoutsOfTheServer(t *testing.T) {
	t.Run("reading", func(t *testing.T) {
		got := make(chan error, 1)
		h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			got <- err
		}), func(s *http3.Server) { s.ReadTimeout = 50 * time.Millisecond })
		body, feed := io.Pipe()
		defer feed.Close()
		res, err := h.Client.Post(h.URL, "", body)
		var late *http3.Error
		for errors.As(err, &late) && late.Code == http3.ErrorCode(h3.H3RequestIncomplete) { // the time was over before the header was read
			res, err = h.Client.Post(h.URL, "", body)
		}
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if err := <-got; !isTimeout(err) {
			t.Errorf("Read = %v", err)
		}
	})
	t.Run("writing", func(t *testing.T) {
		got := make(chan error, 1)
		h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := w.Write(make([]byte, 16<<20))
			got <- err
		}), func(s *http3.Server) { s.WriteTimeout = 200 * time.Millisecond })
		res, err := h.Client.Get(h.URL) // does the reset overtake the header?
		if err == nil {
			defer res.Body.Close()
		}
		if err := <-got; !isTimeout(err) {
			t.Errorf("Write = %v", err)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
		}
		wantCode(t, err, http3.RequestCancelled)
	})
	t.Run("idle", func(t *testing.T) {
		h := start(t, http.NotFoundHandler(), func(s *http3.Server) { s.IdleTimeout = 50 * time.Millisecond })
		res, err := h.Client.Get(h.URL)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		waitFor(t, "the connection is closed", func() bool { return h.Server.Stats().Conns == 0 })
		if res, err = h.Client.Get(h.URL); err != nil {
			t.Fatal("no new connection:", err)
		}
		res.Body.Close()
	})
}

func TestShutdownWaitsForRunningRequestsOnly(t *testing.T) {
	entered, leave := make(chan bool, 1), make(chan bool)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			io.WriteString(w, "begun, ")
			w.(http.Flusher).Flush()
			entered <- true
			<-leave
		}
		w.Write(bytes.Repeat([]byte("done"), 100_000))
	}))
	// A connection that once had a request, and one that never had.
	idle := &http3.Transport{TLSClientConfig: clientTLS()}
	defer idle.Close()
	res, err := (&http.Client{Transport: idle}).Get(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	vanished := h.dial(t)

	res, err = h.Client.Get(h.URL + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	<-entered
	down := make(chan error, 1)
	go func() { down <- h.Server.Shutdown(t.Context()) }()
	<-vanished.Context().Done()
	waitFor(t, "the idle connections are closed", func() bool { return h.Server.Stats().Conns == 1 })
	select {
	case err := <-down:
		t.Fatal("Shutdown did not wait:", err)
	default:
	}
	// The connection takes no new request: a fresh one is tried, and nobody
	// accepts it.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", h.URL, nil)
	if _, err := h.Client.Do(req); err == nil {
		t.Error("a request after GOAWAY was answered")
	}
	close(leave)
	b, err := io.ReadAll(res.Body)
	if err != nil || len(b) != 7+400_000 {
		t.Errorf("the running request: %d bytes, %v", len(b), err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	entered, ended := make(chan bool, 1), make(chan error, 1)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	}))
	go h.Client.Get(h.URL)
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Server.Shutdown(ctx); err != context.Canceled {
		t.Errorf("Shutdown = %v", err)
	}
	wantCode(t, <-ended, http3.NoError)
	if err := h.Server.ServeConn(h.dialClosed(t)); err != http.ErrServerClosed {
		t.Errorf("ServeConn = %v", err)
	}
}

// dialClosed returns a connection of no further use.
func (h *host) dialClosed(t *testing.T) *quic.Conn {
	other := start(t, http.NotFoundHandler())
	c := other.dial(t)
	c.Close()
	return c
}

func TestConnectionCloseOfAHandlerDrainsTheConnection(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, r.RemoteAddr)
	}))
	var seen []string
	for range 2 {
		res, err := h.Client.Get(h.URL)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.Header.Get("Connection") != "" {
			t.Error("Connection was sent")
		}
		seen = append(seen, string(b))
	}
	if seen[0] == seen[1] {
		t.Error("the same connection served twice:", seen)
	}
}

func TestConnContextReachesTheHandler(t *testing.T) {
	type key struct{}
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := r.Context().Value(http.ServerContextKey).(*http3.Server)
		fmt.Fprintf(w, "%v %v", r.Context().Value(key{}), s != nil)
	}), func(s *http3.Server) {
		s.ConnContext = func(ctx context.Context, c *quic.Conn) context.Context {
			return context.WithValue(ctx, key{}, c.TLS().NegotiatedProtocol)
		}
	})
	res, err := h.Client.Get(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); string(b) != "h3 true" {
		t.Errorf("%q", b)
	}
}

func TestAnIdleConnectionOwnsNoGoroutine(t *testing.T) {
	h := start(t, http.NotFoundHandler())
	res, err := h.Client.Get(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	idle := h.Server.Stats
	waitFor(t, "the request is over", func() bool { return idle().Running == 0 })
	before := runtime.NumGoroutine()
	var conns []*http3.ClientConn
	e, err := quic.NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for range 20 {
		q, err := e.Dial(t.Context(), h.Addr, clientTLS(), nil)
		if err != nil {
			t.Fatal(err)
		}
		cc := http3.NewClientConn(q)
		conns = append(conns, cc)
		req, _ := http.NewRequest("GET", h.URL, nil)
		res, err := cc.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	waitFor(t, "twenty connections on both sides own no goroutine", func() bool {
		return runtime.NumGoroutine() <= before+4 // the endpoint's own
	})
	for _, cc := range conns {
		cc.Close()
	}
}

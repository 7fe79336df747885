package tunnel

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// forever is how long a test waits for what must happen; no test passes or fails by how long it took.
const forever = 5 * time.Minute

// world is a platform, an exit, an entry, and a client with connections of its own.
type world struct {
	t        testing.TB
	platform *httptest.Server
	exit     *Exit
	entry    *Entry
	log      *logBuffer
	exitLog  *slog.Logger // nil: log
	URL      string       // of the entry
	client   *http.Client
	timing   timing // of entries that are started; zero: they wait for ever
}

// build makes a whole tunnel in front of h.
func build(t testing.TB, h http.HandlerFunc) *world {
	t.Helper()
	w := &world{t: t, log: new(logBuffer)}
	w.build(h)
	return w
}

func (w *world) build(h http.HandlerFunc) {
	w.t.Helper()
	w.platform = httptest.NewServer(h)
	w.t.Cleanup(w.platform.Close)
	w.exit = w.startExit("127.0.0.1:0", NewKey())
	w.startEntry(w.token())
}

func (w *world) logger() *slog.Logger { return slog.New(slog.NewTextHandler(w.log, nil)) }

// startExit runs an exit until the test ends.
func (w *world) startExit(addr string, k *Key) *Exit {
	w.t.Helper()
	to := &url.URL{Scheme: "http", Host: "127.0.0.1:9"}
	if w.platform != nil {
		to, _ = url.Parse(w.platform.URL)
	}
	log := w.exitLog
	if log == nil {
		log = w.logger()
	}
	x, err := ListenExit(addr, ExitConfig{To: to, Key: k, Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- x.Serve() }()
	w.t.Cleanup(func() {
		x.Close()
		if err := <-served; err != nil {
			w.t.Errorf("the exit's Serve: %v", err)
		}
	})
	return x
}

// token is the exit's, for its only address.
func (w *world) token() Token {
	w.t.Helper()
	return tokenFor(w.t, w.exit.Key(), w.exit.Addr().String())
}

func tokenFor(t testing.TB, k *Key, addrs ...string) Token {
	t.Helper()
	token, err := k.Token(addrs...)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// startEntry runs an entry until the test ends, and a client for it. Unless the world has a timing, its requests wait until it is
// known whether the exit can be reached, however slow the machine.
func (w *world) startEntry(token Token) {
	w.t.Helper()
	e, err := ListenEntry("127.0.0.1:0", EntryConfig{Token: token, Logger: w.logger()})
	if err != nil {
		w.t.Fatal(err)
	}
	if e.link.timing = w.timing; w.timing == (timing{}) {
		e.link.timing = timing{forever, forever}
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve() }()
	tr := &http.Transport{DisableCompression: true, ExpectContinueTimeout: forever}
	w.t.Cleanup(func() {
		tr.CloseIdleConnections()
		e.Close()
		if err := <-served; err != nil {
			w.t.Errorf("the entry's Serve: %v", err)
		}
	})
	w.entry, w.URL, w.client = e, "http://"+e.Addr().String(), &http.Client{Transport: tr}
}

// request makes a request for the entry that ends with the test.
func (w *world) request(method, path string, body io.Reader) *http.Request {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), forever)
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, w.URL+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return req
}

// do sends a request and reads the whole response.
func (w *world) do(req *http.Request) (*http.Response, string) {
	w.t.Helper()
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return res, string(body)
}

func (w *world) get(path string) (*http.Response, string) {
	w.t.Helper()
	return w.do(w.request("GET", path, nil))
}

// raw sends bytes to the entry as they are, and returns what comes back until the entry closes.
func (w *world) raw(request string) string {
	w.t.Helper()
	c, err := net.Dial("tcp", w.entry.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(forever))
	io.WriteString(c, request)
	answer, err := io.ReadAll(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(answer)
}

// logBuffer is a log that tests read while it is written.
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

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(forever); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// contains fails the test unless text has every one of the parts.
func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in %q", p, text)
		}
	}
}

// goroutinesReturn checks, when the test has cleaned up, that it left no goroutine behind.
func goroutinesReturn(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
	})
}

package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWhatTheTunnelDoesNotCarryIsSaidSo(t *testing.T) {
	w := build(t, func(http.ResponseWriter, *http.Request) { t.Error("the platform was reached") })
	for _, c := range []struct{ request, want string }{
		{"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n", "Upgrade (WebSocket)"},
		{"POST / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other/1\r\nContent-Length: 0\r\n", "Upgrade (WebSocket)"},
		{"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n", "CONNECT"},
	} {
		got := w.raw(c.request + "Connection: close\r\n\r\n")
		contains(t, got, "HTTP/1.1 501 Not Implemented\r\n", "Proxy-Status: godwit-entry\r\n", "\r\n\r\ngodwit tunnel: the tunnel does not carry "+c.want+" yet\n")
	}
}

// deadAddr is a TCP address on which nobody listens: the near end of a connection has it.
func deadAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

func TestAPlatformThatIsDownIsNamed(t *testing.T) {
	dead := deadAddr(t)
	for _, c := range []struct {
		to        string
		container bool
		want      string
		kind      string
	}{
		{"http://" + dead, false, "the platform http://" + dead + " refused the connection: nothing listens there\n", "connection_refused"},
		{"http://" + dead, true, "refused the connection: nothing listens there (the exit runs in a container, and 127.0.0.1 is the container itself: name the platform's container or host in --to)\n", "connection_refused"},
		{"http://localhost:" + strings.TrimPrefix(dead, "127.0.0.1:"), false, " refused the connection", "connection_refused"},
		{"http://nowhere.invalid", false, "the name nowhere.invalid of the platform cannot be resolved (", "dns_error"},
	} {
		to, err := url.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, log: new(logBuffer)}
		x, err := ListenExit("127.0.0.1:0", ExitConfig{To: to, Logger: w.logger()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.Close() })
		x.container = c.container
		go x.Serve()
		w.exit = x
		w.startEntry(w.token())
		res, body := w.get("/")
		if res.StatusCode != 502 || res.Header.Get("Proxy-Status") != "godwit-exit; error="+c.kind || strings.Count(body, "\n") != 1 {
			t.Errorf("%s: %s, %s", c.to, res.Status, res.Header.Get("Proxy-Status"))
		}
		contains(t, body, "godwit tunnel: the ", c.want)
	}
}

func TestFailuresOfThePlatformAreToldApart(t *testing.T) {
	to, _ := url.Parse("http://platform:80")
	x := &Exit{to: to}
	addr := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 80}
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{&net.OpError{Op: "dial", Addr: addr, Err: os.NewSyscallError("connect", errRefused)}, 502, "the platform http://platform:80 (10.0.0.7:80) refused the connection: nothing listens there"},
		{&net.OpError{Op: "dial", Addr: addr, Err: os.ErrDeadlineExceeded}, 504, "the platform http://platform:80 (10.0.0.7:80) did not accept a connection within 10s"},
		{&net.OpError{Op: "dial", Addr: addr, Err: errors.New("no route to host")}, 502, "the platform http://platform:80 (10.0.0.7:80) cannot be reached: no route to host"},
		{fmt.Errorf("net/http: %w", io.EOF), 502, "the platform http://platform:80 closed the connection without an answer; the request may have been processed"},
		{&net.OpError{Op: "read", Addr: addr, Err: errors.New("connection reset by peer")}, 502, "the platform http://platform:80 closed the connection without an answer; the request may have been processed"},
		{os.ErrDeadlineExceeded, 504, "the platform http://platform:80 did not answer in time; the request may have been processed"},
		{errors.New("malformed HTTP response\n\"SSH-2.0\""), 502, "the platform http://platform:80: malformed HTTP response; \"SSH-2.0\""},
	} {
		if got := x.explain(c.err); got.status != c.status || got.text != c.want {
			t.Errorf("%v: %d %s", c.err, got.status, got.text)
		}
	}
}

// Half a response must not look like a whole one, whether its length was known or not.
func TestAResponseThatBreaksOffBreaksOffForTheClient(t *testing.T) {
	goroutinesReturn(t)
	read := make(chan struct{})
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100")
		}
		if r.URL.Path != "/nothing" {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			<-read
		}
		panic(http.ErrAbortHandler)
	})
	for _, path := range []string{"/length", "/chunks"} {
		res, err := w.client.Do(w.request("GET", path, nil))
		if err != nil {
			t.Fatal(err)
		}
		half := make([]byte, 4)
		if _, err := io.ReadFull(res.Body, half); err != nil || string(half) != "half" {
			t.Errorf("%s: %q, %v", path, half, err)
		}
		read <- struct{}{}
		body, err := io.ReadAll(res.Body)
		if len(body) > 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %q, %v", path, body, err)
		}
		res.Body.Close()
	}
	res, body := w.do(w.request("POST", "/nothing", strings.NewReader("x")))
	if res.StatusCode != 502 {
		t.Errorf("status %d", res.StatusCode)
	}
	contains(t, body, "closed the connection without an answer; the request may have been processed\n")
}

// What the platform sent before it broke off arrives, even when the client is slow to read it.
func TestWhatCameBeforeTheBreakArrives(t *testing.T) {
	goroutinesReturn(t)
	const size = 256 << 10
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(2*size))
		w.Write(make([]byte, size))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	for range 20 {
		res, err := w.client.Do(w.request("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			t.Fatalf("status %d", res.StatusCode)
		}
		n, err := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		// The exit may have had a piece in its buffer that was not flushed.
		if n < size-copyBufferSize || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of %d arrived, %v", n, size, err)
		}
	}
}

// The platform may answer before it has read everything, and then not read on.
func TestAnAnswerBeforeTheEndOfTheRequestArrives(t *testing.T) {
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, "enough")
	})
	in, out := io.Pipe()
	go func() {
		for {
			if _, err := out.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	}()
	defer in.Close()
	res, body := w.do(w.request("POST", "/", in))
	if res.StatusCode != 413 || body != "enough" {
		t.Errorf("%s: %q", res.Status, body)
	}
}

// A body of which a read is under way when the response is complete stays a body: what comes of it later is not taken
// for a request.
func TestTheRestOfABodyIsNotARequest(t *testing.T) {
	goroutinesReturn(t)
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("%s %s came", r.Method, r.URL)
		}
		// net/http would read the body before it answers.
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 6\r\n\r\nenough")
		io.Copy(io.Discard, c)
	})
	for _, framing := range []string{"Transfer-Encoding: chunked\r\n\r\n1000\r\n", "Content-Length: 4096\r\n\r\n"} {
		c, err := net.Dial("tcp", w.entry.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(forever))
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\n"+framing)
		in := bufio.NewReader(c)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); res.StatusCode != 413 || string(body) != "enough" || err != nil {
			t.Errorf("%s: %q, %v", res.Status, body, err)
		}
		io.WriteString(c, "no request at all\r\n\r\n")
		c.(*net.TCPConn).CloseWrite()
		if rest, _ := io.ReadAll(in); len(rest) != 0 {
			t.Errorf("after %q: %q", framing, rest)
		}
	}
}

// A client that goes away takes its request with it, all the way.
func TestThePlatformLearnsThatAClientHasGone(t *testing.T) {
	goroutinesReturn(t)
	begun, gone := make(chan struct{}), make(chan error, 1)
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			_, err := io.Copy(io.Discard, io.TeeReader(r.Body, writerFunc(func(p []byte) (int, error) {
				select {
				case begun <- struct{}{}:
				default:
				}
				return len(p), nil
			})))
			gone <- err
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 0\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		gone <- r.Context().Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	res, err := w.client.Do(w.request("GET", "/", nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(res.Body, make([]byte, 9))
	cancel()
	res.Body.Close()
	if err := <-gone; err != context.Canceled {
		t.Errorf("the event stream ended with %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	in, out := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		_, err := w.client.Do(w.request("POST", "/", in).WithContext(ctx))
		failed <- err
	}()
	out.Write([]byte("the beginning of much"))
	<-begun
	cancel()
	in.CloseWithError(context.Canceled)
	<-failed
	if err := <-gone; err == nil {
		t.Error("half an upload looks like a whole one")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Downloads that stand still keep what they were sent; the others go on.
func TestReadersThatStallStopNobodyElse(t *testing.T) {
	const stalled = 12
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}
		io.Copy(w, noise(1<<20))
	})
	var all sync.WaitGroup
	for range stalled {
		all.Go(func() {
			res, err := w.client.Do(w.request("GET", "/endless", nil))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { res.Body.Close() })
			// Quick at first, so that its windows grow.
			if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want, _ := io.ReadAll(noise(1 << 20))
	for range 4 {
		if _, body := w.get("/"); !bytes.Equal([]byte(body), want) {
			t.Errorf("%d bytes, and wrong ones", len(body))
		}
	}
}

func TestRetryAfterIsNeverZero(t *testing.T) {
	for d, want := range map[time.Duration]string{-5: "1", 0: "1", 1: "1", 1e9: "1", 1e9 + 1: "2", 5e9: "5"} {
		w := httptest.NewRecorder()
		retryAfter(w, d)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

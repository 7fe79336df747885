package http3_test

import (
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
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// connectRequest is a CONNECT request to h; an empty protocol makes it a plain one.
func connectRequest(t testing.TB, h *host, protocol string) *http.Request {
	t.Helper()
	u, err := url.Parse(h.URL + "/chat?room=1")
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: http.MethodConnect, URL: u, Host: "localhost:80", Header: http.Header{}}
	if protocol != "" {
		req.Header.Set(":protocol", protocol)
	}
	return req.WithContext(t.Context())
}

// speaks has a server offer extended CONNECT.
func speaks(protocols ...string) func(*http3.Server) {
	return func(s *http3.Server) { s.ConnectProtocols = protocols }
}

// echoTunnel answers every CONNECT with a tunnel that repeats what it reads, until its end.
var echoTunnel = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	tunnel, err := http3.TakeTunnel(w)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	io.Copy(tunnel, tunnel)
})

func openTunnel(t testing.TB, h *host, protocol string) *http3.Tunnel {
	t.Helper()
	tunnel, _, err := h.Transport.OpenTunnel(connectRequest(t, h, protocol))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tunnel.Close() })
	return tunnel
}

func echo(t testing.TB, tunnel net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(tunnel, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(tunnel, b); err != nil || string(b) != text {
		t.Fatalf("%q, %v, want %q", b, err, text)
	}
}

// RFC 9114, section 4.4, with the half-closed directions that it tells of.
func TestConnectLeadsToAnotherHost(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	go func() {
		c, err := far.Accept()
		if err != nil {
			return
		}
		b, _ := io.ReadAll(c) // to the FIN
		c.Write(bytes.ToUpper(b))
		c.Close()
	}()
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != r.RequestURI || r.URL.Host != r.Host || r.ContentLength != -1 || r.Header.Get(":protocol") != "" {
			t.Errorf("Host %q, RequestURI %q, URL %v, ContentLength %d", r.Host, r.RequestURI, r.URL, r.ContentLength)
		}
		c, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer c.Close()
		tunnel, err := http3.TakeTunnel(w)
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			io.Copy(c, tunnel)
			c.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(tunnel, c)
	}))
	req := connectRequest(t, h, "")
	req.Host = far.Addr().String()
	tunnel, res, err := h.Transport.OpenTunnel(req)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"Content-Length", "Content-Type"} {
		if v := res.Header.Get(key); v != "" {
			t.Errorf("%s: %s", key, v)
		}
	}
	text := strings.Repeat("hello, ", 50_000)
	go func() {
		io.Copy(struct{ io.Writer }{tunnel}, strings.NewReader(text))
		tunnel.CloseWrite()
	}()
	if b, err := io.ReadAll(tunnel); err != nil || string(b) != strings.ToUpper(text) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	tunnel.Close()
	far.Close()
	_, res, err = h.Transport.OpenTunnel(req)
	if err == nil || res == nil || res.StatusCode != http.StatusBadGateway {
		t.Errorf("a host that does not answer: %v, %v", res, err)
	}
}

// RFC 9220: the request looks like a GET, with a name of what is to be spoken.
func TestExtendedConnect(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := fmt.Sprint(r.Method, r.Header.Get(":protocol"), r.URL, r.Host, r.RequestURI, r.Header.Get("Sec-WebSocket-Version"))
		if want := "CONNECT websocket /chat?room=1 localhost:80 /chat?room=1 13"; got != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s, want %s", got, want)
		}
		w.Header().Set("Sec-WebSocket-Protocol", "x")
		echoTunnel(w, r)
	}), speaks("websocket"))
	req := connectRequest(t, h, "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	tunnel, res, err := h.Transport.OpenTunnel(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Sec-WebSocket-Protocol") != "x" || tunnel.Protocol() != "websocket" {
		t.Errorf("%v, %s", res, tunnel.Protocol())
	}
	echo(t, tunnel, "hello")
	if tunnel.LocalAddr().String() == tunnel.RemoteAddr().String() || tunnel.RemoteAddr().String() != h.Addr {
		t.Errorf("from %v to %v", tunnel.LocalAddr(), tunnel.RemoteAddr())
	}
	tunnel.Close()
	if _, err := tunnel.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	if _, err := tunnel.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

// "A server MAY" not know it: then nothing of the kind is sent, and a client that does it all the same errs.
func TestExtendedConnectHasToBeOffered(t *testing.T) {
	h := start(t, echoTunnel)
	if _, _, err := h.Transport.OpenTunnel(connectRequest(t, h, "websocket")); !errors.Is(err, http3.ErrNoExtendedConnect) {
		t.Errorf("%v, want %v", err, http3.ErrNoExtendedConnect)
	}
	req := connectRequest(t, h, "websocket")
	if _, err := h.Client.Do(req); !errors.Is(err, http3.ErrNoExtendedConnect) {
		t.Errorf("RoundTrip: %v, want %v", err, http3.ErrNoExtendedConnect)
	}
	extended := headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "localhost", ":path", "/")
	resetWith(t, openRequest(t, h.dial(t), extended), h3.H3MessageError)

	other := start(t, echoTunnel, speaks("connect-udp"))
	if _, res, err := other.Transport.OpenTunnel(connectRequest(t, other, "websocket")); err == nil || res.StatusCode != http.StatusNotImplemented {
		t.Errorf("a protocol that is not spoken: %v, %v", res, err)
	}
	req.Method = http.MethodGet
	if _, err := h.Client.Do(req); err == nil {
		t.Error("GET with a :protocol is sent")
	}
}

// Whatever the server says about extended CONNECT, its SETTINGS have to come first.
func TestExtendedConnectWaitsForSettings(t *testing.T) {
	say, asked := make(chan bool), make(chan bool, 1)
	h := rawServer(t, func(c *quic.Conn) {
		go func() {
			if nextRequest(c) != nil {
				asked <- true
			}
		}()
		<-say
		sayOn(c, uni(h3.StreamControl, frame(h3.FrameSettings, 0x08, 0x01)))
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.Transport.OpenTunnel(connectRequest(t, h, "websocket").WithContext(ctx))
	select {
	case <-asked:
		t.Error("the request came before SETTINGS")
	case <-time.After(100 * time.Millisecond):
	}
	close(say)
	<-asked
}

func TestATunnelIsRefusedWithAnAnswer(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusForbidden)
		if _, err := http3.TakeTunnel(w); err == nil {
			t.Error("403 became a tunnel")
		}
		io.WriteString(w, strings.Repeat("no ", 5000))
	}))
	tunnel, res, err := h.Transport.OpenTunnel(connectRequest(t, h, ""))
	if tunnel != nil || err == nil || res.StatusCode != 403 {
		t.Fatal(tunnel, res, err)
	}
	if b, err := io.ReadAll(res.Body); err != nil || len(b) != 4<<10 || !strings.HasPrefix(string(b), "no no") {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestOnlyConnectBecomesATunnel(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := http3.TakeTunnel(w); err == nil {
			t.Error("GET became a tunnel")
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
		io.WriteString(w, "an ordinary answer")
	}))
	if res := fetch(t, h.Client, h.URL); res.ContentLength != int64(len("an ordinary answer")) {
		t.Error(res)
	}
	if _, err := http3.TakeTunnel(httptest.NewRecorder()); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("another server's ResponseWriter: %v", err)
	}
	for _, req := range []*http.Request{
		httptest.NewRequest("GET", h.URL, nil),
		httptest.NewRequest("CONNECT", h.Addr, strings.NewReader("x")),
	} {
		if _, _, err := h.Transport.OpenTunnel(req); err == nil {
			t.Errorf("%s with a body %v opens a tunnel", req.Method, req.Body)
		}
	}
}

// wrapped is a ResponseWriter as middleware makes it.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestATakenResponseIsGone(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(202)
		tunnel, err := http3.TakeTunnel(wrapped{w})
		if err != nil {
			t.Error(err)
			return
		}
		_, again := http3.TakeTunnel(w)
		_, write := io.WriteString(w, "x")
		flush := http.NewResponseController(w).Flush()
		for _, err := range []error{again, write, flush} {
			if !errors.Is(err, http.ErrHijacked) {
				t.Errorf("%v, want %v", err, http.ErrHijacked)
			}
		}
		io.WriteString(tunnel, "bye")
	}))
	tunnel, res, err := h.Transport.OpenTunnel(connectRequest(t, h, ""))
	if err != nil || res.StatusCode != 202 {
		t.Fatal(res, err)
	}
	if b, err := io.ReadAll(tunnel); err != nil || string(b) != "bye" {
		t.Errorf("%q, %v", b, err)
	}
}

// "Once the CONNECT method has completed, only DATA frames are permitted to be sent on the stream" (RFC 9114, section 4.4).
func TestATunnelTakesDataFramesOnly(t *testing.T) {
	h := start(t, echoTunnel)
	connect := headers(":method", "CONNECT", ":authority", "localhost:80")
	for _, test := range []struct {
		name string
		b    []byte
	}{
		{"trailers", headers("x", "y")},
		{"a frame of the control stream", frame(h3.FrameGoAway, 0)},
	} {
		c := h.dial(t)
		openRequest(t, c, join(connect, frame(h3.FrameData, 'x'), test.b))
		closedWith(t, c, h3.H3FrameUnexpected)
	}
	c := h.dial(t)
	s := openRequest(t, c, join(connect, frame(0x21, 1, 2, 3), frame(h3.FrameData, []byte("hello")...), frame(0x40)))
	s.Close()
	if _, body := parseResponse(t, s); body != "hello" {
		t.Errorf("%q between frames that nobody knows", body)
	}
}

func TestDeadlinesOfATunnel(t *testing.T) {
	stuck := make(chan bool)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tunnel, err := http3.TakeTunnel(w)
		if err != nil {
			t.Error(err)
			return
		}
		<-stuck
		io.Copy(tunnel, tunnel)
	}), func(s *http3.Server) { s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute })
	tunnel := openTunnel(t, h, "")
	tunnel.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := tunnel.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Read: %v", err)
	}
	// A Write that fails in the middle of a frame leaves the rest of it to the next ones.
	text := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	tunnel.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := tunnel.Write(text)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == len(text) {
		t.Fatalf("Write: %d bytes, %v", n, err)
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v is not a timeout", err)
	}
	close(stuck)
	tunnel.SetDeadline(time.Time{})
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(tunnel, bytes.NewReader(text[n:])) // with ReadFrom
		tunnel.CloseWrite()
		done <- err
	}()
	if b, err := io.ReadAll(tunnel); err != nil || !bytes.Equal(b, text) {
		t.Errorf("%d bytes of %d, %v", len(b), len(text), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCloseEndsReadAndWrite(t *testing.T) {
	leave := make(chan bool)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http3.TakeTunnel(w)
		<-leave
	}))
	defer close(leave)
	tunnel := openTunnel(t, h, "")
	errs := make(chan error, 2)
	go func() { _, err := tunnel.Read(make([]byte, 1)); errs <- err }()
	go func() {
		for {
			if _, err := tunnel.Write(make([]byte, 1<<20)); err != nil {
				errs <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond) // both wait now, most likely
	tunnel.Close()
	for range 2 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want %v", err, net.ErrClosed)
		}
	}
}

// How a tunnel ends is told to the other side.
func TestEndsOfATunnel(t *testing.T) {
	for _, test := range []struct {
		name, protocol string
		end            func(*http3.Tunnel)
		code           http3.ErrorCode // 0: io.EOF
	}{
		{"a handler that returns", "", func(*http3.Tunnel) {}, 0},
		{"Close", "websocket", func(c *http3.Tunnel) { c.Close() }, 0},
		{"Abort of a proxy's", "", (*http3.Tunnel).Abort, h3.H3ConnectError},
		{"Abort of WebSocket", "websocket", (*http3.Tunnel).Abort, h3.H3RequestCancelled},
		{"a handler that panics", "", func(*http3.Tunnel) { panic(http.ErrAbortHandler) }, h3.H3InternalError},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tunnel, err := http3.TakeTunnel(w)
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(tunnel, "before")
				io.ReadFull(tunnel, make([]byte, 5))
				test.end(tunnel)
			}), speaks("websocket"))
			tunnel := openTunnel(t, h, test.protocol)
			b := make([]byte, 6)
			if _, err := io.ReadFull(tunnel, b); err != nil || string(b) != "before" {
				t.Fatalf("%q, %v", b, err)
			}
			io.WriteString(tunnel, "after")
			_, err := tunnel.Read(b)
			var e *http3.Error
			switch {
			case test.code == 0 && err != io.EOF:
				t.Errorf("%v, want EOF", err)
			case test.code != 0 && (!errors.As(err, &e) || e.Code != test.code || !e.Remote):
				t.Errorf("%v, want %v", err, test.code)
			}
		})
	}
}

// The context of the request is for the opening, on a client; a server's ends with the tunnel.
func TestContextsOfATunnel(t *testing.T) {
	ended := make(chan error, 1)
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tunnel, err := http3.TakeTunnel(w)
		if err != nil {
			t.Error(err)
			return
		}
		io.ReadFull(tunnel, make([]byte, 1))
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	}))
	ctx, cancel := context.WithCancel(t.Context())
	tunnel, _, err := h.Transport.OpenTunnel(connectRequest(t, h, "").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := tunnel.Write([]byte{1}); err != nil {
		t.Errorf("after the context of the opening: %v", err)
	}
	tunnel.Abort()
	var e *http3.Error
	if err := <-ended; !errors.As(err, &e) || e.Code != h3.H3ConnectError {
		t.Errorf("the handler's context ended with %v", err)
	}
}

// Who closes the Body of a request or response, as one does, has not closed the tunnel that took its place.
func TestAClosedBodyIsNoClosedTunnel(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tunnel, err := http3.TakeTunnel(w)
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(tunnel, "bye")
		r.Body.Close()
	}))
	cc := http3.NewClientConn(h.dial(t))
	tunnel, res, err := cc.OpenTunnel(connectRequest(t, h, ""))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if text, err := io.ReadAll(tunnel); string(text) != "bye" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	tunnel.Close()
	if n := cc.Running(); n != 0 {
		t.Errorf("%d run after Close", n)
	}
}

func TestAClosedTunnelLeavesNothing(t *testing.T) {
	h := start(t, echoTunnel)
	cc := http3.NewClientConn(h.dial(t))
	tunnel, _, err := cc.OpenTunnel(connectRequest(t, h, ""))
	if err != nil {
		t.Fatal(err)
	}
	if n := cc.Running(); n != 1 {
		t.Errorf("%d run, want 1", n)
	}
	echo(t, tunnel, "x")
	tunnel.Close()
	if n := cc.Running(); n != 0 {
		t.Errorf("%d run after Close", n)
	}
	cc.Shutdown() // closes at once
	<-cc.Conn().Context().Done()
}

package altsvc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

func TestAMisdirectedRequestGoesToTheOrigin(t *testing.T) {
	for _, body := range []io.Reader{nil, strings.NewReader("content")} {
		s := newSite(t)
		v := s.visitor()
		moves(t, s, v)
		s.handle(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if r.ProtoMajor == 3 {
				w.WriteHeader(http.StatusMisdirectedRequest)
				w.Write(make([]byte, 2*maxMisdirected))
			}
		})
		if got := v.do(t, "POST", "/", body); got != "HTTP/2.0" {
			t.Errorf("it went by %s", got)
		}
		if got := v.get(t, "/"); got != "HTTP/2.0" { // which learns again
			t.Errorf("the next one went by %s", got)
		}
	}
	// An Alt-Svc field in such a response says nothing.
	s := newSite(t)
	s.handle(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusMisdirectedRequest) })
	v := s.visitor()
	v.get(t, "/")
	if _, ok := v.m.choose(home); ok {
		t.Error("a 421 response has taught an alternative")
	}
}

// refusing is an HTTP/3 server that rejects each request with a code.
func refusing(t *testing.T, code http3.ErrorCode) *quic.Endpoint {
	t.Helper()
	cert, _ := originCert()
	e, err := quic.Listen("127.0.0.1:0", http3.ConfigureTLS(&tls.Config{Certificates: []tls.Certificate{cert}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	go func() {
		for {
			c, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			c.HandleStreams(func(s *quic.Stream) {
				if !s.IsUni() {
					s.Reset(uint64(code))
					s.StopReading(uint64(code))
				}
			})
		}
	}()
	return e
}

func TestARequestThatIsAlwaysRefusedGoesByTCP(t *testing.T) {
	for _, c := range []struct {
		code http3.ErrorCode
		want string
	}{
		{http3.RequestRejected, "HTTP/2.0"},
		{http3.VersionFallback, "HTTP/2.0"},
		{http3.InternalError, "http3: the peer ended stream"},
	} {
		s := newSite(t)
		e := refusing(t, c.code)
		s.says(fmt.Sprintf(`h3=":%d"`, e.Addr().(*net.UDPAddr).Port))
		v := s.visitor()
		v.get(t, "/")
		c0, _ := v.m.choose(home)
		if _, err := v.link(home, c0); err != nil {
			t.Fatal(err)
		}
		v.stands()
		req, err := http.NewRequestWithContext(t.Context(), "POST", "https://origin.test/", strings.NewReader("content"))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if res, err := v.RoundTrip(req); err != nil {
			got = err.Error()
		} else {
			got = res.Proto
			res.Body.Close()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %s, want %s", c.code, got, c.want)
		}
		if n := e.Stats().Accepted; c.code == http3.RequestRejected && n != maxAttempts {
			t.Errorf("it was tried %d times over QUIC, want %d", n, maxAttempts)
		}
		if _, ok := v.m.choose(home); !ok {
			t.Errorf("%v: a server that refuses is broken", c.code)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s := newSite(t)
	v := s.visitor(func(v *visitor) {
		v.resolve = func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }
	})
	v.once.Do(v.start)
	var first *link
	for i := range maxLinks + 1 {
		l, err := v.link(origin{fmt.Sprint(i, ".test"), 443}, choice{})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = l
		}
	}
	<-first.ready
	if n := len(v.links.byName); n != maxLinks || v.links.recent.Len() != maxLinks || first.err == nil {
		t.Errorf("%d connections; the longest unused: %v", n, first.err)
	}
	for i := range maxSessions + 1 {
		v.sessions.Put(fmt.Sprint(i), new(tls.ClientSessionState))
	}
	_, oldest := v.sessions.Get("0")
	if _, newest := v.sessions.Get(fmt.Sprint(maxSessions)); oldest || !newest {
		t.Errorf("the oldest session is there: %v, the newest: %v", oldest, newest)
	}
}

func TestPreferences(t *testing.T) {
	s := newSite(t)
	at := fmt.Sprintf("https://origin.test:%d/", s.wire.port())
	for _, c := range []struct {
		preference Preference
		url, want  string
		tcp        int64
	}{
		{WhenKnown, at, "HTTP/2.0", 1},
		{Always, at, "HTTP/3.0", 0},
		{Only, at, "HTTP/3.0", 0},
		{Never, at, "HTTP/2.0", 1},
	} {
		v := s.visitor(func(v *visitor) { v.Preference = c.preference })
		res, err := (&http.Client{Transport: v}).Get(c.url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Proto != c.want || v.tcpDials.Load() != c.tcp {
			t.Errorf("%v: %s, TCP dialled %d times", c.preference, res.Proto, v.tcpDials.Load())
		}
	}
	// Never learns, and does not use it.
	v := s.visitor(func(v *visitor) { v.Preference = Never })
	for range 3 {
		if got := v.get(t, "/"); got != "HTTP/2.0" {
			t.Errorf("Never went by %s", got)
		}
	}
	if _, ok := v.m.choose(home); !ok {
		t.Error("Never has not learned")
	}
	// Only fails where there is no HTTP/3.
	s.wire.cut.Store(true)
	v = s.visitor(func(v *visitor) {
		v.Preference, v.QUIC = Only, &quic.Config{HandshakeTimeout: 100 * time.Millisecond}
	})
	if res, err := (&http.Client{Transport: v}).Get(at); !errors.Is(err, quic.ErrHandshakeTimeout) || v.tcpDials.Load() != 0 {
		t.Errorf("Only: %v, %v", res, err)
	}
}

func TestWhatGoesThroughAProxyStaysThere(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		s := newSite(t)
		cert, _ := certificate("proxy.test")
		asked := make(chan string, 10)
		proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r.Proto + " " + r.Method + " " + r.Host
			to, err := net.Dial("tcp", s.https.Listener.Addr().String())
			if err != nil {
				panic(err)
			}
			w.WriteHeader(200)
			from, buffered, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			go func() { io.Copy(to, buffered); to.Close() }()
			io.Copy(from, to)
			from.Close()
		}))
		proxy.TLS, proxy.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{cert}}, true
		if scheme == "https" {
			proxy.StartTLS()
		} else {
			proxy.Start()
		}
		v := s.visitor(func(v *visitor) {
			v.TLSClientConfig.RootCAs = v.TLSClientConfig.RootCAs.Clone()
			v.TLSClientConfig.RootCAs.AddCert(cert.Leaf)
			v.TCP.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: "proxy.test"})
			v.TCP.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", proxy.Listener.Addr().String())
			}
		})
		for range 3 {
			if got := v.get(t, "/"); got != "HTTP/2.0" {
				t.Errorf("%s: it went by %s", scheme, got)
			}
		}
		if got := <-asked; len(asked) > 0 || got != "HTTP/1.1 CONNECT origin.test:443" || s.quic.Stats().Accepted > 0 {
			t.Errorf("%s: the proxy was asked %q, and %d times more; %d connections over QUIC", scheme, got, len(asked), s.quic.Stats().Accepted)
		}
		v.Close()
		proxy.CloseClientConnections()
		proxy.Close()
	}
}

func TestNothingIsAssuredWithoutCertificates(t *testing.T) {
	s := newSite(t)
	file := t.TempDir() + "/file"
	v := s.visitor(func(v *visitor) { v.TLSClientConfig.InsecureSkipVerify, v.File = true, file })
	s.says(fmt.Sprintf(`h3="other.test:%d"`, s.wire.port()))
	v.get(t, "/")
	if _, ok := v.m.choose(home); ok {
		t.Error("an alternative on another host is believed without a certificate")
	}
	s.says(fmt.Sprintf(`h3=":%d"`, s.wire.port()))
	v.get(t, "/")
	if _, ok := v.m.choose(home); !ok {
		t.Error("one on the same host is not")
	}
	v.Close()
	again := s.visitor(func(v *visitor) { v.File = file })
	again.once.Do(again.start)
	if _, ok := again.m.choose(home); ok {
		t.Error("what was learned without certificates is in the file")
	}
}

func TestBothReasonsAreTold(t *testing.T) {
	s := newSite(t)
	v := s.visitor(func(v *visitor) {
		v.Preference = Always
		v.QUIC = &quic.Config{HandshakeTimeout: 100 * time.Millisecond}
		v.TCP.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no TCP here") }
	})
	s.wire.cut.Store(true)
	_, err := (&http.Client{Transport: v}).Get(fmt.Sprintf("https://origin.test:%d/", s.wire.port()))
	var both *BothError
	if !errors.As(err, &both) || !errors.Is(err, quic.ErrHandshakeTimeout) || !strings.Contains(err.Error(), "no TCP here") {
		t.Errorf("%v", err)
	}
	if len(v.m.broken) > 0 {
		t.Error("the alternative is broken, although nothing works")
	}
}

func TestWhatIsNotHTTPSIsLeftToTCP(t *testing.T) {
	for text, want := range map[string]string{
		"https://A.Example": "a.example:443", "https://a.example:8443/x": "a.example:8443", "https://[::1]/": "[::1]:443", "https://192.0.2.1": "192.0.2.1:443",
		"http://a.example": "", "https://b\u00fccher.example": "", "https://a.example:0": "", "ftp://a.example": "",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		o, ok := originOf(u)
		if ok != (want != "") || ok && o.String() != want {
			t.Errorf("%s: %v, %v", text, o, ok)
		}
	}
	for _, r := range []route{{"a.example", 443}, {"::1", 443}, {"::1", 1}, {"a.example", 80}} {
		want := map[route]string{{"a.example", 443}: "a.example", {"::1", 443}: "[::1]", {"::1", 1}: "[::1]:1", {"a.example", 80}: "a.example:80"}[r]
		if got := r.altUsed(); got != want {
			t.Errorf("%v: %s", r, got)
		}
	}
}

func TestAClosedTransportSaysSo(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	moves(t, s, v)
	v.Close()
	body := &closing{Reader: strings.NewReader("content")}
	req, _ := http.NewRequest("POST", "https://origin.test/", body)
	if _, err := v.RoundTrip(req); !errors.Is(err, net.ErrClosed) || !body.closed {
		t.Errorf("%v, the body is closed: %v", err, body.closed)
	}
}

// closing is a body that knows when it is closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestABodyIsClosedWithTheLastAttempt(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     func(c *content, req *http.Request)
		again bool
	}{
		{"untouched", func(*content, *http.Request) {}, true},
		{"closed", func(_ *content, r *http.Request) { r.Body.Close() }, true},
		{"read", func(_ *content, r *http.Request) { r.Body.Read(make([]byte, 1)) }, false},
		{"read and closed", func(_ *content, r *http.Request) { r.Body.Read(make([]byte, 1)); r.Body.Close() }, false},
	} {
		body := &closing{Reader: strings.NewReader("content")}
		req, _ := http.NewRequest("POST", "https://origin.test/", body)
		x := newContent(req)
		one := x.attempt(req)
		c.f(x, one)
		if again := x.rewind(); again != c.again {
			t.Errorf("%s: it can be sent again: %v", c.name, again)
		} else if !again {
			continue
		}
		if body.closed {
			t.Errorf("%s: it is closed before the last attempt", c.name)
		}
		if _, err := one.Body.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the first attempt reads on", c.name)
		}
		two := x.attempt(req)
		if b, err := io.ReadAll(two.Body); string(b) != "content" || err != nil {
			t.Errorf("%s: %q, %v", c.name, b, err)
		}
		x.settle()
		if two.Body.Close(); !body.closed {
			t.Errorf("%s: it is not closed", c.name)
		}
	}
	// What an attempt closes unread is closed when it was the last.
	body := &closing{Reader: strings.NewReader("content")}
	req, _ := http.NewRequest("POST", "https://origin.test/", body)
	x := newContent(req)
	x.attempt(req).Body.Close()
	if x.settle(); !body.closed {
		t.Error("a body that the last attempt closed unread is open")
	}
}

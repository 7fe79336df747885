package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
)

func TestForwardedFieldsAreOursAlone(t *testing.T) {
	for _, c := range []struct {
		remote, host string
		want         http.Header
	}{
		{"192.0.2.1:1234", "site.example", http.Header{
			"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Host": {"site.example"}, "X-Forwarded-Proto": {"http"},
			"X-Real-Ip": {"192.0.2.1"}, "Forwarded": {`for=192.0.2.1;host="site.example";proto=http`},
		}},
		{"[2001:db8::1%eth0]:1234", "site.example:8443", http.Header{
			"X-Forwarded-For": {"2001:db8::1%eth0"}, "X-Forwarded-Host": {"site.example:8443"}, "X-Forwarded-Proto": {"http"},
			"X-Real-Ip": {"2001:db8::1%eth0"}, "Forwarded": {`for="[2001:db8::1]";host="site.example:8443";proto=http`},
		}},
		{"pipe", `a"b`, http.Header{
			"X-Forwarded-For": {"pipe"}, "X-Forwarded-Host": {`a"b`}, "X-Forwarded-Proto": {"http"},
			"X-Real-Ip": {"pipe"}, "Forwarded": {`for=pipe;host="a\"b";proto=http`},
		}},
	} {
		in := &http.Request{RemoteAddr: c.remote, Host: c.host}
		out := &http.Request{Header: http.Header{
			"Forwarded": {"for=6.6.6.6"}, "X-Forwarded-For": {"6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}, "X-Forwarded-Port": {"6"},
			"X_Forwarded_For": {"6.6.6.6"}, "X_real-Ip": {"6.6.6.6"}, "x-forwarded-ssl": {"on"},
		}}
		forward(out, in)
		if fmt.Sprint(out.Header) != fmt.Sprint(c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.remote, out.Header, c.want)
		}
	}
}

func TestTheUpstreamSeesTheClientAndNotItsClaims(t *testing.T) {
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["Forwarded"], r.Header["X-Real-Ip"])
	})
	s := start(t, Config{To: to})
	everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) {
		got := s.do(rt, "GET", "/", http.Header{"Host": {"h"}, "X-Forwarded-For": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}}, nil)
		if want := `[127.0.0.1] [https] [for=127.0.0.1;host="h";proto=https] [127.0.0.1]`; got.body != want {
			t.Errorf("%s, want %s", got.body, want)
		}
	})
}

func TestAFailingUpstreamIsNamedOnOneLine(t *testing.T) {
	dead := closedPort(t)
	_, port, _ := net.SplitHostPort(dead)
	container := fstest.MapFS{".dockerenv": {}}
	for _, c := range []struct {
		name, to string
		root     fstest.MapFS
		status   int
		want     string
	}{
		{"refused", "http://" + dead, nil, 502, "godwit: cannot reach http://" + dead + ": connection refused\n"},
		{"refused, by name", "http://localhost:" + port, nil, 502, "(127.0.0.1:" + port + "): connection refused\n"},
		{"refused in a container", "http://" + dead, container, 502, "connection refused (godwit runs in a container, where 127.0.0.1 is the container itself: "},
		{"no such host", "http://nowhere.invalid", nil, 502, "godwit: cannot reach http://nowhere.invalid: "},
	} {
		target, err := url.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		logs := new(logBuffer)
		s := start(t, Config{})
		p := newProxy(target, newLogger(logs), c.root)
		s.h1.Handler, s.h3.Handler = p, p
		everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) {
			got := s.do(rt, "GET", "/page", nil, nil)
			if got.status != c.status || !strings.Contains(got.body, c.want) || strings.Count(got.body, "\n") != 1 ||
				!strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
				t.Errorf("%s: %+v, want %d %q", c.name, got, c.status, c.want)
			}
		})
		if got := logs.String(); strings.Count(got, "\n") != len(protocols) || !strings.Contains(got, "cannot reach") {
			t.Errorf("%s: the log has\n%s", c.name, got)
		}
	}
}

// rawUpstream answers every connection with a fixed text, once a request has come.
func rawUpstream(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.WriteString(c, text)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestAnUpstreamThatBreaksHTTP(t *testing.T) {
	for _, c := range []struct {
		name, answer, want string
	}{
		{"nothing", "", "it closed the connection before it had answered"},
		{"another protocol", "SSH-2.0-OpenSSH\r\n", "malformed HTTP"},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-", "malformed MIME header"},
		{"a huge header", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxUpstreamHeader+copyBuffer) + "\r\n\r\n", "exceeded"},
		{"an upgrade nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "switch"},
	} {
		s := start(t, Config{To: rawUpstream(t, c.answer)})
		everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) {
			got := s.do(rt, "GET", "/", nil, nil)
			if got.status != http.StatusBadGateway || !strings.HasPrefix(got.body, "godwit: no usable answer from http://127.0.0.1:") ||
				!strings.Contains(got.body, c.want) || strings.Count(got.body, "\n") != 1 {
				t.Errorf("%s: %+v, want %q", c.name, got, c.want)
			}
		})
	}
}

func TestUpstreamsThatSpeakTLS(t *testing.T) {
	tlsUpstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	tlsUpstream.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), 0)
	tlsUpstream.StartTLS()
	t.Cleanup(tlsUpstream.Close)
	plain := upstream(t, func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		name, to, want string
		verify         bool // as if the upstream were not on this host
	}{
		{"on this host, under another name", tlsUpstream.URL, "site.example", false},
		{"elsewhere, with a certificate that is not trusted", tlsUpstream.URL, "its certificate is not trusted: ", true},
		{"https for http", strings.Replace(plain, "http:", "https:", 1), "it does not speak TLS: http:// is meant, not https://", false},
	} {
		s := start(t, Config{To: c.to})
		if c.verify {
			s.proxy.transport.TLSClientConfig.InsecureSkipVerify = false
		}
		got := s.do(transport(t, "HTTP/3.0"), "GET", "/", http.Header{"Host": {"site.example"}}, nil)
		if !strings.Contains(got.body, c.want) {
			t.Errorf("%s: %+v, want %q", c.name, got, c.want)
		}
	}
}

func TestATruncatedAnswerIsNotTakenForComplete(t *testing.T) {
	s := start(t, Config{To: rawUpstream(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")})
	everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) {
		req, _ := http.NewRequestWithContext(within(t), "GET", s.base, nil)
		res, err := rt.RoundTrip(req)
		if err != nil {
			return // the abort overtook the header
		}
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%q, as if that were all", b)
		}
	})
}

func TestCONNECTIsRefused(t *testing.T) {
	s := start(t, Config{To: "http://" + closedPort(t)})
	req, _ := http.NewRequestWithContext(within(t), "CONNECT", s.base, nil)
	req.Host = "victim.example:80"
	res, err := transport(t, "HTTP/1.1").RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotImplemented {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestEventsArriveAsTheyAreSent(t *testing.T) {
	next := make(chan struct{})
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", n)
			http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	s := start(t, Config{To: to, AccessLog: true})
	everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) {
		req, _ := http.NewRequestWithContext(within(t), "GET", s.base, nil)
		res, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		r := bufio.NewReader(res.Body)
		for n := range 3 {
			line, err := r.ReadString('\n') // the next event is sent only when this one has come
			if want := fmt.Sprintf("data: %d\n", n); line != want {
				t.Fatalf("%q, %v, want %q", line, err, want)
			}
			r.ReadString('\n')
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("at the end %q, %v", rest, err)
		}
	})
}

func TestRequestTrailersPass(t *testing.T) {
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Trailer)
	})
	s := start(t, Config{To: to})
	everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) {
		req, _ := http.NewRequestWithContext(within(t), "POST", s.base, io.MultiReader(strings.NewReader("body")))
		req.Trailer = http.Header{"X-Sum": {"42"}, "X-Forwarded-For": {"6.6.6.6"}}
		res, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if b, _ := io.ReadAll(res.Body); string(b) != "map[X-Sum:[42]]" {
			t.Errorf("the upstream got %s", b)
		}
	})
}

// zeros is n bytes of content that need no memory.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

func TestLargeBodiesAreNotHeldInMemory(t *testing.T) {
	const size = 100 << 20
	var peak atomic.Int64
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		buf, total := make([]byte, 1<<20), int64(0)
		var m runtime.MemStats
		for look := int64(0); ; {
			n, err := r.Body.Read(buf)
			total += int64(n)
			if total >= look {
				look += size / 8
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), int64(m.HeapAlloc)))
			}
			if err != nil {
				break
			}
		}
		fmt.Fprint(w, total)
	})
	s := start(t, Config{To: to})
	everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) {
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		peak.Store(0)
		got := s.do(rt, "POST", "/", nil, &zeros{size})
		if got.body != fmt.Sprint(size) {
			t.Errorf("the upstream got %q bytes", got.body)
		}
		// Windows and buffers of client, gateway and upstream, and what waits for the collector.
		if grown := peak.Load() - int64(before.HeapAlloc); grown > 64<<20 {
			t.Errorf("the heap grew by %d MiB", grown>>20)
		}
	})
}

func TestAClientThatGoesAwayIsNoError(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan struct{})
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("the upstream got a complete request")
		}
		gone <- struct{}{}
	})
	s := start(t, Config{To: to})
	everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) {
		for _, name := range []string{"cancelled", "broken off"} {
			ctx, cancel := context.WithCancel(within(t))
			body, content := io.Pipe()
			req, _ := http.NewRequestWithContext(ctx, "POST", s.base, body)
			failed := make(chan error, 1)
			go func() {
				res, err := rt.RoundTrip(req)
				if err == nil {
					res.Body.Close()
				}
				failed <- err
			}()
			go content.Write([]byte("some of it"))
			<-arrived
			if name == "cancelled" {
				cancel()
			}
			content.CloseWithError(errors.New("the disk is gone"))
			if err := <-failed; err == nil {
				t.Errorf("%s: an answer came", name)
			}
			<-gone // the upstream learns of it
			cancel()
		}
	})
	s.stop()
	if got := s.logs.String(); strings.Contains(got, "cannot reach") {
		t.Errorf("the log blames the upstream:\n%s", got)
	}
}

func TestContainersAreRecognised(t *testing.T) {
	for _, c := range []struct {
		name string
		root fstest.MapFS
		want bool
	}{
		{"a bare host", fstest.MapFS{"proc/1/cgroup": {Data: []byte("0::/init.scope\n")}}, false},
		{"no proc", fstest.MapFS{}, false},
		{"docker", fstest.MapFS{".dockerenv": {}}, true},
		{"podman", fstest.MapFS{"run/.containerenv": {}}, true},
		{"kubernetes", fstest.MapFS{"proc/1/cgroup": {Data: []byte("11:cpu:/kubepods/besteffort/pod1\n")}}, true},
	} {
		if got := inContainer(c.root); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

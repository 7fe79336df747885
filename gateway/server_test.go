package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// upstream is an origin that tells what it was asked.
func upstream(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestAllProtocolsGetTheSameAnswer(t *testing.T) {
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Host, " ", r.Header.Get("X-Forwarded-Proto"), " ", r.Proto))
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Add("Set-Cookie", "c=d")
		w.Header().Set("Alt-Svc", `h3=":1"`)
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "got %q", body)
		w.Header().Set("X-Sum", "42")
	})
	s := start(t, Config{To: to + "/base"})
	everyProtocol(t, func(t *testing.T, protocol string, rt http.RoundTripper) {
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/a%2Fb?q=1&r=%20", ""},
			{"POST", "/", "hello"},
			{"DELETE", "/x", ""},
		} {
			var body io.Reader
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			got := s.do(rt, c.method, c.path, http.Header{"Host": {"site.example"}}, body)
			seen := c.method + " /base" + c.path + " site.example https HTTP/1.1"
			if got.status != http.StatusTeapot || got.proto != protocol || got.body != fmt.Sprintf("got %q", c.body) ||
				got.header.Get("X-Seen") != seen || got.trailer.Get("X-Sum") != "42" || len(got.header["Set-Cookie"]) != 2 {
				t.Errorf("%s %s: %+v, want %q", c.method, c.path, got, seen)
			}
		}
	})
}

func TestOnlyTCPAdvertisesAndWithTheRealPort(t *testing.T) {
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", `h3=":1"`)
		if r.URL.Path == "/hints" {
			w.WriteHeader(http.StatusEarlyHints)
		}
	})
	dead := "http://" + closedPort(t)
	for name, conf := range map[string]Config{"proxy": {To: to}, "demo": {}, "failing": {To: dead}, "logged": {To: to, AccessLog: true}} { // any order
		s := start(t, conf)
		want := fmt.Sprintf(`h3=":%d"; ma=86400`, s.Addr().Port)
		everyProtocol(t, func(t *testing.T, protocol string, rt http.RoundTripper) {
			for _, path := range []string{"/", "/hints", "/missing"} {
				got := s.do(rt, "GET", path, nil, nil).header["Alt-Svc"]
				if tcp := protocol != "HTTP/3.0"; tcp && (len(got) != 1 || got[0] != want) || !tcp && got != nil {
					t.Errorf("%s%s: Alt-Svc %q, want %q", name, path, got, want)
				}
			}
		})
	}
}

// closedPort returns a loopback address on which nothing listens: the near end of a connection has it.
func closedPort(t *testing.T) string {
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

func TestUDPOnlyBindsNoTCP(t *testing.T) {
	s := start(t, Config{UDPOnly: true})
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		c.Close()
		t.Error("TCP is bound")
	}
	if got := s.do(transport(t, "HTTP/3.0"), "GET", "/proto", nil, nil); got.body != "HTTP/3.0\n" {
		t.Errorf("%+v", got)
	}
}

func TestTakenPortsNameTheirOwnerAndLeaveNothingBound(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp := udpAlone(t)
	for _, c := range []struct {
		name, addr, want, free string
	}{
		{"TCP", tcp.Addr().String(), "TCP port %d is taken by ", "udp"},
		{"UDP", udp.LocalAddr().String(), "UDP port %d is taken by ", "tcp"},
	} {
		s, err := New(Config{Listen: c.addr})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Listen()
		_, port, _ := net.SplitHostPort(c.addr)
		want := strings.ReplaceAll(c.want, "%d", port)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", c.name, err, want)
		}
		if runtime.GOOS == "linux" && !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) {
			t.Errorf("%s: the owner is not named: %v", c.name, err)
		}
		if c.free == "tcp" {
			l, err := net.Listen("tcp", c.addr)
			if err != nil {
				t.Fatalf("TCP stayed bound: %v", err)
			}
			l.Close()
		}
	}
}

// udpAlone takes a UDP port whose TCP port nobody has.
func udpAlone(t *testing.T) net.PacketConn {
	t.Helper()
	for {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { udp.Close() })
		if tcp, err := net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			tcp.Close()
			return udp
		}
	}
}

func TestTicketsResumeOnBothSockets(t *testing.T) {
	s := start(t, Config{})
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for i, resumed := range []bool{false, true} {
		c, err := tls.Dial("tcp", s.Addr().String(), conf)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET /proto HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		io.Copy(io.Discard, c) // tickets come before the answer
		if c.ConnectionState().DidResume != resumed {
			t.Errorf("TCP connection %d: resumed %v", i, !resumed)
		}
		c.Close()
	}
	conf = conf.Clone()
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i, resumed := range []bool{false, true} {
		rt := &http3.Transport{TLSClientConfig: conf}
		s.do(rt, "GET", "/proto", nil, nil)
		q, err := quic.Dial(within(t), s.Addr().String(), http3.ConfigureTLS(conf), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resumed && !q.Stats().Resumed {
			t.Errorf("QUIC connection %d is not resumed", i)
		}
		q.Close()
		rt.Close()
	}
}

func TestServeEndsWithinGraceThoughAClientHasVanished(t *testing.T) {
	arrived := make(chan struct{}, 8)
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	const grace = 300 * time.Millisecond
	s := start(t, Config{To: to, Grace: grace})
	for _, protocol := range protocols {
		req, _ := http.NewRequestWithContext(within(t), "GET", s.base, nil)
		res, err := transport(t, protocol).RoundTrip(req) // and nobody reads it
		if err != nil {
			t.Fatal(protocol, err)
		}
		defer res.Body.Close()
		<-arrived
	}
	began := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < grace {
		t.Errorf("Serve took %v to end, grace %v", took, grace)
	}
	if !strings.Contains(s.logs.String(), "the grace period is over") {
		t.Errorf("the log does not tell that requests were cut off:\n%s", s.logs)
	}
}

func TestServeWaitsForRunningRequests(t *testing.T) {
	arrived, proceed := make(chan struct{}, 8), make(chan struct{})
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-proceed
		io.WriteString(w, "late")
	})
	s := start(t, Config{To: to, Grace: time.Minute})
	bodies := make(chan string, len(protocols))
	for _, protocol := range protocols {
		rt := transport(t, protocol)
		go func() {
			req, _ := http.NewRequestWithContext(within(t), "GET", s.base, nil)
			res, err := rt.RoundTrip(req)
			if err != nil {
				bodies <- err.Error()
				return
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			bodies <- fmt.Sprint(string(b), err)
		}()
		<-arrived
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for { // until nothing new is let in
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	close(proceed)
	for range protocols {
		if got := <-bodies; got != "late<nil>" {
			t.Errorf("a running request got %q", got)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestCloseEndsServe(t *testing.T) {
	s, err := New(Config{Listen: "127.0.0.1:0", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background()) }()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestLogFilesAreWritten(t *testing.T) {
	dir := t.TempDir()
	qlogs, keys := filepath.Join(dir, "new", "qlog"), filepath.Join(dir, "keys.log")
	s := start(t, Config{QLogDir: qlogs, KeyLogFile: keys, AccessLog: true})
	everyProtocol(t, func(t *testing.T, _ string, rt http.RoundTripper) { s.do(rt, "GET", "/proto", nil, nil) })
	s.stop()
	for name, want := range map[string]string{"keys": "CLIENT_TRAFFIC_SECRET_0 ", "qlog": "packet_received"} { // any order
		file := keys
		if name == "qlog" {
			files, _ := filepath.Glob(filepath.Join(qlogs, "*_server.sqlog"))
			if len(files) != 1 {
				t.Fatalf("qlog files %q", files)
			}
			file = files[0]
		}
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, %d bytes without %q", name, err, len(text), want)
		}
	}
	for _, protocol := range protocols {
		if want := "msg=request proto=" + protocol; !strings.Contains(s.logs.String(), want) {
			t.Errorf("the access log lacks %q:\n%s", want, s.logs)
		}
	}
}

func TestUpgradesPassOverHTTP1(t *testing.T) {
	to := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(c, "echo "+line)
		}
	})
	s := start(t, Config{To: to, AccessLog: true})
	c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	io.WriteString(c, "hello\n")
	if line, err := r.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("%q, %v", line, err)
	}
	s.stop()
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection outlives the gateway")
	}
}

func TestTheTCPServerHasTimeouts(t *testing.T) {
	s := start(t, Config{})
	if s.h1.ReadHeaderTimeout != readHeaderTimeout || s.h1.IdleTimeout != idleTimeout || s.h3.IdleTimeout != idleTimeout {
		t.Errorf("%v, %v, %v", s.h1.ReadHeaderTimeout, s.h1.IdleTimeout, s.h3.IdleTimeout)
	}
}

func TestAFreePortIsFreeForBoth(t *testing.T) {
	s := start(t, Config{})
	if tcp := s.tcp.Addr().(*net.TCPAddr).Port; tcp != s.Addr().Port {
		t.Errorf("TCP %d, UDP %d", tcp, s.Addr().Port)
	}
	if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// The secret is kept in a file, and one that others may read is refused before any port is open.
func TestTheSecretOutlivesTheServer(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "state", "secret")
	start(t, Config{SecretFile: secret})
	first, err := os.ReadFile(secret)
	if err != nil {
		t.Fatal(err)
	}
	start(t, Config{SecretFile: secret})
	if again, err := os.ReadFile(secret); err != nil || string(again) != string(first) {
		t.Errorf("the secret was %q and is %q, error %v", first, again, err)
	}
	if runtime.GOOS == "windows" {
		return // its files have other permissions
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Listen: "127.0.0.1:0", SecretFile: secret})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err == nil || !strings.HasPrefix(err.Error(), "secret file "+secret) {
		t.Errorf("a secret that others may read: %v", err)
	}
}

package altsvc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/quic"
)

// moves brings a visitor to where its requests use HTTP/3.
func moves(t *testing.T, s *site, v *visitor) {
	t.Helper()
	if got := v.get(t, "/learns"); got != "HTTP/2.0" {
		t.Fatalf("the first request went by %s", got)
	}
	v.get(t, "/dials") // by whichever is faster
	v.stands()
	if got := v.get(t, "/moved"); got != "HTTP/3.0" {
		t.Fatalf("with a connection that stands a request went by %s", got)
	}
	s.requests()
}

func TestItLearnsAndMoves(t *testing.T) {
	s := newSite(t)
	used := make(chan string, 10)
	s.handle(func(w http.ResponseWriter, r *http.Request) {
		used <- r.Proto + " " + r.Host + " " + r.Header.Get("Alt-Used")
	})
	v := s.visitor()
	moves(t, s, v)
	<-used
	<-used
	if want, got := fmt.Sprintf("HTTP/3.0 origin.test origin.test:%d", s.wire.port()), <-used; got != want {
		t.Errorf("the server saw %q, want %q", got, want)
	}
	s.handle(nil)
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
		var body io.Reader
		if method == "POST" {
			body = strings.NewReader("content")
		}
		if got := v.do(t, method, "/", body); got != "HTTP/3.0" {
			t.Errorf("%s went by %s", method, got)
		}
	}
	if n := v.tcpDials.Load(); n != 1 {
		t.Errorf("TCP was dialled %d times, want 1", n)
	}
}

func TestWithoutAltSvcNothingIsDialledOverQUIC(t *testing.T) {
	s := newSite(t)
	s.says("")
	v := s.visitor()
	for range 3 {
		if got := v.get(t, "/"); got != "HTTP/2.0" {
			t.Errorf("it went by %s", got)
		}
	}
	if n := s.quic.Stats().Accepted + int64(v.connected); n != 0 {
		t.Errorf("%d connections over QUIC", n)
	}
}

func TestClearTakesAlternativesBack(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	moves(t, s, v)
	s.says("clear")
	if got := v.get(t, "/"); got != "HTTP/3.0" {
		t.Errorf("before it was told it went by %s", got)
	}
	if got := v.get(t, "/"); got != "HTTP/2.0" {
		t.Errorf("afterwards it went by %s", got)
	}
}

func TestBlockedUDPCostsNoRequest(t *testing.T) {
	s := newSite(t)
	s.wire.cut.Store(true)
	v := s.visitor(func(v *visitor) { v.QUIC = &quic.Config{HandshakeTimeout: 300 * time.Millisecond} })
	for range 2 {
		if got := v.get(t, "/"); got != "HTTP/2.0" {
			t.Errorf("it went by %s", got)
		}
	}
	v.wait(t, 0, 1)
	if !errors.Is(v.failures[0], quic.ErrHandshakeTimeout) {
		t.Error(v.failures[0])
	}
	// It is broken: nobody dials.
	dialled := len(s.wire.sources())
	for range 3 {
		v.get(t, "/")
	}
	if _, ok := v.m.choose(origin{"origin.test", 443}); ok || len(s.wire.sources()) != dialled {
		t.Error("it is tried again at once")
	}
	// In five minutes it is tried again, and works.
	s.wire.cut.Store(false)
	v.QUIC = nil
	v.clock.advance(firstBreak)
	v.get(t, "/")
	v.stands()
	if got := v.get(t, "/"); got != "HTTP/3.0" {
		t.Errorf("with UDP back it went by %s", got)
	}
}

// sources are the addresses that datagrams came from.
func (w *wire) sources() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for from := range w.legs {
		list = append(list, from.String())
	}
	return list
}

func TestACertificateForAnotherHostIsNoAlternative(t *testing.T) {
	cert, _ := certificate("other.test")
	s := newSite(t, cert)
	v := s.visitor(func(v *visitor) {
		v.TLSClientConfig.RootCAs = v.TLSClientConfig.RootCAs.Clone()
		v.TLSClientConfig.RootCAs.AddCert(cert.Leaf) // trusted, but for another name
	})
	s.says(fmt.Sprintf(`h3="other.test:%d"`, s.wire.port()))
	for range 2 {
		if got := v.get(t, "/"); got != "HTTP/2.0" {
			t.Errorf("it went by %s", got)
		}
	}
	v.wait(t, 0, 1)
	if err := v.failures[0]; !strings.Contains(err.Error(), "not origin.test") {
		t.Errorf("%v", err)
	}
	for range 3 {
		if got := v.get(t, "/"); got != "HTTP/2.0" {
			t.Errorf("it went by %s", got)
		}
	}
	for _, r := range s.requests() {
		if strings.HasPrefix(r, "HTTP/3") {
			t.Errorf("the wrong host has seen %s", r)
		}
	}
}

func TestUDPThatDiesInMidRequest(t *testing.T) {
	for _, c := range []struct {
		method string
		body   io.Reader
		moves  bool
	}{
		{"GET", nil, true},
		{"PUT", strings.NewReader("can be read again"), true},
		{"POST", strings.NewReader("may have been processed"), false},
		{"PUT", io.MultiReader(strings.NewReader("cannot be read again")), false},
	} {
		s := newSite(t)
		v := s.visitor(func(v *visitor) { v.QUIC = &quic.Config{MaxIdleTimeout: time.Second} })
		moves(t, s, v)
		v.deafLimit = 100 * time.Millisecond
		s.handle(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if r.ProtoMajor == 3 {
				s.wire.cut.Store(true)
				<-r.Context().Done()
			}
		})
		req, err := http.NewRequestWithContext(t.Context(), c.method, "https://origin.test/dies", c.body)
		if err != nil {
			t.Fatal(err)
		}
		res, err := v.RoundTrip(req)
		switch {
		case !c.moves && (err == nil || !errors.Is(err, quic.ErrIdleTimeout)):
			t.Errorf("%s: %v, %v", c.method, res, err)
		case c.moves && (err != nil || res.Proto != "HTTP/2.0"):
			t.Errorf("%s: %v, %v", c.method, res, err)
		}
		if err == nil {
			res.Body.Close()
		}
		if n := slices.Index(s.requests(), "HTTP/2.0 "+c.method+" /dies") + 1; (n > 0) != c.moves {
			t.Errorf("%s: over TCP: %v, want %v", c.method, n > 0, c.moves)
		}
		if _, ok := v.m.choose(origin{"origin.test", 443}); ok && c.moves {
			t.Errorf("%s: it is not broken", c.method)
		}
	}
}

func TestAConnectionThatDiedUnnoticedCostsNoRequest(t *testing.T) {
	s := newSite(t)
	v := s.visitor(func(v *visitor) {
		v.quietLimit, v.probeLimit, v.headStart = 1, 500*time.Millisecond, 50*time.Millisecond
	})
	moves(t, s, v)
	s.wire.cut.Store(true)
	if got := v.do(t, "POST", "/", strings.NewReader("content")); got != "HTTP/2.0" {
		t.Errorf("it went by %s", got)
	}
	if got := s.requests(); len(got) != 1 || got[0] != "HTTP/2.0 POST /" {
		t.Errorf("%q", got)
	}
	v.wait(t, 1, 1)
	if _, ok := v.m.choose(origin{"origin.test", 443}); ok {
		t.Error("it is not broken")
	}
}

func TestWhatWasLearnedOutlivesTheProcess(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "alt-svc.json")
	first := s.visitor(func(v *visitor) { v.File = file })
	moves(t, s, first)
	first.Close()
	second := s.visitor(func(v *visitor) { v.File = file })
	if got := second.get(t, "/"); got != "HTTP/3.0" || second.tcpDials.Load() != 0 {
		t.Errorf("the first request of the next process went by %s, and TCP was dialled %d times", got, second.tcpDials.Load())
	}
	third := s.visitor(func(v *visitor) {
		v.File = file
		v.network = func() string { return "elsewhere" }
	})
	if got := third.get(t, "/"); got != "HTTP/2.0" {
		t.Errorf("on another network, without persist, it went by %s", got)
	}
}

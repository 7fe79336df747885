package altsvc

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/quic"
)

// ticketCache tells when a session that allows 0-RTT has come with the server's settings.
type ticketCache struct {
	tls.ClientSessionCache
	puts chan struct{}
}

func (c ticketCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if s == nil {
		return
	}
	if _, state, _ := s.ResumptionState(); state != nil && state.EarlyData {
		c.puts <- struct{}{}
	}
}

// returning makes a visitor that has been there, has a ticket for 0-RTT, and no
// connection. conns are those that it makes from now on.
func returning(t *testing.T, s *site) (v *visitor, conns chan *quic.Conn) {
	t.Helper()
	puts := make(chan struct{}, 100)
	conns = make(chan *quic.Conn, 100)
	v = s.visitor(func(v *visitor) {
		v.TLSClientConfig.ClientSessionCache = ticketCache{tls.NewLRUClientSessionCache(16), puts}
		before := v.Trace.Connected
		v.Trace.Connected = func(o, at string, q *quic.Conn) { conns <- q; before(o, at, q) }
	})
	moves(t, s, v)
	<-puts // the ticket
	<-puts // and once more, with the settings
	q := <-conns
	for _, l := range v.links.takeAll(func(*link) bool { return true }) {
		l.close()
	}
	<-q.Context().Done()
	return v, conns
}

func TestSafeRequestsGoInZeroRTT(t *testing.T) {
	for _, c := range []struct {
		method string
		code   int
		early  string
	}{{"GET", 200, "early late"}, {"GET", 425, "late"}, {"POST", 200, "late"}} {
		s := newSite(t)
		v, conns := returning(t, s)
		s.handle(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if r.TLS.HandshakeComplete {
				io.WriteString(w, "late")
			} else if w.WriteHeader(c.code); c.code == 200 {
				io.WriteString(w, "early")
			}
		})
		var body io.Reader
		if c.method == "POST" {
			body = strings.NewReader("content")
		}
		req, _ := http.NewRequestWithContext(t.Context(), c.method, "https://origin.test/", body)
		res, err := v.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.Proto != "HTTP/3.0" || res.StatusCode != 200 || !strings.Contains(c.early, string(b)) {
			t.Errorf("%s, %d: %s %d %q, %v", c.method, c.code, res.Proto, res.StatusCode, b, err)
		}
		if got := (<-conns).Stats().Early; got != "accepted" {
			t.Errorf("%s: 0-RTT was %q", c.method, got)
		}
	}
}

func TestAfterAFailureThereIsNoZeroRTT(t *testing.T) {
	s := newSite(t)
	v, conns := returning(t, s)
	v.m.tcpWorks(home)
	v.m.failed(home, route{"origin.test", uint16(s.wire.port())}, v.clock.now())
	v.clock.advance(firstBreak)
	v.get(t, "/")
	if got := (<-conns).Stats().Early; got != "" {
		t.Errorf("0-RTT was %q", got)
	}
}

func TestZeroRTTIntoTheVoidCostsNoRequest(t *testing.T) {
	s := newSite(t)
	v, _ := returning(t, s)
	v.QUIC = &quic.Config{HandshakeTimeout: 500 * time.Millisecond, Resumption: quic.Resumption{EarlyData: true}}
	v.headStart = 20 * time.Millisecond
	s.wire.cut.Store(true)
	if got := v.get(t, "/"); got != "HTTP/2.0" {
		t.Errorf("it went by %s", got)
	}
	v.wait(t, 1, 1)
}

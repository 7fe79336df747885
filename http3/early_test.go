package http3_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// tellingCache tells when a session that allows 0-RTT has come with the server's settings.
type tellingCache struct {
	tls.ClientSessionCache
	puts chan struct{}
}

func (c tellingCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if _, state, _ := s.ResumptionState(); state != nil && state.EarlyData {
		c.puts <- struct{}{}
	}
}

// earlyHost is a host with 0-RTT whose handshakes wait while gate is set.
func earlyHost(t *testing.T, h http.Handler) (addr string, tr *http3.Transport, gate *atomic.Pointer[chan struct{}]) {
	t.Helper()
	gate = new(atomic.Pointer[chan struct{}])
	conf := serverTLS()
	conf.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if ch := gate.Load(); ch != nil {
			<-*ch
		}
		return nil, nil
	}
	e, err := quic.Listen("127.0.0.1:0", conf, &quic.Config{Resumption: quic.Resumption{EarlyData: true}})
	if err != nil {
		t.Fatal(err)
	}
	s := &http3.Server{Handler: h, Logger: quietLog}
	go s.Serve(e)
	clientConf := clientTLS()
	puts := make(chan struct{}, 100)
	clientConf.ClientSessionCache = tellingCache{tls.NewLRUClientSessionCache(4), puts}
	tr = &http3.Transport{TLSClientConfig: clientConf, QUIC: &quic.Config{Resumption: quic.Resumption{EarlyData: true}}}
	t.Cleanup(func() { tr.Close(); s.Close(); e.Close() })
	addr = "https://" + e.Addr().String()
	res, err := (&http.Client{Transport: tr}).Get(addr + "/first")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	<-puts // the ticket
	<-puts // and once more, with the settings
	tr.CloseIdleConnections()
	return addr, tr, gate
}

// seen is what a handler says of its request.
var seen = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	early := !r.TLS.HandshakeComplete
	if early && r.URL.Path == "/late" {
		w.WriteHeader(http.StatusTooEarly)
		return
	}
	if err := http3.WaitHandshake(r); err != nil {
		panic(http.ErrAbortHandler)
	}
	if early {
		io.WriteString(w, "early")
	} else {
		io.WriteString(w, "late")
	}
})

func TestOnlySafeRequestsGoEarly(t *testing.T) {
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/", "", "early"},
		{"OPTIONS", "/", "", "early"},
		{"GET", "/late", "", "late"}, // 425, and once more
		{"POST", "/", "", "late"},
		{"GET", "/", "content", "late"},
	} {
		addr, tr, gate := earlyHost(t, seen)
		ch := make(chan struct{})
		sent := make(chan struct{})
		if c.method != "POST" && c.body == "" {
			gate.Store(&ch)
			go func() { <-sent; gate.Store(nil); close(ch) }()
		}
		req, err := http.NewRequest(c.method, addr+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req = req.WithContext(wroteRequest(t, sent))
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		// The handshake may be done before the handler of an early request looks: then it is told so.
		good := string(b) == c.want || string(b) == "late"
		if err != nil || !good || res.StatusCode != 200 {
			t.Errorf("%s %s with %q: %d %q, %v", c.method, c.path, c.body, res.StatusCode, b, err)
		}
	}
}

// wroteRequest returns a context whose trace closes sent when the request is written for the first time.
func wroteRequest(t *testing.T, sent chan struct{}) context.Context {
	var once sync.Once
	return httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { once.Do(func() { close(sent) }) },
	})
}

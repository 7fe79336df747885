package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// Nobody but an entry with the token has anything reach the platform, or the handler in front of it.
func TestStrangersReachNothing(t *testing.T) {
	goroutinesReturn(t)
	var reached atomic.Int64
	w := build(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	w.get("/") // the tunnel works
	if reached.Swap(0) != 1 {
		t.Fatal("the platform was not reached")
	}
	served := w.exit.server.Stats().Requests
	right := w.token()
	wrongSecret := right
	wrongSecret.Secret[0] ^= 1
	noCertificate := right.entryTLS()
	noCertificate.Certificates = nil
	exitsOwn := right.entryTLS() // a certificate whose key is known to be pinned, by the wrong side
	exitsOwn.Certificates = []tls.Certificate{certificate(w.exit.key.private())}
	notPossessed := right.entryTLS() // the right certificate, without its key
	notPossessed.Certificates = []tls.Certificate{{
		Certificate: certificate(right.Secret.entryKey()).Certificate,
		PrivateKey:  wrongSecret.Secret.entryKey(),
	}}
	for _, c := range []struct {
		name string
		conf *tls.Config
		want []quic.ErrorCode
	}{
		{"the wrong secret", wrongSecret.entryTLS(), []quic.ErrorCode{alertBadCertificate}},
		{"no certificate", noCertificate, []quic.ErrorCode{alertCertificateRequired, alertBadCertificate}},
		{"the exit's own certificate", exitsOwn, []quic.ErrorCode{alertBadCertificate}},
		{"a certificate without its key", notPossessed, []quic.ErrorCode{0x100 + 51 /* decrypt_error */, alertBadCertificate, 0x100 + 80, 0x100 + 47}},
		{"a client of HTTP/3", &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, []quic.ErrorCode{alertNoProtocol}},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), forever)
		q, err := quic.Dial(ctx, w.exit.Addr().String(), c.conf, nil)
		if err == nil {
			// TLS 1.3: the client's handshake is done before the server has seen its certificate. It may ask, and hears no.
			req := w.request("POST", "/", strings.NewReader("let me in"))
			req.URL.Scheme = "https"
			cc := http3.NewClientConn(q)
			if _, err := cc.RoundTrip(req); err == nil {
				t.Errorf("%s: there was a response", c.name)
			}
			<-q.Context().Done()
			err = q.Err()
		}
		cancel()
		e, ok := errors.AsType[*quic.TransportError](err)
		if !ok || !e.Remote {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		found := false
		for _, code := range c.want {
			found = found || e.Code == code
		}
		if !found {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := w.exit.server.Stats().Requests; n != served || reached.Load() != 0 {
		t.Errorf("the handler was called %d times, the platform %d times", n-served, reached.Load())
	}
	if strings.Count(w.log.String(), "entry connected") != 1 {
		t.Errorf("strangers are taken for entries: %s", w.log)
	}
}

// An entry that finds somebody else where its exit should be sends nothing, and says who is there.
func TestAnEntryTrustsItsExitAlone(t *testing.T) {
	var reached atomic.Int64
	w := build(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	addr := w.exit.Addr().String()
	other := *w.exit.key
	other.seed[0] ^= 1
	w.startEntry(tokenFor(t, &other, addr))
	res, body := w.get("/")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d", res.StatusCode)
	}
	contains(t, body, "the tunnel is away: "+addr+" is not the exit of this token: its key is "+w.exit.key.Pin().String())

	other = *w.exit.key
	other.secret[0] ^= 1
	w.startEntry(tokenFor(t, &other, addr))
	res, body = w.get("/")
	if res.StatusCode != 503 {
		t.Errorf("status %d", res.StatusCode)
	}
	contains(t, body, addr+" does not know this token: ask its exit for a new one")
	if reached.Load() != 0 {
		t.Error("the platform was reached")
	}
}

func TestAServerOfAnotherProtocolIsNoExit(t *testing.T) {
	w := &world{t: t, log: new(logBuffer)}
	k := NewKey()
	conf := k.exitTLS()
	conf.NextProtos = []string{"h3"}
	e, err := quic.Listen("127.0.0.1:0", conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	w.startEntry(tokenFor(t, k, e.Addr().String()))
	_, body := w.get("/")
	contains(t, body, e.Addr().String()+" is no tunnel exit, but speaks another protocol")
}

// Tickets would let a connection begin without a certificate; there are none.
func TestSessionsAreNotResumed(t *testing.T) {
	w := build(t, func(http.ResponseWriter, *http.Request) {})
	conf := w.token().entryTLS()
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), forever)
		q, err := quic.Dial(ctx, w.exit.Addr().String(), conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := newSession(q, "", defaultSilence)
		if err := s.hello(ctx); err != nil {
			t.Error(err)
		}
		if q.Stats().Resumed {
			t.Error("the session was resumed")
		}
		s.close()
		cancel()
	}
}

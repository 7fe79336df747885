package http3_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// identity is a certificate for localhost and the pool that trusts it.
var identity = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost", "example.com"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
})

func serverTLS() *tls.Config {
	cert, _ := identity()
	return http3.ConfigureTLS(&tls.Config{Certificates: []tls.Certificate{cert}})
}

func clientTLS() *tls.Config {
	_, roots := identity()
	return http3.ConfigureTLS(&tls.Config{RootCAs: roots, ServerName: "localhost"})
}

// host is a running server and a client for it.
type host struct {
	URL       string // https://127.0.0.1:port
	Addr      string // 127.0.0.1:port
	Server    *http3.Server
	Transport *http3.Transport
	Client    *http.Client
	Endpoint  *quic.Endpoint
}

// quietLog drops what a server has to say about its handlers.
var quietLog = slog.New(slog.DiscardHandler)

// start runs h on loopback until the test ends. tune may set fields of the
// server first.
func start(t testing.TB, h http.Handler, tune ...func(*http3.Server)) *host {
	t.Helper()
	s := &http3.Server{Handler: h, Logger: quietLog}
	for _, f := range tune {
		f(s)
	}
	e, err := quic.Listen("127.0.0.1:0", serverTLS(), s.QUIC)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(e) }()
	tr := &http3.Transport{TLSClientConfig: clientTLS()}
	t.Cleanup(func() {
		tr.Close()
		s.Close()
		e.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("Serve: %v, want %v", err, http.ErrServerClosed)
		}
	})
	addr := e.Addr().String()
	return &host{"https://" + addr, addr, s, tr, &http.Client{Transport: tr}, e}
}

// dial opens a QUIC connection to h on which a test speaks for itself.
func (h *host) dial(t testing.TB) *quic.Conn {
	t.Helper()
	c, err := quic.Dial(t.Context(), h.Addr, clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// slogDiscard is a *log.Logger for net/http's own server.
func slogDiscard() *log.Logger { return log.New(io.Discard, "", 0) }

package quic

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen; no test passes or fails by how long it took.
const patience = 2 * time.Minute

// identity is a certificate for localhost and the pool that trusts it.
var identity = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "localhost"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

func serverTLS() *tls.Config {
	cert, _ := identity()
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"test"}}
}

func clientTLS() *tls.Config {
	_, pool := identity()
	return &tls.Config{RootCAs: pool, NextProtos: []string{"test"}}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func listen(t testing.TB, conf *Config) *Endpoint {
	t.Helper()
	e, err := Listen("127.0.0.1:0", serverTLS(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func dial(t testing.TB, e *Endpoint, conf *Config) *Conn {
	t.Helper()
	c, err := Dial(testContext(t), e.Addr().String(), clientTLS(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pair is a connection and both its ends.
func pair(t testing.TB, client, server *Config) (c, s *Conn) {
	t.Helper()
	e := listen(t, server)
	c = dial(t, e, client)
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// streams opens a stream on c and returns both ends; the first byte, which tells the peer of it, is read already.
func streams(t testing.TB, c, s *Conn) (ours, theirs *Stream) {
	t.Helper()
	ctx := testContext(t)
	ours, err := c.OpenStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	theirs, err = s.AcceptStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(theirs, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// echo sends back what comes on every stream.
func echo(e *Endpoint) {
	for {
		c, err := e.Accept(context.Background())
		if err != nil {
			return
		}
		c.HandleStreams(func(s *Stream) {
			io.Copy(struct{ io.Writer }{s}, s)
			s.Close()
		})
	}
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("still not so: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestEchoOnManyStreamsAtOnce(t *testing.T) {
	e := listen(t, nil)
	go echo(e)
	c := dial(t, e, nil)
	var all sync.WaitGroup
	for i := range 300 { // three times the limit on open streams
		all.Go(func() {
			s, err := c.OpenStream(testContext(t))
			if err != nil {
				t.Error(err)
				return
			}
			want := randomBytes(1 + i*37)
			if n, err := s.WriteFinal(want); err != nil || n != len(want) {
				t.Errorf("WriteFinal: %d, %v", n, err)
				return
			}
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("stream %d: %d bytes came back of %d, error %v", s.ID(), len(got), len(want), err)
			}
		})
	}
	all.Wait()
	c.mu.Lock()
	left := len(c.streams)
	c.mu.Unlock()
	if left > 0 {
		// The last acknowledgments may be under way.
		eventually(t, "every stream is released", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.streams) == 0
		})
	}
}

func TestBigTransfersBothWays(t *testing.T) {
	const size = 16 << 20
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	var all sync.WaitGroup
	for _, way := range []struct {
		name     string
		from, to *Stream
	}{{"up", ours, theirs}, {"down", theirs, ours}} {
		data := randomBytes(size)
		all.Go(func() {
			if n, err := way.from.WriteFinal(data); err != nil {
				t.Errorf("%s: write: %d, %v", way.name, n, err)
			}
		})
		all.Go(func() {
			got, err := io.ReadAll(way.to)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes of %d, error %v", way.name, len(got), size, err)
			}
		})
	}
	all.Wait()
}

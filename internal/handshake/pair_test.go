package handshake

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/seal"
)

// An authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// testAuthority and testCertificate are made once: no test changes them.
var testAuthority = sync.OnceValue(func() *authority { return newAuthority(new(testing.B)) })
var testCertificate = sync.OnceValue(func() tls.Certificate { return testAuthority().issue(new(testing.B), "server.test") })

// configs returns a client's and a server's Config that go together, as users write them: neither has a MinVersion.
func configs() (client, server *tls.Config) {
	client = &tls.Config{ServerName: "server.test", RootCAs: testAuthority().pool, NextProtos: []string{"h3"}}
	server = &tls.Config{Certificates: []tls.Certificate{testCertificate()}, NextProtos: []string{"h3"}}
	return client, server
}

// A side is a Handshake and what came out of it.
type side struct {
	*Handshake
	err    error
	params []byte
	done   int
	read   [4]key
	write  [4]key
	kinds  []EventKind

	alter func(l Level, data []byte) []byte // what the peer gets in place of our Data
}

type key struct {
	suite  uint16
	secret []byte
}

// take moves the events of s to the record and its Data to peer, in pieces of at most piece bytes.
func (s *side) take(t testing.TB, peer *side, piece int) (progress bool) {
	t.Helper()
	type flight struct {
		level Level
		data  []byte
	}
	var flights []flight
	for {
		e, ok := s.Next()
		if !ok {
			break
		}
		progress = true
		s.kinds = append(s.kinds, e.Kind)
		switch e.Kind {
		case ReadKeys:
			s.read[e.Level] = key{e.Suite, bytes.Clone(e.Secret)}
		case WriteKeys:
			s.write[e.Level] = key{e.Suite, bytes.Clone(e.Secret)}
		case Data:
			if e.Level != InitialLevel && s.write[e.Level].secret == nil {
				t.Errorf("Data at the %s level before its keys", e.Level)
			}
			data := bytes.Clone(e.Data)
			if s.alter != nil {
				data = s.alter(e.Level, data)
			}
			flights = append(flights, flight{e.Level, data})
		case PeerParams:
			s.params = bytes.Clone(e.Data)
		case Done:
			s.done++
			if s.read[AppLevel].secret == nil || s.write[AppLevel].secret == nil || s.params == nil {
				t.Error("Done before keys and parameters")
			}
		}
	}
	if err := s.Err(); err != nil && s.err == nil {
		s.err = err
	}
	for _, f := range flights {
		for len(f.data) > 0 && peer.err == nil {
			n := min(piece, len(f.data))
			if err := peer.Receive(f.level, f.data[:n]); err != nil {
				peer.err = err
			}
			clear(f.data[:n]) // it may not be kept
			f.data = f.data[n:]
			peer.take(t, s, piece) // before it receives the next
		}
	}
	return progress
}

// pair returns the two sides of a handshake, not yet started.
func pair(t testing.TB, clientConf, serverConf *tls.Config) (client, server *side) {
	client = &side{Handshake: NewClient(clientConf, []byte("client parameters"))}
	server = &side{Handshake: NewServer(serverConf, []byte("server parameters"))}
	t.Cleanup(client.Close)
	t.Cleanup(server.Close)
	return client, server
}

// connect runs a handshake until neither side has anything to say.
func connect(t testing.TB, clientConf, serverConf *tls.Config, piece int) (client, server *side) {
	t.Helper()
	client, server = pair(t, clientConf, serverConf)
	run(t, client, server, piece)
	return client, server
}

func run(t testing.TB, client, server *side, piece int) {
	t.Helper()
	for _, s := range []*side{client, server} {
		if !s.started {
			s.err = s.Start()
		}
	}
	for {
		a, b := client.take(t, server, piece), server.take(t, client, piece)
		if !a && !b {
			return
		}
	}
}

const whole = 1 << 20 // piece: no splitting

func mustSucceed(t testing.TB, client, server *side) {
	t.Helper()
	if client.err != nil || server.err != nil {
		t.Fatalf("client: %v; server: %v", client.err, server.err)
	}
	if client.done != 1 || server.done != 1 {
		t.Fatalf("done: client %d times, server %d times", client.done, server.done)
	}
}

// mustFail checks that a side ended with an alert.
func mustFail(t testing.TB, s *side, alert uint8) *Error {
	t.Helper()
	var e *Error
	if !errors.As(s.err, &e) {
		t.Fatalf("error is %v (%T)", s.err, s.err)
	}
	if e.Alert != alert || e.Violation || e.Code() != 0x100+uint64(alert) {
		t.Errorf("%v: alert %d, code %#x; want alert %d", e, e.Alert, e.Code(), alert)
	}
	if bytes.ContainsAny([]byte(e.Error()), "\r\n") {
		t.Errorf("message of more than one line: %q", e.Error())
	}
	if s.done != 0 {
		t.Error("it was done all the same")
	}
	return e
}

// sealKeys checks that a secret is one that packet protection takes.
func sealKeys(t testing.TB, k key) {
	t.Helper()
	if _, err := seal.New(k.suite, k.secret); err != nil {
		t.Error(err)
	}
}

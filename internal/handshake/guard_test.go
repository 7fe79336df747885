package handshake

import (
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// faulty is everything that crypto/tls calls through an interface; what has the name of its fault panics.
type faulty struct {
	crypto.Signer
	tls.ClientSessionCache
	fault string
}

var errFaulty = errors.New("of no use")

func (f *faulty) check(name string) {
	if f.fault == name {
		panic(errFaulty)
	}
}

func (f *faulty) Read(p []byte) (int, error)  { f.check("Rand"); clear(p); return len(p), nil }
func (f *faulty) Write(p []byte) (int, error) { f.check("KeyLogWriter"); return len(p), nil }
func (f *faulty) Time() time.Time             { f.check("Time"); return time.Now() }

func (f *faulty) Public() crypto.PublicKey {
	f.check("Certificates: Public of a private key")
	return f.Signer.Public()
}

func (f *faulty) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	f.check("Certificates: Sign of a private key")
	return f.Signer.Sign(r, digest, o)
}

func (f *faulty) Get(key string) (*tls.ClientSessionState, bool) {
	f.check("ClientSessionCache: Get")
	return f.ClientSessionCache.Get(key)
}

func (f *faulty) Put(key string, s *tls.ClientSessionState) {
	f.check("ClientSessionCache: Put")
	f.ClientSessionCache.Put(key, s)
}

// hashing is a private key that hashes messages itself.
type hashing struct{ *faulty }

func (w hashing) SignMessage(r io.Reader, msg []byte, o crypto.SignerOpts) ([]byte, error) {
	w.check("Certificates: SignMessage of a private key")
	h := o.HashFunc().New()
	h.Write(msg)
	return w.Signer.Sign(r, h.Sum(nil), o)
}

// certificate returns the test's with a key of f's.
func (f *faulty) certificate(hashes bool) tls.Certificate {
	c := testCertificate()
	f.Signer = c.PrivateKey.(crypto.Signer)
	c.PrivateKey = f
	if hashes {
		c.PrivateKey = hashing{f}
	}
	return c
}

func TestAnInterfaceThatPanicsCostsOneHandshake(t *testing.T) {
	for _, c := range []struct {
		name, fault string
		client      bool // it is the client that fails
		edit        func(f *faulty, client, server *tls.Config)
	}{
		{"a key", "Certificates: Sign of a private key", false, func(f *faulty, _, s *tls.Config) {
			s.Certificates = []tls.Certificate{f.certificate(false)}
		}},
		{"a key's Public", "Certificates: Public of a private key", false, func(f *faulty, _, s *tls.Config) {
			s.Certificates = []tls.Certificate{f.certificate(false)}
		}},
		{"a key that hashes", "Certificates: SignMessage of a private key", false, func(f *faulty, _, s *tls.Config) {
			s.Certificates = []tls.Certificate{f.certificate(true)}
		}},
		{"a key by name", "Certificates: Sign of a private key", false, func(f *faulty, _, s *tls.Config) {
			cert := f.certificate(false)
			s.NameToCertificate = map[string]*tls.Certificate{"server.test": &cert}
			s.Certificates = append(s.Certificates, testCertificate())
		}},
		{"a key from GetCertificate", "Certificates: Sign of a private key", false, func(f *faulty, _, s *tls.Config) {
			cert := f.certificate(false)
			s.Certificates = nil
			s.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }
		}},
		{"a key from GetConfigForClient", "Certificates: Sign of a private key", false, func(f *faulty, _, s *tls.Config) {
			inner := s.Clone()
			inner.Certificates = []tls.Certificate{f.certificate(false)}
			s.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }
		}},
		{"a key from GetClientCertificate", "Certificates: Sign of a private key", true, func(f *faulty, c, s *tls.Config) {
			cert := f.certificate(false)
			s.ClientAuth = tls.RequireAnyClientCert
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		}},
		{"a server's key log", "KeyLogWriter", false, func(f *faulty, _, s *tls.Config) { s.KeyLogWriter = f }},
		{"a client's key log", "KeyLogWriter", true, func(f *faulty, c, _ *tls.Config) { c.KeyLogWriter = f }},
		{"a server's randomness", "Rand", false, func(f *faulty, _, s *tls.Config) { s.Rand = f; s.SessionTicketKey[0] = 1 }},
		{"a client's randomness", "Rand", true, func(f *faulty, c, _ *tls.Config) { c.Rand = f }},
		{"a client's clock", "Time", true, func(f *faulty, c, _ *tls.Config) { c.Time = f.Time }},
		{"a session cache that is asked", "ClientSessionCache: Get", true, func(f *faulty, c, _ *tls.Config) {
			c.ClientSessionCache = f
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// First without a fault: what is wrapped works as it did.
			f := &faulty{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			clientConf, serverConf := configs()
			c.edit(f, clientConf, serverConf)
			client, server := connect(t, clientConf, serverConf, whole)
			mustSucceed(t, client, server)

			f.fault = c.fault
			client, server = connect(t, clientConf, serverConf, whole)
			s := server
			if c.client {
				s = client
			}
			mustFail(t, s, alertInternalError)
			p, ok := errors.AsType[*PanicError](s.err)
			if !ok || p.Callback != c.fault || !strings.Contains(string(p.Stack), "guard_test.go") || !errors.Is(s.err, errFaulty) {
				t.Errorf("error %v", s.err)
			}
		})
	}
}

func TestACacheThatPanicsAfterTheHandshakeEndsItsConnection(t *testing.T) {
	f := &faulty{ClientSessionCache: tls.NewLRUClientSessionCache(1), fault: "ClientSessionCache: Put"}
	clientConf, serverConf := configs()
	clientConf.ClientSessionCache = f
	client, server := connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	if err := server.SendTicket(); err != nil {
		t.Fatal(err)
	}
	server.take(t, client, whole)
	client.take(t, server, whole)
	if p, ok := errors.AsType[*PanicError](client.err); !ok || p.Callback != f.fault {
		t.Errorf("error %v", client.err)
	}
}

func TestRandomnessThatPanicsForATicketLeavesTheHandshakeAlone(t *testing.T) {
	f := new(faulty)
	clientConf, serverConf := configs()
	serverConf.SessionTicketKey[0] = 1 // or crypto/tls makes one, of Rand
	serverConf.Rand = f
	client, server := connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	f.fault = "Rand"
	if p, ok := errors.AsType[*PanicError](server.SendTicket()); !ok || p.Callback != f.fault {
		t.Error("no error")
	}
	if _, ok := server.Next(); ok || server.Err() != nil {
		t.Errorf("something was sent, or %v", server.Err())
	}
}

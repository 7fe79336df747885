package handshake

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godwit-net/godwit/internal/seal"
)

func TestHandshakeGivesBothSidesTheSameKeysAndEachTheOthersParameters(t *testing.T) {
	// Rules: 9000:7/1
	for _, piece := range []int{whole, 1000, 7, 1} {
		t.Run(fmt.Sprintf("pieces of %d", piece), func(t *testing.T) {
			clientConf, serverConf := configs()
			client, server := connect(t, clientConf, serverConf, piece)
			mustSucceed(t, client, server)
			for _, l := range []Level{HandshakeLevel, AppLevel} {
				for _, k := range [][2]key{{client.write[l], server.read[l]}, {server.write[l], client.read[l]}} {
					sealKeys(t, k[0])
					if k[0].suite != k[1].suite || !bytes.Equal(k[0].secret, k[1].secret) {
						t.Errorf("%s keys differ", l)
					}
				}
			}
			if string(client.params) != "server parameters" || string(server.params) != "client parameters" {
				t.Errorf("parameters %q, %q", client.params, server.params)
			}
			for _, s := range []*side{client, server} {
				if st := s.State(); !st.HandshakeComplete || st.Version != tls.VersionTLS13 || st.NegotiatedProtocol != "h3" {
					t.Errorf("state: %+v", st)
				}
				if s.kinds[len(s.kinds)-1] != Done {
					t.Errorf("Done is not last: %v", s.kinds)
				}
			}
			if clientConf.MinVersion != 0 || serverConf.MinVersion != 0 {
				t.Error("the caller's Config was changed")
			}
		})
	}
}

func TestSuiteAndLevelNumbersAreThoseOfCryptoTLS(t *testing.T) {
	if seal.AES128GCM != tls.TLS_AES_128_GCM_SHA256 || seal.AES256GCM != tls.TLS_AES_256_GCM_SHA384 ||
		seal.ChaCha20Poly1305 != tls.TLS_CHACHA20_POLY1305_SHA256 {
		t.Error("suites")
	}
	for l, want := range map[Level]tls.QUICEncryptionLevel{
		InitialLevel: tls.QUICEncryptionLevelInitial, EarlyLevel: tls.QUICEncryptionLevelEarly,
		HandshakeLevel: tls.QUICEncryptionLevelHandshake, AppLevel: tls.QUICEncryptionLevelApplication,
	} {
		if l.tls() != want {
			t.Errorf("%s is %s", l, want)
		}
	}
}

func TestNoCommonApplicationProtocolIsAnAlert(t *testing.T) {
	// Rules: 9000:7/2, 9001:8.1/1, 9001:8.1/2, 9001:8.1/3, 9001:8.1/5
	for _, c := range []struct {
		name           string
		client, server []string
		byClient       bool // it is the client that notices
	}{
		{"different protocols", []string{"h3"}, []string{"hq-interop"}, false},
		{"client offers none", nil, []string{"h3"}, false},
		{"server knows none", []string{"h3"}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			clientConf, serverConf := configs()
			clientConf.NextProtos, serverConf.NextProtos = c.client, c.server
			client, server := connect(t, clientConf, serverConf, whole)
			if c.byClient {
				mustFail(t, client, 120)
			} else {
				mustFail(t, server, 120)
			}
		})
	}
}

func TestUntrustedCertificateIsRejectedWithItsCause(t *testing.T) {
	// Rules: 9001:4.4/1
	for _, c := range []struct {
		name  string
		edit  func(*tls.Config)
		check func(error) bool
	}{
		{"unknown authority", func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, func(err error) bool {
			_, ok := errors.AsType[x509.UnknownAuthorityError](err)
			return ok
		}},
		{"wrong name", func(c *tls.Config) { c.ServerName = "other.test" }, func(err error) bool {
			_, ok := errors.AsType[x509.HostnameError](err)
			return ok
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clientConf, serverConf := configs()
			c.edit(clientConf)
			client, _ := connect(t, clientConf, serverConf, whole)
			mustFail(t, client, 42)
			if _, ok := errors.AsType[*tls.CertificateVerificationError](client.err); !ok || !c.check(client.err) {
				t.Errorf("the cause is lost: %v", client.err)
			}
		})
	}
}

func TestClientCertificateIsAskedForAndVerified(t *testing.T) {
	clientConf, serverConf := configs()
	serverConf.ClientAuth, serverConf.ClientCAs = tls.RequireAndVerifyClientCert, testAuthority().pool

	t.Run("given", func(t *testing.T) {
		conf := clientConf.Clone()
		cert := testAuthority().issue(t, "client.test")
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		client, server := connect(t, conf, serverConf, whole)
		mustSucceed(t, client, server)
		if certs := server.State().PeerCertificates; len(certs) != 1 || certs[0].Subject.CommonName != "client.test" {
			t.Error("the server has not got it")
		}
	})
	t.Run("missing", func(t *testing.T) {
		_, server := connect(t, clientConf, serverConf, whole)
		mustFail(t, server, 116) // certificate_required
	})
}

func TestMissingTransportParametersAreAnAlert(t *testing.T) {
	// Rules: 9001:8.2/1
	const quicTransportParameters = 57
	t.Run("from the client", func(t *testing.T) {
		clientConf, serverConf := configs()
		client, server := pair(t, clientConf, serverConf)
		client.alter = func(_ Level, hello []byte) []byte {
			at := 4 + 2 + 32                               // header, version, random
			at += 1 + int(hello[at])                       // session ID
			at += 2 + int(hello[at])<<8 + int(hello[at+1]) // cipher suites
			at += 1 + int(hello[at])                       // compression methods
			return withoutExtension(t, hello, at, quicTransportParameters)
		}
		run(t, client, server, whole)
		mustFail(t, server, 109) // missing_extension
	})
	t.Run("from the server", func(t *testing.T) {
		clientConf, serverConf := configs()
		client, server := pair(t, clientConf, serverConf)
		server.alter = func(l Level, data []byte) []byte {
			if l == HandshakeLevel { // it begins with EncryptedExtensions
				return withoutExtension(t, data, 4, quicTransportParameters)
			}
			return data
		}
		run(t, client, server, whole)
		mustFail(t, client, 109)
	})
}

// withoutExtension removes an extension from the TLS message that b begins with, whose extensions begin at at.
func withoutExtension(t *testing.T, b []byte, at int, typ uint16) []byte {
	t.Helper()
	total := int(binary.BigEndian.Uint16(b[at:]))
	for i := at + 2; i < at+2+total; {
		n := 4 + int(binary.BigEndian.Uint16(b[i+2:]))
		if binary.BigEndian.Uint16(b[i:]) == typ {
			binary.BigEndian.PutUint16(b[at:], uint16(total-n))
			binary.BigEndian.PutUint16(b[2:], binary.BigEndian.Uint16(b[2:])-uint16(n)) // the message's length
			return append(b[:i], b[i+n:]...)
		}
		i += n
	}
	t.Fatalf("no extension %d", typ)
	return nil
}

func TestKeyLogIsWritten(t *testing.T) {
	clientConf, serverConf := configs()
	var ours, theirs bytes.Buffer
	clientConf.KeyLogWriter, serverConf.KeyLogWriter = &ours, &theirs
	client, server := connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	for _, label := range []string{
		"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0",
	} {
		if !strings.Contains(ours.String(), label) || !strings.Contains(theirs.String(), label) {
			t.Errorf("no %s", label)
		}
	}
}

func TestConfigForClientMayAllowOldVersionsAndStillGetsTLS13(t *testing.T) {
	// Rules: 9001:4.2/2
	clientConf, serverConf := configs()
	inner := serverConf.Clone()
	inner.MinVersion = tls.VersionTLS10
	var seen string
	outer := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		seen = hello.ServerName
		return inner, nil
	}}
	client, server := connect(t, clientConf, outer, whole)
	mustSucceed(t, client, server)
	if seen != "server.test" || inner.MinVersion != tls.VersionTLS10 {
		t.Errorf("name %q, version %#x", seen, inner.MinVersion)
	}

	inner.MaxVersion = tls.VersionTLS12
	_, server = connect(t, clientConf, outer, whole)
	mustFail(t, server, 70) // protocol_version
}

func TestMaxVersionBelowTLS13IsAnErrorAtStart(t *testing.T) {
	// Rules: 9001:4.2/1
	clientConf, _ := configs()
	clientConf.MaxVersion = tls.VersionTLS12
	h := NewClient(clientConf, nil)
	defer h.Close()
	if err := h.Start(); err == nil || h.Receive(InitialLevel, []byte{1}) != err {
		t.Errorf("error %v", err)
	}
	if _, ok := h.Next(); ok {
		t.Error("a failed handshake has events")
	}
}

func TestCallbacksSeeTheAddresses(t *testing.T) {
	clientConf, serverConf := configs()
	local, remote := netip.MustParseAddrPort("192.0.2.1:443"), netip.MustParseAddrPort("[2001:db8::1]:5000")
	var got string
	cert := testCertificate()
	serverConf.Certificates = nil
	serverConf.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		got = hello.Conn.LocalAddr().String() + " " + hello.Conn.RemoteAddr().String()
		if _, err := hello.Conn.Read(nil); err == nil {
			t.Error("it can be read from")
		}
		return &cert, nil
	}
	client, server := pair(t, clientConf, serverConf)
	server.SetPath(local, remote)
	run(t, client, server, whole)
	mustSucceed(t, client, server)
	if want := local.String() + " " + remote.String(); got != want {
		t.Errorf("addresses %s, want %s", got, want)
	}
}

func TestCloseIsHarmlessAtAnyTime(t *testing.T) {
	clientConf, serverConf := configs()
	for _, h := range []*Handshake{NewClient(clientConf, nil), NewServer(serverConf, []byte{})} {
		h.Close() // before Start
		if h.Start() == nil {
			t.Error("started after Close")
		}
	}
	for _, h := range []*Handshake{NewClient(clientConf, nil), NewServer(serverConf, []byte{})} {
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		h.Close()
		h.Close()
		if err := h.Receive(InitialLevel, []byte{1}); err == nil {
			t.Error("received after Close")
		}
		if _, ok := h.Next(); ok {
			t.Error("events after Close")
		}
		h.State()
	}
}

// A bubble of synctest panics when a goroutine is left in it.
func TestNoGoroutineOutlivesItsHandshake(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, client, server *Handshake)
	}{
		{"done", func(t *testing.T, client, server *Handshake) {
			a, b := &side{Handshake: client}, &side{Handshake: server}
			run(t, a, b, whole)
			mustSucceed(t, a, b)
		}},
		{"failed in TLS", func(t *testing.T, client, server *Handshake) {
			client.Start()
			client.Receive(InitialLevel, message(99))
		}},
		{"failed before TLS", func(t *testing.T, client, server *Handshake) {
			server.Start()
			server.Receive(AppLevel, []byte{1})
		}},
		{"closed", func(t *testing.T, client, server *Handshake) {
			client.Start()
			client.Close()
		}},
		{"never started", func(*testing.T, *Handshake, *Handshake) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clientConf, serverConf := configs()
			clientConf.Time = func() time.Time { return now } // a bubble begins in another year
			synctest.Test(t, func(t *testing.T) {
				c.run(t, NewClient(clientConf, nil), NewServer(serverConf, []byte{}))
			})
		})
	}
}

func BenchmarkHandshake(b *testing.B) {
	clientConf, serverConf := configs()
	b.ReportAllocs()
	for b.Loop() {
		client := &side{Handshake: NewClient(clientConf, []byte("client parameters"))}
		server := &side{Handshake: NewServer(serverConf, []byte("server parameters"))}
		run(b, client, server, whole)
		mustSucceed(b, client, server)
	}
}

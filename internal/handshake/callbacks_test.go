package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
)

func TestPanickingCallbackCostsOneHandshake(t *testing.T) {
	cause := errors.New("first line\nsecond line")
	for _, c := range []struct {
		field  string
		client bool // it is the client that fails
		edit   func(client, server *tls.Config)
	}{
		{"GetCertificate", false, func(_, s *tls.Config) {
			s.Certificates = nil
			s.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic(cause) }
		}},
		{"GetConfigForClient", false, func(_, s *tls.Config) {
			s.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic(cause) }
		}},
		{"GetCertificate", false, func(_, s *tls.Config) { // of the Config for the client
			inner := s.Clone()
			inner.Certificates = nil
			inner.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic(cause) }
			s.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }
		}},
		{"VerifyConnection", false, func(_, s *tls.Config) {
			s.VerifyConnection = func(tls.ConnectionState) error { panic(cause) }
		}},
		{"VerifyPeerCertificate", true, func(c, _ *tls.Config) {
			c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { panic(cause) }
		}},
		{"VerifyConnection", true, func(c, _ *tls.Config) {
			c.VerifyConnection = func(tls.ConnectionState) error { panic(cause) }
		}},
		{"GetClientCertificate", true, func(c, s *tls.Config) {
			s.ClientAuth = tls.RequestClientCert
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { panic(cause) }
		}},
	} {
		t.Run(c.field, func(t *testing.T) {
			clientConf, serverConf := configs()
			c.edit(clientConf, serverConf)
			client, server := connect(t, clientConf, serverConf, whole)
			s := server
			if c.client {
				s = client
			}
			mustFail(t, s, alertInternalError)
			p, ok := errors.AsType[*PanicError](s.err)
			if !ok || p.Callback != c.field || p.Value != cause || !strings.Contains(string(p.Stack), "callbacks_test.go") {
				t.Errorf("error %v", s.err)
			}
			if !errors.Is(s.err, cause) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestPanickingTicketWrapperLeavesTheConnectionAlone(t *testing.T) {
	clientConf, serverConf := configs()
	serverConf.WrapSession = func(tls.ConnectionState, *tls.SessionState) ([]byte, error) { panic("no ticket") }
	client, server := connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	if _, ok := errors.AsType[*PanicError](server.SendTicket()); !ok {
		t.Error("no error")
	}
	if _, ok := server.Next(); ok {
		t.Error("something was sent")
	}
}

func TestCallbackErrorsReachTheCaller(t *testing.T) {
	clientConf, serverConf := configs()
	cause := errors.New("not today")
	clientConf.VerifyConnection = func(tls.ConnectionState) error { return cause }
	client, _ := connect(t, clientConf, serverConf, whole)
	mustFail(t, client, 42)
	if !errors.Is(client.err, cause) {
		t.Errorf("error %v", client.err)
	}
}

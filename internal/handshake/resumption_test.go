package handshake

import (
	"bytes"
	"crypto/tls"
	"testing"
)

// resume connects twice and reports whether the second handshake resumed the first.
func resume(t *testing.T, clientConf, serverConf *tls.Config, between func()) bool {
	t.Helper()
	clientConf.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	client, server := connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	for range 2 { // the second call does nothing
		if err := server.SendTicket(); err != nil {
			t.Fatal(err)
		}
	}
	run(t, client, server, 10)
	if client.err != nil {
		t.Fatal(client.err)
	}
	between()
	client, server = connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	if client.State().DidResume != server.State().DidResume {
		t.Error("the sides disagree")
	}
	if client.write[EarlyLevel].secret != nil || server.read[EarlyLevel].secret != nil {
		t.Error("0-RTT keys")
	}
	return client.State().DidResume
}

func TestSessionsResumeThroughOneServerConfig(t *testing.T) {
	cert := testCertificate()
	for _, c := range []struct {
		name   string
		edit   func(conf *tls.Config)
		resume bool
	}{
		{"as users write it", func(*tls.Config) {}, true},
		{"explicit ticket keys", func(c *tls.Config) { c.SetSessionTicketKeys([][32]byte{{1}}) }, true},
		{"tickets disabled", func(c *tls.Config) { c.SessionTicketsDisabled = true }, false},
		{"config for each client", func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h3"}}, nil
			}
		}, true},
		{"tickets disabled for the client", func(c *tls.Config) {
			inner := c.Clone()
			inner.SessionTicketsDisabled = true
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }
		}, false},
		{"sessions wrapped by the user", func(c *tls.Config) {
			key := new(tls.Config)
			c.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) { return key.EncryptTicket(cs, s) }
			c.UnwrapSession = func(b []byte, cs tls.ConnectionState) (*tls.SessionState, error) { return key.DecryptTicket(b, cs) }
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			clientConf, serverConf := configs()
			c.edit(serverConf)
			if got := resume(t, clientConf, serverConf, func() {}); got != c.resume {
				t.Errorf("resumed: %v", got)
			}
		})
	}
}

// Rotating keys on the Config that was handed over must reach later connections, although each runs on a copy.
func TestNewTicketKeysTakeEffectAtTheNextConnection(t *testing.T) {
	clientConf, serverConf := configs()
	serverConf.SetSessionTicketKeys([][32]byte{{1}})
	if resume(t, clientConf, serverConf, func() { serverConf.SetSessionTicketKeys([][32]byte{{2}}) }) {
		t.Error("a ticket under a removed key was accepted")
	}
	if !resume(t, clientConf, serverConf, func() { serverConf.SetSessionTicketKeys([][32]byte{{3}, {2}}) }) {
		t.Error("a ticket under the previous key was not accepted")
	}
}

func TestOCSPStapleReachesTheClient(t *testing.T) {
	clientConf, serverConf := configs()
	cert := testCertificate()
	cert.OCSPStaple = []byte("staple")
	serverConf.Certificates = []tls.Certificate{cert}
	client, server := connect(t, clientConf, serverConf, whole)
	mustSucceed(t, client, server)
	if !bytes.Equal(client.State().OCSPResponse, cert.OCSPStaple) {
		t.Error("no staple")
	}
}

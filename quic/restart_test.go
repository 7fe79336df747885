package quic

import (
	"path/filepath"
	"testing"
)

// A server that was killed says nothing, and the one that takes its place knows none of its connections.
func TestARestartedServerResetsLostConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "secret")
	start := func() *Config { // what a process does
		secret, err := LoadSecret(path)
		if err != nil {
			t.Fatal(err)
		}
		return &Config{Secret: secret, Logger: quiet()}
	}
	first := listen(t, start())
	c := dial(t, first, nil)
	s, err := first.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := streams(t, c, s)
	first.sock.Close()
	second, err := Listen(first.Addr().String(), serverTLS(), start())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	before := c.Stats().PacketsSent
	ours.Write([]byte("anybody there?"))
	<-c.Context().Done()
	if err := c.Err(); err != ErrStatelessReset {
		t.Errorf("the client's end: %v", err)
	}
	// One round trip: the first packet was answered, and nothing had to be sent again. An acknowledgment may have been due.
	if n := c.Stats().PacketsSent - before; n > 2 {
		t.Errorf("it took the client %d packets to learn of it", n)
	}
}

// The tokens of a server that was killed are good for the one that takes its place.
func TestTokensOutliveARestart(t *testing.T) {
	conf := &Config{Secret: [32]byte{1, 2, 3}, AddressValidation: ValidateAlways, Logger: quiet()}
	first := listen(t, conf)
	client := &Config{TokenStore: NewTokenStore(0)}
	c := dial(t, first, client)
	eventually(t, "a token comes", func() bool { return client.TokenStore.len() == 1 })
	c.Close()
	first.sock.Close()
	second, err := Listen(first.Addr().String(), serverTLS(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	dial(t, second, client)
	if n := second.Stats().Dropped["retry"]; n != 0 {
		t.Errorf("%d Retry packets for a client with a token", n)
	}
}

package quic

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// slowClient dials with a certificate check that waits until it is let go: its handshake is not done before.
func slowClient(t *testing.T, e *Endpoint, name string) (dialled chan *Conn, letGo func()) {
	t.Helper()
	open := make(chan struct{})
	conf := clientTLS()
	conf.ServerName = name
	conf.VerifyConnection = func(tls.ConnectionState) error { <-open; return nil }
	dialled = make(chan *Conn, 1)
	go func() {
		c, _ := Dial(context.Background(), e.Addr().String(), conf, &Config{HandshakeTimeout: time.Hour})
		dialled <- c
	}()
	done := false
	letGo = func() {
		if !done {
			done = true
			close(open)
		}
	}
	t.Cleanup(letGo)
	return dialled, letGo
}

func TestAcceptEarlyComesBeforeTheHandshakeIsDone(t *testing.T) {
	e := listen(t, &Config{AcceptEarly: true, HandshakeTimeout: time.Hour})
	dialled, letGo := slowClient(t, e, "localhost")
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.TLS(); got.ServerName != "localhost" || got.NegotiatedProtocol != "test" || got.HandshakeComplete {
		t.Errorf("TLS: %q, %q, complete %v", got.ServerName, got.NegotiatedProtocol, got.HandshakeComplete)
	}
	gone, cancel := context.WithCancelCause(context.Background())
	cancel(io.ErrNoProgress)
	if err := s.HandshakeDone(gone); err != io.ErrNoProgress {
		t.Errorf("the handshake is done: %v", err)
	}
	out, err := s.OpenUniStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.WriteFinal([]byte("half a round trip early")); err != nil {
		t.Fatal(err)
	}
	letGo()
	c := <-dialled
	if c == nil {
		t.Fatal("the client came to nothing")
	}
	defer c.Close()
	in, err := c.AcceptStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); string(got) != "half a round trip early" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.HandshakeDone(testContext(t)); err != nil || !s.TLS().HandshakeComplete {
		t.Errorf("HandshakeDone: %v, complete %v", err, s.TLS().HandshakeComplete)
	}
	none, cancelNone := context.WithCancel(context.Background())
	cancelNone()
	if again, err := e.Accept(none); err == nil {
		t.Errorf("a connection is accepted twice: %v", again)
	}
	if got := e.Stats(); got.Accepted != 1 || got.Open != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAcceptWaitsForTheHandshakeByDefault(t *testing.T) {
	e := listen(t, &Config{HandshakeTimeout: time.Hour})
	dialled, letGo := slowClient(t, e, "localhost")
	eventually(t, "the server has answered", func() bool { return e.Stats().DatagramsOut > 0 })
	e.mu.Lock()
	waiting := len(e.backlog)
	e.mu.Unlock()
	if waiting > 0 {
		t.Error("it is there already")
	}
	letGo()
	if c := <-dialled; c != nil {
		defer c.Close()
	}
	if _, err := e.Accept(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsAreRefusedAtTheirFirstFlight(t *testing.T) {
	e := listen(t, &Config{AcceptEarly: true})
	go func() {
		for {
			s, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			if s.TLS().ServerName == "localhost" {
				s.Refuse("not here")
			}
		}
	}()
	unwanted := clientTLS()
	unwanted.ServerName = "localhost"
	c, err := Dial(testContext(t), e.Addr().String(), unwanted, nil)
	if err == nil { // the client may have finished before it hears of it
		<-c.Context().Done()
		err = c.Err()
	}
	var refused *TransportError
	if !errors.As(err, &refused) || refused.Code != wire.ConnectionRefused || !refused.Remote || refused.Reason != "not here" {
		t.Errorf("Dial: %v", err)
	}
	eventually(t, "nothing is left of it", func() bool { return e.Stats().Open == 0 })
	conf := clientTLS()
	conf.ServerName = "127.0.0.1"
	if c, err = Dial(testContext(t), e.Addr().String(), conf, nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestAnEarlyConnectionMayComeToNothing: a client that is silent after its first flight.
func TestAnEarlyConnectionMayComeToNothing(t *testing.T) {
	// The connection leaves the queue when it ends: the handshake lasts long enough for Accept to come first.
	e := listen(t, &Config{AcceptEarly: true, HandshakeTimeout: 2 * time.Second})
	slowClient(t, e, "localhost")
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.HandshakeDone(testContext(t)); err != ErrHandshakeTimeout {
		t.Errorf("HandshakeDone: %v", err)
	}
	if cause := context.Cause(s.Context()); cause != ErrHandshakeTimeout {
		t.Errorf("the context's cause: %v", cause)
	}
}

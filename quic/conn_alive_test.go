package quic

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAProbeIsAnswered(t *testing.T) {
	c, s := pair(t, nil, nil)
	eventually(t, "nothing is under way", func() bool { return c.Stats().InFlight == 0 && s.Stats().InFlight == 0 })
	for range 3 {
		before := s.Stats().PacketsReceived
		if err := c.Probe(testContext(t)); err != nil {
			t.Fatal(err)
		}
		if s.Stats().PacketsReceived == before {
			t.Error("the peer was not asked")
		}
	}
	eventually(t, "the peer was heard a while ago", func() bool { return c.Quiet() >= 10*time.Millisecond })
}

func TestAProbeEndsWithItsContextAndWithTheConnection(t *testing.T) {
	c, s := pair(t, nil, nil)
	eventually(t, "nothing is under way", func() bool { return c.Stats().InFlight == 0 && s.Stats().InFlight == 0 })
	s.ep.sock.Close() // and nobody hears
	reason := errors.New("long enough")
	ctx, cancel := context.WithTimeoutCause(testContext(t), 10*time.Millisecond, reason)
	defer cancel()
	if err := c.Probe(ctx); err != reason {
		t.Errorf("%v, want %v", err, reason)
	}
	done := make(chan error, 1)
	go func() { done <- c.Probe(testContext(t)) }()
	c.CloseWithError(7, "")
	var app *ApplicationError
	if err := <-done; !errors.As(err, &app) || app.Code != 7 {
		t.Errorf("%v", err)
	}
	if err := c.Probe(testContext(t)); !errors.As(err, &app) {
		t.Errorf("%v", err)
	}
}

package quic

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// TestEveryWaitEndsWithTheCauseOfItsContext cancels each call that takes a context while it waits.
func TestEveryWaitEndsWithTheCauseOfItsContext(t *testing.T) {
	reason := errors.New("changed our mind")
	c, s := pair(t, nil, &Config{MaxStreams: 1, MaxUniStreams: -1, Protocol: Protocol{Datagrams: true}})
	streams(t, c, s)
	busy, _ := pair(t, nil, nil)
	silent := silentAddr(t)
	early := listen(t, &Config{AcceptEarly: true, HandshakeTimeout: time.Hour})
	slowClient(t, early, "localhost")
	half, err := early.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	idle := listen(t, nil)
	for _, wait := range []struct {
		name    string
		waiting func() bool
		f       func(ctx context.Context) error
	}{
		{"AcceptStream", c.waits(&c.accepting), func(ctx context.Context) error { _, err := c.AcceptStream(ctx); return err }},
		{"OpenStream", c.waits(&c.opening[0]), func(ctx context.Context) error { _, err := c.OpenStream(ctx); return err }},
		{"OpenUniStream", c.waits(&c.opening[1]), func(ctx context.Context) error { _, err := c.OpenUniStream(ctx); return err }},
		{"ReceiveDatagram", s.waits(&s.datagrams), func(ctx context.Context) error { _, err := s.ReceiveDatagram(ctx); return err }},
		{"HandshakeDone", half.waits(&half.ready), half.HandshakeDone},
		{"Accept", idle.waits(&idle.accepting), func(ctx context.Context) error { _, err := idle.Accept(ctx); return err }},
		{"Dial", idle.dialsOne, func(ctx context.Context) error { _, err := idle.Dial(ctx, silent, clientTLS(), nil); return err }},
		{"Shutdown", busy.ep.waits(&busy.ep.ending), busy.ep.Shutdown},
	} {
		for _, before := range []bool{true, false} {
			if before && wait.name == "Shutdown" {
				continue // there is nothing to shut down afterwards
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			if before {
				cancel(reason)
			}
			done := make(chan error, 1)
			go func() { done <- wait.f(ctx) }()
			if !before {
				eventually(t, wait.name+" waits", wait.waiting)
				cancel(reason)
			}
			if err := <-done; !errors.Is(err, reason) {
				t.Errorf("%s, cancelled before it %v: %v", wait.name, before, err)
			}
			cancel(nil)
		}
	}
	if err := c.Err(); err != nil {
		t.Errorf("the connection: %v", err)
	}
}

// waits reports whether somebody waits in a list of the connection's.
func (c *Conn) waits(l *waitList) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return l.head != nil
	}
}

func (e *Endpoint) waits(l *waitList) func() bool {
	return func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return l.head != nil
	}
}

func (e *Endpoint) dialsOne() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.dials) == 1
}

// TestEveryWaitEndsWithTheConnection: who waits when a connection ends in silence is told why.
func TestEveryWaitEndsWithTheConnection(t *testing.T) {
	conf := &Config{MaxIdleTimeout: 500 * time.Millisecond, MaxStreams: 1, Protocol: Protocol{Datagrams: true}}
	e := listen(t, &Config{MaxStreams: 1, Protocol: Protocol{Datagrams: true}})
	nat := newRelay(t, e.Addr(), 0)
	c, err := Dial(testContext(t), nat.inside.LocalAddr().String(), clientTLS(), conf)
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := streams(t, c, s)
	nat.outside.Load().Close()  // nothing passes any more
	ctx := context.Background() // ends nothing
	ended := make(chan error)
	calls := []func() error{
		func() error { _, err := ours.Read(make([]byte, 1)); return err },
		func() error { _, err := ours.Write(make([]byte, 32<<20)); return err },
		func() error { _, err := c.AcceptStream(ctx); return err },
		func() error { _, err := c.OpenStream(ctx); return err },
		func() error { _, err := c.ReceiveDatagram(ctx); return err },
		func() error { <-c.Context().Done(); return context.Cause(c.Context()) },
		func() error { <-ours.Context().Done(); return context.Cause(ours.Context()) },
	}
	for _, f := range calls {
		go func() { ended <- f() }()
	}
	<-c.Context().Done()
	want := c.Err()
	if want != ErrIdleTimeout {
		t.Fatalf("the connection ended with %v", want)
	}
	for range calls {
		if err := <-ended; err != want {
			t.Errorf("a call ended with %v", err)
		}
	}
	for i, f := range calls {
		if err := f(); err != want {
			t.Errorf("call %d afterwards: %v", i, err)
		}
	}
	if err := ours.Close(); err != want {
		t.Errorf("Close: %v", err)
	}
}

// lazyContext takes the lock of a connection when its channel is first asked for, as the context of a request does.
type lazyContext struct {
	context.Context
	c *Conn
}

func (l lazyContext) Done() <-chan struct{} {
	_ = l.c.Context() // takes the lock
	_ = l.c.ep.Stats()
	return l.Context.Done()
}

func TestContextsMayTakeTheConnectionsLock(t *testing.T) {
	c, s := pair(t, nil, &Config{Protocol: Protocol{Datagrams: true}})
	streams(t, c, s)
	inner, cancel := context.WithCancelCause(context.Background())
	cancel(io.ErrNoProgress)
	for name, f := range map[string]func(ctx context.Context) error{
		"AcceptStream":    func(ctx context.Context) error { _, err := s.AcceptStream(ctx); return err },
		"OpenStream":      func(ctx context.Context) error { _, err := s.OpenStream(ctx); return err },
		"ReceiveDatagram": func(ctx context.Context) error { _, err := s.ReceiveDatagram(ctx); return err },
		"Accept":          func(ctx context.Context) error { _, err := s.ep.Accept(ctx); return err },
	} {
		if err := f(lazyContext{inner, s}); err != io.ErrNoProgress {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.HandshakeDone(lazyContext{inner, s}); err != nil { // it is done
		t.Error(err)
	}
}

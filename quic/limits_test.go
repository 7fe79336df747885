package quic

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/udp"
	"github.com/godwit-net/godwit/internal/wire"
)

func TestBacklogIsBounded(t *testing.T) {
	// Rules: 9000:5.2.2/4
	e := listen(t, nil)
	e.mu.Lock()
	for range maxBacklog {
		e.backlog = append(e.backlog, &Conn{ep: e, err: ErrClosed})
	}
	e.mu.Unlock()
	c, err := Dial(testContext(t), e.Addr().String(), clientTLS(), nil)
	if err == nil { // the client's handshake is done before the server's
		<-c.Context().Done()
		err = c.Err()
	}
	var refused *TransportError
	if !errors.As(err, &refused) || refused.Code != wire.ConnectionRefused || !refused.Remote {
		t.Errorf("with a full backlog: %v", err)
	}
	if n := e.Stats().Refused; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
	if _, err := e.Accept(testContext(t)); err != nil {
		t.Fatal(err)
	}
	dial(t, e, nil)
}

func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	e := listen(t, nil)
	e.mu.Lock()
	e.halfOpen = maxHalfOpen
	e.mu.Unlock()
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		for e.Stats().Dropped[string(dropHalfOpen)] == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := Dial(ctx, e.Addr().String(), clientTLS(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("beyond the limit: %v", err)
	}
	e.mu.Lock()
	e.halfOpen = 0
	e.mu.Unlock()
	dial(t, e, nil)
	eventually(t, "no handshake is left", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.halfOpen == 0
	})
}

func TestInboxIsBounded(t *testing.T) {
	e := listen(t, nil)
	c := &Conn{ep: e, member: member{handshaking: true, queued: true}} // as if a worker had it
	e.mu.Lock()
	for range 2 * maxInbox {
		e.post(c, engine.Datagram{Payload: make([]byte, 1200)})
	}
	e.mu.Unlock()
	if len(c.inbox) != maxInbox || e.Stats().Dropped[string(dropInbox)] != maxInbox {
		t.Errorf("%d datagrams wait, dropped: %v", len(c.inbox), e.Stats().Dropped)
	}
}

func TestRepliesAreBounded(t *testing.T) {
	e := listen(t, nil)
	unknown := append([]byte{0xc0, 0xba, 0xba, 0xba, 0xba, 8}, make([]byte, 1300)...)
	unknown[14] = 8
	self := e.sock.LocalAddr()
	var msgs []udp.Message
	for range 10 * maxReplies {
		msgs = append(msgs, udp.Message{Payload: unknown, Remote: self})
	}
	e.receive(clock(), &intake{sock: e.sock}, msgs)
	s := e.Stats()
	if s.DatagramsOut != maxReplies || s.Dropped[string(dropFlood)] != 9*maxReplies {
		t.Errorf("%+v", s)
	}
}

func TestSendingTokenIsHandedOn(t *testing.T) {
	c, s := pair(t, nil, nil)
	streams(t, c, s)
	eventually(t, "nobody sends", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.sending {
			return false
		}
		c.sending, c.again = true, true // as if somebody had sent long enough, and there were another note
		c.pump(c.now(), 0)
		if !c.sending {
			t.Error("the token was put down while there was a note")
		}
		return true
	})
	eventually(t, "the note is read", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !c.sending && !c.again
	})
	streams(t, c, s)
}

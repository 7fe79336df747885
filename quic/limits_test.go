package quic

import (
	"context"
	"errors"
	"net/netip"
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

// TestACrowdLeavesRoomForOthers: half of the handshakes are under way, and one address has all it may have of them.
func TestACrowdLeavesRoomForOthers(t *testing.T) {
	loopbackNet(t)
	e := listen(t, nil)
	crowd := netip.MustParsePrefix("127.0.0.1/32")
	e.mu.Lock()
	e.halfOpen = maxHalfOpen / 2
	e.crowds = map[netip.Prefix]int{crowd: maxCrowd}
	e.mu.Unlock()
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		for e.Stats().Dropped[string(dropCrowd)] == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := Dial(ctx, e.Addr().String(), clientTLS(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("one more of the crowd: %v", err)
	}
	other, err := NewEndpoint(loopback2.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c, err := other.Dial(testContext(t), e.Addr().String(), clientTLS(), nil)
	if err != nil {
		t.Fatalf("somebody else: %v", err)
	}
	c.Close()
	e.mu.Lock()
	e.halfOpen--
	e.crowds[crowd]--
	e.mu.Unlock()
	dial(t, e, nil)
	eventually(t, "only what the test counted is left", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.halfOpen == maxHalfOpen/2-1 && len(e.crowds) == 1 && e.crowds[crowd] == maxCrowd-1
	})
}

func TestCrowds(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"192.0.2.7:1", "192.0.2.7/32"},
		{"[2001:db8:0:1::7]:1", "2001:db8:0:1::/64"},
		{"[fe80::1%eth0]:1", "fe80::/64"},
	} {
		if got := crowdOf(netip.MustParseAddrPort(c.addr)); got.String() != c.want {
			t.Errorf("%s: %s", c.addr, got)
		}
	}
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

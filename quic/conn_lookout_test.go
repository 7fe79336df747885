package quic

import (
	"net/netip"
	"testing"
	"time"
)

func TestAnAddressIsUpWhenItsInterfaceWorks(t *testing.T) {
	loopbackNet(t)
	for addr, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": true, "192.0.2.1": false, "2001:db8::1": false} {
		if got := isUp(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if !isUp(netip.Addr{}) {
		t.Error("an address that is not known counts as lost")
	}
}

// A client looks out while it has a request, and no longer.
func TestTheLookoutEndsWithTheRequests(t *testing.T) {
	e := listen(t, nil)
	c := dial(t, e, nil)
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	looking := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.looking != nil
	}
	if looking() {
		t.Error("it looks out for nothing")
	}
	ours, theirs := streams(t, c, s)
	if !looking() {
		t.Error("it does not look out for an answer")
	}
	ours.Close()
	theirs.Close()
	ours.StopReading(0)
	theirs.StopReading(0)
	eventually(t, "the lookout ends", func() bool { return !looking() })
	if n := c.Stats().PathChanges; n != 0 {
		t.Errorf("%d path changes", n)
	}
}

// A client that waits for an answer keeps the connection from the idle timeout.
func TestWhoWaitsLongIsNotIdle(t *testing.T) {
	c, s := pair(t, nil, nil)
	streams(t, c, s)
	eventually(t, "the streams are open", func() bool { return c.Stats().InFlight == 0 && s.Stats().InFlight == 0 })
	c.mu.Lock()
	c.asked = true
	c.latest = c.now().Add(16 * time.Second) // nothing has come for more than half of 30 s
	fading := c.core.Fading(c.latest)
	c.mu.Unlock()
	c.ask()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !fading || c.core.Fading(c.now()) {
		t.Errorf("it fades: %v before, %v after it looked", fading, c.core.Fading(c.now()))
	}
}

// A client that waits for an answer and hears nothing sends one PING, and one more when something has come meanwhile.
func TestWhoWaitsInSilenceAsksOnce(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	sent := func() int64 { return c.Stats().PacketsSent }
	quiet := func() bool { return c.Stats().InFlight == 0 && s.Stats().InFlight == 0 }
	eventually(t, "the streams are open", quiet)
	for range 2 {
		before := sent()
		eventually(t, "a PING", func() bool { return sent() > before })
		eventually(t, "its answer", quiet)
		before = sent()
		time.Sleep(2 * lookoutPause) // it cannot fail for being too short
		if n := sent() - before; n > 1 {
			t.Errorf("%d more packets while nothing comes", n)
		}
		if _, err := theirs.Write([]byte("here it comes")); err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "what came is acknowledged", quiet)
	}
}

package link

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/udp"
)

func TestTheClientThatWasSilentLongestMakesRoom(t *testing.T) {
	l := newLab(t, Config{})
	l.client.send(t, l.Addr(), 0, 100)
	old := l.server.wait(t, 1)[0].from
	for i := range maxClients + 5 {
		c, err := net.Dial("udp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // not before: the next one might get its port
		c.Write([]byte("more"))
		until(t, "a client", func() bool { return l.Stats().Clients == 2+i })
		if i == 100 { // the first is not silent, the second now is
			l.client.send(t, l.Addr(), 1, 100)
			until(t, "it to enter", func() bool { return l.Stats().Up.Sent == 3+i })
		}
	}
	l.mu.Lock()
	if n := len(l.clients); n != maxClients || l.clients[l.client.addr()] == nil {
		t.Errorf("%d clients, want %d, with the one that was not silent", n, maxClients)
	}
	l.mu.Unlock()
	l.server.send(t, old, 2, 100)
	l.client.wait(t, 1)
}

func TestWhatIsUnderWayIsBounded(t *testing.T) {
	l := newLab(t, Config{Up: simnet.LinkConfig{Delay: time.Hour, Duplicate: 1, Corrupt: 1, Reorder: 1}})
	const size = 60_000
	for sent := 1; l.Stats().Up.QueueFull == 0; sent++ {
		if 2*sent*size > 2*maxInFlight {
			t.Fatal("no bound")
		}
		l.client.send(t, l.Addr(), sent, size)
		until(t, "it to enter", func() bool { return l.Stats().Up.Sent == sent })
	}
	l.up.mu.Lock()
	defer l.up.mu.Unlock()
	s := l.up.rule.Stats
	if held := l.up.bytes; held > maxInFlight || held < maxInFlight-2*size || s.Duplicated != s.Sent-1 || s.Corrupted != s.Sent-1 || s.Reordered != s.Sent-1 {
		t.Errorf("%d bytes are held, the bound is %d: %+v", held, maxInFlight, s)
	}
}

func TestASteadyStreamAllocatesNothing(t *testing.T) {
	client, server := socketAt(t), socketAt(t)
	l, err := Start(t.Context(), Config{Listen: "127.0.0.1:0", Target: server.LocalAddr().String(), Up: simnet.LinkConfig{Rate: 1e9, Delay: 100 * time.Microsecond}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, run := server.NewReader(), make([]byte, 16*1200)
	msgs := []udp.Message{{Payload: run, Segment: 1200, Remote: l.Addr()}}
	step := func() {
		client.Send(msgs)
		receive(t, r, 16)
	}
	for range 50 {
		step()
	}
	runtime.GC() // pools are emptied now and not meanwhile
	step()
	if n := testing.AllocsPerRun(200, step); n > 1 {
		t.Errorf("16 datagrams cost %v allocations", n)
	}
}

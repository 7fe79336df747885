package link

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/udp"
)

const ms = time.Millisecond

func TestAPerfectLinkCarriesEverythingBothWaysInOrder(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(host, func(t *testing.T) {
			l := &lab{client: newSink(t, host), server: newSink(t, host)}
			l.start(t, Config{Listen: host, Target: l.server.addr().String(),
				Up: simnet.LinkConfig{Delay: ms}, Down: simnet.LinkConfig{Delay: ms}})
			l.sendUp(t, 200, 1200)
			got := l.server.wait(t, 200)
			for i, a := range got {
				if a.id != i || len(a.data) != 1200 || a.from == l.client.addr() || a.from == l.Addr() {
					t.Fatalf("arrival %d is number %d, %d bytes, from %v", i, a.id, len(a.data), a.from)
				}
			}
			for i := range 50 {
				l.server.send(t, got[0].from, i, 1+i*1000)
			}
			for i, a := range l.client.wait(t, 50) {
				if a.id != i || len(a.data) != max(1+i*1000, 4) || a.from != l.Addr() {
					t.Fatalf("arrival %d is number %d, %d bytes, from %v", i, a.id, len(a.data), a.from)
				}
			}
			if s := l.Stats(); s.Clients != 1 || s.Up.Delivered != 200 || s.Down.Delivered != 50 || s.Strays != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestEveryFaultIsCounted(t *testing.T) {
	const n = 500
	for _, c := range []struct {
		name  string
		link  simnet.LinkConfig
		count func(s simnet.Stats) int // what happened
		want  int
	}{
		{"outage", simnet.LinkConfig{Cycle: simnet.Cycle{Down: time.Hour}}, func(s simnet.Stats) int { return s.Outage }, n},
		{"mask", simnet.LinkConfig{Mask: 7}, func(s simnet.Stats) int { return s.Masked }, 3},
		{"drops", simnet.LinkConfig{Drops: rangeset.Set{{Start: 1, End: 7}, {Start: 100, End: 200}}}, func(s simnet.Stats) int { return s.Masked }, 106},
		{"MTU", simnet.LinkConfig{MTU: 99}, func(s simnet.Stats) int { return s.TooLarge }, n},
		{"queue", simnet.LinkConfig{Rate: 1, Queue: 150}, func(s simnet.Stats) int { return s.QueueFull }, n - 1},
		{"loss", simnet.LinkConfig{Loss: 0.1}, func(s simnet.Stats) int { return s.Lost }, 54},
		{"loss of one at a time", simnet.LinkConfig{Loss: 1, LossRun: 1}, func(s simnet.Stats) int { return s.Lost }, n / 2},
		{"bursts", simnet.LinkConfig{Burst: simnet.Burst{Enter: 0.02, Leave: 0.3, Loss: 1}}, func(s simnet.Stats) int { return s.BurstLost }, 30},
		{"corruption", simnet.LinkConfig{Corrupt: 0.1}, func(s simnet.Stats) int { return s.Corrupted }, 54},
		{"reordering", simnet.LinkConfig{Reorder: 0.1}, func(s simnet.Stats) int { return s.Reordered }, 54},
		{"duplication", simnet.LinkConfig{Duplicate: 0.1}, func(s simnet.Stats) int { return s.Duplicated }, 54},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told, wrong int
			l := newLab(t, Config{Up: c.link, Seed: 1, Tap: func(p Passing) {
				if p.Drop != simnet.NotDropped || p.Corrupted || p.Late || p.Duplicated {
					told++
				}
				if !p.Up || len(p.Payload) != 100 {
					wrong++
				}
			}})
			l.sendUp(t, n, 100)
			if c.name == "queue" { // the one that got a place takes 100 s to leave
				if s := l.Stats().Up; c.count(s) != c.want || s.Sent != n {
					t.Errorf("%+v", s)
				}
				return
			}
			s := l.settled(t)
			l.server.wait(t, s.Delivered)
			l.Close()
			if s.Sent != n || c.count(s) != c.want || told != c.want || wrong != 0 {
				t.Errorf("counted %d, the tap was told of %d, want %d: %+v", c.count(s), told, c.want, s)
			}
		})
	}
}

// fates sends n datagrams over a link and returns, by number, what chance did to each: 0 nothing.
func fates(t *testing.T, n int, seed uint64, c simnet.LinkConfig) []int {
	t.Helper()
	var all []int
	l := newLab(t, Config{Seed: seed, Up: c, Tap: func(p Passing) {
		fate := 0
		switch {
		case p.Drop == simnet.DropLost:
			fate = 1
		case p.Drop != simnet.NotDropped:
			fate = 9 // not by chance
		case p.Corrupted, p.Duplicated:
			fate = 2
		}
		all = append(all, fate)
	}})
	l.sendUp(t, n, 100)
	l.Close()
	return all
}

func TestTheSeedDecidesAndNotTime(t *testing.T) {
	chances := simnet.LinkConfig{Loss: 0.1, Corrupt: 0.1, Duplicate: 0.1}
	first, again, other := fates(t, 400, 7, chances), fates(t, 400, 7, chances), fates(t, 400, 8, chances)
	if !slices.Equal(first, again) {
		t.Error("one seed, two outcomes")
	}
	if slices.Equal(first, other) {
		t.Error("two seeds, one outcome")
	}
	// A queue drops what comes at the wrong time. That changes nothing for the others.
	narrow := chances
	narrow.Rate, narrow.Queue = 20_000, 300
	dropped := 0
	for i, fate := range fates(t, 400, 7, narrow) {
		if fate == 9 {
			dropped++
		} else if fate != first[i] {
			t.Fatalf("datagram %d met %d on a narrow link, %d on a wide one", i, fate, first[i])
		}
	}
	if dropped == 0 {
		t.Error("the queue was never full")
	}
}

func TestEachClientHasLuckOfItsOwn(t *testing.T) {
	lost := map[netip.AddrPort][]int{}
	l := newLab(t, Config{Seed: 3, Up: simnet.LinkConfig{Loss: 0.2, Mask: 1}, Tap: func(p Passing) {
		if p.Drop != simnet.NotDropped {
			lost[p.Client] = append(lost[p.Client], p.Number)
		}
	}})
	second := *l
	second.client = newSink(t, "127.0.0.1:0")
	l.sendUp(t, 100, 100)
	second.sendUp(t, 100, 100)
	l.Close()
	a, b := lost[l.client.addr()], lost[second.client.addr()]
	if slices.Equal(a, b) || len(a) < 10 || len(b) < 10 || a[0] != 0 || b[0] != 0 {
		t.Errorf("the first lost %v, the second %v", a, b)
	}
}

func TestManyClientsGetTheirOwnAnswers(t *testing.T) {
	l := newLab(t, Config{Up: simnet.LinkConfig{Delay: ms, Jitter: ms}, Down: simnet.LinkConfig{Delay: ms, Jitter: ms}})
	var clients []*sink
	for i := range 20 {
		c := newSink(t, "127.0.0.1:0")
		clients = append(clients, c)
		for range 10 {
			c.send(t, l.Addr(), i, 100)
		}
	}
	from := map[netip.AddrPort]int{}
	for _, a := range l.server.wait(t, 200) {
		from[a.from] = a.id
		l.server.send(t, a.from, a.id, 100)
	}
	if len(from) != 20 || l.Stats().Clients != 20 {
		t.Errorf("the server saw %d clients, the link %d, want 20", len(from), l.Stats().Clients)
	}
	for i, c := range clients {
		for _, a := range c.wait(t, 10) {
			if a.id != i {
				t.Fatalf("client %d got an answer for %d", i, a.id)
			}
		}
	}
}

func TestReorderedDatagramsAreOvertaken(t *testing.T) {
	l := newLab(t, Config{Seed: 1, Up: simnet.LinkConfig{Reorder: 0.1, ReorderDelay: 50 * ms}})
	l.sendUp(t, 300, 100)
	got := ids(l.server.wait(t, 300))
	if slices.IsSorted(got) {
		t.Error("nothing was overtaken")
	}
	slices.Sort(got)
	for i := range got {
		if got[i] != i {
			t.Fatalf("datagram %d is missing", i)
		}
	}
}

func TestACorruptedDatagramHasOneByteWrong(t *testing.T) {
	l := newLab(t, Config{Seed: 1, Up: simnet.LinkConfig{Corrupt: 1}})
	sent := bytes.Repeat([]byte{0x55}, 300)
	for range 20 {
		l.client.WriteToUDPAddrPort(sent, l.Addr())
	}
	for _, a := range l.server.wait(t, 20) {
		wrong := 0
		for _, b := range a.data {
			if b != 0x55 {
				wrong++
			}
		}
		if wrong != 1 || len(a.data) != 300 {
			t.Errorf("%d of %d bytes are wrong", wrong, len(a.data))
		}
	}
}

// openSocket opens a socket of the batched kind.
func openSocket(t testing.TB) *udp.Socket {
	t.Helper()
	s, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// socketAt opens a socket that knows ECN.
func socketAt(t *testing.T) *udp.Socket {
	t.Helper()
	s := openSocket(t)
	if !s.Features().ECN {
		t.Skip("this system tells nothing of ECN")
	}
	return s
}

// receive reads n datagrams and counts them by ECN mark.
func receive(t *testing.T, r *udp.Reader, n int) (marks [4]int) {
	t.Helper()
	for n > 0 {
		msgs, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		for i := range msgs {
			marks[msgs[i].ECN] += msgs[i].Datagrams()
			n -= msgs[i].Datagrams()
		}
	}
	return marks
}

func TestECNMarksPassAndAQueueMarks(t *testing.T) {
	for _, c := range []struct {
		name string
		link simnet.LinkConfig
		want [4]int
	}{
		{"kept", simnet.LinkConfig{}, [4]int{0: 10, 1: 10, 2: 10, 3: 10}},
		{"cleared", simnet.LinkConfig{ECN: simnet.ECNCleared}, [4]int{0: 40}},
		{"forced", simnet.LinkConfig{ECN: simnet.ECNForced}, [4]int{0: 10, 3: 30}},
		{"marked by a queue", simnet.LinkConfig{Rate: 1_000_000_000, Mark: 1}, [4]int{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := socketAt(t), socketAt(t)
			l, err := Start(t.Context(), Config{Listen: "127.0.0.1:0", Target: server.LocalAddr().String(), Up: c.link})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for ecn := range uint8(4) {
				run := make([]byte, 10*1000)
				if _, err := client.Send([]udp.Message{{Payload: run, Segment: 1000, Remote: l.Addr(), ECN: ecn}}); err != nil {
					t.Fatal(err)
				}
			}
			got := receive(t, server.NewReader(), 40)
			if c.want == [4]int{} {
				if got[3] <= 10 || l.Stats().Up.Marked != got[3]-10 {
					t.Errorf("marks %v, counted %d", got, l.Stats().Up.Marked)
				}
			} else if got != c.want {
				t.Errorf("marks %v, want %v", got, c.want)
			}
		})
	}
}

func TestAFloodArrivesInOrder(t *testing.T) {
	client, server := socketAt(t), newSink(t, "127.0.0.1:0")
	l, err := Start(t.Context(), Config{Listen: "127.0.0.1:0", Target: server.addr().String(), Up: simnet.LinkConfig{Delay: 30 * ms}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := 0
	for sent < 4*maxDelivery { // all due at nearly the same time
		run := make([]byte, 64*200)
		for i := range 64 {
			run[i*200+2], run[i*200+3] = byte(sent>>8), byte(sent)
			sent++
		}
		client.Send([]udp.Message{{Payload: run, Segment: 200, Remote: l.Addr()}})
		until(t, "a run to enter", func() bool { return l.Stats().Up.Sent == sent })
	}
	until(t, "everything to be delivered", func() bool { return l.Stats().Up.Balanced() })
	if got := ids(server.wait(t, sent/2)); !slices.IsSorted(got) { // the kernel may drop some
		t.Error("out of order")
	}
}

func TestCloseEndsEverythingAtOnce(t *testing.T) {
	before := runtime.NumGoroutine()
	server := newSink(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	for _, end := range []func(*Link){func(l *Link) { l.Close() }, func(l *Link) { cancel() }} {
		l, err := Start(ctx, Config{Listen: "127.0.0.1:0", Target: server.addr().String(), Up: simnet.LinkConfig{Delay: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("udp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write([]byte("under way for ever"))
		until(t, "it to enter", func() bool { return l.Stats().Up.Sent == 1 })
		end(l)
		settledGoroutines(t, before+1) // the sink's
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if l.RebindNow() != net.ErrClosed {
			t.Error("a closed link was rebound")
		}
	}
}

func TestAFrontThatCannotBeOpenedIsAnError(t *testing.T) {
	taken := newSink(t, "127.0.0.1:0")
	for name, c := range map[string]Config{
		"a port that is taken":           {Listen: taken.addr().String(), Target: "127.0.0.1:1"},
		"no port":                        {Listen: "127.0.0.1", Target: "127.0.0.1:1"},
		"a target that is none":          {Listen: "127.0.0.1:0", Target: "nowhere"},
		"an address that cannot rebound": {Listen: "[::1]:0", Target: "[::1]:1", Rebind: Rebind{Addr: true}},
	} {
		if l, err := Start(t.Context(), c); err == nil {
			l.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestASecondFrontLeadsToThePreferredAddress(t *testing.T) {
	l := &lab{client: newSink(t, "127.0.0.1:0"), server: newSink(t, "127.0.0.1:0")}
	second := newSink(t, "127.0.0.1:0")
	l.start(t, Config{Listen: "127.0.0.1:0", PreferredListen: "127.0.0.1:0"})

	l.client.send(t, l.Addr(), 0, 100) // nobody is there yet
	until(t, "a stray", func() bool { return l.Stats().Strays == 1 })
	if err := l.SetTarget(l.server.addr(), second.addr()); err != nil {
		t.Fatal(err)
	}
	l.client.send(t, l.Addr(), 1, 100)
	l.client.send(t, l.PreferredAddr(), 2, 100)
	a, b := l.server.wait(t, 1)[0], second.wait(t, 1)[0]
	if a.id != 1 || b.id != 2 || a.from != b.from {
		t.Errorf("number %d from %v, number %d from %v", a.id, a.from, b.id, b.from)
	}
	l.server.send(t, a.from, 3, 100)
	l.client.wait(t, 1)
	second.send(t, b.from, 4, 100)
	got := l.client.wait(t, 2)
	if got[0].from != l.Addr() || got[1].from != l.PreferredAddr() {
		t.Errorf("answers from %v and %v", got[0].from, got[1].from)
	}
	newSink(t, "127.0.0.1:0").send(t, a.from, 5, 100) // not the server
	until(t, "another stray", func() bool { return l.Stats().Strays == 2 })
}

func TestSeveralGoroutinesMayUseALink(t *testing.T) {
	l := newLab(t, Config{Up: simnet.LinkConfig{Jitter: ms}, Down: simnet.LinkConfig{Jitter: ms}})
	var all sync.WaitGroup
	for range 4 {
		c := newSink(t, "127.0.0.1:0")
		all.Go(func() {
			for i := range 100 {
				c.send(t, l.Addr(), i, 100)
			}
		})
		all.Go(func() {
			for range 5 {
				l.RebindNow()
				l.Stats()
			}
		})
	}
	all.Wait()
	until(t, "everything to enter", func() bool { return l.Stats().Up.Sent == 400 })
	l.settled(t)
}

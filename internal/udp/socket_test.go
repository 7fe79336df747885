package udp

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// variants are the ways a socket can work. On a system without batched calls they are all the same.
var variants = []struct {
	name string
	conf Config
}{
	{"offload", Config{}},
	{"batched", Config{DisableOffload: true}},
	{"portable", Config{Portable: true}},
}

// forEachVariant runs f over every variant.
func forEachVariant(t *testing.T, f func(t *testing.T, c Config)) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) { f(t, v.conf) })
	}
}

// open returns a socket that lives as long as the test; it skips the test on a host without the address family.
func open(t testing.TB, ip string, c Config) *Socket {
	t.Helper()
	s, err := Listen(netip.AddrPortFrom(netip.MustParseAddr(ip), 0), c)
	if err != nil && strings.Contains(ip, ":") {
		t.Skip("no IPv6 here:", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// send fails the test unless Send takes all.
func send(t testing.TB, s *Socket, msgs ...Message) {
	t.Helper()
	if n, err := s.Send(msgs); n != len(msgs) || err != nil {
		t.Fatalf("Send of %d messages = %d, %v", len(msgs), n, err)
	}
}

// receive reads until there are n datagrams, and returns them as messages of one datagram each with their own memory.
func receive(t testing.TB, r *Reader, n int) []Message {
	t.Helper()
	var got []Message
	for len(got) < n {
		msgs, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			got = append(got, split(m)...)
		}
	}
	if len(got) != n {
		t.Fatalf("%d datagrams, want %d", len(got), n)
	}
	return got
}

// split returns the datagrams of m.
func split(m Message) []Message {
	var single []Message
	for rest := m.Payload; ; {
		n := len(rest)
		if 0 < m.Segment && m.Segment < n {
			n = m.Segment
		}
		one := m
		one.Payload, one.Segment = bytes.Clone(rest[:n]), 0
		single = append(single, one)
		if rest = rest[n:]; len(rest) == 0 {
			return single
		}
	}
}

// pattern returns n bytes, no 1,200 of which are like the next.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

func TestDatagramsCrossBothWays(t *testing.T) {
	forEachVariant(t, func(t *testing.T, c Config) {
		for _, pair := range []struct {
			name           string
			server, client string
			dial           string
		}{
			{"IPv4", "127.0.0.1", "127.0.0.1", "127.0.0.1"},
			{"IPv6", "::1", "::1", "::1"},
			{"IPv4 to dual stack", "::", "127.0.0.1", "127.0.0.1"},
			{"IPv6 to dual stack", "::", "::1", "::1"},
			{"dual stack to IPv4", "127.0.0.1", "::", "127.0.0.1"},
			{"any to any", "0.0.0.0", "0.0.0.0", "127.0.0.1"},
		} {
			t.Run(pair.name, func(t *testing.T) {
				server, client := open(t, pair.server, c), open(t, pair.client, c)
				dial := netip.MustParseAddr(pair.dial)
				send(t, client, Message{Payload: []byte("ping"), Remote: netip.AddrPortFrom(dial, server.LocalAddr().Port())})
				ping := receive(t, server.NewReader(), 1)[0]
				if want := netip.AddrPortFrom(dial, client.LocalAddr().Port()); ping.Remote != want {
					t.Errorf("ping comes from %v, want %v", ping.Remote, want)
				}
				known := server.got.RecvMmsg || !server.LocalAddr().Addr().IsUnspecified()
				if known && ping.Local != dial || !known && ping.Local.IsValid() {
					t.Errorf("ping was sent to %v, want %v if known (%v)", ping.Local, dial, known)
				}
				send(t, server, Message{Payload: []byte("pong"), Remote: ping.Remote, Local: ping.Local})
				pong := receive(t, client.NewReader(), 1)[0]
				if string(ping.Payload)+string(pong.Payload) != "pingpong" {
					t.Errorf("got %q and %q", ping.Payload, pong.Payload)
				}
				if pong.Remote.Addr() != dial {
					t.Errorf("pong comes from %v, want %v", pong.Remote, dial)
				}
			})
		}
	})
}

func TestRunsSurviveTheRoundTrip(t *testing.T) {
	forEachVariant(t, func(t *testing.T, c Config) {
		for _, run := range []struct{ size, segment int }{
			{1200, 0}, {1200, 1200}, {100, 1200}, {1, 0}, {0, 0},
			{2400, 1200}, {2401, 1200}, {3599, 1200},
			{maxSegments * 1000, 1000},   // as many as fit
			{maxSegments*1000 + 1, 1000}, // one byte more
			{130 * 700, 700},             // three messages
			{54 * 1200, 1200},            // as long as fits
			{3 * 32753, 32753},           // two segments fit
			{3 * 32754, 32754},           // only one does
			{10, 1},
		} {
			t.Run(fmt.Sprintf("%d by %d", run.size, run.segment), func(t *testing.T) {
				server, client := open(t, "127.0.0.1", c), open(t, "127.0.0.1", c)
				m := Message{Payload: pattern(run.size), Segment: run.segment, Remote: server.LocalAddr()}
				send(t, client, m)
				want := split(m)
				if m.Datagrams() != len(want) {
					t.Errorf("Datagrams() = %d, want %d", m.Datagrams(), len(want))
				}
				for i, got := range receive(t, server.NewReader(), len(want)) {
					if !bytes.Equal(got.Payload, want[i].Payload) {
						t.Fatalf("datagram %d of %d: %d bytes, want %d", i, len(want), len(got.Payload), len(want[i].Payload))
					}
				}
				if n := client.Stats().SentDatagrams; n != int64(len(want)) {
					t.Errorf("%d datagrams counted as sent, want %d", n, len(want))
				}
				if stats := server.Stats(); stats.ReadDatagrams != int64(len(want)) || stats.ReadBytes != int64(run.size) {
					t.Errorf("%d datagrams, %d bytes counted as read, want %d, %d",
						stats.ReadDatagrams, stats.ReadBytes, len(want), run.size)
				}
			})
		}
	})
}

func TestMoreMessagesThanOneBatchHolds(t *testing.T) {
	forEachVariant(t, func(t *testing.T, c Config) {
		server, client := open(t, "127.0.0.1", c), open(t, "127.0.0.1", c)
		msgs := make([]Message, 2*maxBatch+1)
		for i := range msgs {
			msgs[i] = Message{Payload: []byte{byte(i)}, Remote: server.LocalAddr()}
		}
		send(t, client, msgs...)
		for i, m := range receive(t, server.NewReader(), len(msgs)) {
			if len(m.Payload) != 1 || m.Payload[0] != byte(i) {
				t.Fatalf("message %d is %v", i, m.Payload)
			}
		}
	})
}

func TestConcurrentSendersLoseNothing(t *testing.T) {
	forEachVariant(t, func(t *testing.T, c Config) {
		server, client := open(t, "127.0.0.1", c), open(t, "127.0.0.1", c)
		const senders, each = 8, 20
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				for range each {
					m := Message{Payload: bytes.Repeat([]byte{byte(i)}, 200), Segment: 100, Remote: server.LocalAddr()}
					if _, err := client.Send([]Message{m}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var count [senders]int
		for _, m := range receive(t, server.NewReader(), 2*senders*each) {
			from := m.Payload[0]
			if !bytes.Equal(m.Payload, bytes.Repeat([]byte{from}, 100)) {
				t.Fatalf("a mixed datagram: %v", m.Payload)
			}
			count[from]++
		}
		wg.Wait()
		for i, n := range count {
			if n != 2*each {
				t.Errorf("%d datagrams of sender %d, want %d", n, i, 2*each)
			}
		}
	})
}

func TestWhatTheKernelRefusesIsDroppedAndCounted(t *testing.T) {
	forEachVariant(t, func(t *testing.T, c Config) {
		server, client := open(t, "127.0.0.1", c), open(t, "127.0.0.1", c)
		to := server.LocalAddr()
		msgs := []Message{
			{Payload: []byte("first"), Remote: to},
			{Payload: make([]byte, maxPayload+1), Remote: to}, // EMSGSIZE
			{Payload: []byte("six"), Remote: netip.AddrPortFrom(netip.IPv6Loopback(), to.Port())},
			{Payload: []byte("nobody")},
			{Payload: []byte("last"), Remote: to},
		}
		send(t, client, msgs...)
		for i, m := range msgs {
			if m.TooLong != (i == 1) {
				t.Errorf("message %d counts as too long: %v", i, m.TooLong)
			}
		}
		got := receive(t, server.NewReader(), 2)
		if string(got[0].Payload) != "first" || string(got[1].Payload) != "last" {
			t.Errorf("got %q and %q", got[0].Payload, got[1].Payload)
		}
		if stats := client.Stats(); stats.Dropped != 3 || stats.SentDatagrams != 2 || stats.SentBytes != 9 {
			t.Errorf("stats %+v, want 3 dropped, 2 sent with 9 bytes", stats)
		}
	})
}

func TestAPeerThatIsGoneDoesNotEndReading(t *testing.T) {
	forEachVariant(t, func(t *testing.T, c Config) {
		gone, s := open(t, "127.0.0.1", c), open(t, "127.0.0.1", c)
		gone.Close()
		send(t, s, Message{Payload: []byte("anybody?"), Remote: gone.LocalAddr()}) // ICMP port unreachable
		send(t, s, Message{Payload: []byte("myself"), Remote: s.LocalAddr()})
		if got := receive(t, s.NewReader(), 1)[0]; string(got.Payload) != "myself" {
			t.Errorf("got %q", got.Payload)
		}
	})
}

func TestCloseEndsReadAndSend(t *testing.T) {
	forEachVariant(t, func(t *testing.T, c Config) {
		s := open(t, "127.0.0.1", c)
		ended := make(chan error)
		go func() {
			_, err := s.NewReader().Read()
			ended <- err
		}()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read = %v, want net.ErrClosed", err)
		}
		n, err := s.Send([]Message{{Payload: []byte("late"), Remote: s.LocalAddr()}})
		if n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Send = %d, %v, want 0, net.ErrClosed", n, err)
		}
	})
}

func TestNothingAllocatesPerMessage(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets on purpose under the race detector")
	}
	forEachVariant(t, func(t *testing.T, c Config) {
		for _, ip := range []string{"127.0.0.1", "::1"} {
			server, client := open(t, ip, c), open(t, ip, c)
			r, payload := server.NewReader(), pattern(6000)
			msgs := []Message{
				{Payload: payload, Segment: 1200, Remote: server.LocalAddr(), Local: client.LocalAddr().Addr(), ECN: 2},
				{Payload: payload[:1000], Remote: server.LocalAddr(), ECN: 1},
			}
			exchange := func() {
				send(t, client, msgs...)
				for n := 0; n < 6; {
					got, err := r.Read()
					if err != nil {
						t.Fatal(err)
					}
					for i := range got {
						n += got[i].Datagrams()
					}
				}
			}
			for range 10 {
				exchange() // the reader grows
			}
			if n := testing.AllocsPerRun(100, exchange); n != 0 {
				t.Errorf("%s: %v allocations for six datagrams sent and received, want 0", ip, n)
			}
		}
	})
}

func TestAFailingListenSaysWhatToDo(t *testing.T) {
	taken := open(t, "127.0.0.1", Config{})
	for _, c := range []struct {
		name string
		addr netip.AddrPort
		want string
	}{
		{"taken", taken.LocalAddr(), fmt.Sprintf("UDP port %d is taken by ", taken.LocalAddr().Port())},
		{"foreign", netip.MustParseAddrPort("192.0.2.1:0"), "UDP address 192.0.2.1 belongs to no interface of this host: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Listen(c.addr, Config{})
			if err == nil {
				t.Fatal("no error")
			}
			if line := err.Error(); !strings.HasPrefix(line, c.want) || strings.Contains(line, "\n") {
				t.Errorf("error %q, want %q...", line, c.want)
			}
			if op := (*net.OpError)(nil); !errors.As(err, &op) {
				t.Errorf("%v does not wrap the system's error", err)
			}
		})
	}
}

func TestTheZeroAddrIsAnyAddress(t *testing.T) {
	s, err := Listen(netip.AddrPort{}, Config{ReadBuffer: 64 << 10, WriteBuffer: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if a := s.LocalAddr(); !a.Addr().IsUnspecified() || a.Port() == 0 {
		t.Errorf("bound to %v", a)
	}
	if f := s.Features(); f.Warning != "" {
		t.Errorf("64 KiB of buffer are not to be had: %s", f.Warning)
	}
}

func BenchmarkSendAndRead(b *testing.B) {
	for _, v := range variants {
		b.Run(v.name, func(b *testing.B) {
			server, client := open(b, "127.0.0.1", v.conf), open(b, "127.0.0.1", v.conf)
			r := server.NewReader()
			const datagrams = 40
			msgs := []Message{{Payload: pattern(datagrams * 1452), Segment: 1452, Remote: server.LocalAddr()}}
			b.SetBytes(int64(len(msgs[0].Payload)))
			for b.Loop() {
				send(b, client, msgs...)
				for n := 0; n < datagrams; {
					got, err := r.Read()
					if err != nil {
						b.Fatal(err)
					}
					for i := range got {
						n += got[i].Datagrams()
					}
				}
			}
		})
	}
}

package link

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/simnet"
)

// arrival is a datagram that a sink received.
type arrival struct {
	id   int
	from netip.AddrPort
	data []byte
}

// sink is a socket that keeps what arrives.
type sink struct {
	*net.UDPConn
	mu  sync.Mutex
	got []arrival
}

func newSink(t testing.TB, addr string) *sink {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadBuffer(4 << 20)
	s := &sink{UDPConn: c}
	var all sync.WaitGroup
	all.Go(s.read)
	t.Cleanup(func() { c.Close(); all.Wait() })
	return s
}

func (s *sink) read() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := s.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		a := arrival{from: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), data: append([]byte(nil), b[:n]...)}
		if n >= 4 {
			a.id = int(binary.BigEndian.Uint32(b))
		}
		s.mu.Lock()
		s.got = append(s.got, a)
		s.mu.Unlock()
	}
}

func (s *sink) arrivals() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]arrival(nil), s.got...)
}

// wait waits for so many arrivals and returns all there are.
func (s *sink) wait(t testing.TB, n int) []arrival {
	t.Helper()
	until(t, "datagrams to arrive", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.got) >= n })
	return s.arrivals()
}

func (s *sink) addr() netip.AddrPort { return s.LocalAddr().(*net.UDPAddr).AddrPort() }

// send sends a numbered datagram of a size.
func (s *sink) send(t testing.TB, to netip.AddrPort, id, size int) {
	t.Helper()
	b := make([]byte, max(size, 4))
	binary.BigEndian.PutUint32(b, uint32(id))
	if _, err := s.WriteToUDPAddrPort(b, to); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition. It gives up only when the test hangs.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// lab is a client and a server with a link between them.
type lab struct {
	*Link
	client, server *sink
}

func newLab(t testing.TB, c Config) *lab {
	t.Helper()
	l := &lab{client: newSink(t, "127.0.0.1:0"), server: newSink(t, "127.0.0.1:0")}
	c.Listen, c.Target = "127.0.0.1:0", l.server.addr().String()
	l.start(t, c)
	return l
}

func (l *lab) start(t testing.TB, c Config) {
	t.Helper()
	var err error
	if l.Link, err = Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// sendUp sends n numbered datagrams of a size to the server, and waits until all have entered.
func (l *lab) sendUp(t testing.TB, n, size int) {
	t.Helper()
	before := l.Stats().Up.Sent
	for i := range n {
		l.client.send(t, l.Addr(), i, size)
		if i%50 == 49 || i == n-1 { // no faster than the kernel's buffers hold
			until(t, "datagrams to enter", func() bool { return l.Stats().Up.Sent == before+i+1 })
		}
	}
}

// settled waits until nothing is under way and returns the counters upwards.
func (l *lab) settled(t testing.TB) simnet.Stats {
	t.Helper()
	until(t, "everything to arrive", func() bool { return l.Stats().Up.Balanced() })
	return l.Stats().Up
}

func ids(got []arrival) (list []int) {
	for _, a := range got {
		list = append(list, a.id)
	}
	return list
}

// settledGoroutines waits until there are no more goroutines than before.
func settledGoroutines(t *testing.T, before int) {
	t.Helper()
	until(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

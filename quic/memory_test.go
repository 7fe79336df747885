package quic

import (
	"io"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"
)

// TestIdleConnectionIsSmall measures what a pair of idle connections, client and server, keeps on the heap.
func TestIdleConnectionIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's shadow is on the heap as well")
	}
	const conns, maxIdleBytes = 200, 18 << 10
	server := listen(t, nil)
	client, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conf := clientTLS()
	open := func() {
		c, err := client.Dial(testContext(t), server.Addr().String(), conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.Accept(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := streams(t, c, s)
		for _, way := range [][2]*Stream{{ours, theirs}, {theirs, ours}} {
			way[0].Close()
			if _, err := io.ReadAll(way[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	heap := func() uint64 {
		for _, e := range []*Endpoint{client, server} {
			eventually(t, "every stream is released", func() bool { return e.streamsOpen() == 0 })
		}
		runtime.GC()
		runtime.GC() // the first one empties pools, the second their victims
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	open()
	before := heap()
	for range conns {
		open()
	}
	var each int64
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) { // until they are at rest
		if each = int64(heap()-before) / (2 * conns); each <= maxIdleBytes {
			t.Logf("%d bytes each", each)
			return
		}
	}
	t.Errorf("an idle connection keeps %d bytes, the limit is %d", each, maxIdleBytes)
}

// streamsOpen counts the streams of all the endpoint's connections.
func (e *Endpoint) streamsOpen() (n int) {
	e.mu.Lock()
	conns := slices.Collect(maps.Keys(e.conns))
	e.mu.Unlock()
	for _, c := range conns {
		c.mu.Lock()
		n += len(c.streams)
		c.mu.Unlock()
	}
	return n
}

// allocates returns the allocations of f, after it has run for a while, at their least: while a machine has others to serve, more
// buffers than usual are under way, and the pools have lost theirs to the collector.
func allocates(f func()) float64 {
	least := testing.AllocsPerRun(300, f)
	for tries := 1; least > 0 && tries < 20; tries++ {
		least = min(least, testing.AllocsPerRun(300, f))
	}
	return least
}

// TestExchangesAllocateNothing counts the allocations of both ends, their readers included.
func TestExchangesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	for _, size := range []int{1, 100, 20_000} {
		buf, got := make([]byte, size), make([]byte, size)
		exchange := func() {
			for _, way := range [][2]*Stream{{ours, theirs}, {theirs, ours}} {
				if _, err := way[0].Write(buf); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(way[1], got); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 100 {
			exchange()
		}
		if n := allocates(exchange); n > 0 {
			t.Errorf("%d bytes there and back: %v allocations", size, n)
		}
	}
}

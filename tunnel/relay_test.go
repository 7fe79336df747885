package tunnel

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// relay is a path between an entry and its exit that a test can narrow or cut. It has one client.
type relay struct {
	t       testing.TB
	near    *net.UDPConn                // towards the entry
	far     atomic.Pointer[net.UDPConn] // towards the exit
	exit    atomic.Pointer[net.UDPAddr]
	entry   atomic.Pointer[net.UDPAddr]
	limit   atomic.Int64 // bytes of UDP payload that pass
	largest atomic.Int64 // that came
	dropped atomic.Int64
}

func newRelay(t testing.TB) *relay {
	t.Helper()
	r := &relay{t: t}
	r.limit.Store(65535)
	r.near = r.open()
	r.renew()
	go r.pass(r.near)
	return r
}

func (r *relay) open() *net.UDPConn {
	r.t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetReadBuffer(4 << 20)
	r.t.Cleanup(func() { c.Close() })
	return c
}

// renew gives the relay another address towards the exit: what is sent to the old one is lost.
func (r *relay) renew() {
	r.t.Helper()
	far := r.open()
	if old := r.far.Swap(far); old != nil {
		old.Close()
	}
	go r.pass(far)
}

// addr is where an entry finds the relay.
func (r *relay) addr() string { return r.near.LocalAddr().String() }

// to says where the exit is; nil cuts the path.
func (r *relay) to(exit *net.UDPAddr) { r.exit.Store(exit) }

// pass carries the datagrams that come to one socket.
func (r *relay) pass(from *net.UDPConn) {
	b := make([]byte, 65536)
	for {
		n, source, err := from.ReadFromUDP(b)
		if err != nil {
			return
		}
		to, exit := r.near, r.exit.Load()
		dest := r.entry.Load()
		if from == r.near {
			r.entry.Store(source)
			to, dest = r.far.Load(), exit
		}
		r.largest.Store(max(r.largest.Load(), int64(n)))
		if int64(n) > r.limit.Load() {
			r.dropped.Add(1)
			continue
		}
		if exit != nil && dest != nil {
			to.WriteToUDP(b[:n], dest)
		}
	}
}

// newPlatform is a platform that ends with the test.
func newPlatform(t testing.TB, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// Paths through other tunnels are often only as wide as IPv6 asks for: 1280 bytes, of which IPv4 and UDP take 28.
func TestAPathOf1280BytesIsEnough(t *testing.T) {
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, noise(4<<20))
	})
	r := newRelay(t)
	r.limit.Store(1280 - 28)
	r.to(w.exit.Addr())
	w.startEntry(tokenFor(t, w.exit.Key(), r.addr()))
	if _, body := w.get("/"); len(body) != 4<<20 {
		t.Errorf("%d bytes", len(body))
	}
	t.Logf("the largest datagram had %d bytes, %d were dropped", r.largest.Load(), r.dropped.Load())
}

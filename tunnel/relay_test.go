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
	near, far *net.UDPConn // towards the entry, towards the exit
	exit      atomic.Pointer[net.UDPAddr]
	entry     atomic.Pointer[net.UDPAddr]
	limit     atomic.Int64 // bytes of UDP payload that pass
	largest   atomic.Int64 // that came
	dropped   atomic.Int64
}

func newRelay(t testing.TB) *relay {
	t.Helper()
	r := new(relay)
	r.limit.Store(65535)
	for _, c := range []**net.UDPConn{&r.near, &r.far} {
		var err error
		if *c, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		(*c).SetReadBuffer(4 << 20)
		t.Cleanup(func() { (*c).Close() })
	}
	go r.pass(r.near, r.far, &r.entry, &r.exit)
	go r.pass(r.far, r.near, &r.exit, &r.entry)
	return r
}

// addr is where an entry finds the relay.
func (r *relay) addr() string { return r.near.LocalAddr().String() }

// to says where the exit is; nil cuts the path.
func (r *relay) to(exit *net.UDPAddr) { r.exit.Store(exit) }

// pass carries datagrams in one direction.
func (r *relay) pass(from, to *net.UDPConn, sender, receiver *atomic.Pointer[net.UDPAddr]) {
	b := make([]byte, 65536)
	for {
		n, source, err := from.ReadFromUDP(b)
		if err != nil {
			return
		}
		if from == r.near {
			sender.Store(source)
		} else if sender.Load() == nil {
			continue // cut
		}
		r.largest.Store(max(r.largest.Load(), int64(n)))
		if int64(n) > r.limit.Load() {
			r.dropped.Add(1)
			continue
		}
		if dest := receiver.Load(); dest != nil {
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

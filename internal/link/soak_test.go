package link_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/link"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/quic"
)

// bomb is a controller that panics.
type bomb struct{ congestion.Controller }

func (bomb) OnAck(congestion.Ack) { panic("the soak's fault") }

// soak is a server behind a bad link, with a NAT that rebinds, and clients that come and go.
type soak struct {
	server  *quic.Endpoint
	clients []*quic.Endpoint
	link    *link.Link
	tls     *tls.Config
	conf    *quic.Config

	made, doomed         atomic.Int64 // controllers of the server, and those that panic
	whole, failed, unmet atomic.Int64 // transfers; those of which no server may have known
}

// TestSoak has connections come and go for GODWIT_SOAK minutes, through loss, corruption, reordering and rebindings, and one in fifty
// of the server's panics. Every transfer that ends is whole, and afterwards there is no more memory, no more goroutine and no more
// descriptor in use than after the first fifth of the time, and none at all when everything is closed.
func TestSoak(t *testing.T) {
	minutes, err := strconv.ParseFloat(os.Getenv("GODWIT_SOAK"), 64)
	if err != nil {
		t.Skip("GODWIT_SOAK says for how many minutes: make soak")
	}
	d := time.Duration(minutes * float64(time.Minute))
	before := measure()
	s := newSoak(t)
	s.run(t, d/5)
	first := s.rest(t)
	s.run(t, d-d/5)
	last := s.rest(t)
	l, e := s.link.Stats(), s.server.Stats()
	t.Logf("%d transfers whole, %d failed, %d had no answer; %d server connections made, %d doomed, %d panicked; %d rebindings, lost %d and %d of %d and %d datagrams",
		s.whole.Load(), s.failed.Load(), s.unmet.Load(), s.made.Load(), s.doomed.Load(), e.Panicked, l.Rebinds, l.Up.Lost, l.Down.Lost, l.Up.Sent, l.Down.Sent)
	for _, c := range s.clients {
		c.Close()
	}
	s.server.Close()
	s.link.Close()
	var after usage
	until(t, "everything to end", func() bool {
		after = measure()
		return after.goroutines <= before.goroutines && after.descriptors <= before.descriptors
	})
	t.Logf("before %+v, after a fifth %+v, at the end %+v, closed %+v", before, first, last, after)
	if last.heap > first.heap+1<<20 || last.goroutines > first.goroutines || last.descriptors > first.descriptors {
		t.Error("more is in use at the end than after a fifth of the time")
	}
	if e.Panicked == 0 || e.Panicked > s.doomed.Load() || s.failed.Load() > s.doomed.Load() || s.whole.Load() == 0 {
		t.Error("other connections failed than those that panicked, or none did")
	}
	if s.unmet.Load() > s.doomed.Load()+int64(l.Rebinds*len(s.clients)) {
		t.Error("more handshakes failed than met a rebinding or a panic")
	}
}

func newSoak(t *testing.T) *soak {
	s := new(soak)
	server := s.identity(t)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	s.conf = &quic.Config{MaxIdleTimeout: 5 * time.Second, Logger: quiet}
	conf := *s.conf
	conf.Congestion = func(mss int) congestion.Controller {
		if s.made.Add(1)%50 == 0 {
			s.doomed.Add(1)
			return bomb{congestion.NewReno(mss)}
		}
		return congestion.NewReno(mss)
	}
	var err error
	if s.server, err = quic.Listen("127.0.0.1:0", server, &conf); err != nil {
		t.Fatal(err)
	}
	go s.serve()
	way := simnet.LinkConfig{Delay: 2 * time.Millisecond, Loss: 0.01, Corrupt: 0.002, Reorder: 0.01, Duplicate: 0.01}
	s.link, err = link.Start(context.Background(), link.Config{
		Listen: "127.0.0.1:0", Target: s.server.Addr().String(), Up: way, Down: way, Seed: 1, Rebind: link.Rebind{Every: 2 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		c, err := quic.NewEndpoint("127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		s.clients = append(s.clients, c)
	}
	return s
}

// serve sends back whatever comes.
func (s *soak) serve() {
	for {
		c, err := s.server.Accept(context.Background())
		if err != nil {
			return
		}
		c.HandleStreams(func(s *quic.Stream) {
			io.Copy(s, s)
			s.Close()
		})
	}
}

// run has each client make one connection after the other.
func (s *soak) run(t *testing.T, d time.Duration) {
	end := time.Now().Add(d)
	var all sync.WaitGroup
	for _, c := range s.clients {
		all.Go(func() {
			for time.Now().Before(end) {
				s.transfer(t, c)
			}
		})
	}
	all.Wait()
}

// transfer has 64 KiB echoed on a connection of its own.
func (s *soak) transfer(t *testing.T, e *quic.Endpoint) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := e.Dial(ctx, s.link.Addr().String(), s.tls, s.conf)
	if err != nil {
		// A rebinding in the middle of a handshake ends it: "The design of QUIC relies on endpoints retaining a stable address for
		// the duration of the handshake" (RFC 9000, section 9).
		s.unmet.Add(1)
		t.Log(err)
		return
	}
	defer c.Close()
	sent := make([]byte, 64<<10)
	rand.Read(sent)
	stream, err := c.OpenStream(ctx)
	if err == nil {
		_, err = stream.WriteFinal(sent)
	}
	if err != nil {
		s.fail(t, err)
		return
	}
	got, err := io.ReadAll(stream)
	switch {
	case err != nil && len(got) == 0: // perhaps the server did not hear the end of the handshake
		s.unmet.Add(1)
		t.Log(err)
	case err != nil:
		s.fail(t, err)
	case !bytes.Equal(got, sent):
		t.Error("what came back is not what was sent")
	default:
		s.whole.Add(1)
	}
}

// fail counts a transfer that failed. Those of doomed connections do; the errors tell which others.
func (s *soak) fail(t *testing.T, err error) {
	s.failed.Add(1)
	t.Log(err)
}

// rest waits until no connection is left and returns what is in use then.
func (s *soak) rest(t *testing.T) usage {
	for _, e := range append(s.clients, s.server) {
		until(t, "connections to be forgotten", func() bool { return e.Stats().Open == 0 })
	}
	least := measure()
	for range 20 { // pools empty, timers fire
		time.Sleep(50 * time.Millisecond)
		u := measure()
		least = usage{min(u.heap, least.heap), min(u.goroutines, least.goroutines), min(u.descriptors, least.descriptors)}
	}
	return least
}

// usage is what a process has in use. Descriptors are counted where the system tells.
type usage struct{ heap, goroutines, descriptors int }

func measure() usage {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd")
	return usage{int(m.HeapAlloc), runtime.NumGoroutine(), len(open)}
}

// until waits for a condition. It gives up only when the test hangs.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("waited a minute for %s: %+v\n%s", what, measure(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// identity makes a certificate: the server's Config is returned, and the clients' trusts it.
func (s *soak) identity(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	s.tls = &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"soak"}}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"soak"}}
}

package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/link"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/quic"
)

const (
	slack       = 2 << 20          // bytes by which a heap may be larger: readers of sockets have grown, maps have
	slots       = 2000             // connections at a time
	sockets     = 16               // that they share at the clients' end
	longestLife = 20               // requests of a connection
	pause       = 20 * time.Second // between two requests, at most: less than the idle timeout

	// What takes longer on a machine that has other things to do is no fault: these are only for what never ends.
	handshakeTimeout = time.Minute
	idleTimeout      = 45 * time.Second
	stallTimeout     = 5 * time.Minute

	rampUp     = time.Minute // until all slots are taken
	panicEvery = 100         // requests
)

// soak is a server behind a bad link, with a NAT that rebinds, and clients that come and go.
type soak struct {
	t       *testing.T
	dir     string
	ca      *authority
	server  *process
	link    *link.Link
	clients []*quic.Endpoint
	caches  []tls.ClientSessionCache
	end     atomic.Int64 // of this run, in Unix nanoseconds

	dialled, alive, resumed, reloads           atomic.Int64
	whole, faults, lost, starved, broken, deaf atomic.Int64
	seen                                       sync.Map // serial numbers of certificates
}

// TestSoak has connections come and go for GODWIT_SOAK minutes. In the middle the server's process is killed, and another one takes its
// place with the same keys: within each life there is no more in use at the end than after a fifth of it, and no response is wrong.
func TestSoak(t *testing.T) {
	minutes, err := strconv.ParseFloat(os.Getenv("GODWIT_SOAK"), 64)
	if err != nil {
		t.Skip("GODWIT_SOAK says for how many minutes: make soak")
	}
	before := measure()
	s := newSoak(t)
	tenth := time.Duration(minutes * float64(time.Minute) / 10)
	lives := make([][2]report, 2)
	var ours [2]Usage
	stop := s.reload(tenth / 5)
	s.run(tenth)
	lives[0][0] = s.server.rest()
	s.run(4 * tenth)
	lives[0][1], ours[0] = s.server.rest(), s.rest()
	killed := s.killAndRun(tenth)
	lives[1][0] = s.server.rest()
	s.run(4 * tenth)
	stop()
	lives[1][1], ours[1] = s.server.rest(), s.rest()
	s.tell(lives, ours, killed)
	s.judge(lives, ours, killed)
	s.close(before)
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, dir: t.TempDir(), ca: newAuthority(t)}
	s.ca.issue(s.dir)
	s.server = launch(t, "127.0.0.1:0", s.dir)
	t.Cleanup(func() { s.server.kill() })
	way := simnet.LinkConfig{Delay: 2 * time.Millisecond, Loss: 0.01, Corrupt: 0.002, Reorder: 0.01, Duplicate: 0.01}
	var err error
	s.link, err = link.Start(context.Background(), link.Config{
		Listen: "127.0.0.1:0", Target: s.server.addr, Up: way, Down: way, Seed: 1, Rebind: link.Rebind{Every: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range sockets {
		e, err := quic.NewEndpoint("127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		s.clients = append(s.clients, e)
		s.caches = append(s.caches, tls.NewLRUClientSessionCache(1))
	}
	return s
}

// reload has the server take a new certificate, again and again.
func (s *soak) reload(every time.Duration) (stop func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(every):
			}
			s.ca.mu.Lock() // not while the process is another
			s.ca.issue(s.dir)
			var word string
			s.server.ask("reload", &word)
			s.reloads.Add(1)
			s.ca.mu.Unlock()
		}
	})
	return func() {
		close(done)
		ended.Wait()
	}
}

// killAndRun is run with a kill in the middle; it returns what the process said of itself a moment before.
func (s *soak) killAndRun(d time.Duration) (last report) {
	var done sync.WaitGroup
	done.Go(func() { s.run(d) })
	time.Sleep(d / 2)
	s.ca.mu.Lock()
	last = s.server.measure()
	s.server.kill()
	s.server = launch(s.t, s.server.addr, s.dir)
	s.ca.mu.Unlock()
	done.Wait()
	return last
}

// run fills the slots for a while, and returns when the last connection is closed.
func (s *soak) run(d time.Duration) {
	s.end.Store(time.Now().Add(d).UnixNano())
	var all sync.WaitGroup
	for slot := range slots {
		all.Go(func() {
			s.wait(rampUp)
			for s.goesOn() {
				s.connection(slot)
			}
		})
	}
	all.Wait()
}

func (s *soak) goesOn() bool { return time.Now().UnixNano() < s.end.Load() }

// wait waits for at most d, and no longer than the run lasts.
func (s *soak) wait(d time.Duration) {
	time.Sleep(min(rand.N(d), time.Until(time.Unix(0, s.end.Load()))))
}

// connection is one connection, from its handshake to its end.
func (s *soak) connection(slot int) {
	e := s.clients[slot%sockets]
	conf := http3.ConfigureTLS(&tls.Config{RootCAs: s.ca.pool, ServerName: "localhost"})
	if slot/sockets%2 == 0 {
		conf.ClientSessionCache = s.caches[slot%sockets]
	}
	s.dialled.Add(1)
	q, err := e.Dial(context.Background(), s.link.Addr().String(), conf, &quic.Config{HandshakeTimeout: handshakeTimeout, MaxIdleTimeout: idleTimeout})
	if err != nil {
		// A rebinding in the middle of a handshake ends it: "The design of QUIC relies on endpoints retaining a stable address for
		// the duration of the handshake" (RFC 9000, section 9). So does a controller that panics, or no server.
		s.deaf.Add(1)
		s.t.Log(err)
		s.wait(pause)
		return
	}
	s.alive.Add(1)
	defer s.alive.Add(-1)
	if state := q.TLS(); state.DidResume {
		s.resumed.Add(1)
	} else {
		s.seen.Store(state.PeerCertificates[0].SerialNumber.String(), true)
	}
	cc := http3.NewClientConn(q)
	defer cc.Close()
	for range 1 + rand.N(longestLife) {
		if !s.goesOn() || !s.request(cc) {
			return
		}
		s.wait(pause)
	}
}

// request has some KiB echoed, or a handler panic, and reports whether the connection is still good.
func (s *soak) request(cc *http3.ClientConn) bool {
	sent := make([]byte, 1+rand.N(4<<10))
	if rand.N(50) == 0 {
		sent = make([]byte, 64<<10)
	}
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	path := "/echo"
	if rand.N(panicEvery) == 0 {
		path = "/panic"
	}
	ctx, cancel := context.WithTimeout(context.Background(), stallTimeout)
	defer cancel()
	got, err := exchange(ctx, cc, path, sent)
	dead := cc.Conn().Err()
	switch {
	case dead != nil && errors.Is(dead, quic.ErrStatelessReset):
		s.lost.Add(1) // the server knows nothing of it: it panicked, or is another process
	case dead != nil && errors.Is(dead, quic.ErrIdleTimeout):
		s.starved.Add(1)
	case dead != nil:
		s.broken.Add(1)
		s.t.Logf("a connection ended with %v", dead)
	case path == "/panic" && err != nil:
		s.faults.Add(1)
	case err != nil || path == "/panic" || !bytes.Equal(got, sent):
		s.broken.Add(1)
		s.t.Errorf("%s: %d bytes of %d, %v; %+v", path, len(got), len(sent), err, cc.Conn().Stats())
	default:
		s.whole.Add(1)
	}
	return dead == nil
}

func exchange(ctx context.Context, cc *http3.ClientConn, path string, sent []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://localhost"+path, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	res, err := cc.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// rest returns the least that clients and link have in use without connections.
func (s *soak) rest() Usage {
	for _, e := range s.clients {
		until(s.t, "connections to be forgotten", func() bool { return e.Stats().Open == 0 })
	}
	u := measure()
	for range 20 {
		time.Sleep(50 * time.Millisecond)
		u = u.least(measure())
	}
	return u
}

// tell writes down what came out.
func (s *soak) tell(lives [][2]report, ours [2]Usage, killed report) {
	certificates := 0
	s.seen.Range(func(any, any) bool { certificates++; return true })
	l := s.link.Stats()
	s.t.Logf("%d connections dialled, %d resumed, %d in their handshake when it failed; %d requests whole, %d of handlers that panicked, %d connections lost, %d starved, %d otherwise broken",
		s.dialled.Load(), s.resumed.Load(), s.deaf.Load(), s.whole.Load(), s.faults.Load(), s.lost.Load(), s.starved.Load(), s.broken.Load())
	s.t.Logf("%d reloads, of whose certificates clients have seen %d; %d rebindings of %d sockets; lost %d of %d and %d of %d datagrams; %d connections open at the kill",
		s.reloads.Load(), certificates, l.Rebinds, sockets, l.Up.Lost, l.Up.Sent, l.Down.Lost, l.Down.Sent, killed.Open)
	for i, life := range lives {
		r := life[1]
		s.t.Logf("server's life %d: after a fifth %v; at the end %v", i+1, life[0].Usage, r.Usage)
		s.t.Logf("  accepted %d, panicked: %d connections of %d, %d qlogs of %d, %d handlers; %d stacks logged",
			r.Accepted, r.Panicked, r.Bombs, r.QLogsFailed, r.Leaks, r.Handlers, r.Stacks)
	}
	s.t.Logf("clients and link: in the middle %v; at the end %v", ours[0], ours[1])
}

// judge fails the test when something was left, or more broke than was broken.
func (s *soak) judge(lives [][2]report, ours [2]Usage, killed report) {
	flat := func(what string, first, last Usage) {
		if last.Heap > first.Heap+slack || last.Goroutines > first.Goroutines || last.Descriptors > first.Descriptors {
			s.t.Errorf("%s: %v at the end, %v before", what, last, first)
		}
	}
	var bombs, panicked int64
	for i, life := range lives {
		r := life[1]
		flat(fmt.Sprintf("server's life %d", i+1), life[0].Usage, r.Usage)
		bombs, panicked = bombs+r.Bombs, panicked+r.Panicked
		if r.Panicked > r.Bombs || r.QLogsFailed == 0 || r.QLogsFailed > r.Leaks || r.Handlers == 0 {
			s.t.Errorf("other things panicked than were made to: %+v", r)
		}
		if r.Stacks != r.Panicked+r.QLogsFailed+r.Handlers {
			s.t.Errorf("%d stacks of %d panics", r.Stacks, r.Panicked+r.QLogsFailed+r.Handlers)
		}
	}
	bombs += killed.Bombs - lives[0][1].Bombs
	flat("clients and link", ours[0], ours[1])
	if s.whole.Load() == 0 || panicked == 0 || s.broken.Load() > 0 {
		s.t.Errorf("%d requests whole, %d connections panicked, %d broken", s.whole.Load(), panicked, s.broken.Load())
	}
	// A rebinding may also end a handshake that is done for the client and not yet for the server.
	halfDone := s.dialled.Load() - s.deaf.Load() - killed.Accepted - lives[1][1].Accepted
	if n, reasons := s.lost.Load()+s.starved.Load(), bombs+killed.Open+halfDone; n > reasons {
		s.t.Errorf("%d connections were lost, and %d had a reason: %d panics, %d at the kill, %d half done", n, reasons, bombs, killed.Open, halfDone)
	}
	if s.deaf.Load() > s.dialled.Load()/2 {
		s.t.Errorf("of %d handshakes %d failed", s.dialled.Load(), s.deaf.Load())
	}
}

// close ends everything: nothing is left.
func (s *soak) close(before Usage) {
	for _, c := range s.clients {
		c.Close()
	}
	s.link.Close()
	s.server.kill()
	var after Usage
	until(s.t, "everything to end", func() bool {
		after = measure()
		return after.Goroutines <= before.Goroutines && after.Descriptors <= before.Descriptors
	})
	s.t.Logf("before %v, closed %v", before, after)
}

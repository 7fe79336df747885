package quic

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var loopback2 = netip.MustParseAddrPort("127.0.0.2:0")

// loopbackNet skips a test where 127.0.0.2 is no address of the host.
func loopbackNet(t *testing.T) {
	t.Helper()
	l, err := net.ListenPacket("udp", loopback2.String())
	if err != nil {
		t.Skip("127.0.0.2 is no address of this host")
	}
	l.Close()
}

// download has s send n bytes to c, calls during with how many have come, and fails unless all come as they were sent.
func download(t *testing.T, c, s *Conn, n int, during func(got int)) {
	t.Helper()
	want := make([]byte, n)
	for i := range want {
		want[i] = byte(i * 7 / 5)
	}
	ours, theirs := streams(t, c, s)
	go theirs.WriteFinal(want)
	var got bytes.Buffer
	buf := make([]byte, 64<<10)
	for {
		k, err := ours.Read(buf)
		got.Write(buf[:k])
		during(got.Len())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Fatal("other bytes came than were sent")
	}
	ours.Close() // who waits for something downloads again and again, and only so many streams may be open
	theirs.StopReading(0)
}

// migrate moves c, again when the path is given up: on a slow machine the answer may take longer than three probe timeouts.
func migrate(t *testing.T, c *Conn, to netip.AddrPort) {
	t.Helper()
	err := c.Migrate(testContext(t), to)
	for err == ErrNoAnswer {
		err = c.Migrate(testContext(t), to)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestADownloadGoesOnWhileTheClientMigrates(t *testing.T) {
	loopbackNet(t)
	c, s := pair(t, nil, nil)
	var moves sync.WaitGroup
	started := false
	download(t, c, s, 16<<20, func(got int) {
		if got > 1<<20 && !started {
			started = true
			moves.Go(func() {
				for _, to := range []netip.AddrPort{loopback2, {}, loopback2} {
					migrate(t, c, to)
				}
			})
		}
	})
	moves.Wait()
	if got := c.LocalAddr().(*net.UDPAddr).IP.String(); got != "127.0.0.2" {
		t.Errorf("our address is %s", got)
	}
	if n := c.Stats().PathChanges; n != 3 {
		t.Errorf("the client counts %d changes", n)
	}
	eventually(t, "the server follows", func() bool { return s.RemoteAddr().String() == c.LocalAddr().String() })
	download(t, c, s, 100_000, func(int) {})
	eventually(t, "the old sockets are closed", func() bool {
		c.ep.mu.Lock()
		defer c.ep.mu.Unlock()
		return c.ep.sock.left && len(c.ep.others()) == 1
	})
	c.ep.Close()
}

func TestWhoDoesNotMigrate(t *testing.T) {
	c, s := pair(t, nil, nil)
	if err := s.Migrate(testContext(t), netip.AddrPort{}); err != ErrMigrateServer {
		t.Errorf("a server: %v", err)
	}
	e, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	shared, err := e.Dial(testContext(t), s.LocalAddr().String(), clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Migrate(testContext(t), netip.AddrPort{}); err != ErrMigrateShared {
		t.Errorf("a client with a shared socket: %v", err)
	}
	if err := c.Migrate(testContext(t), netip.MustParseAddrPort("192.0.2.77:0")); err == nil {
		t.Error("to an address that the host does not have")
	}
	c.Close()
	if err := c.Migrate(testContext(t), netip.AddrPort{}); err == nil {
		t.Error("a connection that is closed")
	}
}

// nat passes datagrams between one client and a server, as a NAT does. Only the client's first address gets through if
// strict.
type nat struct {
	inside *net.UDPConn
	server *net.UDPAddr
	strict bool

	mu      sync.Mutex
	client  netip.AddrPort
	outside *net.UDPConn
	all     []*net.UDPConn
	passed  atomic.Int64
}

func newNAT(t *testing.T, server net.Addr, strict bool) *nat {
	inside, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &nat{inside: inside, server: server.(*net.UDPAddr), strict: strict}
	r.rebind(t)
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := inside.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			r.mu.Lock()
			if !r.client.IsValid() || !r.strict {
				r.client = from
			}
			ok, out := r.client == from, r.outside
			r.mu.Unlock()
			if ok {
				out.Write(buf[:n])
			}
		}
	})
	t.Cleanup(func() {
		inside.Close()
		r.mu.Lock()
		for _, o := range r.all {
			o.Close()
		}
		r.mu.Unlock()
		done.Wait()
	})
	return r
}

// rebind gives the client another port for the server; what comes to the old one still arrives.
func (r *nat) rebind(t *testing.T) {
	out, err := net.DialUDP("udp4", nil, r.server)
	if err != nil {
		t.Error(err)
		return
	}
	out.SetReadBuffer(4 << 20)
	r.mu.Lock()
	r.outside = out
	r.all = append(r.all, out)
	r.mu.Unlock()
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := out.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			r.mu.Lock()
			client := r.client
			r.mu.Unlock()
			r.passed.Add(int64(n))
			r.inside.WriteToUDPAddrPort(buf[:n], client)
		}
	}()
}

func TestADownloadGoesOnWhileANATRebinds(t *testing.T) {
	e := listen(t, nil)
	r := newNAT(t, e.Addr(), false)
	c, err := Dial(testContext(t), r.inside.LocalAddr().String(), clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	rebound := 0
	download(t, c, s, 16<<20, func(got int) {
		if got > (rebound+1)<<22 && rebound < 3 {
			rebound++
			r.rebind(t)
		}
	})
	if n := s.Stats().PathChanges; n == 0 || rebound != 3 {
		t.Errorf("the server followed %d times of %d", n, rebound)
	}
}

func TestAPathWithoutAnAnswerIsNotTaken(t *testing.T) {
	e := listen(t, nil)
	r := newNAT(t, e.Addr(), true)
	c, err := Dial(testContext(t), r.inside.LocalAddr().String(), clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	before := c.LocalAddr().String()
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if err := c.Migrate(ctx, netip.AddrPort{}); err == nil {
		t.Error("a migration whose context is done succeeds")
	}
	if err := c.Migrate(testContext(t), netip.AddrPort{}); err != ErrNoAnswer {
		t.Errorf("a migration that nobody answers: %v", err)
	}
	if after := c.LocalAddr().String(); after != before {
		t.Errorf("our address was %s and is %s", before, after)
	}
	if n := len(c.ep.others()); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
	download(t, c, s, 100_000, func(int) {})
}

func TestAConnectionWhoseAddressVanishesFindsAnother(t *testing.T) {
	c, s := pair(t, nil, nil)
	download(t, c, s, 100_000, func(int) {})
	before := c.LocalAddr().String()
	c.ep.stranded(c.ep.sock) // what a send that the system refuses for want of an address or a route leads to
	eventually(t, "the connection moves", func() bool { return c.LocalAddr().String() != before })
	download(t, c, s, 100_000, func(int) {})
}

func TestAnEscapeIsTriedAFewTimes(t *testing.T) {
	fail := errors.New("no route")
	for _, c := range []struct {
		sentence string
		migrate  func(try int) error
		ends     time.Duration // when the connection does; 0: it does not
		tries    int
		took     time.Duration
	}{
		{"until there is an address", func(try int) error {
			if try == 4 {
				return nil
			}
			return fail
		}, 0, 4, 700 * time.Millisecond},
		{"and eight times if there is none", func(int) error { return fail }, 0, maxEscapes, 12700 * time.Millisecond},
		{"each time as long as it takes", func(int) error { time.Sleep(time.Second); return context.DeadlineExceeded }, 0, maxEscapes, 20700 * time.Millisecond},
		{"not if the server forbids it", func(int) error { return ErrMigrateDisabled }, 0, 1, 0},
		{"not when the connection is over", func(int) error { return fail }, time.Second, 4, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			began, tries, over := time.Now(), 0, make(chan struct{})
			if c.ends > 0 {
				time.AfterFunc(c.ends, func() { close(over) })
			}
			tryToEscape(over, func() error { tries++; return c.migrate(tries) })
			if took := time.Since(began); tries != c.tries || took != c.took {
				t.Errorf("%s: %d times in %v, want %d in %v", c.sentence, tries, took, c.tries, c.took)
			}
		})
	}
}

func TestThePreferredAddressIsMovedTo(t *testing.T) {
	loopbackNet(t)
	free, err := net.ListenPacket("udp", loopback2.String())
	if err != nil {
		t.Fatal(err)
	}
	preferred := free.LocalAddr().(*net.UDPAddr).AddrPort()
	free.Close()
	c, s := pair(t, nil, &Config{Routing: Routing{Preferred: []netip.AddrPort{preferred}}})
	eventually(t, "the client moves there", func() bool { return c.RemoteAddr().String() == preferred.String() })
	download(t, c, s, 1<<20, func(int) {})
	eventually(t, "the server answers from there", func() bool { return s.LocalAddr().String() == preferred.String() })
	if err := c.Migrate(testContext(t), loopback2); err != nil {
		t.Error(err)
	}
	download(t, c, s, 1<<20, func(int) {})

	for _, list := range [][]netip.AddrPort{
		{{}}, {netip.MustParseAddrPort("127.0.0.1:0")}, {netip.MustParseAddrPort("0.0.0.0:1")}, {preferred, preferred},
		{preferred, netip.MustParseAddrPort("[::1]:1"), preferred},
	} {
		if _, err := (&Config{Routing: Routing{Preferred: list}}).withDefaults(); err == nil {
			t.Errorf("%v is taken", list)
		}
	}
}

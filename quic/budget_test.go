package quic

import (
	"bytes"
	"io"
	"math"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

// promised is what all connections of an endpoint have promised beyond receiveFloor, and what their streams hold unread. It checks
// the books of the budget against the connections.
func (e *Endpoint) promised(t testing.TB) (promised, unread int64) {
	t.Helper()
	e.mu.Lock()
	conns := make([]*Conn, 0, len(e.conns))
	for c := range e.conns {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	for _, c := range conns {
		c.mu.Lock()
		if c.core != nil && !c.gone {
			r := c.core.Receiving()
			if r.Promised > receiveFloor+c.loan.held {
				t.Errorf("%d bytes are promised on a loan of %d", r.Promised, c.loan.held)
			}
			promised += max(0, r.Promised-receiveFloor)
			unread += r.Buffered
		}
		c.mu.Unlock()
	}
	if used := e.budget.used.Load(); used > e.budget.size {
		t.Errorf("%d bytes are lent out of a budget of %d", used, e.budget.size)
	}
	return promised, unread
}

// greed opens streams on c and writes to them until it is closed: nobody reads.
func greed(c *Conn, streams int) {
	for range streams {
		s, err := c.OpenStream(c.Context())
		if err != nil {
			return
		}
		go func() {
			for err := error(nil); err == nil; {
				_, err = s.Write(make([]byte, 64<<10))
			}
		}()
	}
}

func TestTheBudgetHoldsAgainstManyGreedyClients(t *testing.T) {
	const size, transfer = 32 << 20, 16 << 20
	conns := 200
	if testing.Short() || raceEnabled {
		conns = 50
	}
	conf := &Config{
		HandshakeTimeout: time.Hour, MaxIdleTimeout: time.Hour, AddressValidation: ValidateNever,
		Windows: Windows{ReceiveBudget: size},
	}
	server := listen(t, conf)
	client, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	open := func() (c, s *Conn) {
		c, err := client.Dial(t.Context(), server.Addr().String(), clientTLS(), conf)
		if err != nil {
			t.Fatal(err)
		}
		if s, err = server.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c, s
	}
	greedy, victims := make([]*Conn, conns), make([]*Conn, conns)
	for i := range greedy {
		greedy[i], victims[i] = open()
	}
	for _, c := range greedy {
		go greed(c, 4)
	}
	eventually(t, "every greedy client is stopped by flow control", func() bool {
		for _, c := range greedy {
			if n := c.Stats(); n.Unsent == 0 || n.InFlight > 0 {
				return false
			}
		}
		return true
	})
	promised, unread := server.promised(t)
	t.Logf("%d KiB promised beyond the floor, %d KiB unread", promised>>10, unread>>10)
	if promised > size || unread > size+int64(conns)*receiveFloor {
		t.Errorf("%d bytes promised and %d unread with a budget of %d", promised, unread, size)
	}
	if stats := server.Stats(); stats.ReceiveBudget != size || stats.ReceiveUsed < size/4 || stats.ReceiveUsed > size {
		t.Errorf("the endpoint says %+v", stats)
	}

	c, s := open()
	ours, theirs := streams(t, c, s)
	data := randomBytes(transfer)
	go ours.WriteFinal(data)
	if got, err := io.ReadAll(theirs); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the transfer of one that is read: %d bytes of %d, %v", len(got), transfer, err)
	}
	server.promised(t)

	for i := range greedy {
		greedy[i].Close()
		victims[i].Close() // a CONNECTION_CLOSE may be lost
	}
	eventually(t, "the loans of the greedy are paid back", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return server.budget.used.Load() == s.loan.held
	})
	c2, s2 := open()
	if got := s2.Stats().Promised; got != 768<<10 {
		t.Errorf("with the pressure gone a connection begins with a window of %d bytes", got)
	}
	ours, theirs = streams(t, c2, s2)
	go ours.WriteFinal(data)
	if got, err := io.ReadAll(theirs); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes of %d, %v", len(got), transfer, err)
	}
	c.Close()
	c2.Close()
	eventually(t, "everything is paid back", func() bool { return server.Stats().ReceiveUsed == 0 })
	if n := server.budget.fresh.Load(); n != 0 {
		t.Errorf("%d bytes are on the books of connections that are gone", n)
	}
}

// TestScarcityShrinksTheLargest: windows that have grown come down as they are read from, and grow again afterwards. Nothing
// that was promised is taken back.
func TestScarcityShrinksTheLargest(t *testing.T) {
	const size = 512 << 20
	c, s := pair(t, nil, &Config{Windows: Windows{ReceiveBudget: size, ConnWindow: 8 << 20, StreamWindow: 5 << 20}})
	ours, theirs := streams(t, c, s)
	budget := &s.ep.budget
	pass := func(n int) {
		t.Helper()
		go ours.Write(make([]byte, n))
		if _, err := io.ReadFull(theirs, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	pass(1 << 20)
	full := s.Stats().Promised
	if full < 6<<20 {
		t.Fatalf("%d bytes promised at first", full)
	}
	others := budget.borrow(size, size) // all that is left
	pass(20 << 20)
	shrunk := s.Stats().Promised
	if shrunk > 5<<20 {
		t.Errorf("%d bytes promised of %d where little is left", shrunk, full)
	}
	taken := budget.borrow(size, size)
	pass(40 << 20)
	if got := s.Stats().Promised; got > shrunk/2 {
		t.Errorf("%d bytes promised where still less is left", got)
	}
	server := s.ep
	server.promised(t)
	budget.used.Add(-others - taken)
	pass(40 << 20)
	if got := s.Stats().Promised; got < 6<<20 {
		t.Errorf("%d bytes promised where there is plenty again", got)
	}
	server.promised(t)
}

// TestSlowReadersAreHeldShort: who leaves much unread gets receiveFloor beyond what is not read, where the budget is scarce.
func TestSlowReadersAreHeldShort(t *testing.T) {
	const size = 64 << 20
	c, s := pair(t, nil, &Config{Windows: Windows{ReceiveBudget: size}})
	ours, theirs := streams(t, c, s)
	go ours.Write(make([]byte, 2<<20))
	eventually(t, "the window of the stream is full", func() bool { return s.Stats().Unread >= 512<<10-1 })
	s.ep.budget.borrow(3*size/4, size)
	buf := make([]byte, 10_000)
	for s.Stats().Unread > 200<<10 {
		before := s.Stats()
		if _, err := theirs.Read(buf); err != nil {
			t.Fatal(err)
		}
		if after := s.Stats(); after.Promised > max(before.Promised, after.Unread+receiveFloor) {
			t.Fatalf("%d bytes promised with %d unread, %d before that", after.Promised, after.Unread, before.Promised)
		}
	}
	s.ep.promised(t)
}

func TestConnectionsThatReadHaveHalfTheBudget(t *testing.T) {
	e := listen(t, &Config{Windows: Windows{ReceiveBudget: 4 << 20}})
	first := int64(math.MaxInt64)
	for range 60 {
		c := &Conn{ep: e}
		w := c.firstWindows(&e.conf)
		if w.ConnWindow > first {
			t.Fatalf("a window of %d after one of %d", w.ConnWindow, first)
		}
		if w.StreamWindow >= w.ConnWindow || w.MaxConnWindow != 15<<20 {
			t.Errorf("windows %+v", w)
		}
		first = w.ConnWindow
	}
	if used := e.budget.used.Load(); first != receiveFloor || used < 1<<20 || used > 2<<20 {
		t.Errorf("the last window is %d, and %d bytes of 4 MiB are lent", first, used)
	}
}

func TestWithoutABudgetNothingIsCounted(t *testing.T) {
	c, s := pair(t, nil, &Config{Windows: Windows{ReceiveBudget: -1}})
	ours, theirs := streams(t, c, s)
	go ours.WriteFinal(make([]byte, 4<<20))
	if n, err := io.Copy(io.Discard, theirs); n != 4<<20 || err != nil {
		t.Fatal(n, err)
	}
	if stats := s.ep.Stats(); stats.ReceiveBudget != 0 || stats.ReceiveUsed != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestTheDefaultBudgetFitsTheMemoryLimit(t *testing.T) {
	if got := defaultReceiveBudget(); got != maxDefaultBudget {
		t.Errorf("%d without a limit", got)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	if got := defaultReceiveBudget(); got != 256<<20 {
		t.Errorf("%d with a limit of 1 GiB", got)
	}
}

// TestScarcityCostsClients0RTT: "the server MUST NOT reduce any limits or alter any values that might be violated by the client with
// its 0-RTT data." (RFC 9000, section 7.4.1)
func TestScarcityCostsClients0RTT(t *testing.T) {
	conf := &Config{Windows: Windows{ReceiveBudget: 64 << 20}, Resumption: Resumption{EarlyData: true}, Logger: quiet()}
	e, _ := earlyListen(t, serverTLS(), conf, false)
	client := newEarlyClient()
	client.visit(t, e)
	for _, scarce := range []bool{false, true} {
		if scarce {
			e.budget.borrow(60<<20, 64<<20)
		}
		c := client.dial(t, e)
		if got := ask(t, c, []byte("hello")); string(got) != "hello" {
			t.Fatalf("%q", got)
		}
		if err := c.HandshakeDone(testContext(t)); err != nil {
			t.Fatal(err)
		}
		if c.EarlyData() == scarce {
			t.Errorf("0-RTT %v with the budget scarce %v", c.EarlyData(), scarce)
		}
		if !scarce {
			<-client.came
		}
	}
}

// TestLoansAreExactUnderRace borrows from many goroutines.
func TestLoansAreExactUnderRace(t *testing.T) {
	b := &budget{size: 10 * loanStep}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				n := b.borrow(3*loanStep, b.size)
				if used := b.used.Load(); used > b.size {
					t.Errorf("%d of %d", used, b.size)
				}
				b.used.Add(-n)
			}
		})
	}
	all.Wait()
	if b.used.Load() != 0 {
		t.Errorf("%d are left", b.used.Load())
	}
}

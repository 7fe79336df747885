package quic

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"
)

// earlyListen starts a server that answers each stream with its bytes. It returns the streams that came early.
func earlyListen(t *testing.T, tlsConf *tls.Config, conf *Config, wait bool) (e *Endpoint, early *atomic.Int64) {
	t.Helper()
	e, err := Listen("127.0.0.1:0", tlsConf, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	early = new(atomic.Int64)
	go func() {
		for {
			c, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			c.HandleStreams(func(s *Stream) {
				if s.Early() {
					early.Add(1)
				}
				if wait {
					if err := c.HandshakeDone(context.Background()); err != nil {
						return
					}
				}
				b, err := io.ReadAll(s)
				if err != nil {
					return
				}
				s.WriteFinal(b)
			})
		}
	}()
	return e, early
}

// gate holds the server's handshakes up until what a client writes is on its way: otherwise it is chance whether the handshake
// is done before.
type gate struct{ closed atomic.Pointer[chan struct{}] }

func (g *gate) install(conf *tls.Config) *tls.Config {
	conf.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if ch := g.closed.Load(); ch != nil {
			<-*ch
		}
		return nil, nil
	}
	return conf
}

func (g *gate) close(t *testing.T) (open func()) {
	ch := make(chan struct{})
	g.closed.Store(&ch)
	open = func() {
		if g.closed.Swap(nil) != nil {
			close(ch)
		}
	}
	t.Cleanup(open)
	return open
}

// earlyClient is a client's TLS with a session cache that tells when a session has come.
type earlyClient struct {
	tls  *tls.Config
	conf *Config
	came chan struct{}
}

type tellingCache struct {
	tls.ClientSessionCache
	came  chan struct{}
	early bool // only sessions that allow 0-RTT count
}

func (c tellingCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if _, state, _ := s.ResumptionState(); state == nil || c.early && !state.EarlyData {
		return // what is left of one that was used
	}
	select {
	case c.came <- struct{}{}:
	default:
	}
}

func newEarlyClient() *earlyClient {
	c := &earlyClient{tls: clientTLS(), conf: &Config{Resumption: Resumption{EarlyData: true}, Logger: quiet()}, came: make(chan struct{}, 1)}
	c.tls.ClientSessionCache = tellingCache{tls.NewLRUClientSessionCache(4), c.came, true}
	return c
}

// visit has the client get a session.
func (c *earlyClient) visit(t *testing.T, e *Endpoint) {
	t.Helper()
	conn := c.dial(t, e)
	<-c.came
	conn.Close()
}

func (c *earlyClient) dial(t *testing.T, e *Endpoint) *Conn {
	t.Helper()
	select {
	case <-c.came:
	default:
	}
	conn, err := Dial(testContext(t), e.Addr().String(), c.tls, c.conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends text on a stream of its own and returns what comes back.
func ask(t *testing.T, c *Conn, text []byte) []byte {
	t.Helper()
	return askThen(t, c, text, func() {})
}

// askThen calls sent when text, which has to fit the first flight, is under way.
func askThen(t *testing.T, c *Conn, text []byte, sent func()) []byte {
	t.Helper()
	defer sent()
	s, err := c.OpenStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteFinal(text); err != nil {
		t.Fatal(err)
	}
	sent()
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEarlyDataOverLoopback(t *testing.T) {
	conf := &Config{Resumption: Resumption{EarlyData: true}, Logger: quiet()}
	for _, wait := range []bool{false, true} {
		var g gate
		e, early := earlyListen(t, g.install(serverTLS()), conf, wait)
		client := newEarlyClient()
		client.visit(t, e)
		for range 3 {
			before, open := early.Load(), g.close(t)
			c := client.dial(t, e)
			if !c.EarlyData() {
				t.Fatal("0-RTT was not tried")
			}
			text := bytes.Repeat([]byte("early"), 1000)
			if got := askThen(t, c, text, open); !bytes.Equal(got, text) {
				t.Errorf("%d bytes came back", len(got))
			}
			if err := c.HandshakeDone(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if !c.EarlyData() || early.Load() == before || !c.Stats().Resumed {
				t.Errorf("accepted %v, early streams %d, resumed %v", c.EarlyData(), early.Load()-before, c.Stats().Resumed)
			}
			<-client.came // a ticket for the next
			if s := c.ep.Stats(); c.Stats().Early != "accepted" || s.EarlyAccepted != 1 || s.EarlyRejected != 0 {
				t.Errorf("0-RTT was %q, the client's endpoint: %d accepted, %d rejected", c.Stats().Early, s.EarlyAccepted, s.EarlyRejected)
			}
			c.Close()
		}
		if s := e.Stats(); s.EarlyAccepted != 3 || s.EarlyRejected+s.EarlyReplayed != 0 {
			t.Errorf("the server: %d accepted, %d rejected, %d replayed", s.EarlyAccepted, s.EarlyRejected, s.EarlyReplayed)
		}
	}
}

func TestEarlyDataIsOffByDefault(t *testing.T) {
	for name, c := range map[string]struct{ server, client bool }{"server": {false, true}, "client": {true, false}} {
		e, early := earlyListen(t, serverTLS(), &Config{Resumption: Resumption{EarlyData: c.server}, Logger: quiet()}, false)
		client := newEarlyClient()
		client.conf.EarlyData = c.client
		client.tls.ClientSessionCache = tellingCache{tls.NewLRUClientSessionCache(4), client.came, false}
		client.visit(t, e)
		conn := client.dial(t, e)
		if conn.EarlyData() {
			t.Errorf("%s off: 0-RTT was tried", name)
		}
		if ask(t, conn, []byte("x")); early.Load() > 0 || !conn.Stats().Resumed {
			t.Errorf("%s off: %d early streams, resumed %v", name, early.Load(), conn.Stats().Resumed)
		}
	}
}

// strikeOut is a register that says no.
type strikeOut struct{ asked atomic.Int64 }

func (r *strikeOut) Strike([16]byte, time.Time) bool { r.asked.Add(1); return false }

func TestRejectedEarlyDataArrivesAllTheSame(t *testing.T) {
	no := new(strikeOut)
	var g gate
	e, early := earlyListen(t, g.install(serverTLS()), &Config{Resumption: Resumption{EarlyData: true, StrikeRegister: no}, Logger: quiet()}, false)
	client := newEarlyClient()
	client.visit(t, e)
	open := g.close(t)
	c := client.dial(t, e)
	text := bytes.Repeat([]byte("early"), 1000)
	if got := askThen(t, c, text, open); !bytes.Equal(got, text) {
		t.Errorf("%d bytes came back", len(got))
	}
	if c.EarlyData() || early.Load() != 0 || no.asked.Load() != 1 {
		t.Errorf("early %v, %d streams, asked %d times", c.EarlyData(), early.Load(), no.asked.Load())
	}
	s := e.Stats()
	if got := c.Stats().Early; got != "rejected" || s.EarlyRejected != 1 || s.EarlyReplayed != 1 || s.EarlyAccepted != 0 {
		t.Errorf("the client says %q, the server %d rejected, %d replayed, %d accepted", got, s.EarlyRejected, s.EarlyReplayed, s.EarlyAccepted)
	}
	if s := c.ep.Stats(); s.EarlyRejected != 1 || s.EarlyAccepted != 0 {
		t.Errorf("the client's endpoint: %d rejected, %d accepted", s.EarlyRejected, s.EarlyAccepted)
	}
}

// Two servers with the same ticket keys: 0-RTT at the second needs the register of the first.
func TestATicketOfAnotherServerNeedsItsRegister(t *testing.T) {
	shared := NewMemoryRegister(0)
	for _, c := range []struct {
		name          string
		first, second StrikeRegister
		accepted      bool
	}{{"registers of their own", nil, nil, false}, {"one register", shared, shared, true}} {
		var g gate
		tlsConf := g.install(serverTLS())
		tlsConf.SetSessionTicketKeys([][32]byte{{1}})
		one, _ := earlyListen(t, tlsConf, &Config{Resumption: Resumption{EarlyData: true, StrikeRegister: c.first}, Logger: quiet()}, false)
		two, early := earlyListen(t, tlsConf, &Config{Resumption: Resumption{EarlyData: true, StrikeRegister: c.second}, Logger: quiet()}, false)
		client := newEarlyClient()
		client.tls.ServerName = "localhost"
		client.visit(t, one)
		open := g.close(t)
		conn := client.dial(t, two)
		if !conn.EarlyData() {
			t.Fatal("0-RTT was not tried")
		}
		askThen(t, conn, []byte("x"), open)
		if conn.EarlyData() != c.accepted || (early.Load() == 1) != c.accepted {
			t.Errorf("%s: accepted %v", c.name, conn.EarlyData())
		}
	}
}

func TestEarlyStateGoesRound(t *testing.T) {
	e, _ := earlyListen(t, serverTLS(), &Config{Resumption: Resumption{EarlyData: true}, Logger: quiet()}, false)
	e.SetEarlyState([]byte("promise"))
	client := newEarlyClient()
	c := client.dial(t, e)
	<-client.came
	c.RememberEarlyState([]byte("settings"))
	<-client.came
	if c.EarlyState() != nil {
		t.Error("a state without 0-RTT")
	}
	c.Close()
	c = client.dial(t, e)
	if string(c.EarlyState()) != "settings" {
		t.Errorf("state %q", c.EarlyState())
	}
	ask(t, c, nil)
	if !c.EarlyData() {
		t.Error("rejected")
	}
	<-client.came
	c.Close()
	e.SetEarlyState([]byte("another"))
	c = client.dial(t, e)
	if ask(t, c, nil); c.EarlyData() {
		t.Error("a ticket issued under another state was accepted")
	}
}

func TestHandshakeDoneTellsWhyThereIsNone(t *testing.T) {
	e, _ := earlyListen(t, serverTLS(), &Config{Resumption: Resumption{EarlyData: true}, Logger: quiet()}, false)
	client := newEarlyClient()
	client.visit(t, e)
	addr := e.Addr().String()
	e.Close()
	mute, err := NewEndpoint(addr, nil) // answers nothing that it does not know
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	c, err := Dial(testContext(t), addr, client.tls, client.conf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.HandshakeDone(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is done: %v", err)
	}
	c.CloseWithError(7, "")
	var app *ApplicationError
	if err := c.HandshakeDone(testContext(t)); !errors.As(err, &app) || app.Code != 7 {
		t.Errorf("a connection that ended: %v", err)
	}
}

func TestMarksAreGoodForAnHour(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	r := NewMemoryRegister(0)
	r.now = clock
	var replayed atomic.Int64
	s := newEarlyServer(r, &replayed)
	s.now = clock
	other := newEarlyServer(nil, &replayed)
	other.now = clock
	mark := s.mark()
	if !s.admit(mark) || s.admit(mark) {
		t.Error("a mark is good once")
	}
	if other.admit(s.mark()) {
		t.Error("a mark of another register was admitted")
	}
	if s.admit(nil) || s.admit(mark[:len(mark)-1]) {
		t.Error("a broken mark was admitted")
	}
	mark = s.mark()
	if now = now.Add(earlyWindow); s.admit(mark) {
		t.Error("an old mark was admitted")
	}
	mark = s.mark()
	if now = now.Add(-time.Minute); s.admit(mark) {
		t.Error("a mark from the future was admitted")
	}
	now = now.Add(55 * time.Second)
	if !s.admit(mark) {
		t.Error("clocks may differ a little")
	}
}

func TestTheRegisterIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := NewMemoryRegister(3)
	r.now = func() time.Time { return now }
	strike := func(i int) bool { return r.Strike([16]byte{byte(i)}, now.Add(time.Minute)) }
	for i := range 3 {
		if !strike(i) || strike(i) {
			t.Errorf("%d is new once", i)
		}
	}
	if strike(3) {
		t.Error("a full register said yes")
	}
	now = now.Add(time.Hour)
	if !strike(3) || r.size != 1 {
		t.Errorf("what has expired takes up room: %d", r.size)
	}
	if r.Strike([16]byte{9}, now) || r.Strike([16]byte{9}, now.Add(24*time.Hour)) {
		t.Error("an expiry that cannot be was taken")
	}
	if NewMemoryRegister(0).max != maxStrikes {
		t.Error("no default")
	}
}

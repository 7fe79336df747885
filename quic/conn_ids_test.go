package quic

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"github.com/godwit-net/godwit/internal/engine"
)

// lengthy makes random connection IDs of a length.
type lengthy int

func (n lengthy) Len() int        { return int(n) }
func (n lengthy) Generate([]byte) {}

func withIDs(g ConnIDGenerator) *Config {
	return &Config{Routing: Routing{ConnIDs: g}, Logger: quiet()}
}

func TestConnectionIDsAreThoseOfTheGenerator(t *testing.T) {
	loopbackNet(t)
	for _, c := range []struct{ client, server int }{{0, 20}, {1, 4}, {20, 1}} {
		client, server := pair(t, withIDs(lengthy(c.client)), withIDs(lengthy(c.server)))
		download(t, client, server, 1<<20, func(int) {})
		if err := client.Migrate(testContext(t), loopback2); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		download(t, client, server, 1<<20, func(int) {})
		for _, end := range []struct {
			conn *Conn
			want int
		}{{client, c.client}, {server, c.server}} {
			e := end.conn.ep
			e.mu.Lock()
			for _, id := range end.conn.ids {
				if id.Len() != end.want {
					t.Errorf("%+v: an ID of %d bytes", c, id.Len())
				}
			}
			e.mu.Unlock()
		}
	}
}

func TestAClientWithoutIDsMayTakeASecondAttempt(t *testing.T) {
	e := listen(t, speaking(Version2))
	c := dial(t, e, withIDs(lengthy(0)))
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	download(t, c, s, 1<<20, func(int) {})
}

func TestIDsThatCannotBeAreRefused(t *testing.T) {
	// Rules: 9000:5.1/3
	// RFC 9000, section 5.1: "An endpoint MUST NOT use the same IP address and port for multiple concurrent connections with zero-length
	// connection IDs, unless it is certain that those protocol features are not in use."
	for _, n := range []int{-1, 0, 21} {
		if _, err := Listen("127.0.0.1:0", serverTLS(), withIDs(lengthy(n))); err == nil {
			t.Errorf("Listen takes IDs of %d bytes", n)
		}
		if _, err := NewEndpoint("127.0.0.1:0", withIDs(lengthy(n))); err == nil {
			t.Errorf("NewEndpoint takes IDs of %d bytes", n)
		}
	}
	if _, err := Dial(testContext(t), "127.0.0.1:9", clientTLS(), withIDs(lengthy(21))); err == nil {
		t.Error("Dial takes IDs of 21 bytes")
	}
}

// repeating makes IDs of one byte, each twice, and says if it is called by two goroutines at once.
type repeating struct {
	mu    sync.Mutex
	calls int
	busy  bool
}

func (g *repeating) Len() int { return 1 }

func (g *repeating) Generate(id []byte) {
	if !g.mu.TryLock() {
		g.busy = true
		return
	}
	defer g.mu.Unlock()
	id[0] = byte(g.calls / 2)
	g.calls++
}

func TestAGeneratorThatRepeatsItselfMisleadsNobody(t *testing.T) {
	g := &repeating{}
	e := listen(t, withIDs(g))
	go echo(e)
	const count = 40
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			c, err := Dial(testContext(t), e.Addr().String(), clientTLS(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			want := randomBytes(10_000)
			if got := ask(t, c, want); string(got) != string(want) {
				t.Error("another's bytes came back")
			}
		})
	}
	all.Wait()
	if g.busy || g.calls < 4*count {
		t.Errorf("%d calls, two at once: %v", g.calls, g.busy)
	}
}

// remembered makes random IDs and keeps them.
type remembered struct {
	mu  sync.Mutex
	ids [][]byte
}

func (g *remembered) Len() int { return 8 }

func (g *remembered) Generate(id []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids = append(g.ids, bytes.Clone(id))
}

func TestAConnectionThatIsThereIsNotReset(t *testing.T) {
	// Rules: 9000:11/3
	// RFC 9000, section 11: "A stateless reset MUST NOT be used by an endpoint that has the state necessary to send a frame on the
	// connection."
	g := &remembered{}
	e := listen(t, withIDs(g))
	c := dial(t, e, nil)
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	streams(t, c, s)
	stranger, err := net.Dial("udp", e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	g.mu.Lock()
	ids := g.ids
	g.mu.Unlock()
	say := func(id []byte) {
		if _, err := stranger.Write(append(append([]byte{0x40}, id...), randomBytes(60)...)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		say(id)
	}
	say(randomBytes(8))
	eventually(t, "an ID of nobody's is answered", func() bool { return e.Stats().Dropped[engine.AnswerReset] > 0 })
	if n := e.Stats().Dropped[engine.AnswerReset]; n != 1 || len(ids) == 0 {
		t.Errorf("%d resets for %d IDs in use and one that is not", n, len(ids))
	}
}

func TestAStatelessResetIsOfTheLengthOfTheID(t *testing.T) {
	conf := withIDs(lengthy(18))
	conf.Secret = [32]byte{1, 2, 3}
	first := listen(t, conf)
	c := dial(t, first, nil)
	s, err := first.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := streams(t, c, s)
	first.sock.Close()
	second, err := Listen(first.Addr().String(), serverTLS(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	ours.Write([]byte("anybody there?"))
	<-c.Context().Done()
	if err := c.Err(); err != ErrStatelessReset {
		t.Errorf("the client's end: %v", err)
	}
}

func TestAStationaryClientDoesNotMigrate(t *testing.T) {
	loopbackNet(t)
	conf := withIDs(lengthy(8))
	conf.Stationary = true
	c, s := pair(t, nil, conf)
	if err := c.Migrate(testContext(t), loopback2); err != ErrMigrateDisabled {
		t.Errorf("it migrates: %v", err)
	}
	download(t, c, s, 100_000, func(int) {})
	s.ep.mu.Lock()
	defer s.ep.mu.Unlock()
	if len(s.ids) != 1 {
		t.Errorf("it has %d IDs", len(s.ids))
	}
}

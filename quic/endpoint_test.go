package quic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/udp"
	"github.com/godwit-net/godwit/internal/wire"
)

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// silentAddr is the address of a socket that never answers.
func silentAddr(t *testing.T) string {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc.LocalAddr().String()
}

func TestManyConnectionsShareTwoSockets(t *testing.T) {
	const conns = 200
	// So many at once take their time on a slow machine: nothing here ends by the clock. Nor is there a Retry: an Initial packet
	// that is sent again while the first one's Retry is under way may begin a connection that its client knows nothing of.
	conf := &Config{HandshakeTimeout: time.Hour, MaxIdleTimeout: time.Hour, AddressValidation: ValidateNever}
	ctx := t.Context()
	server := listen(t, conf)
	go echo(server)
	client, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var all sync.WaitGroup
	for i := range conns {
		all.Go(func() {
			c, err := client.Dial(ctx, server.Addr().String(), clientTLS(), conf)
			if err != nil {
				t.Error(err)
				return
			}
			s, err := c.OpenStream(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			want := fmt.Sprint("connection ", i)
			s.WriteFinal([]byte(want))
			if got, err := io.ReadAll(s); string(got) != want || err != nil {
				t.Errorf("%q came back for %q, %v", got, want, err)
			}
		})
	}
	all.Wait()
	if got := client.Stats(); got.Dialled != conns || got.Open != conns {
		t.Errorf("client: %+v", got)
	}
	if got := server.Stats(); got.Accepted != conns || got.Open != conns || got.Panicked != 0 {
		t.Errorf("server: %+v", got)
	}
	client.Close()
	eventually(t, "the server has heard of every end", func() bool { return server.Stats().Open == 0 })
	if got := server.Stats(); got.Closed != conns {
		t.Errorf("server: %+v", got)
	}
}

func TestAnEndpointDialsFromTheAddressItIsBoundTo(t *testing.T) {
	loopbackNet(t)
	e := listen(t, nil)
	bound, err := NewEndpoint(loopback2.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer bound.Close()
	c, err := bound.Dial(testContext(t), e.Addr().String(), clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.RemoteAddr().(*net.UDPAddr).AddrPort(); got.Addr() != loopback2.Addr() || c.LocalAddr().String() != got.String() {
		t.Errorf("from %v, which the client takes for %v", got, c.LocalAddr())
	}
}

func TestIdleConnectionsOwnNoGoroutine(t *testing.T) {
	const conns = 50
	server := listen(t, nil)
	client, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	base := runtime.NumGoroutine()
	for range conns {
		c, err := client.Dial(testContext(t), server.Addr().String(), clientTLS(), nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.Accept(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		streams(t, c, s)
	}
	eventually(t, "no connection owns a goroutine", func() bool { return runtime.NumGoroutine() <= base })
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	base := runtime.NumGoroutine()
	e, err := Listen("127.0.0.1:0", serverTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	go echo(e)
	var all sync.WaitGroup
	for range 4 {
		c := dial(t, e, nil)
		for range 4 {
			all.Go(func() {
				s, err := c.OpenStream(testContext(t))
				if err != nil {
					return
				}
				go io.Copy(io.Discard, s)
				for err == nil {
					_, err = s.Write(make([]byte, 100_000))
				}
			})
		}
	}
	eventually(t, "the transfers run", func() bool { return e.Stats().BytesIn > 1<<20 })
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait() // every transfer was told
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= base })
	if _, err := e.Accept(context.Background()); err != ErrClosed {
		t.Errorf("Accept after Close = %v", err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
}

func TestShutdownWaitsForConnections(t *testing.T) {
	e := listen(t, nil)
	c := dial(t, e, nil)
	if _, err := e.Accept(testContext(t)); err != nil {
		t.Fatal(err)
	}
	waiting := dial(t, e, nil) // never accepted
	eventually(t, "the second connection waits", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.backlog) == 1
	})
	done := make(chan error)
	go func() { done <- e.Shutdown(testContext(t)) }()
	<-waiting.Context().Done()
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v while a connection was open", err)
	default:
	}
	if _, err := Dial(testContext(t), e.Addr().String(), clientTLS(), &Config{HandshakeTimeout: 50 * time.Millisecond}); err == nil {
		t.Error("a new connection got in")
	}
	c.Close()
	if err := <-done; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	e := listen(t, nil)
	c := dial(t, e, nil)
	if _, err := e.Accept(testContext(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Shutdown(ctx); err != context.Canceled {
		t.Errorf("Shutdown = %v", err)
	}
	<-c.Context().Done()
}

func TestAcceptEndsWithItsContext(t *testing.T) {
	e := listen(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := e.Accept(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("Accept = %v", err)
	}
}

func TestListenRefusesWhatCannotWork(t *testing.T) {
	noProto := serverTLS()
	noProto.NextProtos = nil
	if _, err := Listen("127.0.0.1:0", noProto, nil); err == nil || !strings.Contains(err.Error(), "NextProtos") {
		t.Errorf("without a protocol: %v", err)
	}
	if _, err := Listen("127.0.0.1:0", clientTLS(), nil); err == nil || !strings.Contains(err.Error(), "Certificates") {
		t.Errorf("without a certificate: %v", err)
	}
	if _, err := Listen("127.0.0.1:0", nil, nil); err == nil {
		t.Error("without a tls.Config it listens")
	}
	if _, err := Listen("not an address", serverTLS(), nil); err == nil {
		t.Error("it listens on nonsense")
	}
}

func TestGarbageIsCountedAndSurvived(t *testing.T) {
	e := listen(t, nil)
	go echo(e)
	conn, err := net.Dial("udp", e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	unknown := append([]byte{0xc0, 0xba, 0xba, 0xba, 0xba, 8}, randomBytes(1300)...) // a version we do not speak
	unknown[14] = 8
	initial := wire.MakeConnID(randomBytes(8))
	header, at := wire.AppendLongHeader(nil, wire.LongHeader{Type: wire.PacketInitial, Version: 1, DstID: initial.Bytes(), SrcID: initial.Bytes()}, 0, 1)
	wire.SetLength(header, at, 1200-at-2)
	fake := append(header, randomBytes(1200-len(header))...)
	sent := 0
	for _, b := range [][]byte{{0}, {0x40}, randomBytes(10), make([]byte, 1200), unknown, fake} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	for range 200 {
		b := randomBytes(1 + int(randomBytes(1)[0])*5)
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	eventually(t, "all of it was read", func() bool { return e.Stats().DatagramsIn >= int64(sent) })
	stats := e.Stats()
	dropped := int64(0)
	for _, n := range stats.Dropped {
		dropped += n
	}
	if dropped < int64(sent)/2 || stats.Panicked != 0 {
		t.Errorf("stats after garbage: %+v", stats)
	}
	eventually(t, "what never was a connection is forgotten", func() bool { return e.Stats().Open == 0 })
	c := dial(t, e, nil)
	s, err := c.OpenStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	s.WriteFinal([]byte("alive"))
	if got, err := io.ReadAll(s); string(got) != "alive" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// bomb is a congestion controller that panics when it is told to.
type bomb struct {
	congestion.Controller
	lit *bool // under the connection's lock
}

func (b bomb) OnAck(a congestion.Ack) {
	if *b.lit {
		panic("the fuse has burnt down")
	}
	b.Controller.OnAck(a)
}

func TestPanicEndsOneConnectionOnly(t *testing.T) {
	var log syncBuffer
	fuses := make(chan *bool, 2) // of the connections, which are made one after the other
	conf := &Config{Logger: textLogger(&log), Congestion: func(mss int) congestion.Controller {
		fuse := new(bool)
		fuses <- fuse
		return bomb{congestion.NewReno(mss), fuse}
	}}
	e := listen(t, conf)
	type ends struct {
		c, s *Conn
		fuse *bool
	}
	var all [2]ends
	for i := range all {
		all[i].c = dial(t, e, nil)
		s, err := e.Accept(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		all[i].s, all[i].fuse = s, <-fuses
	}
	victim, other := all[0], all[1]
	ours, theirs := streams(t, victim.c, victim.s)
	victim.s.mu.Lock()
	*victim.fuse = true
	victim.s.mu.Unlock()
	theirs.Write([]byte("the acknowledgment of this")) // may fail already: an earlier packet is enough
	<-victim.s.Context().Done()
	var failed *TransportError
	if err := victim.s.Err(); !errors.As(err, &failed) || failed.Code != wire.InternalError {
		t.Errorf("the victim ended with %v", err)
	}
	if _, err := theirs.Write([]byte{1}); !errors.As(err, &failed) {
		t.Errorf("Write on the victim = %v", err)
	}
	if _, err := theirs.Read(make([]byte, 1)); !errors.As(err, &failed) {
		t.Errorf("Read on the victim = %v", err)
	}
	victim.s.Stats()
	victim.s.Close()
	theirs.Reset(1)
	theirs.StopReading(1)
	streams(t, other.c, other.s) // lives
	eventually(t, "the panic is logged", func() bool { return log.String() != "" })
	text := log.String()
	if strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "the fuse has burnt down") || !strings.Contains(text, "endpoint_test.go") {
		t.Errorf("the log says: %s", text)
	}
	if got := e.Stats(); got.Panicked != 1 || got.Open != 1 {
		t.Errorf("%+v", got)
	}
	// The client is answered with a stateless reset as soon as it speaks again.
	ours.Write([]byte("anybody there?"))
	<-victim.c.Context().Done()
	if err := victim.c.Err(); err != ErrStatelessReset {
		t.Errorf("the client's end: %v", err)
	}
}

func TestFeaturesNameTheSocket(t *testing.T) {
	e := listen(t, nil)
	if line := e.Features(); !strings.Contains(line, e.Addr().String()) || strings.Contains(line, "\n") {
		t.Errorf("%q", line)
	}
}

// A worker may still have what came before a stateless reset: the reason of a close, and the end of a stream.
func TestAStatelessResetWaitsForWhatCameBefore(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	e := c.ep
	eventually(t, "the workers have gone", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.workers == 0
	})
	e.mu.Lock()
	c.handshaking, c.queued = true, true // as long as a worker has it
	token := c.tokens[0]
	e.mu.Unlock()
	if _, err := theirs.WriteFinal([]byte("before")); err != nil {
		t.Fatal(err)
	}
	posted := func(n int) func() bool {
		return func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return len(c.inbox) >= n
		}
	}
	eventually(t, "what came before waits", posted(1))
	e.mu.Lock()
	before := len(c.inbox)
	e.mu.Unlock()
	reset := append([]byte{0x40}, randomBytes(20)...)
	e.batch.Lock()
	e.receive(clock(), &intake{sock: e.sock}, []udp.Message{{Payload: append(reset, token[:]...), Remote: c.path.Remote, Local: c.path.Local.Addr()}})
	e.batch.Unlock()
	if !posted(before+1)() || c.Err() != nil {
		t.Errorf("the reset does not wait: %v", c.Err())
	}
	e.drive(c)
	if got, err := io.ReadAll(ours); string(got) != "before" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if c.Err() != ErrStatelessReset {
		t.Errorf("the connection: %v", c.Err())
	}
}

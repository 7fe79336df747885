package quic

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

func TestCloseReachesEveryCallOfBothEnds(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	ctx := testContext(t)
	var all sync.WaitGroup
	expect := func(name string, remote bool, f func() error) {
		all.Go(func() {
			var closed *ApplicationError
			if err := f(); !errors.As(err, &closed) || closed.Code != 99 || closed.Reason != "enough" || closed.Remote != remote {
				t.Errorf("%s = %v", name, err)
			}
		})
	}
	buf := make([]byte, 32<<20)
	expect("our Read", false, func() error { _, err := ours.Read(make([]byte, 1)); return err })
	expect("our Write", false, func() error { _, err := ours.Write(buf); return err })
	expect("our AcceptStream", false, func() error { _, err := c.AcceptStream(ctx); return err })
	expect("their Read", true, func() error { _, err := io.Copy(io.Discard, theirs); return err })
	expect("their AcceptStream", true, func() error { _, err := s.AcceptStream(ctx); return err })
	expect("their Context", true, func() error { <-s.Context().Done(); return context.Cause(s.Context()) })
	expect("their stream's Context", true, func() error { <-theirs.Context().Done(); return context.Cause(theirs.Context()) })
	expect("our Context", false, func() error { <-c.Context().Done(); return context.Cause(c.Context()) })
	if err := c.CloseWithError(99, "enough"); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if err := c.CloseWithError(1, "again"); err != nil {
		t.Fatal(err)
	}
	expect("our Err", false, c.Err)
	expect("our OpenStream", false, func() error { _, err := c.OpenStream(ctx); return err })
	expect("their OpenUniStream", true, func() error { _, err := s.OpenUniStream(ctx); return err })
	all.Wait()
}

func TestAcceptStreamEndsWithItsContext(t *testing.T) {
	c, _ := pair(t, nil, nil)
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("changed our mind")
	done := make(chan error)
	go func() {
		_, err := c.AcceptStream(ctx)
		done <- err
	}()
	cancel(reason)
	if err := <-done; err != reason {
		t.Errorf("AcceptStream = %v", err)
	}
}

func TestIdleTimeoutEndsBothEnds(t *testing.T) {
	conf := &Config{MaxIdleTimeout: time.Second}
	c, s := pair(t, conf, conf)
	<-c.Context().Done()
	<-s.Context().Done()
	if c.Err() != ErrIdleTimeout || s.Err() != ErrIdleTimeout {
		t.Errorf("ended with %v and %v", c.Err(), s.Err())
	}
}

func TestStatsAndStateTellOfTheConnection(t *testing.T) {
	cache := tls.NewLRUClientSessionCache(4)
	conf := clientTLS()
	conf.ClientSessionCache = cache
	e := listen(t, &Config{Congestion: func(mss int) congestion.Controller { return congestion.NewReno(mss) }})
	go echo(e)
	for i := range 2 {
		c, err := Dial(testContext(t), e.Addr().String(), conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.OpenStream(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		s.WriteFinal([]byte("hello"))
		if got, err := io.ReadAll(s); string(got) != "hello" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		st := c.Stats()
		if st.Version != wire.Version1 || st.ALPN != "test" || st.Controller != "cubic" || st.Handshake <= 0 || st.Window <= 0 ||
			st.PacketsSent == 0 || st.PacketsReceived == 0 || st.BytesSent < 1200 || st.RTT.Smoothed <= 0 {
			t.Errorf("stats %+v", st)
		}
		if st.Resumed != (i == 1) {
			t.Errorf("connection %d: resumed is %v", i, st.Resumed)
		}
		if c.TLS().Version != tls.VersionTLS13 || c.RemoteAddr().String() != e.Addr().String() || !strings.HasPrefix(c.LocalAddr().String(), "127.0.0.1:") {
			t.Errorf("TLS %x, from %v to %v", c.TLS().Version, c.LocalAddr(), c.RemoteAddr())
		}
		c.Close()
	}
}

func TestClientCertificatesArriveAndAreDemanded(t *testing.T) {
	cert, pool := identity()
	server := serverTLS()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, pool
	e, err := Listen("127.0.0.1:0", server, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	conf := clientTLS()
	conf.Certificates = []tls.Certificate{cert}
	if _, err := Dial(testContext(t), e.Addr().String(), conf, nil); err != nil {
		t.Fatal(err)
	}
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if peers := s.TLS().PeerCertificates; len(peers) != 1 || peers[0].Subject.CommonName != "localhost" {
		t.Errorf("the server sees %d certificates", len(peers))
	}
	// Without one the client thinks that it is connected until the server's alert comes.
	c, err := Dial(testContext(t), e.Addr().String(), clientTLS(), nil)
	if err == nil {
		<-c.Context().Done()
		err = c.Err()
	}
	var failed *TransportError
	if !errors.As(err, &failed) || !failed.Remote || failed.Code != wire.CryptoError+116 { // certificate_required
		t.Errorf("without a certificate: %v", err)
	}
}

func TestKeyLogIsWritten(t *testing.T) {
	var log syncBuffer
	conf := clientTLS()
	conf.KeyLogWriter = &log
	e := listen(t, nil)
	c, err := Dial(testContext(t), e.Addr().String(), conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, label := range []string{"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"} {
		if !strings.Contains(log.String(), label) {
			t.Errorf("no %s in the key log", label)
		}
	}
}

// syncBuffer is a buffer that may be written by one goroutine and looked at by another, and says when it is closed.
type syncBuffer struct {
	mu     sync.Mutex
	b      bytes.Buffer
	closed bool
	fails  bool
	writes int
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes++
	if b.fails {
		return 0, errors.New("disk full")
	}
	return b.b.Write(p)
}

func (b *syncBuffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *syncBuffer) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

func TestQLogIsWrittenAndClosedWithTheConnection(t *testing.T) {
	logs := [2]syncBuffer{}
	var ids [2]string
	conf := &Config{QLog: func(i QLogInfo) io.WriteCloser {
		which := 0
		if i.Server {
			which = 1
		}
		ids[which] = string(i.ODCID)
		return &logs[which]
	}}
	c, s := pair(t, conf, conf)
	streams(t, c, s)
	c.Trace(func(now congestion.Time, tr *qlog.Trace) { tr.ALPN(now, "a-word-of-the-application") })
	c.CloseWithError(5, "bye for now")
	<-s.Context().Done()
	for i := range logs {
		eventually(t, "the qlog is closed", logs[i].isClosed)
		text := logs[i].String()
		for _, want := range []string{"quic:packet_sent", "quic:packet_received", "quic:connection_closed", "bye for now"} {
			if !strings.Contains(text, want) {
				t.Errorf("log %d has no %s", i, want)
			}
		}
	}
	if ids[0] == "" || ids[0] != ids[1] {
		t.Errorf("the ends name the connection %x and %x", ids[0], ids[1])
	}
	if !strings.Contains(logs[0].String(), "a-word-of-the-application") {
		t.Error("what the application traced is missing")
	}
}

func TestFailingQLogIsDroppedWithOneLine(t *testing.T) {
	var log syncBuffer
	broken := &syncBuffer{fails: true}
	conf := &Config{QLog: func(QLogInfo) io.WriteCloser { return broken }, Logger: textLogger(&log)}
	c, s := pair(t, conf, nil)
	streams(t, c, s)
	c.Close()
	eventually(t, "the writer is closed", broken.isClosed)
	if broken.writes != 1 || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "disk full") {
		t.Errorf("%d writes, log: %s", broken.writes, log.String())
	}
}

func TestDialSaysWhatWentWrong(t *testing.T) {
	e := listen(t, nil)
	addr := e.Addr().String()
	var unknown x509.UnknownAuthorityError
	if _, err := Dial(testContext(t), addr, &tls.Config{NextProtos: []string{"test"}}, nil); !errors.As(err, &unknown) {
		t.Errorf("unknown authority: %v", err)
	}
	other := clientTLS()
	other.NextProtos = []string{"other"}
	var failed *TransportError
	if _, err := Dial(testContext(t), addr, other, nil); !errors.As(err, &failed) || failed.Code != wire.CryptoError+120 {
		t.Errorf("no protocol in common: %v", err)
	}
	if _, err := Dial(testContext(t), addr, &tls.Config{}, nil); err == nil || !strings.Contains(err.Error(), "NextProtos") {
		t.Errorf("no protocol: %v", err)
	}
	if _, err := Dial(testContext(t), "127.0.0.1", clientTLS(), nil); err == nil {
		t.Error("an address without a port was dialled")
	}
	if _, err := Dial(testContext(t), addr, clientTLS(), &Config{KeepAlive: -1}); err == nil || !strings.Contains(err.Error(), "KeepAlive") {
		t.Errorf("negative keep-alive: %v", err)
	}
}

func TestDialToSilenceSaysSo(t *testing.T) {
	silent := silentAddr(t)
	_, err := Dial(testContext(t), silent, clientTLS(), &Config{HandshakeTimeout: 50 * time.Millisecond})
	var d *DialError
	if !errors.As(err, &d) || d.Answered || !d.Timeout() || !errors.Is(err, ErrHandshakeTimeout) {
		t.Fatalf("Dial = %v", err)
	}
	if want := "no answer from " + silent + " over UDP"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := Dial(ctx, silent, clientTLS(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Dial = %v", err)
	}
}

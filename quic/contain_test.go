package quic

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
)

// fuse makes what an application supplies panic, once, after it was lit.
type fuse struct{ lit atomic.Bool }

func (f *fuse) burn() {
	if f.lit.CompareAndSwap(true, false) {
		panic("the fuse has burnt down")
	}
}

// doomed is what one connection is given: a controller, and a writer of its qlog, that panic.
type doomed struct {
	congestion.Controller
	onWrite bool
}

func (d *doomed) OnAck(congestion.Ack) { panic("the fuse has burnt down") }

func (d *doomed) Write(p []byte) (int, error) {
	if d.onWrite {
		panic("the fuse has burnt down")
	}
	return len(p), nil
}

func (d *doomed) Close() error {
	if !d.onWrite {
		panic("the fuse has burnt down")
	}
	return nil
}

// Generate and Strike make the fuse a ConnIDGenerator and a StrikeRegister.
func (f *fuse) Len() int                        { return 8 }
func (f *fuse) Generate([]byte)                 { f.burn() }
func (f *fuse) Strike([16]byte, time.Time) bool { f.burn(); return true }
func (f *fuse) qlog(onWrite bool) *Config {
	return &Config{QLog: func(QLogInfo) io.WriteCloser {
		if f.lit.CompareAndSwap(true, false) {
			return &doomed{onWrite: onWrite}
		}
		return nil
	}}
}

// TestWhatAnApplicationSuppliesMayPanic has everything that a server is given by its application panic, for one connection. That
// one ends, or loses what failed; it is counted, one line with the stack is logged, and a connection that was there before, in the
// middle of a transfer, and those that come after notice nothing.
func TestWhatAnApplicationSuppliesMayPanic(t *testing.T) {
	for _, c := range []struct {
		name  string
		early bool // the victim is a client that comes back
		conf  func(*fuse) *Config
		tls   func(*fuse, *tls.Config)
		want  func(EndpointStats) int64 // what counts it; nil: Panicked
	}{
		{name: "Congestion", conf: func(f *fuse) *Config {
			return &Config{Congestion: func(mss int) congestion.Controller { f.burn(); return congestion.NewReno(mss) }}
		}},
		{name: "a controller", conf: func(f *fuse) *Config {
			return &Config{Congestion: func(mss int) congestion.Controller {
				if f.lit.CompareAndSwap(true, false) {
					return &doomed{Controller: congestion.NewReno(mss)}
				}
				return congestion.NewReno(mss)
			}}
		}},
		{name: "QLog", conf: func(f *fuse) *Config {
			return &Config{QLog: func(QLogInfo) io.WriteCloser { f.burn(); return nil }}
		}},
		{name: "Write of a qlog", conf: func(f *fuse) *Config { return f.qlog(true) },
			want: func(s EndpointStats) int64 { return s.QLogsFailed }},
		{name: "Close of a qlog", conf: func(f *fuse) *Config { return f.qlog(false) },
			want: func(s EndpointStats) int64 { return s.QLogsFailed }},
		{name: "ConnIDs", conf: func(f *fuse) *Config { return &Config{Routing: Routing{ConnIDs: f}} }},
		{name: "ConnIDs for a Retry packet", conf: func(f *fuse) *Config {
			return &Config{Routing: Routing{ConnIDs: f}, AddressValidation: ValidateAlways}
		}, want: func(s EndpointStats) int64 { return s.Dropped["panicked"] }},
		{name: "StrikeRegister", early: true, conf: func(f *fuse) *Config {
			return &Config{Resumption: Resumption{EarlyData: true, StrikeRegister: f}}
		}},
		{name: "GetConfigForClient", tls: func(f *fuse, c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { f.burn(); return nil, nil }
		}},
		{name: "GetCertificate", tls: func(f *fuse, c *tls.Config) {
			cert := c.Certificates[0]
			c.Certificates = nil
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { f.burn(); return &cert, nil }
		}},
		{name: "VerifyConnection", tls: func(f *fuse, c *tls.Config) {
			c.VerifyConnection = func(tls.ConnectionState) error { f.burn(); return nil }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := runtime.NumGoroutine()
			var f fuse
			var log syncBuffer
			conf, tlsConf := new(Config), serverTLS()
			if c.conf != nil {
				conf = c.conf(&f)
			}
			if c.tls != nil {
				c.tls(&f, tlsConf)
			}
			conf.Logger = textLogger(&log)
			e, err := Listen("127.0.0.1:0", tlsConf, conf)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			go echoAll(e)
			victim := newEarlyClient()
			if c.early {
				victim.visit(t, e)
			}
			count := c.want
			if count == nil {
				count = func(s EndpointStats) int64 { return s.Panicked }
			}
			finish := halfATransfer(t, e)
			f.lit.Store(true)
			ctx, cancel := context.WithCancel(testContext(t))
			dialled := make(chan struct{})
			go func() {
				defer close(dialled)
				if conn, err := Dial(ctx, e.Addr().String(), victim.tls, victim.conf); err == nil {
					conn.HandshakeDone(ctx)
					conn.Close()
				}
			}()
			eventually(t, "the panic is counted", func() bool { return count(e.Stats()) == 1 })
			cancel()
			<-dialled
			finish()
			halfATransfer(t, e)()
			eventually(t, "the panic is logged", func() bool { return strings.Contains(log.String(), "level=ERROR") })
			text := log.String()
			if strings.Count(text, "level=ERROR") != 1 || strings.Count(text, "\n") != 1 ||
				!strings.Contains(text, "the fuse has burnt down") || !strings.Contains(text, "stack=") || !strings.Contains(text, "contain_test.go") {
				t.Errorf("the log says: %s", text)
			}
			e.Close()
			eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= base })
			if s := e.Stats(); count(s) != 1 || c.want != nil && s.Panicked != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// echoAll sends back whatever comes, on every stream of every connection.
func echoAll(e *Endpoint) {
	for {
		c, err := e.Accept(context.Background())
		if err != nil {
			return
		}
		c.HandleStreams(func(s *Stream) {
			io.Copy(s, s)
			s.Close()
		})
	}
}

// halfATransfer begins to have a mebibyte echoed and returns when half of it has come back; finish does the rest.
func halfATransfer(t *testing.T, e *Endpoint) (finish func()) {
	t.Helper()
	c := dial(t, e, nil)
	s, err := c.OpenStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	sent := randomBytes(1 << 20)
	got := make([]byte, len(sent)/2)
	part := func(from, to int) {
		t.Helper()
		wrote := make(chan error, 1)
		go func() {
			_, err := s.Write(sent[from:to])
			wrote <- err
		}()
		if _, err := io.ReadFull(s, got[:to-from]); err != nil || !bytes.Equal(got[:to-from], sent[from:to]) {
			t.Fatalf("what came back is not what was sent: %v", err)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
	part(0, len(sent)/2)
	return func() {
		t.Helper()
		part(len(sent)/2, len(sent))
		s.Close()
		if rest, err := io.ReadAll(s); len(rest) > 0 || err != nil {
			t.Fatalf("%d bytes too many, %v", len(rest), err)
		}
		c.Close()
	}
}

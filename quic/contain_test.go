package quic

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/engine"
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

// What follows makes the fuse a ConnIDGenerator, a StrikeRegister, and a KeyLogWriter.
func (f *fuse) Len() int                        { return 8 }
func (f *fuse) Generate([]byte)                 { f.burn() }
func (f *fuse) Strike([16]byte, time.Time) bool { f.burn(); return true }
func (f *fuse) Write(p []byte) (int, error)     { f.burn(); return len(p), nil }
func (f *fuse) qlog(onWrite bool) *Config {
	return &Config{QLog: func(QLogInfo) io.WriteCloser {
		if f.lit.CompareAndSwap(true, false) {
			return &doomed{onWrite: onWrite}
		}
		return nil
	}}
}

// fusedKey is a private key that burns.
type fusedKey struct {
	crypto.Signer
	f *fuse
}

func (k fusedKey) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	k.f.burn()
	return k.Signer.Sign(r, digest, o)
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
		{name: "a private key", tls: func(f *fuse, c *tls.Config) {
			c.Certificates[0].PrivateKey = fusedKey{c.Certificates[0].PrivateKey.(crypto.Signer), f}
		}},
		{name: "KeyLogWriter", tls: func(f *fuse, c *tls.Config) { c.KeyLogWriter = f }},
		{name: "WrapSession", tls: func(f *fuse, c *tls.Config) {
			c.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
				f.burn()
				return c.EncryptTicket(cs, s)
			}
		}},
		{name: "UnwrapSession", early: true, tls: func(f *fuse, c *tls.Config) {
			c.UnwrapSession = func(id []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
				f.burn()
				return c.DecryptTicket(id, cs)
			}
		}, conf: func(*fuse) *Config { return &Config{Resumption: Resumption{EarlyData: true}} }},
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
			finish := halfATransfer(t, dial(t, e, nil))
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
			halfATransfer(t, dial(t, e, nil))()
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

// cacheThatBurns is a session cache.
type cacheThatBurns struct {
	tls.ClientSessionCache
	get, put *fuse
}

func (c cacheThatBurns) Get(key string) (*tls.ClientSessionState, bool) {
	c.get.burn()
	return c.ClientSessionCache.Get(key)
}

func (c cacheThatBurns) Put(key string, s *tls.ClientSessionState) {
	c.put.burn()
	c.ClientSessionCache.Put(key, s)
}

// TestWhatAClientSuppliesMayPanic is the same for connections that share a client's socket.
func TestWhatAClientSuppliesMayPanic(t *testing.T) {
	for _, c := range []struct {
		name string
		conf func(*fuse) *Config
		tls  func(*fuse, *tls.Config)
	}{
		{name: "Congestion", conf: func(f *fuse) *Config {
			return &Config{Congestion: func(mss int) congestion.Controller { f.burn(); return congestion.NewReno(mss) }}
		}},
		{name: "QLog", conf: func(f *fuse) *Config {
			return &Config{QLog: func(QLogInfo) io.WriteCloser { f.burn(); return nil }}
		}},
		{name: "KeyLogWriter", tls: func(f *fuse, c *tls.Config) { c.KeyLogWriter = f }},
		{name: "Get of a session cache", tls: func(f *fuse, c *tls.Config) {
			c.ClientSessionCache = cacheThatBurns{tls.NewLRUClientSessionCache(1), f, new(fuse)}
		}},
		{name: "Put of a session cache", tls: func(f *fuse, c *tls.Config) {
			c.ClientSessionCache = cacheThatBurns{tls.NewLRUClientSessionCache(1), new(fuse), f}
		}},
		{name: "GetClientCertificate", tls: func(f *fuse, c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				f.burn()
				return new(tls.Certificate), nil
			}
		}},
		{name: "VerifyConnection", tls: func(f *fuse, c *tls.Config) {
			c.VerifyConnection = func(tls.ConnectionState) error { f.burn(); return nil }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := runtime.NumGoroutine()
			asks := serverTLS()
			asks.ClientAuth = tls.RequestClientCert
			server, err := Listen("127.0.0.1:0", asks, &Config{Logger: quiet()})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			go echoAll(server)
			var f fuse
			var log syncBuffer
			e, err := NewEndpoint("127.0.0.1:0", &Config{Logger: textLogger(&log)})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			call := func(tlsConf *tls.Config, conf *Config) (*Conn, error) {
				tlsConf.ServerName = "localhost"
				return e.Dial(testContext(t), server.Addr().String(), tlsConf, conf)
			}
			beside := func() *Conn {
				conn, err := call(clientTLS(), nil)
				if err != nil {
					t.Fatal(err)
				}
				return conn
			}
			finish := halfATransfer(t, beside())
			var conf *Config
			if c.conf != nil {
				conf = c.conf(&f)
			}
			tlsConf := clientTLS()
			if c.tls != nil {
				c.tls(&f, tlsConf)
			}
			f.lit.Store(true)
			victim, err := call(tlsConf, conf)
			eventually(t, "the panic is counted", func() bool { return e.Stats().Panicked == 1 })
			if err == nil { // a ticket comes after the handshake
				eventually(t, "the connection ends", func() bool { return victim.Err() != nil })
			}
			finish()
			halfATransfer(t, beside())()
			if again, err := call(tlsConf, conf); err != nil {
				t.Errorf("the fuse is burnt, and %v", err)
			} else {
				again.Close()
			}
			eventually(t, "the panic is logged", func() bool { return strings.Contains(log.String(), "level=ERROR") })
			text := log.String()
			if strings.Count(text, "level=ERROR") != 1 || strings.Count(text, "\n") != 1 || !strings.Contains(text, "the fuse has burnt down") || !strings.Contains(text, "contain_test.go") {
				t.Errorf("the log says: %s", text)
			}
			e.Close()
			server.Close()
			eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= base })
			if s := e.Stats(); s.Panicked != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// burningLog is a slog.Handler that panics at every line.
type burningLog struct{ slog.Handler }

func (burningLog) Handle(context.Context, slog.Record) error { panic("the log has burnt down") }

// TestALogMayPanic has a connection panic whose report cannot be written.
func TestALogMayPanic(t *testing.T) {
	e := listen(t, &Config{Logger: slog.New(burningLog{quiet().Handler()}), Congestion: func(mss int) congestion.Controller {
		return congestion.NewReno(mss)
	}})
	go echoAll(e)
	finish := halfATransfer(t, dial(t, e, nil))
	victim := dial(t, e, nil)
	breakCore(t, e, victim)
	eventually(t, "the panic is counted", func() bool { return e.Stats().Panicked == 1 })
	finish()
}

// breakCore takes the core from the server's end of a connection: the next datagram panics.
func breakCore(t *testing.T, e *Endpoint, client *Conn) {
	t.Helper()
	e.mu.Lock()
	conns := make([]*Conn, 0, len(e.conns))
	for c := range e.conns {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	for _, c := range conns {
		if c.RemoteAddr().String() == client.LocalAddr().String() {
			c.mu.Lock()
			c.core = new(engine.Conn) // a zero value is none
			c.mu.Unlock()
		}
	}
	s, err := client.OpenStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte("anybody there?"))
}

// TestABugInTheCoreCostsOneConnection has the core of one connection of a server panic as it takes a datagram.
func TestABugInTheCoreCostsOneConnection(t *testing.T) {
	var log syncBuffer
	e := listen(t, &Config{Logger: textLogger(&log)})
	go echoAll(e)
	finish := halfATransfer(t, dial(t, e, nil))
	victim := dial(t, e, nil)
	breakCore(t, e, victim)
	eventually(t, "the panic is counted", func() bool { return e.Stats().Panicked == 1 })
	finish()
	halfATransfer(t, dial(t, e, nil))()
	if text := log.String(); strings.Count(text, "level=ERROR") != 1 || strings.Count(text, "\n") != 1 || !strings.Contains(text, "stack=") {
		t.Errorf("the log says: %s", text)
	}
}

// burningLen is what the demux asks how long connection IDs are.
type burningLen struct{ fuse }

func (f *burningLen) Len() int { f.burn(); return engine.DefaultIDLen }

// TestAPanicOutsideOfConnectionsCostsABatch has it happen where the reader finds out which connection a datagram is for.
func TestAPanicOutsideOfConnectionsCostsABatch(t *testing.T) {
	var log syncBuffer
	f := new(burningLen)
	e := listen(t, &Config{Logger: textLogger(&log)})
	e.mu.Lock()
	e.demux.IDs = f
	e.mu.Unlock()
	go echoAll(e)
	c := dial(t, e, nil)
	finish := halfATransfer(t, c)
	f.lit.Store(true)
	s, err := c.OpenStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte("lost, and sent again"))
	eventually(t, "the panic is counted", func() bool { return e.Stats().Dropped["panicked"] > 0 })
	s.Close()
	if got, err := io.ReadAll(s); string(got) != "lost, and sent again" || err != nil {
		t.Errorf("%q came back, %v", got, err)
	}
	finish()
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "stack=") {
		t.Errorf("the log says: %s", text)
	}
	if s := e.Stats(); s.Panicked != 0 {
		t.Errorf("%+v", s)
	}
}

// TestTicketKeysMayPanic has the store of ticket keys panic when they rotate. They stay, and connections as well.
func TestTicketKeysMayPanic(t *testing.T) {
	var f fuse
	var log syncBuffer
	var state []byte
	keys := &TicketKeys{
		Load: func() ([]byte, error) { f.burn(); return state, nil },
		Save: func(b []byte) error { state = b; return nil },
	}
	e := listen(t, &Config{Logger: textLogger(&log), Resumption: Resumption{TicketKeys: keys}})
	go echoAll(e)
	finish := halfATransfer(t, dial(t, e, nil))
	keys.mu.Lock()
	keys.known = false // as when a period is over
	keys.mu.Unlock()
	f.lit.Store(true)
	e.mu.Lock()
	e.rotate.Reset(0)
	e.mu.Unlock()
	eventually(t, "the panic is logged", func() bool { return strings.Contains(log.String(), "level=ERROR") })
	finish()
	halfATransfer(t, dial(t, e, nil))()
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "the fuse has burnt down") || !strings.Contains(text, "contain_test.go") {
		t.Errorf("the log says: %s", text)
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
func halfATransfer(t *testing.T, c *Conn) (finish func()) {
	t.Helper()
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

package altsvc

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// Preference says when HTTP/3 is used.
type Preference uint8

const (
	// WhenKnown uses HTTP/3 where an origin has said that it has it, and TCP
	// otherwise. The default.
	WhenKnown Preference = iota
	// Always tries HTTP/3 at every https origin, and TCP 300 ms later.
	Always
	// Only never uses TCP for https.
	Only
	// Never uses TCP, and learns all the same.
	Never
)

// Transport is an [http.RoundTripper] that finds out which origins have HTTP/3
// and uses it there, and otherwise does what net/http does. The zero value is
// ready to use; the fields must not change once it is in use; its methods may be
// called from any goroutine.
type Transport struct {
	// TLSClientConfig is cloned for each connection, over QUIC and over TCP. nil:
	// that of TCP, or the system's roots. With InsecureSkipVerify nothing assures that an
	// alternative on another host belongs to the origin, so such alternatives are
	// not used, and nothing is learned from a file, nor for it.
	TLSClientConfig *tls.Config

	// TCP is cloned and carries what does not go over QUIC. Requests that its Proxy
	// sends through a proxy stay there. nil: as http.DefaultTransport.
	TCP *http.Transport

	// QUIC tunes the connections. nil: the defaults of package quic, and 0-RTT for
	// GET, HEAD and OPTIONS where the server allows it.
	QUIC *quic.Config

	// Records has the DNS asked which origins have HTTP/3. nil: it is not.
	Records *Records

	// Preference says when HTTP/3 is used. Default WhenKnown.
	Preference Preference

	// File is where what was learned is kept, for the next process: read at the
	// first request, and replaced within a second of a change and by Close. Only
	// its owner can read it. "": nothing is kept.
	File string

	// Trace is told what happens. nil: nobody.
	Trace *Trace

	// Logger receives, at level Debug, what failed over QUIC, and, at level Warn,
	// why the File could not be used. nil: slog.Default().
	Logger *slog.Logger

	once sync.Once
	machinery
}

// machinery is what a Transport works with once it is in use. Tests set some of
// it before.
type machinery struct {
	m     *memory
	tls   *tls.Config
	tcp   *tcp
	h3    *http3.Transport
	links links

	questions chan struct{} // one for each that is open
	life      context.Context
	end       context.CancelFunc

	sessions tls.ClientSessionCache
	tokens   *quic.TokenStore

	now     func() time.Time
	resolve func(context.Context, string) ([]netip.Addr, error)
	network func() string

	quietLimit, deafLimit, probeLimit, headStart time.Duration

	looked   sync.Mutex
	lookedAt time.Time
	saver    saver
}

// start makes the machinery.
func (t *Transport) start() {
	if t.now == nil {
		t.now = time.Now
	}
	if t.resolve == nil {
		t.resolve = resolve
	}
	if t.network == nil {
		t.network = attachment
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&t.quietLimit, quietLimit}, {&t.deafLimit, deafLimit}, {&t.probeLimit, probeLimit}, {&t.headStart, headStart}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if t.tls = t.TLSClientConfig; t.tls == nil && t.TCP != nil {
		t.tls = t.TCP.TLSClientConfig
	}
	t.m = newMemory(t.now)
	t.tcp = newTCP(t.TCP, t.tls)
	t.h3 = &http3.Transport{TLSClientConfig: t.tls, DisableCompression: t.tcp.transport.DisableCompression,
		ExpectContinueTimeout: t.tcp.transport.ExpectContinueTimeout, MaxResponseHeaderBytes: t.tcp.transport.MaxResponseHeaderBytes, Logger: t.Logger}
	t.sessions = tls.NewLRUClientSessionCache(maxSessions)
	t.tokens = quic.NewTokenStore(maxSessions)
	t.links.init()
	t.life, t.end = context.WithCancel(context.Background())
	t.questions = make(chan struct{}, maxQuestions)
	if t.File != "" && t.assured() {
		if err := t.m.load(t.File); err != nil {
			t.logger().Warn("what was learned before is lost", "error", err)
		}
		t.m.changed = t.saver.later(func() {
			if err := t.m.save(t.File); err != nil {
				t.logger().Warn("what was learned is not kept", "file", t.File, "error", err)
			}
		})
	}
}

// assured reports whether certificates are looked at: "Clients MUST have
// reasonable assurances that the alternative service is under control of and
// valid for the whole origin." (RFC 7838, section 2.1)
func (t *Transport) assured() bool {
	return t.tls == nil || !t.tls.InsecureSkipVerify
}

func (t *Transport) logger() *slog.Logger {
	if t.Logger != nil {
		return t.Logger
	}
	return slog.Default()
}

// quicConfig is the configuration of a new QUIC connection.
func (t *Transport) quicConfig() quic.Config {
	c := quic.Config{Resumption: quic.Resumption{EarlyData: true}}
	if t.QUIC != nil {
		c = *t.QUIC
	}
	if c.TokenStore == nil {
		c.TokenStore = t.tokens
	}
	return c
}

// CloseIdleConnections closes the connections on which no request is running.
func (t *Transport) CloseIdleConnections() {
	t.once.Do(t.start)
	for _, l := range t.links.takeAll((*link).idle) {
		l.retire()
	}
	t.tcp.transport.CloseIdleConnections()
}

// Close closes all connections over QUIC, running requests or not, and idle ones
// over TCP, and writes the File. Further requests fail with net.ErrClosed.
func (t *Transport) Close() error {
	t.once.Do(t.start)
	t.end()
	t.links.mu.Lock()
	t.links.closed = true
	t.links.mu.Unlock()
	for _, l := range t.links.takeAll(func(*link) bool { return true }) {
		l.close()
	}
	t.tcp.transport.CloseIdleConnections()
	t.saver.now()
	return nil
}

// saver writes the file some time after a change.
type saver struct {
	mu    sync.Mutex
	save  func()
	timer *time.Timer // nil: nothing is due

	writing sync.Mutex
}

// later returns the function to call after each change.
func (s *saver) later(save func()) (changed func()) {
	s.save = save
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timer == nil {
			s.timer = time.AfterFunc(saveDelay, s.now)
		}
	}
}

// now writes what is due.
func (s *saver) now() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	due := s.timer != nil
	if due {
		s.timer.Stop()
		s.timer = nil
	}
	s.mu.Unlock()
	if due {
		s.save()
	}
}

// RoundTrip sends one request and returns its response, whose Body must be
// closed. Which way it goes is decided for each request; the response's Proto
// says which it was. What failed over QUIC is sent again over TCP when that
// cannot do a thing twice: when the method is idempotent, or when the server has
// certainly not processed the request; and when its body was not read yet, or it
// has a GetBody.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.once.Do(t.start)
	o, ok := origin{}, false
	if req.URL != nil {
		o, ok = originOf(req.URL)
	}
	if !ok {
		return t.tcp.transport.RoundTrip(req)
	}
	t.links.mu.Lock()
	closed := t.links.closed
	t.links.mu.Unlock()
	if closed {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, net.ErrClosed
	}
	t.lookAround()
	x := &exchange{t: t, o: o, req: req, content: newContent(req)}
	return x.run()
}

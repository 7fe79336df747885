package altsvc

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// tcp is HTTP/1.1 and h2: an http.Transport whose connections are dialled here,
// so that one can be ready before it is known that a request will use it.
type tcp struct {
	transport *http.Transport
	dialTCP   func(ctx context.Context, network, addr string) (net.Conn, error)
	dialTLS   func(ctx context.Context, network, addr string) (net.Conn, error) // the caller's own; nil: none
	conf      *tls.Config
	protos    []string // the last one is HTTP/1.1

	mu    sync.Mutex
	hosts map[string]*tcpHost // by address; only of hosts that have something
}

// tcpHost is the connections to one address.
type tcpHost struct {
	live   int      // that are open
	spares []*spare // dialled for a race, and not in use; one for each race that is on
}

// spare is a connection for whoever comes first.
type spare struct{ conn net.Conn }

func newTCP(base *http.Transport, conf *tls.Config) *tcp {
	t := &tcp{hosts: make(map[string]*tcpHost)}
	h2 := true
	if base == nil {
		base = http.DefaultTransport.(*http.Transport).Clone()
		base.DialContext = nil
	} else {
		// As net/http decides it for a Transport with such fields.
		custom := base.DialContext != nil || base.DialTLSContext != nil
		base = base.Clone()
		h2 = base.TLSNextProto == nil && (base.ForceAttemptHTTP2 || !custom)
		if base.Protocols != nil {
			h2 = base.Protocols.HTTP2()
		}
	}
	t.conf = &tls.Config{}
	if conf != nil {
		t.conf = conf.Clone()
	}
	base.TLSClientConfig = t.conf.Clone() // for proxies
	if t.protos = []string{"http/1.1"}; h2 {
		t.protos = []string{"h2", "http/1.1"}
	}
	base.ForceAttemptHTTP2 = h2
	if t.dialTCP, t.dialTLS = base.DialContext, base.DialTLSContext; t.dialTCP == nil {
		t.dialTCP = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, FallbackDelay: addressDelay}).DialContext
	}
	base.DialTLSContext = t.take
	t.transport = base
	return t
}

// take gives net/http a connection: the spare one, or a new one.
func (t *tcp) take(ctx context.Context, network, addr string) (net.Conn, error) {
	addr = strings.ToLower(addr)
	t.mu.Lock()
	if h := t.hosts[addr]; h != nil {
		for _, s := range h.spares {
			if c := s.conn; c != nil {
				s.conn = nil
				t.mu.Unlock()
				return c, nil
			}
		}
	}
	t.mu.Unlock()
	protos := t.protos
	if ctx.Value(targetKey{}) != addr {
		protos = protos[len(protos)-1:] // a proxy, to which net/http speaks HTTP/1.1
	}
	return t.dial(ctx, network, addr, protos)
}

// targetKey is the context key of the address that a request is for.
type targetKey struct{}

// roundTrip sends a request to the origin at addr.
func (t *tcp) roundTrip(req *http.Request, addr string) (*http.Response, error) {
	return t.transport.RoundTrip(req.WithContext(context.WithValue(req.Context(), targetKey{}, addr)))
}

// isLive reports whether there is a connection to addr.
func (t *tcp) isLive(addr string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[addr]
	return h != nil && h.live > 0
}

// ready returns when a request to addr would find a connection. Unless there is
// one already it is dialled, which proves that TCP works, and kept until release
// is called for whoever takes it.
func (t *tcp) ready(ctx context.Context, addr string) (release func(), proved bool, err error) {
	if t.isLive(addr) {
		return func() {}, false, nil
	}
	c, err := t.dial(ctx, "tcp", addr, t.protos)
	if err != nil {
		return nil, false, err
	}
	s := &spare{c}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.host(addr)
	h.spares = append(h.spares, s)
	return func() { t.release(addr, s) }, true, nil
}

// release closes a spare connection that nobody has taken.
func (t *tcp) release(addr string, s *spare) {
	t.mu.Lock()
	c := s.conn
	s.conn = nil
	if h := t.hosts[addr]; h != nil {
		for i, other := range h.spares {
			if other == s {
				h.spares = append(h.spares[:i], h.spares[i+1:]...)
				break
			}
		}
		t.drop(addr, h)
	}
	t.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// host returns the entry of addr. mu is held.
func (t *tcp) host(addr string) *tcpHost {
	h := t.hosts[addr]
	if h == nil {
		h = &tcpHost{}
		t.hosts[addr] = h
	}
	return h
}

// drop forgets an entry that has nothing. mu is held.
func (t *tcp) drop(addr string, h *tcpHost) {
	if h.live == 0 && len(h.spares) == 0 {
		delete(t.hosts, addr)
	}
}

// dial opens a connection with TLS and one of the protocols.
func (t *tcp) dial(ctx context.Context, network, addr string, protos []string) (net.Conn, error) {
	if t.dialTLS != nil {
		return t.dialTLS(ctx, network, addr)
	}
	raw, err := t.dialTCP(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.host(addr).live++
	t.mu.Unlock()
	conf := t.conf.Clone()
	conf.NextProtos = protos
	if conf.ServerName == "" {
		host, _, _ := net.SplitHostPort(addr)
		conf.ServerName, _, _ = strings.Cut(host, "%") // no certificate has the zone of an IPv6 address
	}
	c := tls.Client(&countedConn{Conn: raw, gone: func() { t.gone(addr) }}, conf)
	if err := t.shake(ctx, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// shake runs the handshake within the Transport's time for it.
func (t *tcp) shake(ctx context.Context, c *tls.Conn) error {
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	if d := t.transport.TLSHandshakeTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	err := c.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(c.ConnectionState(), err)
	}
	return err
}

func (t *tcp) gone(addr string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.hosts[addr]; h != nil {
		h.live--
		t.drop(addr, h)
	}
}

// countedConn tells when it is closed.
type countedConn struct {
	net.Conn
	once sync.Once
	gone func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.gone)
	return c.Conn.Close()
}

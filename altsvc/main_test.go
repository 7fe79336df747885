package altsvc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

var quiet = slog.New(slog.DiscardHandler)

// certificate makes one for the names, and the pool that trusts it.
func certificate(names ...string) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: names[0]},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     names,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}

var originCert = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) { return certificate("origin.test") })

// clock is the time that tables go by. It stands still unless it is told.
type clock struct{ offset atomic.Int64 }

var clockBase = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *clock) now() time.Time          { return clockBase.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// site is the origin https://origin.test, over TCP and over QUIC, at the
// alternative that its responses name.
type site struct {
	t     *testing.T
	https *httptest.Server
	h3    *http3.Server
	quic  *quic.Endpoint
	wire  *wire // between clients and quic

	mu      sync.Mutex
	altSvc  string // what responses say; "": nothing
	handler http.HandlerFunc
	seen    []string // "HTTP/3.0 GET /path"
}

// newSite starts the servers. The QUIC server has the given certificate, or the
// origin's if there is none.
func newSite(t *testing.T, cert ...tls.Certificate) *site {
	t.Helper()
	s := &site{t: t}
	own, _ := originCert()
	h := http.HandlerFunc(s.serve)
	s.https = httptest.NewUnstartedServer(h)
	s.https.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	s.https.EnableHTTP2 = true
	s.https.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.https.StartTLS()
	if len(cert) == 0 {
		cert = append(cert, own)
	}
	s.listen("127.0.0.1:0", cert[0])
	s.wire = newWire(t, s.quic.Addr().(*net.UDPAddr).AddrPort())
	s.altSvc = fmt.Sprintf(`h3=":%d"; ma=86400`, s.wire.port())
	t.Cleanup(func() {
		s.https.CloseClientConnections()
		s.https.Close()
		s.h3.Close()
		s.quic.Close()
	})
	return s
}

func (s *site) listen(addr string, cert tls.Certificate) {
	s.t.Helper()
	e, err := quic.Listen(addr, http3.ConfigureTLS(&tls.Config{Certificates: []tls.Certificate{cert}}), &quic.Config{Resumption: quic.Resumption{EarlyData: true}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.quic, s.h3 = e, &http3.Server{Handler: http.HandlerFunc(s.serve), Logger: quiet}
	go s.h3.Serve(e)
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen = append(s.seen, r.Proto+" "+r.Method+" "+r.URL.Path)
	if s.altSvc != "" {
		w.Header().Set("Alt-Svc", s.altSvc)
	}
	h := s.handler
	s.mu.Unlock()
	if h != nil {
		h(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s", r.Proto, body)
}

// says changes the Alt-Svc field.
func (s *site) says(altSvc string) {
	s.mu.Lock()
	s.altSvc = altSvc
	s.mu.Unlock()
}

func (s *site) handle(h http.HandlerFunc) {
	s.mu.Lock()
	s.handler = h
	s.mu.Unlock()
}

// requests returns what the servers have seen, and forgets it.
func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

// visitor is a Transport that finds the site, and what it says.
type visitor struct {
	*Transport
	clock    *clock
	tcpDials atomic.Int64

	mu        sync.Mutex
	connected int
	failures  []error
	news      chan struct{} // something of it changed
}

// visitor makes a Transport with a clock of its own.
func (s *site) visitor(tune ...func(*visitor)) *visitor {
	_, roots := originCert()
	v := &visitor{clock: &clock{}, news: make(chan struct{}, 1000)}
	v.Transport = &Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		TCP: &http.Transport{ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			v.tcpDials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, s.https.Listener.Addr().String())
		}},
		Logger: quiet,
		Trace: &Trace{
			Connected: func(string, string, *quic.Conn) { v.note(func() { v.connected++ }) },
			Failed:    func(_, _ string, err error, _ time.Time) { v.note(func() { v.failures = append(v.failures, err) }) },
		},
	}
	v.now = v.clock.now
	v.network = func() string { return "here" }
	// Nothing depends on how fast the machine is, unless a test is about it.
	v.headStart, v.quietLimit, v.deafLimit, v.probeLimit = time.Hour, time.Hour, time.Hour, time.Hour
	v.resolve = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	for _, f := range tune {
		f(v)
	}
	s.t.Cleanup(func() { v.Close() })
	return v
}

func (v *visitor) note(f func()) {
	v.mu.Lock()
	f()
	v.mu.Unlock()
	v.news <- struct{}{}
}

// stands returns when the connection to the site stands.
func (v *visitor) stands() {
	v.links.mu.Lock()
	l := v.links.byName[home].Value.(*link)
	v.links.mu.Unlock()
	<-l.ready
}

// wait returns when QUIC has stood n times and failed m times, since the visitor
// began.
func (v *visitor) wait(t *testing.T, n, m int) {
	t.Helper()
	for {
		v.mu.Lock()
		done := v.connected >= n && len(v.failures) >= m
		v.mu.Unlock()
		if done {
			return
		}
		select {
		case <-v.news:
		case <-t.Context().Done():
			t.Fatal("it never came")
		}
	}
}

// get fetches a path and returns the protocol.
func (v *visitor) get(t *testing.T, path string) string {
	t.Helper()
	return v.do(t, http.MethodGet, path, nil)
}

func (v *visitor) do(t *testing.T, method, path string, body io.Reader) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://origin.test"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := v.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	if res.Request != req {
		t.Error("the response is that of another request")
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return res.Proto
}

// request is a GET of the site.
func request(t *testing.T, path string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://origin.test"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// wire carries datagrams between clients and a server, until it is cut.
type wire struct {
	t    *testing.T
	conn *net.UDPConn
	to   netip.AddrPort
	cut  atomic.Bool

	mu   sync.Mutex
	legs map[netip.AddrPort]*net.UDPConn
}

func newWire(t *testing.T, to netip.AddrPort) *wire {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, conn: conn, to: to, legs: map[netip.AddrPort]*net.UDPConn{}}
	go w.forth()
	t.Cleanup(func() {
		conn.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, leg := range w.legs {
			leg.Close()
		}
	})
	return w
}

func (w *wire) port() int { return w.conn.LocalAddr().(*net.UDPAddr).Port }

func (w *wire) forth() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := w.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		w.mu.Lock()
		leg := w.legs[from]
		if leg == nil {
			if leg, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(w.to)); err != nil {
				w.mu.Unlock()
				return
			}
			w.legs[from] = leg
			go w.back(leg, from)
		}
		w.mu.Unlock()
		if !w.cut.Load() {
			leg.Write(b[:n])
		}
	}
}

func (w *wire) back(leg *net.UDPConn, to netip.AddrPort) {
	b := make([]byte, 64<<10)
	for {
		n, err := leg.Read(b)
		if err != nil {
			return
		}
		if !w.cut.Load() {
			w.conn.WriteToUDPAddrPort(b[:n], to)
		}
	}
}

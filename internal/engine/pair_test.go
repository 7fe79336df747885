package engine

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

var testCert = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"test.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func clientTLS() *tls.Config {
	return &tls.Config{ServerName: "test.example", InsecureSkipVerify: true, NextProtos: []string{"t"}}
}

func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{testCert()}, NextProtos: []string{"t"}}
}

var (
	clientAddr = netip.MustParseAddrPort("192.0.2.1:50000")
	serverAddr = netip.MustParseAddrPort("192.0.2.2:443")
)

// pair is a client and a server joined by a perfect path of a fixed delay.
type pair struct {
	t              testing.TB
	now            instant.Time
	client, server *Conn
	delay          time.Duration
	acceptor       Acceptor
	serverConfig   *Config
	inFlight       []flight
	buf            []byte
	events         map[*Conn][]Event
	rewrite        func(d *Datagram) bool // false drops it
	retries        bool                   // the acceptor may answer, and the answer goes back
}

type flight struct {
	at       instant.Time
	toServer bool
	d        Datagram
}

func newPair(t testing.TB, clientConfig, serverConfig *Config) *pair {
	p := &pair{t: t, now: 1e9, delay: 5 * time.Millisecond, buf: make([]byte, 64<<10), events: map[*Conn][]Event{}}
	p.acceptor.Server = true
	if clientConfig == nil {
		clientConfig = &Config{}
	}
	if serverConfig == nil {
		serverConfig = &Config{}
	}
	if clientConfig.TLS == nil {
		clientConfig.TLS = clientTLS()
	}
	if serverConfig.TLS == nil {
		serverConfig.TLS = serverTLS()
	}
	clientConfig.Seed, serverConfig.Seed = [32]byte{1}, [32]byte{2}
	p.serverConfig = serverConfig
	c, err := NewClient(p.now, clientConfig, Path{Local: clientAddr, Remote: serverAddr})
	if err != nil {
		t.Fatal(err)
	}
	p.client = c
	return p
}

// drain moves what a connection has to say onto the path, and collects its events.
func (p *pair) drain(c *Conn) {
	if c == nil {
		return
	}
	for {
		t := c.Compose(p.now, p.buf)
		if t.Size == 0 {
			break
		}
		for b := p.buf[:t.Size]; len(b) > 0; {
			n := min(len(b), t.Segment)
			d := Datagram{Payload: bytes.Clone(b[:n]), Path: Path{Local: t.Path.Remote, Remote: t.Path.Local}, ECN: t.ECN}
			if p.rewrite == nil || p.rewrite(&d) {
				p.inFlight = append(p.inFlight, flight{at: p.now.Add(p.delay), toServer: c == p.client, d: d})
			}
			b = b[n:]
		}
	}
	for {
		e, ok := c.Event()
		if !ok {
			return
		}
		p.events[c] = append(p.events[c], e)
	}
}

// step advances to the next thing that happens; false: nothing will.
func (p *pair) step() bool {
	p.drain(p.client)
	p.drain(p.server)
	next := p.client.Deadline()
	if p.server != nil {
		next = instant.Earliest(next, p.server.Deadline())
	}
	if len(p.inFlight) > 0 {
		next = instant.Earliest(next, p.inFlight[0].at)
	}
	if next == instant.Never {
		return false
	}
	p.now = max(p.now, next)
	for len(p.inFlight) > 0 && p.inFlight[0].at <= p.now {
		f := p.inFlight[0]
		p.inFlight = p.inFlight[1:]
		p.deliver(f)
	}
	if p.client.Deadline().Reached(p.now) {
		p.client.Expire(p.now)
	}
	if p.server != nil && p.server.Deadline().Reached(p.now) {
		p.server.Expire(p.now)
	}
	return true
}

func (p *pair) deliver(f flight) {
	if !f.toServer {
		p.client.Receive(p.now, f.d)
		return
	}
	if p.server == nil {
		v := p.acceptor.Receive(p.now, f.d, p.buf, 7)
		if v.Kind == Reply && p.retries {
			reply := Datagram{Payload: bytes.Clone(p.buf[:v.Size]), Path: Path{Local: f.d.Path.Remote, Remote: f.d.Path.Local}}
			p.inFlight = append(p.inFlight, flight{at: p.now.Add(p.delay), d: reply})
			return
		}
		if v.Kind == Drop && p.retries {
			return // 0-RTT packets behind an Initial packet that was answered
		}
		if v.Kind != Accept {
			p.t.Fatalf("the acceptor answers the first datagram with %+v", v)
		}
		s, err := NewServer(p.now, p.serverConfig, v.Incoming)
		if err != nil {
			p.t.Fatal(err)
		}
		p.server = s
	}
	p.server.Receive(p.now, f.d)
}

// until steps until done reports true, or fails the test.
func (p *pair) until(what string, done func() bool) {
	p.t.Helper()
	for range 200000 {
		p.drain(p.client)
		p.drain(p.server)
		if done() {
			return
		}
		if !p.step() {
			break
		}
	}
	p.t.Fatalf("it did not come to pass that %s; client: %v, server: %v", what, p.client.Err(), p.serverErr())
}

func (p *pair) serverErr() error {
	if p.server == nil {
		return nil
	}
	return p.server.Err()
}

func (p *pair) handshake() {
	p.t.Helper()
	p.until("both ends confirm the handshake", func() bool {
		return p.client.shake.confirmed && p.server != nil && p.server.shake.confirmed
	})
}

func TestHandshakeCompletes(t *testing.T) {
	p := newPair(t, nil, nil)
	p.handshake()
	if got := p.client.TLS().NegotiatedProtocol; got != "t" {
		t.Errorf("ALPN is %q", got)
	}
}

func TestBytesArriveBothWays(t *testing.T) {
	p := newPair(t, nil, nil)
	p.handshake()
	id, ok := p.client.Open(p.now, false)
	if !ok {
		t.Fatal("no stream to be had")
	}
	const size = 3 << 20
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(i * 7 / 3)
	}
	for _, dir := range []struct{ from, to *Conn }{{p.client, p.server}, {p.server, p.client}} {
		var got []byte
		sent, fin := 0, false
		buf := make([]byte, 10000)
		p.until("everything arrives", func() bool {
			for sent < size {
				n, err := dir.from.Write(p.now, id, want[sent:])
				if err != nil {
					t.Fatal(err)
				}
				if sent += n; sent == size {
					if err := dir.from.Finish(p.now, id); err != nil {
						t.Fatal(err)
					}
				}
				if n == 0 {
					break
				}
			}
			for !fin {
				n, f, err := dir.to.Read(p.now, id, buf)
				if err == ErrUnknownStream {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got, fin = append(got, buf[:n]...), f
				if n == 0 {
					break
				}
			}
			return fin
		})
		if !bytes.Equal(got, want) {
			t.Fatal("the bytes that arrived are not those that were sent")
		}
	}
	p.until("the stream is forgotten", func() bool {
		return len(p.client.streams.byID) == 0 && len(p.server.streams.byID) == 0
	})
}

package interop

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	quicgoquic "github.com/quic-go/quic-go"
	quicgo "github.com/quic-go/quic-go/http3"
)

var quicGoPeer = &matrixPeer{
	name:    "quic-go",
	version: func() string { return moduleVersion("github.com/quic-go/quic-go") },
	serve:   quicGoServes,
	ask:     quicGoAsks,
	cannotServe: map[string]string{
		"chacha20": "the cipher suites of TLS 1.3 cannot be chosen in crypto/tls, which both ends have",
		"v2":       "quic-go has no compatible version negotiation (RFC 9368)",
	},
	cannotAsk: map[string]string{
		"chacha20": "the cipher suites of TLS 1.3 cannot be chosen in crypto/tls",
		"v2":       "quic-go has no compatible version negotiation (RFC 9368)",
	},
}

// moduleVersion is the version of a module that the tests are built with, as go.mod has it.
func moduleVersion(path string) string {
	mod, err := os.ReadFile("go.mod")
	if err == nil {
		for line := range strings.Lines(string(mod)) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == path {
				return f[1]
			}
		}
	}
	return "?"
}

func quicGoServes(c *cell) error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: c.loopback().AsSlice()})
	if err != nil {
		return err
	}
	tr := &quicgoquic.Transport{Conn: conn, VerifySourceAddress: func(net.Addr) bool { return c.wants.retry }}
	l, err := tr.ListenEarly(quicgo.ConfigureTLSConfig(c.serverTLS()), &quicgoquic.Config{Allow0RTT: c.wants.early, HandshakeIdleTimeout: handshakePatience})
	if err != nil {
		return err
	}
	s := &quicgo.Server{Handler: c.handler()}
	go s.ServeListener(l)
	c.server = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	c.closers = append(c.closers, func() {
		s.Close()
		l.Close()
		tr.Close()
		conn.Close()
	})
	return nil
}

func quicGoAsks(c *cell) error {
	conf := ca.client()
	tickets := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if c.wants.resume {
		conf.ClientSessionCache = tickets
	}
	for round, names := range c.names {
		if err := quicGoFetches(c, conf, names, c.wants.early && round > 0); err != nil {
			return err
		}
		if c.wants.resume {
			if err := c.until("a session ticket", func() bool { return tickets.stored.Load() > 0 }); err != nil {
				return err
			}
		}
	}
	return nil
}

func quicGoFetches(c *cell, conf *tls.Config, names []string, early bool) error {
	sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: c.loopback().AsSlice()})
	if err != nil {
		return err
	}
	defer sock.Close()
	qtr := &quicgoquic.Transport{Conn: sock}
	defer qtr.Close()
	var conn atomic.Pointer[quicgoquic.Conn]
	tr := &quicgo.Transport{TLSClientConfig: conf, DisableCompression: true,
		QUICConfig: &quicgoquic.Config{HandshakeIdleTimeout: handshakePatience},
		Dial: func(ctx context.Context, _ string, tlsConf *tls.Config, qc *quicgoquic.Config) (*quicgoquic.Conn, error) {
			q, err := qtr.DialEarly(ctx, net.UDPAddrFromAddrPort(c.addr), tlsConf, qc)
			conn.Store(q)
			return q, err
		}}
	defer tr.Close()
	method := http.MethodGet
	if early {
		method = quicgo.MethodGet0RTT
	}
	var all sync.WaitGroup
	var once sync.Once
	errs := make(chan error, len(names))
	for _, name := range names {
		all.Go(func() {
			errs <- c.fetchOne(tr.RoundTrip, method, name, func() {
				once.Do(func() {
					if c.wants.move {
						quicGoMoves(c, conn.Load())
					}
				})
			})
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// quicGoMoves has quic-go's client probe a path from another socket and switch to it.
func quicGoMoves(c *cell, conn *quicgoquic.Conn) {
	c.variant = "the client moves by itself: quic-go follows no preferred address"
	sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: c.loopback().AsSlice()})
	if err != nil {
		c.t.Log(err)
		return
	}
	tr := &quicgoquic.Transport{Conn: sock}
	c.closers = append(c.closers, func() {
		tr.Close()
		sock.Close()
	})
	p, err := conn.AddPath(tr)
	if err == nil {
		err = p.Probe(c.ctx)
	}
	if err == nil {
		err = p.Switch()
	}
	if err != nil {
		c.t.Log("quic-go's path:", err)
	}
}

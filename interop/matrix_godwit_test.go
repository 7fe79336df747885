package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// Godwit's own end of a cell, through its public API.

// handshakePatience is how long a handshake may take where that can be said: with 30 % loss, some take long.
const handshakePatience = 30 * time.Second

// ourConfig is the configuration of either end.
func (c *cell) ourConfig() *quic.Config {
	conf := &quic.Config{QLog: c.ours.open, HandshakeTimeout: handshakePatience}
	conf.EarlyData = c.wants.early
	if c.wants.v2 {
		conf.Versions = []uint32{quic.Version2, quic.Version1}
	}
	return conf
}

// serveOurs starts http3.Server on the files.
func (c *cell) serveOurs() error {
	conf := c.ourConfig()
	if c.wants.retry {
		conf.AddressValidation = quic.ValidateAlways
	}
	if c.wants.move && c.peer.follows {
		conf.Preferred = []netip.AddrPort{c.prefer()}
	}
	tlsConf := c.serverTLS()
	tlsConf.KeyLogWriter = c.ours.keys
	if c.peer.hq {
		return c.serveHQ(tlsConf, conf)
	}
	e, err := quic.Listen(netip.AddrPortFrom(c.loopback(), 0).String(), http3.ConfigureTLS(tlsConf), conf)
	if err != nil {
		return err
	}
	s := &http3.Server{Handler: c.handler(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	done := make(chan struct{})
	go func() {
		s.Serve(e)
		close(done)
	}()
	c.server = e.Addr().(*net.UDPAddr).AddrPort()
	c.closers = append(c.closers, func() {
		c.ours.wait() // the clients have gone, and have said so
		s.Close()
		e.Close()
		<-done
	})
	return nil
}

// serverTLS is the TLS configuration of servers in this process.
func (c *cell) serverTLS() *tls.Config {
	if c.wants.longChain {
		return &tls.Config{Certificates: []tls.Certificate{ca.chain}}
	}
	return ca.server()
}

// handler serves the files, to pages of other origins too.
func (c *cell) handler() http.Handler {
	files := http.FileServerFS(os.DirFS(filepath.Join(c.dir.host, "docs")))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		files.ServeHTTP(w, r)
	})
}

// askOurs fetches the files with http3.Transport, one connection after the other.
func (c *cell) askOurs() error {
	conf := ca.client()
	conf.KeyLogWriter = c.ours.keys
	tickets := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if c.wants.resume {
		conf.ClientSessionCache = tickets
	}
	for _, names := range c.names {
		var conn atomic.Pointer[quic.Conn]
		q := c.ourConfig()
		dial := dialAnd(func(q *quic.Conn) {
			conn.Store(q)
			if c.wants.keyUpdate {
				q.UpdateKeys()
			}
		})
		var tr closingRoundTripper = &http3.Transport{TLSClientConfig: conf, QUIC: q, DisableCompression: true, Dial: dial}
		if c.peer.hq {
			var err error
			if tr, err = dialHQ(c.ctx, c.addr, conf, q, dial); err != nil {
				return err
			}
		}
		err := c.fetchAll(tr.RoundTrip, names, func() { c.moveOurs(conn.Load()) })
		if err == nil && c.wants.resume {
			err = c.until("a session ticket", func() bool { return tickets.stored.Load() > 0 })
		}
		tr.Close()
		if err != nil {
			return err
		}
	}
	c.ours.wait()
	return nil
}

// closingRoundTripper is http3.Transport or its like for hq-interop.
type closingRoundTripper interface {
	http.RoundTripper
	io.Closer
}

// moveOurs moves a client of ours that the server does not want elsewhere.
func (c *cell) moveOurs(q *quic.Conn) {
	if !c.wants.move || c.preferred.IsValid() || q == nil {
		return
	}
	c.variant = "the client moves by itself: the server prefers no address"
	if err := q.Migrate(c.ctx, netip.AddrPort{}); err != nil {
		c.t.Log("Migrate:", err)
	}
}

// fetchAll fetches files at once, each into a file of its own. midway runs once, after the first 100 KiB of any of them.
func (c *cell) fetchAll(roundTrip func(*http.Request) (*http.Response, error), names []string, midway func()) error {
	var all sync.WaitGroup
	errs := make([]error, len(names))
	var once sync.Once
	for i, name := range names {
		all.Go(func() { errs[i] = c.fetchOne(roundTrip, http.MethodGet, name, func() { once.Do(midway) }) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (c *cell) fetchOne(roundTrip func(*http.Request) (*http.Response, error), method, name string, midway func()) error {
	req, err := http.NewRequestWithContext(c.ctx, method, c.url(name), nil)
	if err != nil {
		return err
	}
	res, err := roundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		return fmt.Errorf("%s: %s", name, res.Status)
	}
	f, err := os.Create(filepath.Join(c.dir.host, "down", name))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(f, res.Body, 100<<10); err == nil && midway != nil {
		midway()
	} else if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := io.Copy(f, res.Body); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// until polls until ok, or the cell's time is over.
func (c *cell) until(what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		}
	}
	return nil
}

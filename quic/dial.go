package quic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/wire"
)

// DialError says which address could not be reached, and how far it came. It wraps the connection's or the context's
// error.
type DialError struct {
	Addr     string         // what Dial was asked for
	Remote   netip.AddrPort // the address that was tried
	After    time.Duration  // how long
	Answered bool           // anything at all came back
	Err      error
}

// Error names the address, and tells silence from failure.
func (e *DialError) Error() string {
	timeout := errors.Is(e.Err, ErrHandshakeTimeout) || errors.Is(e.Err, context.DeadlineExceeded)
	if timeout && !e.Answered {
		return fmt.Sprintf("quic: no answer from %v over UDP within %v: is HTTP/3 enabled there and UDP allowed?",
			e.Remote, e.After.Round(100*time.Millisecond))
	}
	if errors.Is(e.Err, ErrRefused) {
		return fmt.Sprintf("quic: nobody listens on UDP port %d of %v: the host refuses what is sent there", e.Remote.Port(), e.Remote.Addr())
	}
	return fmt.Sprintf("quic: dial %s (%v): %v", e.Addr, e.Remote, e.Err)
}

// Unwrap returns what went wrong.
func (e *DialError) Unwrap() error { return e.Err }

// Is reports ErrRefused as syscall.ECONNREFUSED too, as package net does.
func (e *DialError) Is(target error) bool {
	return target == syscall.ECONNREFUSED && errors.Is(e.Err, ErrRefused)
}

// Timeout reports whether time ran out, as net.Error wants it.
func (e *DialError) Timeout() bool {
	return errors.Is(e.Err, ErrHandshakeTimeout) || errors.Is(e.Err, context.DeadlineExceeded)
}

// Temporary is there for net.Error.
func (e *DialError) Temporary() bool { return e.Timeout() }

// Dial opens a connection to addr, "host:port", from a socket of its own that is closed with the connection, and
// returns when the handshake is done, or at once with Config.EarlyData when 0-RTT is possible. A host name may have several
// addresses: they are tried in turn, each for three seconds at the most while others are left, and less if the host says that
// nobody listens there (on Linux; ErrRefused). When tlsConf.ServerName is empty the host of addr is used;
// tlsConf.NextProtos must name at least one protocol. c may be nil. The error is a *DialError, or several joined, once
// an address was tried; context, TLS and connection errors are found in it with errors.As and errors.Is.
func Dial(ctx context.Context, addr string, tlsConf *tls.Config, c *Config) (*Conn, error) {
	conf, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return dialEach(ctx, addr, tlsConf, func(ctx context.Context, to destination, tlsConf *tls.Config) (*Conn, error) {
		any := netip.IPv6Unspecified()
		if to.addr.Addr().Is4() {
			any = netip.IPv4Unspecified()
		}
		e, err := newEndpoint(netip.AddrPortFrom(any, 0), nil, &conf)
		if err != nil {
			return nil, err
		}
		e.own = true
		conn, err := e.dial(ctx, to, tlsConf, &conf)
		if err != nil {
			e.Close()
		}
		return conn, err
	})
}

// Dial opens a connection from the endpoint's socket; see the function Dial.
func (e *Endpoint) Dial(ctx context.Context, addr string, tlsConf *tls.Config, c *Config) (*Conn, error) {
	conf, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return dialEach(ctx, addr, tlsConf, func(ctx context.Context, to destination, tlsConf *tls.Config) (*Conn, error) {
		return e.dial(ctx, to, tlsConf, &conf)
	})
}

// destination is one address that Dial tries.
type destination struct {
	addr     netip.AddrPort
	refusals int // how many flights may be refused there before it is given up
}

type dialFunc func(ctx context.Context, to destination, tlsConf *tls.Config) (*Conn, error)

// dialEach resolves addr and tries its addresses in turn.
func dialEach(ctx context.Context, addr string, tlsConf *tls.Config, dial dialFunc) (*Conn, error) {
	if tlsConf == nil || len(tlsConf.NextProtos) == 0 {
		return nil, errNoProtocol
	}
	host, remotes, err := resolve(ctx, addr)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("quic: dial %s: %w", addr, err)
	}
	if tlsConf.ServerName == "" {
		tlsConf = tlsConf.Clone()
		tlsConf.ServerName, _, _ = strings.Cut(host, "%") // no certificate has the zone of an IPv6 address
	}
	tlsConf = raise(tlsConf)
	return dialAddrs(ctx, addr, remotes, func(ctx context.Context, to destination) (*Conn, error) { return dial(ctx, to, tlsConf) })
}

// dialAddrs tries the addresses of addr in turn.
func dialAddrs(ctx context.Context, addr string, remotes []netip.AddrPort, dial func(context.Context, destination) (*Conn, error)) (*Conn, error) {
	var failed []error
	for i, remote := range remotes {
		attempt, cancel := ctx, context.CancelFunc(func() {})
		to := destination{addr: remote, refusals: refusals}
		if i < len(remotes)-1 {
			attempt, cancel = context.WithTimeout(ctx, attemptTimeout)
			to.refusals = 1
		}
		conn, err := dial(attempt, to)
		cancel()
		if err == nil {
			return conn, nil
		}
		var d *DialError
		if errors.As(err, &d) {
			d.Addr = addr
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(failed) == 1 {
		return nil, failed[0]
	}
	return nil, errors.Join(failed...)
}

// resolve returns the host of addr and its addresses, in the resolver's order.
func resolve(ctx context.Context, addr string) (host string, remotes []netip.AddrPort, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return "", nil, err
	}
	if host == "" {
		return "", nil, errors.New("the address names no host")
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host) // LookupNetIP loses the zones of link-local addresses
	if err != nil {
		return "", nil, err
	}
	for _, a := range ips {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			remotes = append(remotes, netip.AddrPortFrom(ip.Unmap().WithZone(a.Zone), uint16(port)))
		}
	}
	return host, remotes, nil
}

// dial opens a connection to one address and waits for its handshake. When the server wants another version that we speak
// too it begins anew with that one (RFC 9368, section 2.1), once: the second attempt follows no Version Negotiation packet.
func (e *Endpoint) dial(ctx context.Context, to destination, tlsConf *tls.Config, conf *Config) (*Conn, error) {
	c, err := e.attempt(ctx, to, tlsConf, conf, nil)
	var other *VersionError
	if errors.As(err, &other) && other.Common != 0 {
		return e.attempt(ctx, to, tlsConf, conf, other)
	}
	return c, err
}

// attempt opens a connection; after says how an earlier attempt ended, nil when there was none.
func (e *Endpoint) attempt(ctx context.Context, to destination, tlsConf *tls.Config, conf *Config, after *VersionError) (*Conn, error) {
	began, remote := clock(), to.addr
	fail := func(c *Conn, err error) error {
		d := &DialError{Addr: remote.String(), Remote: remote, After: clock().Sub(began), Err: err}
		if c != nil {
			c.mu.Lock()
			d.Answered = c.heard
			c.mu.Unlock()
		}
		return d
	}
	local, err := route(ctx, e.sock.LocalAddr().Addr(), remote)
	if ctx.Err() != nil {
		err = context.Cause(ctx) // package net does not tell it
	}
	if err != nil {
		return nil, fail(nil, err)
	}
	c := &Conn{ep: e, client: true, began: began, dialling: to}
	c.path = engine.Path{Local: netip.AddrPortFrom(local, e.sock.LocalAddr().Port()), Remote: remote}
	if !e.add(c) {
		return nil, ErrClosed
	}
	e.count.dialled.Add(1)
	if err := c.connect(ctx, tlsConf, conf, after); err != nil {
		return nil, fail(c, err)
	}
	return c, nil
}

// connect makes the core of a connection that we begin, sends its first flight and waits for the handshake.
func (c *Conn) connect(ctx context.Context, tlsConf *tls.Config, conf *Config, after *VersionError) (err error) {
	done := ctx.Done()
	c.mu.Lock()
	defer c.leave(&err)
	now := c.now()
	config := c.coreConfig(conf, tlsConf)
	c.store = conf.TokenStore
	c.storeName = net.JoinHostPort(tlsConf.ServerName, strconv.Itoa(int(c.path.Remote.Port())))
	config.After = after
	config.Token = c.store.take(tokenName(c.storeName, config.FirstVersion()))
	core, err := engine.NewClient(now, config, c.path)
	if err != nil {
		c.end(err)
		c.forget()
		return err
	}
	c.core = core
	c.flush(now, false)
	for !c.handshook && !c.early && c.err == nil {
		if !c.ready.wait(&c.mu, done) && !c.handshook && !c.early && c.err == nil {
			err := context.Cause(ctx)
			c.close(&engine.TransportError{Code: wire.NoError, Reason: "the dial was given up"})
			return err
		}
	}
	return c.err
}

// route asks the system which of our addresses it would reach remote from: bound itself, unless it is unspecified. Nothing is
// sent. A host without a route says so here, at once, instead of keeping the caller waiting for an answer to datagrams that never
// left.
func route(ctx context.Context, bound netip.Addr, remote netip.AddrPort) (netip.Addr, error) {
	var d net.Dialer
	if !bound.IsUnspecified() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(bound, 0))
	}
	conn, err := d.DialContext(ctx, "udp", remote.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// tokenName is what the tokens of a server are kept under: "Clients MUST NOT use a session ticket or token from a QUIC
// version 1 connection to initiate a QUIC version 2 connection, and vice versa." (RFC 9369, section 5)
func tokenName(server string, version uint32) string {
	if version == Version2 {
		return server + " v2"
	}
	return server
}

package quic

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/udp"
)

// Endpoint is one UDP socket and the connections on it. Its methods may be called by many goroutines at once.
type Endpoint struct {
	sock     *socket // the first
	conf     Config
	tls      *tls.Config // the server's; nil: the endpoint only dials
	acceptor engine.Acceptor
	own      bool // made by the function Dial: it closes with its only connection
	count    counters
	budget   budget
	batch    sync.Mutex                // held by the reader that has one: readers of several sockets take turns
	accused  bool                      // under batch: a panic was logged; see accuse
	more     atomic.Pointer[[]*socket] // sockets besides the first; changed under mu
	early    *earlyServer              // nil: no 0-RTT
	ids      *idSource                 // nil: random connection IDs

	mu sync.Mutex

	// Under mu: where datagrams go. A connection's mu may be held when mu is taken, never the other way round.
	demux engine.Demux[*Conn]
	conns map[*Conn]struct{}

	handshakes // under mu

	// Under mu: what Accept and Shutdown wait for.
	backlog   []*Conn
	accepting waitList
	live      int // connections that have not ended
	ending    waitList
	refusing  bool // Shutdown or Close has begun
	closed    bool

	// Under mu: what 0-RTT and resumption hang on.
	earlyState []byte
	rotate     *time.Timer // nil: the ticket keys are not ours to rotate
}

// Listen opens a UDP socket that accepts connections. addr is as for net.ListenPacket("udp", addr): ":8443" listens on
// every address of both families, "127.0.0.1:0" picks a free port. tlsConf needs a certificate and NextProtos; TLS 1.3
// is the floor whatever it says. c may be nil.
func Listen(addr string, tlsConf *tls.Config, c *Config) (*Endpoint, error) {
	if tlsConf == nil {
		return nil, errors.New("quic: Listen needs a tls.Config with a certificate and NextProtos")
	}
	if len(tlsConf.NextProtos) == 0 && tlsConf.GetConfigForClient == nil {
		return nil, errNoProtocol
	}
	if len(tlsConf.Certificates) == 0 && tlsConf.GetCertificate == nil && tlsConf.GetConfigForClient == nil {
		return nil, errors.New("quic: tls.Config has neither Certificates nor GetCertificate: a server needs one")
	}
	local, err := resolveShared(addr, c)
	if err != nil {
		return nil, err
	}
	e, err := newEndpoint(local, raise(tlsConf), c)
	if err != nil {
		return nil, err
	}
	if err := e.bindPreferred(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// NewEndpoint opens a UDP socket that only dials: connections made with its Dial share it. addr is as for Listen; ":0"
// is the usual choice. c may be nil; the connections dialled get a Config of their own.
func NewEndpoint(addr string, c *Config) (*Endpoint, error) {
	local, err := resolveShared(addr, c)
	if err != nil {
		return nil, err
	}
	return newEndpoint(local, nil, c)
}

var errNoProtocol = errors.New("quic: tls.Config.NextProtos is empty: QUIC needs an application protocol, such as \"h3\" (RFC 9001, section 8.1)")

// raise returns conf with TLS 1.3 as its floor. It is cloned once for an endpoint, not for every connection: clones made
// before the first handshake would each invent session ticket keys of their own.
func raise(conf *tls.Config) *tls.Config {
	if conf.MinVersion >= tls.VersionTLS13 {
		return conf
	}
	conf = conf.Clone()
	conf.MinVersion = tls.VersionTLS13
	return conf
}

// resolveShared returns the address of a socket that connections share, whose IDs have to tell them apart.
func resolveShared(addr string, c *Config) (netip.AddrPort, error) {
	if c != nil {
		if err := checkIDLen(c.ConnIDs, 1); err != nil {
			return netip.AddrPort{}, err
		}
	}
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("quic: %w", err)
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

func newEndpoint(local netip.AddrPort, tlsConf *tls.Config, c *Config) (*Endpoint, error) {
	conf, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	sock, err := udp.Listen(local, udp.Config{})
	if err != nil {
		return nil, fmt.Errorf("quic: %w", err)
	}
	e := &Endpoint{
		sock:  &socket{Socket: sock, ended: make(chan struct{})},
		conf:  conf,
		tls:   tlsConf,
		conns: make(map[*Conn]struct{}),
	}
	e.budget.size = max(conf.ReceiveBudget, 0)
	secret := seal.Secret(conf.Secret)
	if conf.Secret == [32]byte{} {
		rand.Read(secret[:])
	}
	e.acceptor = engine.Acceptor{
		Server:     tlsConf != nil,
		Versions:   conf.Versions,
		ResetKey:   secret.ResetKey(),
		Tokens:     engine.Tokens{Key: secret.TokenKey(), Unix: epoch.Unix()},
		Validation: engine.Validation(conf.AddressValidation),
	}
	e.generateIDs()
	if e.acceptor.Server && conf.EarlyData {
		e.early = newEarlyServer(conf.StrikeRegister, &e.count.earlyReplayed)
	}
	if e.acceptor.Server && conf.TicketKeys != nil {
		e.tls = e.tls.Clone() // the caller's stays as it is
		if err := e.keepTicketKeys(conf.TicketKeys); err != nil {
			sock.Close()
			return nil, err
		}
	}
	e.start(e.sock)
	return e, nil
}

// Addr returns the local address of the socket, a *net.UDPAddr.
func (e *Endpoint) Addr() net.Addr { return net.UDPAddrFromAddrPort(e.sock.LocalAddr()) }

// Accept waits for the next connection whose handshake is done, or that has begun with 0-RTT if Config.EarlyData allows
// that, or that was answered, with Config.AcceptEarly. It fails with ErrClosed once the endpoint is closed or shutting down, and
// with the context's cause.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, error) {
	done := ctx.Done()
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		switch {
		case e.refusing:
			return nil, ErrClosed
		case isDone(done):
			return nil, context.Cause(ctx)
		case len(e.backlog) > 0:
			c := e.backlog[0]
			e.backlog[0] = nil
			e.backlog = e.backlog[1:]
			e.count.accepted.Add(1)
			return c, nil
		}
		e.accepting.wait(&e.mu, done)
	}
}

// Close closes every connection with code 0, telling each peer once, and then the socket. It waits for no peer. It must
// not be called from a callback of package tls.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	already := e.closed
	e.closed = true
	left := e.refuse()
	e.mu.Unlock()
	if already {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	for _, c := range left {
		c.closeAndSend(ctx, &engine.ApplicationError{})
	}
	cancel()
	err := e.closeSockets()
	for _, s := range append(slices.Clone(e.others()), e.sock) {
		<-s.ended
	}
	for _, c := range left {
		c.abandon()
	}
	return err
}

// Shutdown refuses new connections, waits until the present ones have ended, and then closes the endpoint. Connections
// that nobody has accepted yet are closed at once. When ctx is done first, Shutdown closes what is left and returns the
// context's cause.
func (e *Endpoint) Shutdown(ctx context.Context) error {
	done := ctx.Done()
	e.mu.Lock()
	waiting := e.backlog
	e.backlog = nil
	e.refuse()
	e.mu.Unlock()
	for _, c := range waiting {
		c.Close()
	}
	e.mu.Lock()
	for e.live > 0 && !isDone(done) {
		e.ending.wait(&e.mu, done)
	}
	left := e.live
	e.mu.Unlock()
	err := e.Close()
	if left > 0 {
		return context.Cause(ctx)
	}
	return err
}

// refuse lets no new connection in, and returns the present ones. mu is held.
func (e *Endpoint) refuse() []*Conn {
	e.refusing = true
	e.stopRotation()
	e.accepting.wake()
	conns := make([]*Conn, 0, len(e.conns))
	for c := range e.conns {
		conns = append(conns, c)
	}
	return conns
}

// Features describes the socket in one line for a log: buffer sizes, offloads, and what is missing.
func (e *Endpoint) Features() string {
	f := e.sock.Features()
	line := fmt.Sprintf("udp %v: receive buffer %d KiB, send buffer %d KiB", e.sock.LocalAddr(), f.ReadBuffer>>10, f.WriteBuffer>>10)
	for _, o := range []struct {
		name string
		on   bool
	}{{"GSO", f.GSO}, {"GRO", f.GRO}, {"recvmmsg", f.RecvMmsg}, {"sendmmsg", f.SendMmsg}, {"ECN", f.ECN}} {
		if o.on {
			line += ", " + o.name
		} else {
			line += ", no " + o.name
		}
	}
	if f.Warning != "" {
		line += "; " + f.Warning
	}
	return line
}

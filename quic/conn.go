package quic

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// Conn is a QUIC connection. Its methods may be called by many goroutines at once.
type Conn struct {
	ep       *Endpoint
	client   bool
	began    instant.Time
	dialling destination // a client's; set before the connection is published
	trace    *traceFile  // nil: no qlog; set before the connection is published

	touched bool // of the endpoint's reader, which alone looks at it
	member       // under ep.mu

	mu sync.Mutex

	clockwork // under mu, as all that follows
	loan      loan
	relocation

	// What the application sees.
	err error
	handshakeView
	path      engine.Path
	store     *TokenStore // a client's, nil: none
	storeName string      // of the server in it
	heard     bool        // anything at all came from the peer
	ready     waitList
	streams   map[int64]*Stream
	arrived   []*Stream // opened by the peer, not yet accepted; bounded by Config.MaxStreams and MaxUniStreams
	accepting waitList
	opening   [2]waitList // for a bidirectional, for a unidirectional stream
	handle    func(*Stream)
	ctx       context.Context
	cancel    context.CancelCauseFunc
}

// handshakeView is what the application sees of the handshake.
type handshakeView struct {
	handshook bool
	early     bool          // 0-RTT is on
	offered   bool          // a server's: Accept may return it
	took      time.Duration // what the handshake took
	tlsState  tls.ConnectionState
}

// member is what the endpoint knows of a connection.
type member struct {
	handshaking bool // workers drive it, through the inbox
	queued      bool // a worker has it, or it is in the queue for one
	admitted    bool // its handshake is done, or it is over: the worker hands it to the reader
	live        bool // counted in Endpoint.live
	escaping    bool // a goroutine moves it away from a socket that does not send
	inbox       []parcel
	crowd       netip.Prefix     // where the client's handshake came from
	first       *engine.Incoming // what the connection is made from; nil for a client, and once it is made
	ids         []wire.ConnID
	tokens      [][16]byte
}

// clockwork is the core and what drives it.
type clockwork struct {
	core         *engine.Conn
	latest       instant.Time // the last instant the core was told: its time never goes backwards
	sending      bool         // somebody holds the sending token
	again        bool         // whoever holds it has to look again
	datagrams    waitList     // those who wait to receive one
	whenDatagram func()       // AfterDatagram's
	counted      DatagramStats
	sent         waitList // those who wait until it is put down
	timer        *time.Timer
	armed        instant.Time // when the timer fires; 0: it is not set
	broken       bool         // the core panicked: it is not called any more
	report       []any        // what leave has to log: a panic
	gone         bool         // drained or broken: the endpoint has forgotten it
}

// OpenStream opens a bidirectional stream; it waits while the peer's limit allows no further one. The peer learns of
// the stream with its first bytes.
func (c *Conn) OpenStream(ctx context.Context) (*Stream, error) { return c.open(ctx, false) }

// OpenUniStream opens a stream on which only we send; it waits as OpenStream does.
func (c *Conn) OpenUniStream(ctx context.Context) (*Stream, error) { return c.open(ctx, true) }

func (c *Conn) open(ctx context.Context, uni bool) (s *Stream, err error) {
	list := &c.opening[0]
	if uni {
		list = &c.opening[1]
	}
	done := ctx.Done()
	c.mu.Lock()
	defer c.leave(&err)
	for told := false; ; told = !told {
		if c.err != nil {
			return nil, c.err
		}
		if isDone(done) {
			return nil, context.Cause(ctx)
		}
		now := c.now()
		if id, ok := c.core.Open(now, uni); ok {
			if !uni {
				c.lookOut()
			}
			return c.newStream(id), nil
		}
		if told {
			list.wait(&c.mu, done)
		} else {
			c.flush(now, false) // STREAMS_BLOCKED tells the peer. The lock was released: look again before waiting
		}
	}
}

// AcceptStream waits for the next stream the peer opened, of either kind: Stream.IsUni tells which. A stream counts towards
// Config.MaxStreams, or MaxUniStreams, until it was accepted and has ended.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) {
	done := ctx.Done()
	c.mu.Lock()
	defer c.leave(nil)
	for {
		if len(c.arrived) > 0 {
			s := c.arrived[0]
			c.arrived[0] = nil
			c.arrived = c.arrived[1:]
			c.release(s)
			return s, nil
		}
		if c.err != nil {
			return nil, c.err
		}
		if isDone(done) {
			return nil, context.Cause(ctx)
		}
		c.accepting.wait(&c.mu, done)
	}
}

// HandleStreams runs f in a new goroutine for every stream the peer opens from now on, and for those that already wait.
// It takes the place of AcceptStream and saves the goroutine that would sit in it. It returns at once.
//
// A stream counts towards Config.MaxStreams, or MaxUniStreams, until f has returned, even if the peer has ended or reset it: there
// are never more of these goroutines than streams allowed, however fast a peer opens and resets them.
func (c *Conn) HandleStreams(f func(*Stream)) {
	c.mu.Lock()
	defer c.leave(nil)
	c.handle = f
	for _, s := range c.arrived {
		go s.run(f)
	}
	c.arrived = nil
}

// run gives a stream to f and lets the peer open another one after that.
func (s *Stream) run(f func(*Stream)) {
	defer func() { // even after runtime.Goexit
		s.conn.mu.Lock()
		defer s.conn.leave(nil)
		s.conn.release(s)
	}()
	f(s)
}

// release has the core count a stream no longer that the application is done with, or has taken over. mu is held.
func (c *Conn) release(s *Stream) {
	if c.core == nil || c.broken || c.err != nil {
		return
	}
	if now := c.now(); c.core.Release(now, s.id) {
		c.flush(now, true)
	}
}

// Close closes the connection with application error code 0. Data that is still buffered is not sent.
func (c *Conn) Close() error { return c.CloseWithError(0, "") }

// CloseWithError closes the connection with an application error code; the peer's calls fail with an *ApplicationError
// that carries code and reason. It does not wait for the peer. Closing twice does nothing. It panics when code is above
// 2^62-1, which no frame can carry.
func (c *Conn) CloseWithError(code uint64, reason string) error {
	mustFit(code)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	c.closeAndSend(ctx, &engine.ApplicationError{Code: code, Reason: reason})
	return nil
}

// Refuse closes a connection that we do not want with the code CONNECTION_REFUSED, as it is done where nobody accepts any. It is
// meant for servers with Config.AcceptEarly. The client's Dial, or its next call, fails with reason, of at most 128 bytes.
func (c *Conn) Refuse(reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	c.ep.count.refused.Add(1)
	c.closeAndSend(ctx, &engine.TransportError{Code: wire.ConnectionRefused, Reason: reason})
}

// closeAndSend closes the connection and returns when the note of it to the peer has left or ctx is done: a program may
// exit right after, or close the socket.
func (c *Conn) closeAndSend(ctx context.Context, err error) {
	c.mu.Lock()
	defer c.leave(nil)
	c.close(err)
	for c.sending && c.sent.wait(&c.mu, ctx.Done()) {
	}
}

// mustFit panics at an application error code that is no variable-length integer.
func mustFit(code uint64) {
	if code > varint.Max {
		panic("BUG: application error code above 2^62-1")
	}
}

// close ends the connection with err, which is ours, and tells the peer. mu is held.
func (c *Conn) close(err error) {
	if c.err != nil {
		return
	}
	c.end(err)
	if c.core == nil || c.broken {
		return
	}
	now := c.now()
	switch err := err.(type) {
	case *engine.ApplicationError:
		c.core.Close(now, err.Code, err.Reason)
	case *engine.TransportError:
		c.core.Abort(now, err.Code, err.Reason)
	default:
		panic("BUG: a connection is closed with an error that has no code")
	}
	c.flush(now, false)
}

// Context returns a context that is done when the connection has ended; context.Cause of it says why.
func (c *Conn) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancelCause(context.Background())
		if c.err != nil {
			c.cancel(c.err)
		}
	}
	return c.ctx
}

// Err returns why the connection ended, or nil while it lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// LocalAddr returns our address, a *net.UDPAddr; it can change when a connection migrates.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	local := c.path.Local
	c.mu.Unlock()
	if !local.Addr().IsValid() {
		local = c.ep.sock.LocalAddr()
	}
	return net.UDPAddrFromAddrPort(local)
}

// RemoteAddr returns the peer's address, a *net.UDPAddr; it can change when the peer migrates. It is one that the peer has shown to
// be its own: packets from elsewhere, whose sender may have forged that, are answered there and change nothing here.
func (c *Conn) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.remote()) }

func (c *Conn) remote() netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.core == nil {
		return c.path.Remote
	}
	return c.core.Proved()
}

// TLS returns the state of the TLS handshake.
func (c *Conn) TLS() tls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tlsState
}

// UpdateKeys replaces the keys that protect packets, as the protocol does by itself long before they wear out (RFC 9001,
// section 6): the next packet brings the update, or the first that may, which is after the handshake is confirmed and the
// update before it is acknowledged. It is for tests, and for those who want keys that live shorter.
func (c *Conn) UpdateKeys() {
	c.mu.Lock()
	defer c.leave(nil)
	if c.core != nil && !c.broken {
		c.core.UpdateKeys()
	}
}

// Trace runs f with the connection's qlog when it has one, and does nothing otherwise. f runs under the connection's
// lock: it may only write to t.
func (c *Conn) Trace(f func(now congestion.Time, t *qlog.Trace)) {
	if c.trace == nil {
		return
	}
	c.mu.Lock()
	defer c.leave(nil)
	f(c.now(), c.trace.events)
}

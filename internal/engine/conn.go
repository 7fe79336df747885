package engine

import (
	"crypto/tls"
	"math/rand/v2"
	"net/netip"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// Conn is one QUIC connection, client or server. It is not safe for concurrent use.
type Conn struct {
	config Config
	server bool
	rand   *rand.ChaCha8
	trace  *qlog.Trace
	now    instant.Time // of the last input

	life   lifetime
	idle   idleState
	shake  handshakeState
	spaces [wire.NumSpaces]space
	phase  keyPhase
	early  earlyState
	ledger *recovery.Ledger
	answer peerAcks

	ids     connIDs
	path    pathState
	flow    connFlow
	streams streamSet
	pool    chunkPool

	params wire.TransportParams // ours
	peer   wire.TransportParams // the peer's, RFC defaults until they are known

	events eventQueue
	workspace
	paceAt  instant.Time // when the pacer, which stopped the last Compose, lets more out
	stats   Stats
	version versionState
}

// workspace is memory that is used again and again; nothing in it lasts longer than a call.
type workspace struct {
	draft  datagram // the datagram being composed
	ranges rangeScratch
}

// space is what there is of each packet number space (RFC 9000, section 12.3).
type space struct {
	read, write *seal.Keys // nil: not there yet, or discarded
	discarded   bool
	acks        ackState
	crypto      *cryptoStream // nil once it is discarded
}

// NewClient starts a connection to the server at p.Remote. The first datagrams are ready to be composed.
func NewClient(now instant.Time, config *Config, p Path) (*Conn, error) {
	c := newConn(now, config, p)
	c.version.original = c.config.FirstVersion()
	c.version.current = c.version.original
	original := c.randomID()
	if !c.ids.initClient(c, original) {
		return nil, errNoID
	}
	c.installInitialKeys(original.Bytes())
	c.startTrace(now, original)
	c.path.validated = true // nobody limits what a client sends
	if len(config.Token) <= maxToken {
		c.shake.token = config.Token
	}
	return c, c.startHandshake(now)
}

// NewServer makes the connection that an Acceptor agreed to. Hand it the same datagram with Receive next, as the Acceptor left it:
// its first packet is decrypted, and not taken any other way.
func NewServer(now instant.Time, config *Config, in Incoming) (*Conn, error) {
	c := newConn(now, config, in.Path)
	c.server = true
	c.version.original = max(in.Version, wire.Version1)
	c.version.current = c.version.original
	if !c.ids.initServer(c, in) {
		return nil, errNoID
	}
	c.shake.first = in.first
	c.installInitialKeys(in.DstID.Bytes())
	c.startTrace(now, c.ids.original)
	c.path.validated = in.Validated
	c.ledger.SetAmplificationLimited(now, !in.Validated)
	return c, c.startHandshake(now)
}

func newConn(now instant.Time, config *Config, p Path) *Conn {
	c := &Conn{config: config.withDefaults(), now: now, life: lifetime{numbersEnd: endOfNumbers}}
	c.ids.resetKey, c.ids.length = c.config.ResetKey, idLen(config.IDs)
	c.rand = rand.NewChaCha8(c.config.Seed)
	c.peer = wire.DefaultTransportParams()
	c.path.Path, c.path.mtu = p, newMTU()
	c.path.narrow.restart(0)
	for i := range c.spaces {
		c.spaces[i].acks = newAckState()
		c.spaces[i].crypto = newCryptoStream()
	}
	w := &c.flow.window
	w.size, w.max, w.limit = c.config.ConnWindow, c.config.MaxConnWindow, c.config.ConnWindow
	for dir, n := range [2]int64{c.config.MaxStreamsBidi, c.config.MaxStreamsUni} {
		c.streams.remote[dir] = remoteStreams{max: n, allowed: n}
	}
	c.idle.start(now, &c.config)
	return c
}

// startTrace makes the trace and the ledger, which reports to it, once the connection has an identity.
func (c *Conn) startTrace(now instant.Time, original wire.ConnID) {
	if c.config.NewTrace != nil {
		c.trace = c.config.NewTrace(original.Bytes())
	}
	c.ledger = recovery.New(recovery.Config{
		Server:       c.server,
		Controller:   c.config.Controller(minDatagramSize),
		DatagramSize: minDatagramSize,
		Fate:         c.settle,
		Trace:        c.trace,
	})
	local, remote := c.ids.local[0].id, c.ids.remoteID()
	c.trace.ConnectionStarted(now, c.path.Local, c.path.Remote, local.Bytes(), remote.Bytes())
}

// Expire does what has become due at now.
func (c *Conn) Expire(now instant.Time) {
	now = c.advance(now)
	if c.life.state != lifeOpen {
		if c.life.until.Reached(now) {
			c.drained()
		}
		return
	}
	switch {
	case c.shake.deadline.Reached(now):
		c.vanish(now, ErrHandshakeTimeout)
		return
	case c.idle.deadline(c.ledger.PTO()).Reached(now):
		c.vanish(now, ErrIdleTimeout)
		return
	}
	if c.idle.keepAliveAt.Reached(now) {
		c.idle.wakePeer()
	}
	if c.paceAt.Reached(now) {
		c.paceAt = instant.Never
	}
	c.rest(now)
	c.path.expire(c, now)
	c.phase.expire(now)
	c.early.expire(now)
	c.ids.left.expire(c, now)
	c.ledger.Expire(now)
}

// Deadline returns when Expire wants to be called next; never, when nothing is pending.
func (c *Conn) Deadline() instant.Time {
	if c.life.state != lifeOpen {
		return c.life.until
	}
	t := instant.Earliest(c.shake.deadline, c.idle.deadline(c.ledger.PTO()))
	t = instant.Earliest(t, c.idle.keepAliveAt)
	t = instant.Earliest(t, c.ledger.Deadline())
	t = instant.Earliest(t, c.paceAt)
	t = instant.Earliest(t, c.idle.restAt)
	t = instant.Earliest(t, c.path.due())
	t = instant.Earliest(t, c.phase.dropAt)
	t = instant.Earliest(t, c.early.dropAt)
	t = instant.Earliest(t, c.ids.left.due())
	if c.path.blocked(c) {
		return t // an acknowledgment could not be sent: the next datagram that comes lets it go
	}
	for i := range c.spaces {
		if s := &c.spaces[i]; s.write != nil {
			t = instant.Earliest(t, s.acks.deadline)
		}
	}
	return t
}

// Event returns the next thing that happened, false when there is none left.
func (c *Conn) Event() (Event, bool) { return c.events.pop() }

// Err returns why the connection is over, nil while it is not.
func (c *Conn) Err() error { return c.life.err }

// Path returns the addresses the connection uses now.
func (c *Conn) Path() Path { return c.path.Path }

// Proved returns the peer's address that it has last shown to be its own; before it has shown any, the one it uses. A server
// that follows a packet to another address does not know yet who is there.
func (c *Conn) Proved() netip.AddrPort {
	if c.path.validated || !c.path.previous.Remote.IsValid() {
		return c.path.Remote
	}
	return c.path.previous.Remote
}

// TLS returns the state of the TLS connection; complete once EventHandshakeDone was reported.
func (c *Conn) TLS() tls.ConnectionState { return c.shake.tls.State() }

// Trace returns the connection's qlog trace, nil when there is none.
func (c *Conn) Trace() *qlog.Trace { return c.trace }

// HandshakeDone reports whether EventHandshakeDone was reached.
func (c *Conn) HandshakeDone() bool { return c.shake.done }

// Closed reports whether the connection is over for the application.
func (c *Conn) Closed() bool { return c.life.state != lifeOpen }

// advance takes the time of an input. A caller that read its clock before it waited for its lock may come late: time
// stands still then, but never goes back.
func (c *Conn) advance(now instant.Time) instant.Time {
	c.now = max(c.now, now)
	return c.now
}

// fail closes the connection for a fault of the peer's.
func (c *Conn) fail(now instant.Time, err *TransportError) { c.closeWith(now, err) }

// randomID makes the ID that a client's first packets go to.
//
// RFC 9000, section 7.2: "When an Initial packet is sent by a client that has not previously received an Initial or Retry
// packet from the server, the client populates the Destination Connection ID field with an unpredictable value. This
// Destination Connection ID MUST be at least 8 bytes in length."
func (c *Conn) randomID() wire.ConnID {
	var b [minClientID]byte
	c.rand.Read(b[:])
	return wire.MakeConnID(b[:])
}

// rtt returns the smoothed round-trip time in nanoseconds.
func (c *Conn) rtt() int64 { return int64(c.ledger.RTT().Smoothed) }

package quic

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/wire"
)

// Config tunes connections. Nil and the zero value both work: every field states its default. A Config is copied when it
// is handed over; changing it afterwards changes nothing.
type Config struct {
	// HandshakeTimeout is how long a handshake may take, from its first datagram on. Default 10 seconds.
	HandshakeTimeout time.Duration
	// MaxIdleTimeout closes a connection on which nothing was received for so long; the smaller of both peers' values
	// counts. A client that has a bidirectional stream open keeps the connection from that: it waits for an answer that may take
	// longer. Default 30 seconds.
	MaxIdleTimeout time.Duration
	// KeepAlive sends a PING after so much silence, which holds NAT bindings and the idle timeout open. Default 0: off.
	KeepAlive time.Duration

	// Windows is flow control: how much peers may send before it is read.
	Windows

	// MaxStreams is how many bidirectional streams the peer may have open at a time, those included that it has ended and that
	// Conn.HandleStreams is still busy with. Default 100; negative: none.
	MaxStreams int64
	// MaxUniStreams is how many unidirectional streams the peer may have open at a time. Default 100; negative: none.
	MaxUniStreams int64

	// MaxDatagramSize is the largest UDP payload, in bytes, that path MTU discovery tries; what the path, the interface and
	// the peer allow is found out, beginning with 1200. Default 1452, which an Ethernet carries over IPv6 and, with some to
	// spare for tunnels, over IPv4; at most 9000, for jumbo frames. With 1200, the least, there is no discovery.
	MaxDatagramSize int
	// ECN is how packets are marked, as long as the path leaves the marks alone. Default ECT0; see ECN.
	ECN ECN

	// Secret is what an endpoint derives the keys from that should outlive it: those of its stateless resets and of its
	// address validation tokens. With the same Secret after a restart (LoadSecret) the peers of lost connections learn of it
	// with their next packet (ErrStatelessReset), where otherwise their idle timeout has to pass, and the tokens of clients
	// stay good. Servers that share an address share it. Only Listen and NewEndpoint look at it. Default zero: a random one.
	Secret [32]byte

	// AddressValidation is when a server has clients prove their address. Only Listen looks at it. Default ValidateAuto.
	AddressValidation AddressValidation

	// AcceptEarly has Accept return connections as soon as the server has answered their first datagrams, before their
	// handshake is done: Conn.TLS has the server name and the protocol then, RemoteAddr the address, and what is written
	// arrives with the handshake (0.5-RTT). Until Conn.HandshakeDone returns nil there is no proof that the client has this
	// address (see AddressValidation), a client certificate is not there yet, and anybody may read along who pretends to be the
	// client. Conn.Refuse turns it away. A server name that is unknown is better refused by tls.Config.GetConfigForClient, before
	// the signature that the answer costs. Only Listen looks at it. Default false.
	AcceptEarly bool

	// TokenStore keeps the tokens with which a client proves its address when it comes again. Only Dial looks at it. Default
	// nil: none are kept, as nil is for tls.Config.ClientSessionCache, since a token makes a client recognisable.
	TokenStore *TokenStore

	// Routing is how datagrams find their way to an endpoint, besides its address: connection IDs, and a preferred address.
	Routing

	// Resumption is about clients that come back: tickets, and 0-RTT, which is off by default.
	Resumption

	// Congestion makes the congestion controller of a connection; mss is the size of a full datagram in bytes. It is
	// called, and the controller it returns is used, by one goroutine at a time. Default nil: CUBIC.
	Congestion func(mss int) congestion.Controller

	// QLog, when set, is called once for every connection and returns where its qlog (JSON-SEQ) goes, or nil for none.
	// Writes come from the goroutines that drive the connection, never under its lock; the writer is closed when the
	// connection has ended. A writer that fails or panics is dropped, with one line in the log.
	QLog func(QLogInfo) io.WriteCloser

	Protocol

	// Logger receives what an operator should know: a connection that panicked, a qlog that cannot be written. Default
	// nil: slog.Default().
	Logger *slog.Logger
}

// ECN says how packets are marked (RFC 3168; RFC 9000, section 13.4).
type ECN = engine.ECN

const (
	// ECT0 lets queues mark packets instead of dropping them. The default.
	ECT0 = engine.ECT0
	// ECT1 asks queues for the treatment of L4S (RFC 9330). It is only for a Config.Congestion whose controller answers
	// marks in proportion to their number, congestion.Ack.CE; others would take more than their share.
	ECT1 = engine.ECT1
	// NoECN marks nothing.
	NoECN = engine.NoECN
)

// Routing is the part of a Config that says how datagrams find their way to an endpoint. The zero value is good for a server
// that clients reach at one address, without a load balancer that looks at connection IDs.
type Routing struct {
	// ConnIDs makes the connection IDs that peers send their packets to, where something on the way, or in front of several
	// servers, reads them. All connections of an endpoint share it: only Listen, NewEndpoint and the function Dial look at it.
	// Default nil: 8 random bytes. Package quiclb has one.
	ConnIDs ConnIDGenerator

	// Stationary gives the peer one connection ID, and asks it not to change its address of its own will (disable_active_migration,
	// RFC 9000, section 18.2), which would be known for the same connection's by that ID. For ConnIDs that lead a load balancer
	// nowhere or tell everybody where. A NAT that gives a client another address is followed all the same. Default false.
	Stationary bool

	// Preferred is where a server would rather be reached, one address for each IP version at the most: clients move there once
	// their handshake is done, if they can (RFC 9000, section 9.6). Listen opens a socket there, unless it is the port that it
	// listens on at every address. Default nil: nowhere else.
	Preferred []netip.AddrPort
}

// Protocol is the part of a Config that says which QUIC is spoken. Most programs leave it as it is.
type Protocol struct {
	// Versions are the versions of QUIC to speak, Version1 and Version2, the most wanted first. Dial begins with version 1 if
	// it is among them, since every server knows it, and the server changes to what is wanted more without a further round
	// trip if it can; otherwise Dial begins with the first, and tries once more when the server names another of them. A
	// server speaks those that it has in common with a client and obeys the client's preference. Default: both, version 1 by
	// preference.
	Versions []uint32

	// Datagrams lets the peer send datagrams (RFC 9221); see Conn.ReceiveDatagram. Ours need its leave alone. Default: no.
	Datagrams bool
}

// The versions of QUIC, for Config.Versions.
const (
	Version1 = wire.Version1 // RFC 9000
	Version2 = wire.Version2 // RFC 9369
)

// Resumption is the part of a Config that is about clients that come back. The zero value is good for resumption as crypto/tls has
// it, without 0-RTT.
type Resumption struct {
	// EarlyData allows 0-RTT. Default false.
	//
	// On a server: tickets allow it for an hour after their issue, once, and Accept returns a connection that uses it before the
	// handshake is done. Streams that came so report true from Early until then, what they ask for may be a replay in spite of
	// the protection (a client may itself try again elsewhere), and Conn.HandshakeDone waits it out.
	//
	// On a client whose tls.Config has a ClientSessionCache: Dial returns at once when the session of an earlier connection
	// allows it, from the first address of the host. What is written before the handshake is done goes as 0-RTT, so only what may
	// be repeated should be. When the server takes none of it the same bytes are sent once more after the handshake. Why the
	// handshake failed, if it does, Conn.HandshakeDone and all other calls tell.
	EarlyData bool
	// StrikeRegister remembers, on a server with EarlyData, which tickets were used. Default nil: a MemoryRegister of the
	// endpoint's own.
	StrikeRegister StrikeRegister
	// TicketKeys, when set, keeps the session ticket keys of a server in a store and rotates them; see TicketKeyFile. Default nil:
	// those of the tls.Config, which crypto/tls makes and which are lost with the process.
	TicketKeys *TicketKeys
}

// Windows is the part of a Config that says how much peers may send before it is read. All are in bytes.
type Windows struct {
	// StreamWindow is how many bytes the peer may send on a stream before we have read any: the window grows as the
	// reader keeps up, to MaxStreamWindow at the most. Defaults 512 KiB and 6 MiB.
	StreamWindow, MaxStreamWindow int64
	// ConnWindow and MaxConnWindow are the same for all streams of a connection together. Defaults 768 KiB and 15 MiB.
	ConnWindow, MaxConnWindow int64

	// ReceiveBudget is how many bytes the peers of all connections of an endpoint may send together before they are read,
	// besides 32 KiB that each connection has in any case, so that it goes on. When the budget gets scarce, windows shrink as
	// they are read from: those of slow readers and the largest first; new connections begin with smaller ones, and
	// without 0-RTT. What a peer was promised it keeps. Only Listen, NewEndpoint and the function Dial look at it. Default:
	// 512 MiB, or a quarter of the memory limit (GOMEMLIMIT, debug.SetMemoryLimit) when that is less; negative: no bound.
	ReceiveBudget int64
}

// QLogInfo says for which connection a qlog is wanted.
type QLogInfo struct {
	Server bool   // which side of the connection we are
	ODCID  []byte // the original destination connection ID: the name both sides know the connection by
}

// withDefaults returns a copy of c, which may be nil, in which every default is written out.
func (c *Config) withDefaults() (Config, error) {
	var out Config
	if c != nil {
		out = *c
	}
	for _, d := range []struct {
		name  string
		field *time.Duration
		value time.Duration
	}{
		{"HandshakeTimeout", &out.HandshakeTimeout, 10 * time.Second},
		{"MaxIdleTimeout", &out.MaxIdleTimeout, 30 * time.Second},
		{"KeepAlive", &out.KeepAlive, 0},
	} {
		if *d.field < 0 {
			return out, fmt.Errorf("quic: Config.%s is negative: %v", d.name, *d.field)
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if err := out.Windows.withDefaults(); err != nil {
		return out, err
	}
	if err := out.Routing.check(); err != nil {
		return out, err
	}
	if err := out.pathDefaults(); err != nil {
		return out, err
	}
	for _, f := range []*int64{&out.MaxStreams, &out.MaxUniStreams} {
		switch {
		case *f == 0:
			*f = 100
		case *f < 0:
			*f = 0
		}
	}
	for _, v := range out.Versions {
		if !wire.IsKnownVersion(v) {
			return out, fmt.Errorf("quic: Config.Versions has %#x, which is neither Version1 nor Version2", v)
		}
	}
	out.Versions = slices.Clone(out.Versions)
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	return out, nil
}

// check refuses what cannot be.
func (r *Routing) check() error {
	for i, a := range r.Preferred {
		if !a.Addr().IsValid() || a.Addr().IsUnspecified() || a.Addr().Is4In6() || a.Port() == 0 {
			return fmt.Errorf("quic: Config.Preferred is no address with a port: %v", a)
		}
		if i > 1 || i == 1 && a.Addr().Is4() == r.Preferred[0].Addr().Is4() {
			return fmt.Errorf("quic: Config.Preferred has two addresses of one IP version: %v", r.Preferred)
		}
	}
	return checkIDLen(r.ConnIDs, 0)
}

// pathDefaults writes out the defaults of what concerns the path.
func (c *Config) pathDefaults() error {
	if c.MaxDatagramSize == 0 {
		c.MaxDatagramSize = defaultMaxDatagramSize
	}
	if c.MaxDatagramSize < 1200 || c.MaxDatagramSize > maxDatagramSize {
		return fmt.Errorf("quic: Config.MaxDatagramSize is %d, not between 1200 and %d", c.MaxDatagramSize, maxDatagramSize)
	}
	if c.ECN > NoECN {
		return fmt.Errorf("quic: Config.ECN has no meaning: %d", c.ECN)
	}
	return nil
}

func (w *Windows) withDefaults() error {
	for _, d := range []struct {
		name  string
		field *int64
		value int64
	}{
		{"StreamWindow", &w.StreamWindow, 512 << 10},
		{"MaxStreamWindow", &w.MaxStreamWindow, 6 << 20},
		{"ConnWindow", &w.ConnWindow, 768 << 10},
		{"MaxConnWindow", &w.MaxConnWindow, 15 << 20},
	} {
		if *d.field < 0 {
			return fmt.Errorf("quic: Config.%s is negative: %d", d.name, *d.field)
		}
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	w.MaxStreamWindow = max(w.MaxStreamWindow, w.StreamWindow)
	w.MaxConnWindow = max(w.MaxConnWindow, w.ConnWindow)
	if w.ReceiveBudget == 0 {
		w.ReceiveBudget = defaultReceiveBudget()
	}
	return nil
}

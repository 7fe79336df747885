package engine

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/qlog"
)

// Path is the pair of addresses a datagram travels between, as this end sees them. Local may be partly unknown.
type Path struct{ Local, Remote netip.AddrPort }

// Datagram is one UDP payload and what the network said about it. Payload is decrypted in place and not kept.
type Datagram struct {
	Payload []byte
	Path    Path
	ECN     uint8 // the two ECN bits of the IP header

	came instant.Time // when it came, if it had to wait for its keys
}

// cameAt returns when a datagram came that is taken now.
func (d *Datagram) cameAt(now instant.Time) instant.Time {
	if d.came.IsNever() {
		return now
	}
	return d.came
}

// Transmit describes datagrams that Compose wrote to the front of the caller's buffer.
type Transmit struct {
	Path    Path
	ECN     uint8
	Size    int // bytes written; 0: there is nothing to send
	Segment int // size of each datagram but the last, which may be shorter (as GSO wants it)
}

// Config is what a connection is told before it starts. Zero durations, windows and counts take the defaults.
type Config struct {
	TLS  *tls.Config // the caller's, honoured as it stands
	Seed [32]byte    // of every random choice this connection makes

	HandshakeTimeout time.Duration // default 10 s
	MaxIdleTimeout   time.Duration // default 30 s; negative: none of our own
	KeepAlive        time.Duration // 0: none

	StreamWindow, MaxStreamWindow int64 // receive window of a stream: first (512 KiB) and largest (6 MiB), in bytes
	ConnWindow, MaxConnWindow     int64 // of the connection: 768 KiB and 15 MiB
	StreamConfig

	// MaxDatagramFrame is the largest DATAGRAM frame we take, in bytes (RFC 9221); default 0: none. 65535 takes any.
	MaxDatagramFrame int64

	// A server: where it would rather be reached, by clients whose IP version it is; the same connections must get what
	// arrives there. Zero: nowhere else.
	PreferredV4, PreferredV6 netip.AddrPort

	// Versions are the versions of QUIC spoken, the most wanted first: {1, 2} when there is none. A client begins with
	// version 1 if it is among them, otherwise with the first; a server obeys the client's preference.
	Versions []uint32
	After    *VersionError // a client: how the attempt that this one follows ended; it begins with After.Common

	// MaxDatagramSize is the largest UDP payload that path MTU discovery tries, in bytes; default 1452. With 1200, the least,
	// there is no discovery.
	MaxDatagramSize int
	ECN             ECN                                 // how packets are marked; default ECT(0)
	Controller      func(mss int) congestion.Controller // nil: CUBIC
	ResetKey        seal.ResetKey                       // stateless reset tokens of our connection IDs derive from it
	Tokens          *Tokens                             // a server's, for NEW_TOKEN; nil: clients are given none
	Token           []byte                              // a client's, as TakeToken returned it; nil: none
	NewTrace        func(originalID []byte) *qlog.Trace // nil: no trace
	Early           *EarlyConfig                        // nil: no 0-RTT
	IDConfig
}

// withDefaults returns c with the zero values replaced by what they stand for.
func (c Config) withDefaults() Config {
	def := func(v *int64, d int64) {
		switch {
		case *v == 0:
			*v = d
		case *v < 0:
			*v = 0
		}
	}
	def(&c.StreamWindow, defaultStreamWindow)
	def(&c.MaxStreamWindow, max(defaultMaxStreamWindow, c.StreamWindow))
	def(&c.ConnWindow, max(defaultConnWindow, c.StreamWindow+c.StreamWindow/2))
	def(&c.MaxConnWindow, max(defaultMaxConnWindow, c.ConnWindow))
	def(&c.MaxStreamsBidi, defaultMaxStreams)
	def(&c.MaxStreamsUni, defaultMaxStreams)
	c.MaxStreamWindow = max(c.MaxStreamWindow, c.StreamWindow)
	c.MaxConnWindow = max(c.MaxConnWindow, c.ConnWindow)
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = defaultHandshakeTimeout
	}
	if c.MaxIdleTimeout == 0 {
		c.MaxIdleTimeout = defaultIdleTimeout
	}
	c.MaxIdleTimeout = max(c.MaxIdleTimeout, 0)
	if c.MaxDatagramSize == 0 {
		c.MaxDatagramSize = defaultMaxDatagramSize
	}
	c.MaxDatagramSize = max(c.MaxDatagramSize, minDatagramSize)
	c.Versions = versionsOrDefault(c.Versions)
	if c.Controller == nil {
		c.Controller = func(mss int) congestion.Controller { return congestion.NewCubic(mss) }
	}
	return c
}

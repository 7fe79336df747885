package quic

import (
	"crypto/rand"
	"crypto/tls"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/wire"
)

// coreConfig says to the engine what conf says to the application, for one connection: the seed of its randomness, and
// its trace, are its own.
func (c *Conn) coreConfig(conf *Config, tlsConf *tls.Config) *engine.Config {
	// The engine reads 0 as its default and a negative count as none; conf has its defaults written out.
	count := func(n int64) int64 {
		if n == 0 {
			return -1
		}
		return n
	}
	windows := c.firstWindows(conf)
	out := &engine.Config{
		TLS:              tlsConf,
		HandshakeTimeout: conf.HandshakeTimeout,
		MaxIdleTimeout:   conf.MaxIdleTimeout,
		KeepAlive:        conf.KeepAlive,
		StreamWindow:     windows.StreamWindow,
		MaxStreamWindow:  conf.MaxStreamWindow,
		ConnWindow:       windows.ConnWindow,
		MaxConnWindow:    conf.MaxConnWindow,
		StreamConfig:     engine.StreamConfig{MaxStreamsBidi: count(conf.MaxStreams), MaxStreamsUni: count(conf.MaxUniStreams), HoldStreams: true},
		Versions:         conf.Versions,
		Controller:       conf.Congestion,
		MaxDatagramSize:  conf.MaxDatagramSize,
		ECN:              conf.ECN,
		ResetKey:         c.ep.acceptor.ResetKey,
		Tokens:           &c.ep.acceptor.Tokens,
		NewTrace:         c.newTrace(conf),
		Early:            c.earlyConfig(conf),
	}
	out.ClaimID = func(id wire.ConnID) bool { return c.ep.claimID(c, id) }
	out.OneID = conf.Stationary
	if c.ep.ids != nil {
		out.IDs = c.ep.ids
	}
	for _, a := range conf.Preferred {
		if a.Addr().Is4() {
			out.PreferredV4 = a
		} else {
			out.PreferredV6 = a
		}
	}
	if !c.ep.sock.Features().ECN {
		out.ECN = NoECN // the system would neither mark nor tell of marks
	}
	if conf.Datagrams {
		out.MaxDatagramFrame = 65535 // RFC 9221, section 3: "any DATAGRAM frame that fits inside a QUIC packet"
	}
	rand.Read(out.Seed[:])
	return out
}

// coreStats adds what the engine knows to s. mu is held.
func (c *Conn) coreStats(s *ConnStats) {
	t := c.core.Stats()
	s.Version, s.Controller = t.Version, t.Controller
	s.RTT, s.Window, s.InFlight, s.Unsent = t.RTT, t.Window, t.InFlight, t.Unsent
	s.PacketsSent, s.PacketsReceived, s.PacketsLost = t.PacketsSent, t.PacketsReceived, t.PacketsLost
	s.BytesSent, s.BytesReceived = t.BytesSent, t.BytesReceived
	s.PathChanges = t.PathChanges
	r := c.core.Receiving()
	s.Unread, s.Promised = r.Buffered, r.Promised
	s.Datagrams, s.Early = c.core.DatagramStats(), c.core.EarlyOutcome()
	s.DatagramSize, s.BlackHoles, s.ECN, s.CE = t.DatagramSize, t.BlackHoles, t.ECN, t.CE
}

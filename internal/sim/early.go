package sim

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// Early is what becomes of the 0-RTT of clients who have been to the server before.
type Early uint8

const (
	NoEarly       Early = iota // nobody has been there before
	EarlyAccepted              // the server takes it, once for each ticket
	EarlyRejected              // the server says no to every ticket
)

// Token is what clients have who come back (RFC 9000, section 8.1.3).
type Token uint8

const (
	NoToken    Token = iota // nothing
	GoodToken               // a token of the server's
	StaleToken              // a token of a server's that had other keys
)

// earlyServer is what a server of such a world has for all its connections.
type earlyServer struct {
	tls    *tls.Config
	issued uint64
	used   map[string]bool // marks that were admitted
}

// sessions is a client's session cache, which tells when there is anything in it.
type sessions struct {
	tls.ClientSessionCache
	full bool
}

// Put takes a session.
func (s *sessions) Put(key string, session *tls.ClientSessionState) {
	s.full = s.full || session != nil
	s.ClientSessionCache.Put(key, session)
}

// prepareEarly gives the server what it needs for 0-RTT.
func (w *World) prepareEarly() {
	s := &w.early
	s.tls, s.used = serverTLS(), make(map[string]bool)
	var key [32]byte
	w.rng.Read(key[:])
	s.tls.SetSessionTicketKeys([][32]byte{key})
	w.config.Client.Early = &engine.EarlyConfig{}
	w.config.Server.Early = &engine.EarlyConfig{
		Mark: func() []byte {
			s.issued++
			return binary.BigEndian.AppendUint64(nil, s.issued)
		},
		Admit: func(mark []byte) bool {
			first := !s.used[string(mark)]
			s.used[string(mark)] = true
			return first && w.config.Early == EarlyAccepted
		},
	}
}

// visit is before the world began: a connection on a perfect path, until the client has what it will come back with.
func (w *World) visit(p *pair, path engine.Path) {
	if w.config.Early != NoEarly {
		p.sessions = &sessions{ClientSessionCache: tls.NewLRUClientSessionCache(2)}
	}
	tokens := w.server.acceptor.Tokens
	if w.config.Token == StaleToken {
		tokens.Key[0]++
	}
	conf := w.config.Client
	conf.TLS, conf.Seed = w.clientTLS(p), w.randomSeed()
	if first := conf.FirstVersion(); len(w.config.Server.Versions) > 0 && !slices.Contains(w.config.Server.Versions, first) {
		conf.Versions = w.config.Server.Versions
	}
	c, err := engine.NewClient(w.now, &conf, path)
	if err != nil {
		w.fail("%s cannot visit: %w", p.name, err)
		return
	}
	acceptor := engine.Acceptor{Server: true, Versions: w.config.Server.Versions, Validation: engine.ValidateNever}
	var s *engine.Conn
	now := w.now
	for range 100 {
		for _, b := range composed(c, now, w.buf[:]) {
			d := engine.Datagram{Payload: b, Path: engine.Path{Local: path.Remote, Remote: path.Local}}
			if s == nil {
				v := acceptor.Receive(now, d, make([]byte, wire.MinInitialSize), 1)
				server := w.config.Server
				server.TLS, server.Seed, server.Tokens = w.serverTLS(), w.randomSeed(), &tokens
				if s, err = engine.NewServer(now, &server, v.Incoming); err != nil {
					w.fail("%s cannot be visited: %w", p.name, err)
					return
				}
			}
			s.Receive(now, d)
		}
		now = now.Add(time.Millisecond)
		if s != nil {
			for _, b := range composed(s, now, w.buf[:]) {
				c.Receive(now, engine.Datagram{Payload: b, Path: path})
			}
		}
		if t := c.TakeToken(); t != nil && w.config.Token != NoToken {
			p.token = t
		}
		if (p.sessions == nil || p.sessions.full) && (w.config.Token == NoToken || p.token != nil) {
			return
		}
	}
	w.fail("%s has visited and got no session, or no token", p.name)
}

// composed returns the datagrams that a connection has to send.
func composed(c *engine.Conn, now instant.Time, buf []byte) (list [][]byte) {
	for t := c.Compose(now, buf); t.Size > 0; t = c.Compose(now, buf) {
		for b := buf[:t.Size]; len(b) > 0; {
			n := min(t.Segment, len(b))
			list = append(list, bytes.Clone(b[:n]))
			b = b[n:]
		}
	}
	for _, more := c.Event(); more; _, more = c.Event() {
	}
	return list
}

// clientTLS is a client's, with its session if it has one.
func (w *World) clientTLS(p *pair) *tls.Config {
	c := clientTLS(p.name)
	if p.sessions != nil {
		c.ClientSessionCache = p.sessions
	}
	return c
}

// serverTLS is the server's.
func (w *World) serverTLS() *tls.Config {
	if w.early.tls != nil {
		return w.early.tls
	}
	return serverTLS()
}

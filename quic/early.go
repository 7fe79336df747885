package quic

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
)

// 0-RTT (RFC 9001, section 4.6) lets a client that was here before send with its first datagrams. What it sends so can be
// captured and sent again by anybody who sees it, so section 9.2 wants replay to be guarded against wherever 0-RTT is used. Here
// each ticket is good for 0-RTT once, within an hour, and whenever that cannot be told for sure the handshake goes on in one
// round trip, as if 0-RTT had not been tried.

// earlyWindow is how long after its issue a ticket allows 0-RTT. It bounds what a StrikeRegister has to remember.
const earlyWindow = time.Hour

// earlySkew is how far in the future a ticket may have been issued, by the clock of another machine.
const earlySkew = 10 * time.Second

// earlyServer is what a server decides about 0-RTT with.
type earlyServer struct {
	register StrikeRegister
	realm    [16]byte // tickets of another realm were issued for another register: nobody knows whether they were used
	now      func() time.Time
	replayed *atomic.Int64
}

func newEarlyServer(r StrikeRegister, replayed *atomic.Int64) *earlyServer {
	if r == nil {
		r = NewMemoryRegister(0)
	}
	s := &earlyServer{register: r, now: time.Now, replayed: replayed}
	if m, ok := r.(*MemoryRegister); ok {
		s.realm = m.realm
	}
	return s
}

// markSize is the size of a mark: realm, ID, and the second of issue.
const markSize = 16 + 16 + 8

// mark makes what goes into a new ticket.
func (s *earlyServer) mark() []byte {
	b := make([]byte, markSize)
	copy(b, s.realm[:])
	rand.Read(b[16:32])
	binary.BigEndian.PutUint64(b[32:], uint64(s.now().Unix()))
	return b
}

// admit says whether a ticket with this mark may be used for 0-RTT, which it may once.
func (s *earlyServer) admit(mark []byte) bool {
	if len(mark) != markSize || [16]byte(mark[:16]) != s.realm {
		return false
	}
	issued := time.Unix(int64(binary.BigEndian.Uint64(mark[32:])), 0)
	now, expires := s.now(), issued.Add(earlyWindow)
	if issued.After(now.Add(earlySkew)) || !now.Before(expires) {
		return false
	}
	if !s.register.Strike([16]byte(mark[16:32]), expires) {
		s.replayed.Add(1)
		return false
	}
	return true
}

// earlyConfig says to the engine what conf says about 0-RTT.
func (c *Conn) earlyConfig(conf *Config) *engine.EarlyConfig {
	if !conf.EarlyData {
		return nil
	}
	if c.client {
		return &engine.EarlyConfig{}
	}
	e := c.ep
	e.mu.Lock()
	defer e.mu.Unlock()
	return &engine.EarlyConfig{State: e.earlyState, Mark: e.early.mark, Admit: e.early.admit}
}

// SetEarlyState says what the application promises its clients, such as the settings of HTTP/3. 0-RTT is accepted only with
// tickets that were issued under the same state. It is for servers with Config.EarlyData; the default is empty.
func (e *Endpoint) SetEarlyState(state []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.earlyState = append([]byte(nil), state...)
}

// EarlyData reports whether the connection uses 0-RTT: on a client it is under way or was accepted, on a server it was accepted.
func (c *Conn) EarlyData() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.early
}

// HandshakeDone waits until the handshake is done. From then on nothing that arrives can be a replay, and what came before is
// known to have come from the peer that TLS names. The error is the connection's, when it ended before, or the context's.
func (c *Conn) HandshakeDone(ctx context.Context) error {
	done := ctx.Done() // not under the lock: the context of a request on this connection takes it itself
	c.mu.Lock()
	defer c.leave(nil)
	for !c.handshook && c.err == nil {
		if !c.ready.wait(&c.mu, done) && !c.handshook && c.err == nil {
			return context.Cause(ctx)
		}
	}
	if c.handshook {
		return nil
	}
	return c.err
}

// EarlyState returns, on a client that uses 0-RTT, what the application remembered by RememberEarlyState on the connection
// before; nil otherwise.
func (c *Conn) EarlyState() []byte {
	c.mu.Lock()
	defer c.leave(nil)
	if c.core == nil || c.broken || !c.early {
		return nil
	}
	return c.core.EarlyState()
}

// RememberEarlyState has a client keep state with the session, in the tls.Config's ClientSessionCache, for the next connection
// that uses 0-RTT.
func (c *Conn) RememberEarlyState(state []byte) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.core != nil && !c.broken {
		c.core.LearnEarlyState(state)
	}
}

// Early reports whether the peer opened the stream, in 0-RTT, before the handshake was done: what it asks for there may be a
// replay until Conn.HandshakeDone.
func (s *Stream) Early() bool { return s.early }

// earlyData notes that 0-RTT is on. mu is held.
func (c *Conn) earlyData() {
	c.early = true
	c.tlsState = c.core.TLS()
	c.ready.wake()
	if !c.client {
		c.ep.count.earlyAccepted.Add(1)
		c.offer()
	}
}

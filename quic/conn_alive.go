package quic

import (
	"context"
	"time"
)

// Quiet is how long ago the peer was heard last: any datagram of the connection counts. A client that waits for something asks
// for a sign of life after a second without one, so that more than some round trips beyond that mean that the path, or the peer, is gone.
func (c *Conn) Quiet() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Sub(c.heardAt)
}

// Probe asks the peer for a sign of life (PING), and returns when something was heard of it, with nil; otherwise with the error
// that ended the connection, or the context's. It is for a connection that nothing happened on for a while, before something
// is entrusted to it that could be sent another way. Before the handshake is confirmed nothing is asked: what comes next counts.
func (c *Conn) Probe(ctx context.Context) (err error) {
	done := ctx.Done() // not under the lock: see HandshakeDone
	c.mu.Lock()
	defer c.leave(&err)
	if c.err != nil {
		return c.err
	}
	if c.core == nil || c.broken {
		return ErrClosed
	}
	now := c.now()
	asked := now
	c.core.Ping(now)
	c.flush(now, false)
	for c.heardAt <= asked && c.err == nil {
		if !c.hearing.wait(&c.mu, done) && c.heardAt <= asked && c.err == nil {
			return context.Cause(ctx)
		}
	}
	if c.heardAt > asked {
		return nil
	}
	return c.err
}

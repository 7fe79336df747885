package quic

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

// leave is deferred by everything that took mu to call the core, and releases it. It is the connection's recover
// boundary: a panic below it, which is a bug of ours, ends this one connection and nothing else. err, which may be nil,
// is where the caller's error goes.
func (c *Conn) leave(err *error) {
	if r := recover(); r != nil {
		stack := debug.Stack()
		c.report = []any{"panic", fmt.Sprint(r), "remote", c.path.Remote.String(), "stack", string(stack)}
		c.breakDown()
		if err != nil {
			*err = c.err
		}
	}
	report := c.report
	c.report = nil
	c.mu.Unlock()
	if report != nil {
		c.ep.conf.Logger.Error("quic: a connection panicked and was closed", report...)
	}
	if c.trace != nil {
		c.trace.drain(c)
	}
}

// blame counts and reports a connection that ends because a callback of its tls.Config panicked. crypto/tls runs those in a
// goroutine of its own, so that nothing reaches leave but the error that package handshake made of it. mu is held.
func (c *Conn) blame(err error) {
	if p, ok := errors.AsType[*handshake.PanicError](err); ok {
		c.ep.count.panicked.Add(1)
		c.report = []any{"panic", p.Error(), "remote", c.path.Remote.String(), "stack", string(p.Stack)}
	}
}

// judge asks the acceptor about a datagram of a stranger. A panic there, in a ConnIDGenerator for one, costs this datagram. Who
// sends it chooses how often that happens: each is counted, and the first is logged.
func (e *Endpoint) judge(now instant.Time, d engine.Datagram, reply []byte) (v engine.Verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = engine.Verdict{Kind: engine.Drop, Reason: string(dropPanicked)}
			if !e.accused {
				e.accused = true
				e.conf.Logger.Error("quic: what judges datagrams of strangers panicked", "panic", fmt.Sprint(r),
					"remote", d.Path.Remote.String(), "stack", string(debug.Stack()))
			}
		}
	}()
	return e.acceptor.Receive(now, d, reply, rand.Uint64())
}

// breakDown ends a connection whose core cannot be trusted any more. The peer is not told: that would take the core.
func (c *Conn) breakDown() {
	c.broken, c.sending = true, false
	if c.core != nil {
		func() {
			defer func() { _ = recover() }() // of a core that is broken anything can be
			c.core.Abandon()
		}()
	}
	c.ep.count.panicked.Add(1)
	c.end(&engine.TransportError{Code: wire.InternalError, Reason: "a bug in this endpoint; its log has the stack"})
	c.forget()
}

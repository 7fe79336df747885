package quic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/udp"
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
		c.ep.say(slog.LevelError, "quic: a connection panicked and was closed", report...)
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
			e.accuse("quic: what judges datagrams of strangers panicked", r, d.Path.Remote)
		}
	}()
	return e.acceptor.Receive(now, d, reply, rand.Uint64())
}

// accuse logs the first panic that no connection is to blame for. The reader calls it, holding batch.
func (e *Endpoint) accuse(what string, r any, remote netip.AddrPort) {
	if !e.accused {
		e.accused = true
		e.say(slog.LevelError, what, "panic", fmt.Sprint(r), "remote", remote.String(), "stack", string(debug.Stack()))
	}
}

// take is the reader's recover boundary. A panic outside of connections, in what finds them for one, costs the rest of the batch:
// what was in it is lost, as if the network had lost it.
func (e *Endpoint) take(in *intake, msgs []udp.Message) {
	now := clock()
	e.batch.Lock()
	defer e.batch.Unlock()
	defer func() {
		if r := recover(); r != nil {
			e.count.drop(dropPanicked)
			e.accuse("quic: a batch of datagrams panicked", r, msgs[0].Remote)
			for _, c := range in.holds {
				c.settle(now)
			}
			for _, c := range in.touched {
				c.touched = false
			}
			*in = intake{sock: in.sock}
		}
	}()
	e.receive(now, in, msgs)
}

// say writes a line to the application's log. A log that panics has one line less.
func (e *Endpoint) say(level slog.Level, msg string, args ...any) {
	defer func() { _ = recover() }()
	e.conf.Logger.Log(context.Background(), level, msg, args...)
}

// call calls something of the application's outside of any connection, and turns a panic into an error that has the stack.
func call(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{r, debug.Stack()}
		}
	}()
	return f()
}

type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panicked: %v", e.value) }

// Panicked tells that what an application runs for the connection has panicked, with r, which recover has returned: it is counted in
// EndpointStats.Panicked and logged with the stack of the caller, as a panic below is. Whether the connection goes on is the
// caller's business. Call it where recover was called.
func (c *Conn) Panicked(r any) {
	c.ep.count.panicked.Add(1)
	c.ep.say(slog.LevelError, "quic: what runs on a connection panicked", "panic", fmt.Sprint(r), "remote", c.remote().String(),
		"stack", string(debug.Stack()))
}

// Contain is deferred by what runs for a connection in a goroutine of its own: a panic ends the connection, with code, and is counted
// and logged as Panicked does it. All others go on.
func (c *Conn) Contain(code uint64) {
	if r := recover(); r != nil {
		c.Panicked(r)
		c.CloseWithError(code, "a bug in this endpoint; its log has the stack")
	}
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

package quic

import (
	"fmt"
	"runtime/debug"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/wire"
)

// leave is deferred by everything that took mu to call the core, and releases it. It is the connection's recover
// boundary: a panic below it, which is a bug of ours, ends this one connection and nothing else. err, which may be nil,
// is where the caller's error goes.
func (c *Conn) leave(err *error) {
	var report []any
	if r := recover(); r != nil {
		stack := debug.Stack()
		report = []any{"panic", fmt.Sprint(r), "remote", c.path.Remote.String(), "stack", string(stack)}
		c.breakDown()
		if err != nil {
			*err = c.err
		}
	}
	c.mu.Unlock()
	if report != nil {
		c.ep.conf.Logger.Error("quic: a connection panicked and was closed", report...)
	}
	if c.trace != nil {
		c.trace.drain(c)
	}
}

// breakDown ends a connection whose core cannot be trusted any more. The peer is not told: that would take the core.
func (c *Conn) breakDown() {
	c.broken, c.sending = true, false
	c.ep.count.panicked.Add(1)
	c.end(&engine.TransportError{Code: wire.InternalError, Reason: "a bug in this endpoint; its log has the stack"})
	c.forget()
}

package http3

import (
	"context"
	"sync"
	"time"
)

// requestContext is the context of one request on the server. It ends when the
// peer stops or resets the stream, when the connection ends, and when the
// handler returns. Most handlers never look at it, so that the machinery
// is made when it is first asked for.
type requestContext struct {
	conn   context.Context // of the connection: the parent
	stream stream          // whose context ends ours

	mu     sync.Mutex
	made   context.Context
	cancel context.CancelCauseFunc
	stop   [2]func() bool
	over   bool
}

func (c *requestContext) Deadline() (time.Time, bool) { return c.conn.Deadline() }
func (c *requestContext) Done() <-chan struct{}       { return c.context().Done() }
func (c *requestContext) Err() error                  { return c.context().Err() }

// Value must reach the context that was made: package context looks there for
// the parent of a derived context, and would start a goroutine otherwise.
func (c *requestContext) Value(key any) any {
	c.mu.Lock()
	made := c.made
	c.mu.Unlock()
	if made == nil {
		made = c.conn
	}
	return made.Value(key)
}

func (c *requestContext) context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		// Not a child of c.conn, whose cause would be package quic's.
		made, cancel := context.WithCancelCause(context.WithoutCancel(c.conn))
		c.made, c.cancel = made, cancel
		if c.over {
			cancel(context.Canceled)
			return made
		}
		for i, from := range [...]context.Context{c.stream.Context(), c.conn} {
			c.stop[i] = context.AfterFunc(from, func() { cancel(publicError(context.Cause(from))) })
		}
	}
	return c.made
}

// end ends the context because the handler returned.
func (c *requestContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel(context.Canceled)
	}
	for _, stop := range c.stop {
		if stop != nil {
			stop()
		}
	}
}

package quic

import (
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/godwit-net/godwit/qlog"
)

// traceFile carries a connection's qlog from the core, which writes it under the connection's lock, to the writer that
// the application gave, which is never called under it.
type traceFile struct {
	events *qlog.Trace // under the connection's mu

	mu sync.Mutex // taken before the connection's mu: one goroutine at a time writes, in order
	w  io.WriteCloser
}

// newTrace returns what asks the application for a writer, which the core does when it knows the connection's name.
func (c *Conn) newTrace(conf *Config) func(odcid []byte) *qlog.Trace {
	if conf.QLog == nil {
		return nil
	}
	return func(odcid []byte) *qlog.Trace {
		odcid = append([]byte(nil), odcid...)
		w := conf.QLog(QLogInfo{Server: !c.client, ODCID: odcid})
		if w == nil {
			return nil
		}
		events := qlog.New(qlog.Config{Server: !c.client, ODCID: odcid, Reference: epoch})
		c.trace = &traceFile{events: events, w: w}
		return events
	}
}

// drain writes out what was recorded, and closes the writer when the connection is gone. It is called without a lock.
func (t *traceFile) drain(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w == nil {
		return
	}
	c.mu.Lock()
	records, last := t.events.Take(), c.gone
	c.mu.Unlock()
	w, failed := t.w, false
	if len(records) > 0 {
		failed = !c.callWriter(func() error { _, err := w.Write(records); return err })
	}
	if !failed && !last {
		return
	}
	t.w = nil
	c.callWriter(func() error {
		if err := w.Close(); last && !failed {
			return err
		}
		return nil // the writer has failed already
	})
}

// callWriter calls the writer of a qlog. One that fails, or panics, costs the qlog and not the connection: false.
func (c *Conn) callWriter(f func() error) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			c.ep.say(slog.LevelError, "quic: a qlog's writer panicked, and the qlog ends here", "panic", fmt.Sprint(r),
				"remote", c.remote().String(), "stack", string(debug.Stack()))
			c.ep.count.qlogsFailed.Add(1)
			ok = false
		}
	}()
	if err := f(); err != nil {
		c.ep.say(slog.LevelWarn, "quic: a qlog cannot be written and ends here", "error", err)
		c.ep.count.qlogsFailed.Add(1)
		return false
	}
	return true
}

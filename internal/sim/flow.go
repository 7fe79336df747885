package sim

import (
	"errors"
	"fmt"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
)

// flow is a Flow under way.
type flow struct {
	Flow
	pair   *pair
	id     int64
	opened bool
	ranked [2]bool // an end has said which streams go first
	ways   [2]way  // the request, and the response
}

// way is one direction of a stream, seen by both its ends.
type way struct {
	content content
	total   int64
	written int64
	read    int64

	promised int64 // bytes that are delivered whatever the writer does then

	finished bool // the writer wrote all of it and the FIN
	reset    bool // the writer abandoned it
	stopped  bool // the reader refused the rest
	ended    bool // the reader has seen its end

	resume instant.Time // when the reader turns to it again
}

const (
	request = iota
	response
)

const (
	resetCode = 0x52 // of streams that are abandoned
	stopCode  = 0x53 // of streams that are refused
	closeCode = 0x43 // of connections whose work is done
)

// opener returns which end of the connection opens the stream.
func (f *flow) opener() int {
	if f.FromServer {
		return server
	}
	return client
}

// done reports whether both ways have come to their end.
func (f *flow) done() bool { return f.ways[request].ended && (f.Uni || f.ways[response].ended) }

// run does what an end of the connection can do on the stream now.
func (f *flow) run(c *conn) {
	if !f.ranked[c.end()] {
		f.ranked[c.end()] = true
		c.SetPriority(f.id, f.Urgency, f.Incremental)
	}
	if c.end() == f.opener() {
		f.write(c, request)
		if !f.Uni {
			f.receive(c, response)
		}
		return
	}
	f.receive(c, request)
	if !f.Uni && (f.Eager || f.ways[request].ended) {
		f.write(c, response)
	}
}

// write writes until there is no room or no more to write.
func (f *flow) write(c *conn, direction int) {
	w := &f.ways[direction]
	var b [4096]byte
	for !w.finished && !w.reset {
		limit := w.total
		if direction == request && f.ResetAfter > 0 {
			limit = min(limit, f.ResetAfter)
			if w.written < f.Promise {
				limit = min(limit, f.Promise)
			}
		}
		n := int(min(limit-w.written, int64(len(b))))
		w.content.fill(b[:n], w.written)
		sent, err := c.Write(c.host.now, f.id, b[:n])
		w.written += int64(sent)
		if err == nil && direction == request && w.written == f.Promise {
			c.SetBoundary(f.id)
			w.promised = f.Promise
		}
		switch {
		case err != nil:
			f.writeFailed(c, w, err)
			return
		case sent < n:
			c.touched = true
			return // EventWritable will tell
		case w.written == w.total:
			if err := c.Finish(c.host.now, f.id); err != nil {
				c.host.fail("%s cannot finish stream %d: %w", c.host.name, f.id, err)
			}
			w.finished = true
		case w.written == limit && direction == request && limit == f.ResetAfter:
			c.Reset(c.host.now, f.id, resetCode)
			w.reset = true
		}
		c.touched = true
	}
}

// writeFailed judges an error of Write: only a reader that refused the rest may cause one.
func (f *flow) writeFailed(c *conn, w *way, err error) {
	var e *engine.StreamError
	if c.Err() != nil {
		return // the end of the connection is judged elsewhere
	}
	refused := errors.As(err, &e) && e.Code == stopCode && e.Remote || errors.Is(err, engine.ErrUnknownStream) // and forgotten
	if !w.stopped || !refused {
		c.host.fail("%s cannot write to stream %d: %w", c.host.name, f.id, err)
	}
	w.reset = true
}

// receive reads all there is.
func (f *flow) receive(c *conn, direction int) {
	w := &f.ways[direction]
	var b [4096]byte
	for !w.ended {
		if w.resume > c.host.now {
			return // an alarm is set
		}
		n, fin, err := c.Read(c.host.now, f.id, b[:])
		if err != nil {
			f.readFailed(c, w, err)
			return
		}
		f.compare(c, w, b[:n])
		switch {
		case fin:
			f.end(c, w)
		case direction == request && f.StopAfter > 0 && w.read >= f.StopAfter:
			c.Stop(c.host.now, f.id, stopCode)
			w.stopped, w.ended = true, true
		case n == 0:
			return // EventReadable will tell
		case f.Pause > 0:
			w.resume = c.host.now.Add(f.Pause)
			c.host.after(f.Pause, func() { c.again(f) })
		}
		c.touched = true
	}
}

// again turns to a stream once more, if its connection is not over.
func (c *conn) again(f *flow) {
	if !c.gone && c.Err() == nil && !c.pair.closed {
		c.runFlow(f.id)
	}
}

// giveUp abandons what is left of a stream that this end opened.
func (f *flow) giveUp(c *conn) {
	if f.done() || c.gone || c.Err() != nil || c.pair.closed {
		return
	}
	if w := &f.ways[request]; !w.ended {
		w.reset = true
		c.Reset(c.host.now, f.id, resetCode)
	}
	if w := &f.ways[response]; !f.Uni && !w.ended {
		w.stopped, w.ended = true, true
		c.Stop(c.host.now, f.id, stopCode)
	}
	c.touched = true
	if f.done() {
		c.pair.next()
	}
}

// compare holds bytes read against those written.
func (f *flow) compare(c *conn, w *way, b []byte) {
	if n := w.content.match(b, w.read); n < len(b) {
		c.host.fail("%s read a wrong byte on stream %d at offset %d", c.host.name, f.id, w.read+int64(n))
	}
	if len(b) > 0 {
		f.pair.progress(c.host.now)
	}
	w.read += int64(len(b))
	if w.read > w.written {
		c.host.fail("%s read %d bytes on stream %d, but only %d were written", c.host.name, w.read, f.id, w.written)
	}
}

// end judges the end of a stream.
func (f *flow) end(c *conn, w *way) {
	if w.read != w.total || !w.finished {
		c.host.fail("%s saw the end of stream %d after %d bytes of %d, %d were written", c.host.name, f.id, w.read, w.total, w.written)
	}
	f.pair.progress(c.host.now)
	w.ended = true
}

// readFailed judges an error of Read: only a writer that abandoned the stream may cause one.
func (f *flow) readFailed(c *conn, w *way, err error) {
	if c.Err() != nil {
		return
	}
	var e *engine.StreamError
	if !w.reset || !errors.As(err, &e) || e.Code != resetCode || !e.Remote {
		c.host.fail("%s cannot read stream %d: %w", c.host.name, f.id, err)
	}
	if w.read < w.promised {
		c.host.fail("%s read %d bytes on stream %d before its reset, and %d were promised", c.host.name, w.read, f.id, w.promised)
	}
	w.ended = true
	f.pair.progress(c.host.now)
	c.touched = true
}

func (f *flow) String() string {
	if !f.opened {
		return "a stream that was not opened"
	}
	s := fmt.Sprintf("stream %d: request %s", f.id, &f.ways[request])
	if !f.Uni {
		s += fmt.Sprintf(", response %s", &f.ways[response])
	}
	return s
}

func (w *way) String() string {
	s := fmt.Sprintf("%d/%d/%d", w.read, w.written, w.total)
	for _, x := range [...]struct {
		is   bool
		name string
	}{{w.finished, "finished"}, {w.reset, "reset"}, {w.stopped, "stopped"}, {w.ended, "ended"}} {
		if x.is {
			s += " " + x.name
		}
	}
	return s
}

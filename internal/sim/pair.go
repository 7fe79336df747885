package sim

import (
	"fmt"
	"strings"

	"github.com/godwit-net/godwit/internal/engine"
)

// The ends of a connection.
const (
	client = iota
	server
)

// pair is a connection as the world sees it: both ends, and their work.
type pair struct {
	name   string
	ends   [2]*conn // the server's is nil until its handshake is done
	flows  []*flow  // in the order they are to be opened
	byID   map[int64]*flow
	closed bool // the work is done, and the client has closed

	speeches [2]speech
	sessions *sessions // nil: there is no 0-RTT
}

func newPair(w *World, i int) *pair {
	p := &pair{name: fmt.Sprintf("client-%d.sim", i), byID: make(map[int64]*flow)}
	for _, spec := range w.config.Work.Flows {
		f := &flow{Flow: spec, pair: p}
		f.ways[request] = way{content: content(w.rng.Uint64()), total: spec.Request}
		f.ways[response] = way{content: content(w.rng.Uint64()), total: spec.Response}
		p.flows = append(p.flows, f)
	}
	if w.config.Work.Datagrams > 0 {
		for end := range p.speeches {
			p.speeches[end].content = content(w.rng.Uint64())
		}
	}
	return p
}

// happened hands an event of a connection to its application.
func (h *host) happened(c *conn, e engine.Event) {
	switch e.Kind {
	case engine.EventHandshakeDone, engine.EventEarlyData:
		h.handshaken(c)
	case engine.EventEarlyRejected:
	case engine.EventDatagramReady:
		c.hear()
	case engine.EventHandshakeConfirmed:
		if c == h.pairs[0].ends[client] {
			h.rebind()
		}
	case engine.EventStreamsAvailable:
		c.openFlows()
	case engine.EventStreamOpened, engine.EventReadable, engine.EventWritable, engine.EventStreamStopped, engine.EventStreamReset:
		c.runFlow(e.Stream)
	case engine.EventClosed:
		c.checkClose()
	}
}

// handshaken finds out whose connection a server's is, and begins the work. With 0-RTT that is before the handshake is done.
func (h *host) handshaken(c *conn) {
	state := c.TLS()
	if c.HandshakeDone() && state.NegotiatedProtocol != protocol {
		h.fail("%s negotiated %q", h.name, state.NegotiatedProtocol)
	}
	if c.server && c.pair == nil {
		for _, p := range h.pairs {
			if p.name == state.ServerName {
				c.pair = p
			}
		}
		switch {
		case c.pair == nil:
			h.fail("a client called %q connected", state.ServerName)
			return
		case c.pair.ends[server] != nil:
			h.fail("%s completed a second handshake", c.pair.name)
			return
		}
		c.pair.ends[server] = c
	}
	c.openFlows()
	c.speak(h.config.Work.Datagrams)
}

// openFlows opens the streams that this end is to open, as far as order and the peer allow.
func (c *conn) openFlows() {
	if c.pair == nil || c.pair.closed {
		return
	}
	var full [2]bool // by kind of stream: one that is exhausted does not hold up the other
	for i, f := range c.pair.flows {
		if c.host.config.Work.Sequential && i > 0 && !c.pair.flows[i-1].done() {
			return
		}
		kind := 0
		if f.Uni {
			kind = 1
		}
		if f.opened || f.opener() != c.end() || full[kind] {
			continue
		}
		c.touched = true
		id, ok := c.Open(c.host.now, f.Uni)
		if !ok {
			full[kind] = true // EventStreamsAvailable will tell
			continue
		}
		if c.pair.byID[id] != nil {
			c.host.fail("stream %d was opened twice", id)
			return
		}
		f.id, f.opened = id, true
		c.pair.byID[id] = f
		f.run(c)
	}
}

// runFlow does what can be done on a stream now.
func (c *conn) runFlow(id int64) {
	if c.pair == nil || c.pair.byID[id] == nil {
		c.host.fail("%s was told of stream %d, which nobody opened", c.host.name, id)
		return
	}
	f := c.pair.byID[id]
	if f.done() {
		return
	}
	f.run(c)
	if f.done() && c.host.config.Work.Sequential {
		for _, e := range c.pair.ends {
			if e != nil {
				e.openFlows()
			}
		}
	}
}

// finishPairs closes the connections whose work is done.
func (w *World) finishPairs() {
	for i, p := range w.pairs {
		if p.closed || !p.done() {
			continue
		}
		p.closed = true
		w.result.Work = w.now.Sub(epoch)
		p.count(w.server)
		if i == 0 {
			w.result.Early = [2]string{p.ends[client].EarlyOutcome(), p.ends[server].EarlyOutcome()}
			w.result.Client, w.result.Server = p.ends[client].Stats(), p.ends[server].Stats()
		}
		p.ends[client].Close(w.now, closeCode, "done")
		p.ends[client].touched = true
	}
}

// done reports whether the handshake is complete at both ends and all flows are done.
func (p *pair) done() bool {
	if p.ends[server] == nil || !p.ends[client].HandshakeDone() || !p.ends[server].HandshakeDone() {
		return false
	}
	for _, f := range p.flows {
		if !f.done() {
			return false
		}
	}
	return true
}

// unfinished describes what the pair still has to do.
func (p *pair) unfinished() string {
	var s []string
	if p.ends[server] == nil {
		s = append(s, "no handshake")
	}
	for _, f := range p.flows {
		if !f.done() {
			s = append(s, f.String())
		}
	}
	const enough = 5
	if n := len(s); n > enough {
		s = append(s[:enough], fmt.Sprintf("and %d more", n-enough))
	}
	return fmt.Sprintf("%s has work left (read/written/total): %s", p.name, strings.Join(s, "; "))
}

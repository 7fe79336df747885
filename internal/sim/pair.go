package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
)

// The ends of a connection.
const (
	client = iota
	server
)

// pair is a connection as the world sees it: both ends, and their work.
type pair struct {
	name  string
	ends  [2]*conn // the server's is nil until its handshake is done
	flows []*flow  // in the order they are to be opened
	byID  map[int64]*flow
	index int // of the client

	confirmed bool // its handshake is, for the client
	closed    bool // the connection is over: the work is done, or
	by        int  // this end has ended it, or
	failed    bool // it has failed, which it may, or
	vanished  bool // the end that ended it has forgotten it without a word

	rebound, moved int           // times that the client got another address, and moved
	token          []byte        // to dial with
	dialled        int           // times that it had to dial again
	at             instant.Time  // of its last progress
	patience       time.Duration // how long there may be none; 0: for ever
	idle           int           // datagrams sent since

	speeches [2]speech
	sessions *sessions // nil: there is no 0-RTT
}

func newPair(w *World, i int) *pair {
	p := &pair{name: fmt.Sprintf("client-%d.sim", i), index: i}
	for _, spec := range w.config.Work.Flows {
		p.flows = append(p.flows, &flow{Flow: spec, pair: p, ways: [2]way{{content: content(w.random())}, {content: content(w.random())}}})
	}
	if w.config.Work.Datagrams > 0 {
		for end := range p.speeches {
			p.speeches[end].content = content(w.rng.Uint64())
		}
	}
	p.begin()
	return p
}

// begin makes nothing done.
func (p *pair) begin() {
	p.byID = make(map[int64]*flow)
	for _, f := range p.flows {
		f.opened, f.ranked = false, [2]bool{}
		f.ways[request] = way{content: f.ways[request].content, total: f.Request}
		f.ways[response] = way{content: f.ways[response].content, total: f.Response}
	}
	for end := range p.speeches {
		p.speeches[end] = speech{content: p.speeches[end].content}
	}
}

// forget makes what the server has read and written nothing: its connection, of which the client has heard nothing, has failed,
// and the client's first flight, with 0-RTT, was enough for another.
func (p *pair) forget() {
	for _, f := range p.flows {
		in, out := &f.ways[request], &f.ways[response]
		f.ranked[server] = false
		if f.FromServer {
			in, out = out, in
			if f.opened {
				delete(p.byID, f.id)
				f.opened = false
			}
		}
		in.read, in.ended, in.stopped = 0, false, false
		*out = way{content: out.content, total: out.total}
	}
	p.speeches[server] = speech{content: p.speeches[server].content}
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
		if c.pair.progress(h.now); !c.server {
			h.confirmed(c.pair)
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
		case c.pair.ends[server] == nil:
		case c.pair.ends[server].Err() == nil && c.pair.dialled == 0:
			h.fail("%s completed a second handshake", c.pair.name)
			return
		default:
			c.pair.forget()
		}
		c.pair.ends[server] = c
	}
	c.pair.progress(h.now)
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
		if f.GiveUp > 0 {
			c.host.after(f.GiveUp, func() { f.giveUp(c) })
		}
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
	if f.done() {
		c.pair.next()
	}
}

// next begins what was to wait for a flow that is done.
func (p *pair) next() {
	for _, e := range p.ends {
		if e != nil && e.host.config.Work.Sequential {
			e.openFlows()
		}
	}
}

// finishPairs closes the connections whose work is done.
func (w *World) finishPairs() {
	for i, p := range w.pairs {
		if p.closed || !p.done() {
			continue
		}
		w.result.Work = w.now.Sub(epoch)
		p.count(w.server)
		if i == 0 {
			w.result.Early = [2]string{p.ends[client].EarlyOutcome(), p.ends[server].EarlyOutcome()}
			w.result.Client, w.result.Server = p.ends[client].Stats(), p.ends[server].Stats()
		}
		p.hangUp(p.ends[client])
	}
}

// hangUp has an end close the connection.
func (p *pair) hangUp(c *conn) {
	p.closed, p.by = true, c.end()
	c.Close(c.host.now, closeCode, "done")
	c.touched = true
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

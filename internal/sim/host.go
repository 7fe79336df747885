package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// host is a socket and the connections behind it: what the shell is in the real world.
type host struct {
	*World
	name     string
	addrs    []netip.AddrPort
	acceptor engine.Acceptor
	demux    engine.Demux[*conn]
	conns    []*conn
	index    int   // of a client
	budget   int64 // Config.Budget
}

// conn is a connection of the engine and what the world knows of it.
type conn struct {
	*engine.Conn
	host    *host
	server  bool
	pair    *pair // nil: a server's connection that has not proved whose it is
	due     instant.Time
	touched bool
	gone    bool // drained and forgotten
	audit   audit
	log     []byte        // its trace so far
	ids     []wire.ConnID // that lead here, or did
	tokens  [][16]byte
}

// end returns which end of its connection this is.
func (c *conn) end() int {
	if c.server {
		return server
	}
	return client
}

func (w *World) addHost(name string, ids engine.IDGenerator, addrs ...netip.AddrPort) *host {
	h := &host{World: w, name: name, addrs: addrs}
	h.acceptor.IDs, h.demux.IDs = ids, ids
	h.acceptor.ResetKey, h.acceptor.Tokens.Key = w.randomSeed(), w.randomSeed()
	h.acceptor.Validation = w.config.Validation
	w.hosts = append(w.hosts, h)
	return h
}

// dial starts the connection of a client; after is why its last attempt failed.
func (h *host) dial(p *pair, after *engine.VersionError) {
	c := h.config.Client
	c.TLS, c.Token, c.After = h.clientTLS(p), p.token, after
	c.ClaimID, c.ConnWindow = h.claim, h.firstWindow(&c)
	p.token = nil
	c.Seed, c.ResetKey = h.randomSeed(), h.acceptor.ResetKey
	c.NewTrace = h.traceMaker(false)
	ec, err := engine.NewClient(h.now, &c, engine.Path{Local: h.addrs[0], Remote: serverAddr})
	if err != nil {
		h.fail("%s cannot start: %w", h.name, err)
		return
	}
	p.ends[client] = h.add(&conn{Conn: ec, pair: p})
}

// accept starts a server's connection.
func (h *host) accept(in engine.Incoming) *conn {
	c := h.config.Server
	c.TLS = h.serverTLS()
	c.ClaimID, c.ConnWindow = h.claim, h.firstWindow(&c)
	c.Seed, c.ResetKey, c.Tokens = h.randomSeed(), h.acceptor.ResetKey, &h.acceptor.Tokens
	c.NewTrace = h.traceMaker(true)
	ec, err := engine.NewServer(h.now, &c, in)
	if err != nil {
		h.fail("%s cannot accept: %w", h.name, err)
		return nil
	}
	return h.add(&conn{Conn: ec, server: true, audit: newAudit(in)})
}

func (h *host) add(c *conn) *conn {
	c.host = h
	c.touched = true
	h.conns = append(h.conns, c)
	h.settle(c)
	return c
}

// claim reports whether a connection ID leads nowhere yet, or is the empty one of a connection that is over.
func (h *host) claim(id wire.ConnID) bool {
	other, taken := h.demux.Holder(id)
	return !taken || id.Len() == 0 && other.Closed()
}

// remove ends that an ID leads to a connection.
func (h *host) remove(id wire.ConnID, c *conn) {
	if other, ok := h.demux.Holder(id); ok && other == c {
		h.demux.Remove(id)
	}
}

// settle takes a connection's events.
func (h *host) settle(c *conn) (any bool) {
	for {
		e, ok := c.Event()
		if !ok {
			return any
		}
		any = true
		switch e.Kind {
		case engine.EventIDIssued:
			h.demux.Add(e.ID, c)
			c.ids = append(c.ids, e.ID)
		case engine.EventIDRetired:
			h.remove(e.ID, c)
		case engine.EventTokenAdded:
			h.demux.AddToken(e.Token, c)
			c.tokens = append(c.tokens, e.Token)
		case engine.EventTokenRemoved:
			h.demux.RemoveToken(e.Token)
		case engine.EventDrained:
			c.gone = true
		default:
			h.happened(c, e)
		}
	}
}

// receive finds out whom a datagram is for.
func (h *host) receive(p simnet.Packet) {
	d := engine.Datagram{Payload: p.Payload, Path: engine.Path{Local: p.To, Remote: p.From}, ECN: p.ECN}
	c, ok := h.demux.Find(p.Payload)
	if !ok {
		if c, ok = h.demux.FindReset(p.Payload); ok {
			c.ResetByPeer(h.now)
			c.touched = true
			return
		}
		if c = h.judge(d); c == nil {
			return
		}
	}
	c.audit.receive(p, h.reached)
	c.Receive(h.now, d)
	c.touched = true
}

// judge asks the acceptor about a datagram that belongs to no connection; nil: it begins none.
func (h *host) judge(d engine.Datagram) *conn {
	var reply [wire.MinInitialSize]byte
	switch v := h.acceptor.Receive(h.now, d, reply[:], h.rng.Uint64()); v.Kind {
	case engine.Accept:
		return h.accept(v.Incoming)
	case engine.Reply:
		if v.Size >= 3*len(d.Payload) {
			h.fail("%s answers a stranger's %d bytes with %d", h.name, len(d.Payload), v.Size)
		}
		if v.Reason == engine.AnswerRetry {
			h.result.Retries++
		}
		h.net.Send(h.now, simnet.Packet{From: d.Path.Local, To: d.Path.Remote, Payload: reply[:v.Size]})
	}
	return nil
}

// deadline returns when the host wants to be woken next.
func (h *host) deadline() (t instant.Time) {
	for _, c := range h.conns {
		t = instant.Earliest(t, c.due)
	}
	return t
}

// expire runs what is due.
func (h *host) expire() {
	for _, c := range h.conns {
		if c.due.Reached(h.now) {
			c.Expire(h.now)
			c.touched = true
		}
	}
}

// drain takes the outputs of every connection that had an input, until they are exhausted; false: there was none.
func (h *host) drain() (any bool) {
	live := h.conns[:0]
	for _, c := range h.conns {
		for c.touched && h.err == nil {
			c.touched, any = false, true
			if c.gone {
				break
			}
			for h.balance(c); h.compose(c) || h.settle(c); h.balance(c) {
			}
			c.due = h.lateBy(c.Deadline())
			c.log = append(c.log, c.Trace().Take()...)
		}
		if !c.gone {
			live = append(live, c)
		} else {
			h.keepTrace(c)
		}
	}
	clear(h.conns[len(live):])
	h.conns = live
	return any
}

// lateBy is when a timer that is set to t fires.
func (h *host) lateBy(t instant.Time) instant.Time {
	if t.IsNever() || h.config.TimerDelay == 0 {
		return t
	}
	return max(t, h.now).Add(time.Duration(h.rng.Uint64() % uint64(h.config.TimerDelay+1)))
}

// compose sends what one Compose writes.
func (h *host) compose(c *conn) bool {
	before := c.Stats()
	t := c.Compose(h.now, h.buf[:])
	if t.Size == 0 {
		return false
	}
	h.check(c, before, t)
	for b := h.buf[:t.Size]; len(b) > 0; {
		n := min(t.Segment, len(b))
		p := simnet.Packet{From: t.Path.Local, To: t.Path.Remote, Payload: b[:n], ECN: t.ECN}
		h.net.Send(h.now, p)
		h.spoofed(p)
		b = b[n:]
	}
	return true
}

// traceMaker returns what makes a connection's trace, nil if the world is not traced.
func (h *host) traceMaker(server bool) func([]byte) *qlog.Trace {
	if !h.config.Trace {
		return nil
	}
	return func(id []byte) *qlog.Trace {
		return qlog.New(qlog.Config{Server: server, ODCID: id, Title: fmt.Sprintf("seed %d", h.config.Seed)})
	}
}

// keepTrace puts a connection's trace into the result.
func (h *host) keepTrace(c *conn) {
	if len(c.log) > 0 {
		name := fmt.Sprintf("%02d-%s.sqlog", len(h.result.Traces), h.name)
		h.result.Traces = append(h.result.Traces, Trace{Name: name, Data: c.log})
	}
}

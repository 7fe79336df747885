package http3

import (
	"net/http"
	"strings"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// What is here steers the order in which responses are sent (RFC 9218). Each
// signal is obeyed as it comes, but that the header of a request does not
// overrule a PRIORITY_UPDATE frame: "for the purposes of scheduling, the most
// recently received PRIORITY_UPDATE frame can be considered as the most
// up-to-date information that overrides any other signal" (section 7). What the
// handler says in a Priority header field is merged with what the client
// has said by then (section 8).

// putFirst has what the connection itself has to say go before messages, and
// take turns with the most urgent of those.
func (c *conn) putFirst(s *quic.Stream) { s.SetPriority(0, true) }

// reprioritizeRequest acts on a PRIORITY_UPDATE frame. It may come before the
// request: "Servers SHOULD buffer the most recently received PRIORITY_UPDATE
// frame and apply it once the referenced stream is opened" (RFC 9218,
// section 7).
func (c *serverConn) reprioritizeRequest(id int64, p h3.Priority) {
	if id/4 >= c.q.PeerStreams() {
		// "If a server receives a PRIORITY_UPDATE (type=0xF0700) with a stream ID
		// that is beyond the stream limits, this SHOULD be treated as a connection
		// error of type H3_ID_ERROR" (section 7.2).
		c.fail(&h3.Error{Code: h3.H3IDError, Reason: "PRIORITY_UPDATE of a stream beyond the limit"})
		return
	}
	if c.srv.ShareEqually {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.q.Stream(id)
	if s == nil && id < c.next {
		return // it is over
	}
	if _, again := c.updates[id]; !again && len(c.updates) >= maxPriorityUpdates {
		c.forgetUpdates()
	}
	if _, again := c.updates[id]; again || len(c.updates) < maxPriorityUpdates {
		if c.updates == nil {
			c.updates = make(map[int64]h3.Priority)
		}
		c.updates[id] = p
	}
	if s != nil {
		setPriority(s, p)
	}
}

// forgetUpdates drops the updates of requests that are over: those whose
// handlers had returned when the update came. mu is held.
func (c *serverConn) forgetUpdates() {
	for id := range c.updates {
		if id < c.next && c.q.Stream(id) == nil {
			delete(c.updates, id)
		}
	}
}

// prioritize acts on the header of the request.
func (x *exchange) prioritize() {
	p := h3.DefaultPriority
	// "servers SHOULD allocate some amount of bandwidths to streams acting as
	// tunnels" (section 10.1).
	p.Incremental = x.req.Method == http.MethodConnect || x.conn.srv.ShareEqually
	if values := x.req.Header["Priority"]; len(values) > 0 && !x.conn.srv.ShareEqually {
		if asked, ok := h3.ParsePriority(strings.Join(values, ", ")); ok {
			p = asked
		}
	}
	x.res.prio = p
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	update, updated := x.conn.updates[x.s.ID()]
	if updated {
		p = update
	}
	if updated || p != h3.DefaultPriority {
		setPriority(x.s, p)
	}
}

// mergePriority acts on the Priority header field of the response.
func (w *response) mergePriority(values []string) {
	if w.conn.srv.ShareEqually || len(values) == 0 {
		return
	}
	w.conn.mu.Lock()
	defer w.conn.mu.Unlock()
	p, updated := w.conn.updates[w.w.s.ID()]
	if !updated {
		p = w.prio
	}
	if p, ok := p.Merge(strings.Join(values, ", ")); ok {
		setPriority(w.w.s, p)
	}
}

func setPriority(s stream, p h3.Priority) { s.SetPriority(int(p.Urgency), p.Incremental) }

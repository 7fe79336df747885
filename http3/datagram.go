package http3

import (
	"context"
	"sync"

	"github.com/godwit-net/godwit/internal/h3"
)

// datagramRouter leads the HTTP datagrams of a connection (RFC 9297, section 2.1) to
// the tunnels that they are for.
type datagramRouter struct {
	mu    sync.Mutex
	flows map[int64]*datagramQueue // by the ID of the request stream

	// early are those whose request is under way, or has not become a tunnel yet: "the
	// receiver SHALL either drop that datagram silently or buffer it temporarily (on
	// the order of a round trip) while awaiting the creation of the corresponding
	// stream". The latest of them, in a ring; nil: none came.
	early []earlyDatagram
	next  int
}

type earlyDatagram struct {
	stream  int64
	payload []byte // nil: none
}

// datagramFate is what becomes of a datagram for a stream without a tunnel.
type datagramFate uint8

const (
	dropDatagram   datagramFate = iota // the request is over
	keepDatagram                       // it may still become a tunnel
	refuseDatagram                     // it never will
)

// takesDatagrams reports whether datagrams were announced in our SETTINGS.
func (c *conn) takesDatagrams() bool { return c.announce.Datagram }

// sendsDatagrams reports whether datagrams may be sent: "QUIC DATAGRAM frames MUST NOT
// be sent until the SETTINGS_H3_DATAGRAM setting has been both sent and received
// with a value of 1" (RFC 9297, section 2.1.1).
func (c *conn) sendsDatagrams() bool {
	if !c.takesDatagrams() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.control != nil && c.settled.done && c.settings.Datagram
}

// hasDatagrams reports whether HTTP datagrams may have a meaning for a request: not without
// extended CONNECT, and not for WebSocket.
func hasDatagrams(protocol string) bool { return protocol != "" && protocol != "websocket" }

// judgeRequestDatagram judges a datagram at a server.
func (c *serverConn) judgeRequestDatagram(id int64) datagramFate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id >= c.next {
		return keepDatagram
	}
	for _, x := range c.running {
		if x.s.ID() == id {
			if x.noDatagrams.Load() {
				return refuseDatagram
			}
			return keepDatagram
		}
	}
	return dropDatagram
}

// judgeCallDatagram judges a datagram at a client.
func (cc *ClientConn) judgeCallDatagram(id int64) datagramFate {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	for c := range cc.calls {
		if c.s.ID() == id {
			if c.flow {
				return keepDatagram
			}
			return refuseDatagram
		}
	}
	return dropDatagram
}

// watchDatagrams begins to receive datagrams, if we take any.
func (c *conn) watchDatagrams() {
	if c.takesDatagrams() {
		c.q.AfterDatagram(c.receiveDatagrams)
	}
}

// doneContext never waits.
var doneContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// receiveDatagrams takes the datagrams that are there and arranges to be called again.
func (c *conn) receiveDatagrams() {
	defer c.q.Contain(uint64(h3.H3InternalError))
	var list [16][]byte
	for {
		n, err := c.q.ReceiveDatagrams(doneContext, list[:])
		for i, p := range list[:n] {
			list[i] = nil // it goes to a queue
			if err := c.receiveDatagram(p); err != nil {
				c.fail(violation(err))
				return
			}
		}
		if n == 0 && c.q.Err() != nil {
			return
		}
		if err != nil || n < len(list) {
			break
		}
	}
	c.q.AfterDatagram(c.receiveDatagrams)
}

// receiveDatagram leads one datagram, whose bytes are its own from now on, to its tunnel.
func (c *conn) receiveDatagram(p []byte) error {
	id, payload, err := h3.ConsumeDatagram(p)
	if err != nil {
		return err
	}
	c.trace.datagramParsed(id, len(payload))
	r := &c.router
	r.mu.Lock()
	flow := r.flows[id]
	r.mu.Unlock()
	if flow != nil {
		flow.put(payload)
		return nil
	}
	if c.server && id/4 >= c.q.PeerStreams() {
		// "If an HTTP/3 Datagram is received and its Quarter Stream ID maps to a stream
		// that cannot be created due to client-initiated bidirectional stream limits, it
		// SHOULD be treated as an HTTP/3 connection error of type H3_ID_ERROR" (section 2.1).
		return &h3.Error{Code: h3.H3IDError, Reason: "datagram for a stream beyond the limit"}
	}
	switch c.judgeDatagram(id) {
	case keepDatagram:
		r.keep(id, payload)
	case refuseDatagram:
		// "If an HTTP Datagram is received and it is associated with a request that has no
		// known semantics for HTTP Datagrams, the receiver MUST terminate the request; if
		// HTTP/3 is in use, the request stream MUST be aborted with H3_DATAGRAM_ERROR" (section 2).
		if s := c.q.Stream(id); s != nil {
			// In this order: a client that is asked to stop may reset its part at once, which ends the request's context, and a
			// handler that returns then would end the response as if it were whole.
			s.Reset(uint64(h3.H3DatagramError))
			s.StopReading(uint64(h3.H3DatagramError))
		}
	}
	return nil
}

// keep remembers a datagram until its stream is a tunnel, or there are newer ones.
func (r *datagramRouter) keep(id int64, payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if flow := r.flows[id]; flow != nil { // just now
		flow.put(payload)
		return
	}
	if r.early == nil {
		r.early = make([]earlyDatagram, maxEarlyDatagrams)
	}
	e := &r.early[r.next]
	r.next = (r.next + 1) % len(r.early)
	e.stream, e.payload = id, payload
}

// open gives a tunnel its queue, with what came for it before.
func (r *datagramRouter) open(id int64) *datagramQueue {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := &datagramQueue{}
	if r.flows == nil {
		r.flows = make(map[int64]*datagramQueue)
	}
	r.flows[id] = q
	for i := range r.early {
		e := &r.early[(r.next+i)%len(r.early)]
		if e.payload != nil && e.stream == id {
			q.put(e.payload)
			e.payload = nil
		}
	}
	return q
}

// close forgets a tunnel.
func (r *datagramRouter) close(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.flows, id)
}

// datagramQueue holds the datagrams of one tunnel until they are received. When it is
// full the oldest goes, as the newest is worth most.
type datagramQueue struct {
	mu      sync.Mutex
	list    [][]byte
	bytes   int
	dropped int64
	err     error         // why no more will come
	news    chan struct{} // closed when there is some; nil: nobody waits
}

// put takes a datagram, whose bytes belong to the queue from now on.
func (q *datagramQueue) put(p []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return
	}
	for len(q.list) == maxDatagrams || len(q.list) > 0 && q.bytes+len(p) > maxDatagramBytes {
		q.bytes -= len(q.list[0])
		q.list[0] = nil
		q.list = q.list[1:]
		q.dropped++
	}
	q.list = append(q.list, p)
	q.bytes += len(p)
	q.wake()
}

// end has receive return err when the queue is empty.
func (q *datagramQueue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.wake()
}

// wake wakes who waits. mu is held.
func (q *datagramQueue) wake() {
	if q.news != nil {
		close(q.news)
		q.news = nil
	}
}

// receive waits for the next datagram, which is the caller's.
func (q *datagramQueue) receive(ctx context.Context) ([]byte, error) {
	for {
		q.mu.Lock()
		switch {
		case len(q.list) > 0:
			p := q.list[0]
			q.list[0] = nil
			q.list = q.list[1:]
			q.bytes -= len(p)
			q.mu.Unlock()
			return p, nil
		case q.err != nil:
			defer q.mu.Unlock()
			return nil, q.err
		case ctx.Err() != nil:
			q.mu.Unlock()
			return nil, context.Cause(ctx)
		}
		if q.news == nil {
			q.news = make(chan struct{})
		}
		news := q.news
		q.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
		}
	}
}

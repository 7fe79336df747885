package http3

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// serverConn is the server's side of one connection.
type serverConn struct {
	conn
	srv *Server
	ctx context.Context // what requests inherit

	// Under conn.mu.
	running  []*exchange
	next     int64 // the ID behind the highest request stream seen
	draining bool  // GOAWAY was sent: the connection closes with its last request
	lastDone time.Time
	idle     *time.Timer
	remote   string
	tls      *tls.ConnectionState
	updates  map[int64]h3.Priority // see reprioritizeRequest
}

func newServerConn(srv *Server, q *quic.Conn) *serverConn {
	c := &serverConn{srv: srv}
	c.init(q, true, srv.maxHeaderBytes(), srv.Logger, &srv.compression)
	c.announce.EnableConnectProtocol = len(srv.ConnectProtocols) > 0
	c.names = srv.Origins
	c.judgeDatagram = c.judgeRequestDatagram
	c.reprioritize = c.reprioritizeRequest
	c.ctx = context.WithValue(q.Context(), http.ServerContextKey, srv)
	c.ctx = context.WithValue(c.ctx, http.LocalAddrContextKey, q.LocalAddr())
	c.ctx = context.WithValue(c.ctx, connKey{}, q)
	if srv.ConnContext != nil {
		if c.ctx = srv.ConnContext(c.ctx, q); c.ctx == nil {
			panic("http3: ConnContext returned nil")
		}
	}
	return c
}

// serve opens the connection for requests. It returns as soon as our control
// stream is open, so that SETTINGS leaves before the first response.
func (c *serverConn) serve() {
	if c.start() != nil {
		return // the connection is gone
	}
	c.watchDatagrams()
	c.q.HandleStreams(c.handleStream)
	c.mu.Lock()
	c.watchIdle()
	c.mu.Unlock()
}

// handleStream takes one stream that the client opened, which may open another in
// its place when this has returned: a client that resets each request at once has
// no more handlers running than one that waits for its responses
// (CVE-2023-44487 was this in HTTP/2).
func (c *serverConn) handleStream(s *quic.Stream) {
	defer c.q.Contain(uint64(h3.H3InternalError))
	if s.IsUni() {
		c.watch(s)
		return
	}
	if x := c.admit(s); x != nil {
		defer c.done(x) // even after runtime.Goexit
		x.serve()
	}
}

// admit makes an exchange of a request stream, or refuses it. RFC 9114, section
// 5.2: "Upon sending a GOAWAY frame, the endpoint SHOULD explicitly cancel
// (see Sections 4.1.1 and 7.2.3) any requests or pushes that have identifiers
// greater than or equal to the one indicated".
func (c *serverConn) admit(s *quic.Stream) *exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent.Rejects(s.ID()) {
		c.srv.rejected.Add(1)
		s.StopReading(uint64(h3.H3RequestRejected))
		s.Reset(uint64(h3.H3RequestRejected))
		return nil
	}
	x := newExchange(c, c.ctx, s)
	c.next = max(c.next, s.ID()+4)
	x.at = len(c.running)
	c.running = append(c.running, x)
	c.srv.running.Add(1)
	if c.idle != nil {
		c.idle.Stop()
	}
	return x
}

// done forgets an exchange.
func (c *serverConn) done(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.srv.running.Add(-1)
	delete(c.updates, x.s.ID())
	last := c.running[len(c.running)-1]
	c.running[x.at], last.at = last, x.at
	c.running[len(c.running)-1] = nil
	c.running = c.running[:len(c.running)-1]
	if len(c.running) > 0 {
		return
	}
	c.running = nil
	c.lastDone = time.Now()
	if c.draining {
		c.settle()
		return
	}
	c.watchIdle()
}

// watchIdle starts the idle timer if there is one and no request is running.
// mu is held.
func (c *serverConn) watchIdle() {
	d := c.srv.IdleTimeout
	if d <= 0 || len(c.running) > 0 || c.draining || c.q.Err() != nil {
		return // of a connection that has ended nothing is left to wait for, and a timer would hold its memory
	}
	if c.idle == nil {
		c.idle = time.AfterFunc(d, c.drainIdle)
		return
	}
	c.idle.Reset(d)
}

// drainIdle drains the connection unless a request came just now.
func (c *serverConn) drainIdle() {
	defer c.q.Contain(uint64(h3.H3InternalError))
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.running) == 0 {
		c.drainLocked()
	}
}

// drain announces that no further request is taken and closes the connection
// when the running ones are done.
func (c *serverConn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drainLocked()
}

func (c *serverConn) drainLocked() {
	if c.draining {
		return
	}
	c.draining = true
	idle := len(c.running) == 0 && delivered(c.q.Stats()) && time.Since(c.lastDone) > settleTime
	c.sendGoAway(c.next)
	switch {
	case idle:
		c.close()
	case len(c.running) == 0:
		c.settle()
	}
}

// settle closes the connection when the client has had time for what was sent:
// a close drops what is still under way, and at some clients what they have not
// read yet. A client that heard GOAWAY and is done closes by itself; one that
// still reads is heard, by its acknowledgments and its flow control; one that is
// silent has lost interest or is gone. What its flow control holds back is
// waited for as long as it owes no acknowledgment: a handler is done when its
// response is buffered, and a reader may pause.
func (c *serverConn) settle() {
	heard, silent := int64(-1), time.Duration(0)
	var look func()
	look = func() {
		defer c.q.Contain(uint64(h3.H3InternalError))
		stats := c.q.Stats()
		if stats.PacketsReceived != heard {
			heard, silent = stats.PacketsReceived, 0
		}
		if silent >= settleTime && delivered(stats) || silent >= vanishedTime && stats.InFlight > 0 {
			c.close()
		}
		if c.q.Err() != nil {
			return
		}
		silent += settleInterval
		time.AfterFunc(settleInterval, look)
	}
	look()
}

// delivered reports whether all that was written has arrived.
func delivered(s quic.ConnStats) bool { return s.InFlight == 0 && s.Unsent == 0 }

// remoteAddr is the client's address as of the connection's first request.
func (c *serverConn) remoteAddr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.remote == "" {
		c.remote = c.q.RemoteAddr().(*net.UDPAddr).AddrPort().String()
	}
	return c.remote
}

// tlsState is the state of the handshake; all requests after it share it, as in
// net/http.
func (c *serverConn) tlsState() *tls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tls == nil || !c.tls.HandshakeComplete {
		state := c.q.TLS()
		c.tls = &state
	}
	return c.tls
}

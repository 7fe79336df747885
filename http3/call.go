package http3

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// call is one request on the client and its response.
type call struct {
	cc       *ClientConn
	priority *Reprioritizer // nil: none
	s        stream
	req      *http.Request
	ctx      context.Context
	trace    *httptrace.ClientTrace // never nil
	gzip     bool                   // we asked for it, the caller did not
	reused   bool
	tunnel   bool // the stream stays open when the request was sent
	flow     bool // HTTP datagrams may have a meaning for it

	w    messageWriter // of the request; its goroutine's once that runs
	body body          // of the response
	res  *http.Response

	proceed chan bool   // for a request that waits for 100 (Continue): send the body or not
	stop    func() bool // the watch over ctx

	mu       sync.Mutex
	cause    error // why we gave up; nil: we did not
	reqOver  bool  // the request was sent, or given up
	resOver  bool  // the response was read, or given up
	bodyOpen bool  // the request's Body was not closed
}

// roundTrip sends a request that checkRequest found good.
func (cc *ClientConn) roundTrip(req *http.Request) (*http.Response, error) {
	_, res, err := cc.call(req, false)
	return res, err
}

// call sends a request and reads the beginning of its response. The request of a tunnel has no
// end yet.
func (cc *ClientConn) call(req *http.Request, tunnel bool) (*call, *http.Response, error) {
	c := &call{cc: cc, tunnel: tunnel, flow: hasDatagrams(connectProtocol(req)), req: req, ctx: req.Context(), trace: httptrace.ContextClientTrace(req.Context())}
	if c.trace == nil {
		c.trace = &noTrace
	}
	if err := cc.open(c.ctx, c); err != nil {
		closeBody(req)
		return nil, nil, err
	}
	returned := false
	defer c.unwound(&returned)
	res, err := c.exchange()
	if returned = true; err != nil {
		return nil, nil, err
	}
	return c, res, nil
}

// exchange is ClientConn.call once there is a stream.
func (c *call) exchange() (*http.Response, error) {
	cc, req := c.cc, c.req
	c.gotConn()
	c.joinPriority()
	c.bodyOpen = req.Body != nil
	c.gzip = cc.t.wantsGzip(req)
	c.w = messageWriter{s: c.s, conn: &cc.conn}
	c.body.owner = c
	c.body.limit = cc.limit
	c.body.r = messageReader{s: c.s, conn: &cc.conn, grammar: h3.Message{State: h3.ResponseStart}}
	if c.ctx.Done() != nil {
		c.stop = context.AfterFunc(c.ctx, func() {
			defer c.guard()
			c.abort(context.Cause(c.ctx))
		})
	}
	if err := c.send(); err != nil {
		c.abort(err)
		c.body.r.free()
		c.requestOver()
		c.responseOver()
		return nil, err
	}
	res, err := c.readResponse()
	if err == nil {
		// The server may answer the reset before we have stopped reading.
		err = c.givenUp()
	}
	if err != nil {
		if c.tunnel {
			c.requestOver()
		}
		err = c.readFailed(err)
		c.body.r.free()
		c.finalSeen()
		// Whatever is left of the request has lost its purpose.
		c.abort(err)
		return nil, err
	}
	return res, nil
}

var noTrace httptrace.ClientTrace

// send sends the header section, and the rest of the request: at once when
// there is no content, by a goroutine otherwise. Its error means that
// nothing of the request is under way. Errors of the stream are left to the
// reader, for there may be a response that explains them.
func (c *call) send() error {
	c.w.openSection()
	e := requestEncoder{w: &c.w}
	if c.trace != &noTrace {
		e.trace = c.trace
	}
	err := e.encode(c.req, c.gzip)
	if limit := c.cc.peerLimit(); err == nil && e.size > limit {
		// "An implementation that has received this parameter SHOULD NOT send an
		// HTTP message header that exceeds the indicated size, as the peer will
		// likely refuse to process it" (RFC 9114, section 4.2.2).
		err = fmt.Errorf("http3: the request's header has %d bytes, the server takes %d", e.size, limit)
	}
	if err != nil {
		c.w.drop()
		return err
	}
	c.w.closeSection()
	switch {
	case c.tunnel:
		err = c.w.flush()
		c.wroteHeaders()
		c.wroteRequest(err)
	case outgoingLength(c.req) == 0:
		c.closeRequestBody()
		err = c.queueTrailers()
		if err == nil {
			err = c.w.finish()
		}
		c.wroteHeaders()
		c.wroteRequest(err)
		c.requestOver()
	default:
		if tokenIn(c.req.Header["Expect"], "100-continue") {
			c.proceed = make(chan bool, 1)
		}
		err = c.w.flush()
		c.wroteHeaders()
		if c.proceed != nil && c.trace.Wait100Continue != nil {
			c.trace.Wait100Continue()
		}
		go c.sendContent()
	}
	if err != nil && c.w.sent == 0 && c.cc.q.Err() != nil {
		return &unprocessedError{err}
	}
	return nil
}

func (c *call) wroteHeaders() {
	if c.trace.WroteHeaders != nil {
		c.trace.WroteHeaders()
	}
}

func (c *call) wroteRequest(err error) {
	if c.trace.WroteRequest != nil {
		c.trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
}

func (c *call) gotConn() {
	if c.trace.GotConn != nil {
		c.trace.GotConn(httptrace.GotConnInfo{Conn: tracedConn{c.cc.q}, Reused: c.reused})
	}
}

// abort gives the call up: "Client SHOULD use the error code
// H3_REQUEST_CANCELLED to cancel requests" (RFC 9114, section 4.1.1). Who reads
// gets cause, if it is the first.
func (c *call) abort(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	c.s.Reset(uint64(h3.H3RequestCancelled))
	c.s.StopReading(uint64(h3.H3RequestCancelled))
	c.finalSeen()
	// The goroutine that sends may wait for the caller's Body.
	c.closeRequestBody()
}

// closeRequestBody closes the request's Body, once.
func (c *call) closeRequestBody() {
	c.mu.Lock()
	open := c.bodyOpen
	c.bodyOpen = false
	c.mu.Unlock()
	if open {
		defer func() { // whoever gets here: a goroutine of ours, or the caller
			if r := recover(); r != nil {
				c.cc.q.Panicked(r)
			}
		}()
		c.req.Body.Close()
	}
}

// requestOver and responseOver note that a part of the call is over; after both
// nothing is left of it.
func (c *call) requestOver()  { c.partOver(&c.reqOver) }
func (c *call) responseOver() { c.partOver(&c.resOver) }

func (c *call) partOver(part *bool) {
	c.mu.Lock()
	last := !*part && (c.reqOver || c.resOver)
	*part = true
	c.mu.Unlock()
	if last {
		if c.stop != nil {
			c.stop()
		}
		c.cc.forget(c)
	}
}

// What follows makes a call the owner of its response's body.

func (c *call) beforeRead() {}

func (c *call) trailer() *http.Header { return &c.res.Trailer }

func (c *call) readFailed(err error) error {
	c.responseOver()
	if cause := c.givenUp(); cause != nil {
		return cause
	}
	return c.cc.streamFailed(c.s, err)
}

// givenUp says why we gave the call up, nil if we did not.
func (c *call) givenUp() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *call) bodyClosed() {
	c.mu.Lock()
	over := c.resOver
	c.mu.Unlock()
	if !over {
		c.abort(http.ErrBodyReadAfterClose)
		c.responseOver()
	}
}

func (c *call) bodyEnded() { c.responseOver() }

func (c *call) on() *quic.Conn { return c.cc.q }

// sendContent sends the request's content and trailers.
func (c *call) sendContent() {
	defer c.requestOver()
	defer c.guard()
	if c.proceed != nil && !c.mayProceed() {
		// The server has answered without it.
		c.closeRequestBody()
		c.s.Reset(uint64(h3.H3RequestCancelled))
		c.wroteRequest(nil)
		return
	}
	err := c.copyContent()
	c.closeRequestBody()
	if err == nil {
		err = c.queueTrailers()
	}
	if err == nil {
		err = c.w.finish()
	}
	c.w.drop()
	c.wroteRequest(err)
	switch {
	case err == nil:
	case c.w.err != nil:
		// The server stopped us, or the connection is gone: the reader will see
		// which. "Clients MUST NOT discard complete responses as a result of
		// having their request terminated abruptly" (RFC 9114, section 4.1).
		c.s.Reset(uint64(h3.H3RequestCancelled))
	default:
		c.abort(err)
	}
}

// mayProceed waits for 100 (Continue), or long enough for a server that does
// not know it.
func (c *call) mayProceed() bool {
	wait := c.cc.t.ExpectContinueTimeout
	if wait == 0 {
		wait = time.Second
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case ok := <-c.proceed:
		return ok
	case <-timer.C:
		return true
	}
}

// finalSeen tells a request that waits for 100 (Continue) that it will not come.
func (c *call) finalSeen() { c.continueWith(false) }

func (c *call) continueWith(ok bool) {
	if c.proceed != nil {
		select {
		case c.proceed <- ok:
		default:
		}
	}
}

// copyContent sends the request's Body as it comes. The last piece waits for
// the end of the stream when it is small.
func (c *call) copyContent() error {
	out := getBuffer(&copyBuffers)
	defer freeBuffer(&copyBuffers, &out)
	room := out.b[:frameRoom+copyBufferSize]
	length, total := outgoingLength(c.req), int64(0)
	for {
		n, err := c.req.Body.Read(room[frameRoom:])
		total += int64(n)
		if length >= 0 && total > length {
			return fmt.Errorf("http3: ContentLength=%d with Body length %d or more", length, total)
		}
		if err == nil && total == length {
			// All of it, which the Body need not have said yet.
			err = atEnd(c.req.Body, length)
		}
		switch p := room[frameRoom : frameRoom+n]; {
		case n == 0:
		case err == io.EOF && hold(&c.w, p):
		default:
			if werr := c.w.writePlaced(room[:frameRoom+n]); werr != nil {
				return werr
			}
		}
		switch {
		case err == io.EOF && length >= 0 && total < length:
			return fmt.Errorf("http3: ContentLength=%d with Body length %d", length, total)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// atEnd returns io.EOF when body has nothing more, as it should.
func atEnd(body io.Reader, length int64) error {
	var one [1]byte
	for {
		n, err := body.Read(one[:])
		switch {
		case n > 0:
			return fmt.Errorf("http3: ContentLength=%d with Body length %d or more", length, length+1)
		case err != nil:
			return err
		}
	}
}

// queueTrailers queues the request's trailer section if it has one.
func (c *call) queueTrailers() error {
	if len(c.req.Trailer) == 0 {
		return nil
	}
	c.w.frameBody()
	c.w.openSection()
	e := requestEncoder{w: &c.w}
	var rules h3.TrailerFields
	for key, values := range c.req.Trailer {
		name := h3.LowerName(key)
		for _, v := range values {
			if err := rules.Add(name, v); err != nil {
				c.w.dropSection()
				return fmt.Errorf("http3: trailer %q of the request: %w", key, err)
			}
			e.appendField(name, v)
		}
	}
	c.w.closeSection()
	return nil
}

func (cc *ClientConn) tlsState() *tls.ConnectionState {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.tls == nil || !cc.tls.HandshakeComplete {
		state := cc.q.TLS()
		cc.tls = &state
	}
	return cc.tls
}

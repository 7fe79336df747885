package http3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// exchange is one request on the server and its response.
type exchange struct {
	conn *serverConn
	s    stream
	at   int // where it stands in conn.running

	noDatagrams atomic.Bool // HTTP datagrams have no meaning for the request

	ctx  requestContext
	req  *http.Request
	body body
	res  response
}

// serve reads the request, lets the handler answer it, and ends the stream.
func (x *exchange) serve() {
	req, err := x.readRequest()
	if err != nil {
		x.body.r.free()
		x.refuse(err)
		return
	}
	if err := x.waitUnlessSafe(req); err != nil {
		x.body.r.free()
		x.refuse(err)
		return
	}
	x.req = req
	x.noDatagrams.Store(!hasDatagrams(req.Header.Get(":protocol")))
	x.res.init(x, req)
	x.prioritize()
	srv := x.conn.srv
	if d := srv.WriteTimeout; d > 0 {
		x.s.SetWriteDeadline(time.Now().Add(d))
	}
	expects, known := expectation(req)
	if !known {
		x.answer(http.StatusExpectationFailed)
		return
	}
	if p := req.Header.Get(":protocol"); p != "" && !slices.Contains(srv.ConnectProtocols, p) {
		// "If a server advertises support for Extended CONNECT but receives an Extended
		// CONNECT request with a ":protocol" value that is unknown or is not supported,
		// the server SHOULD respond to the request with a 501 (Not Implemented) status
		// code" (RFC 9220, section 3).
		x.answer(http.StatusNotImplemented)
		return
	}
	x.res.mayContinue.Store(expects && req.Body != http.NoBody)
	srv.requests.Add(1)
	if !x.handle() {
		return
	}
	err = x.res.finish()
	x.end()
	x.stopReading()
	if err == io.ErrUnexpectedEOF {
		// The handler wrote less than its Content-Length: the client must not
		// take it for complete.
		x.breakOff()
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		x.s.Reset(uint64(h3.H3RequestCancelled))
	}
}

// handle runs the handler. When that panics it ends the stream and reports
// false; when that calls runtime.Goexit it does not return.
func (x *exchange) handle() (done bool) {
	srv := x.conn.srv
	defer func() {
		if done {
			return
		}
		if p := recover(); p != http.ErrAbortHandler {
			srv.panics.Add(1)
			if p == nil {
				p = "runtime.Goexit was called"
			}
			srv.log().Error("http3: the handler panicked", "remote", x.req.RemoteAddr, "method", x.req.Method,
				"host", x.req.Host, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		x.res.abandon()
		x.end()
		x.s.StopReading(uint64(h3.H3InternalError))
		x.breakOff()
		x.freeReader()
	}()
	handler := srv.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	if x.req.RequestURI == "*" && x.req.Method == http.MethodOptions {
		handler = optionsHandler // as net/http answers it
	}
	handler.ServeHTTP(&x.res, x.req)
	return true
}

// breakOff resets the stream behind what was written to it. A client that knows
// RESET_STREAM_AT reads what the handler has flushed before it finds that there
// is no end, as it would on TCP; another one may find the reset alone.
func (x *exchange) breakOff() {
	x.s.SetReliableBoundary()
	x.s.Reset(uint64(h3.H3InternalError))
}

// optionsHandler answers "OPTIONS *".
var optionsHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "0")
})

// end ends what the handler may have kept: its context, its body.
func (x *exchange) end() {
	x.ctx.end()
	x.body.closed.Store(true)
}

// stopReading gives up the rest of the request: "When the server does not need
// to receive the remainder of the request, it MAY abort reading the request
// stream [...] The error code H3_NO_ERROR SHOULD be used when requesting that
// the client stop sending on the request stream" (RFC 9114, section 4.1).
func (x *exchange) stopReading() {
	if !x.body.atEnd() {
		x.s.StopReading(uint64(h3.H3NoError))
	}
	x.freeReader()
}

// freeReader frees what reads the request, after StopReading or at its end: a
// reader that the handler left behind fails now.
func (x *exchange) freeReader() {
	x.body.mu.Lock()
	x.body.r.free()
	x.body.mu.Unlock()
}

// refuse ends a stream on which no request could be read.
func (x *exchange) refuse(err error) {
	var bad *badRequest
	switch {
	case errors.As(err, &bad):
		x.answer(bad.status)
	case errors.Is(err, os.ErrDeadlineExceeded):
		// Slow or silent. RFC 9114 has no code for it; H3_REQUEST_INCOMPLETE
		// says what is the matter: "The client's stream terminated without
		// containing a fully formed request", by our hand.
		x.s.StopReading(uint64(h3.H3RequestIncomplete))
		x.s.Reset(uint64(h3.H3RequestIncomplete))
	case violation(err) != nil:
		x.conn.streamFailed(x.s, err)
	default:
		// The client reset its part, or the connection ended. "Upon receipt of
		// this error code, a server MAY abruptly terminate the response using the
		// error code H3_REQUEST_REJECTED if no processing was performed" (section 4.1.1).
		x.s.StopReading(uint64(h3.H3RequestRejected))
		x.s.Reset(uint64(h3.H3RequestRejected))
	}
}

// answer answers without the handler, and without content: the request may have
// been HEAD, who knows.
func (x *exchange) answer(status int) {
	if x.req == nil {
		x.req = &http.Request{Method: http.MethodGet}
		x.res.init(x, x.req)
	}
	x.res.WriteHeader(status)
	x.res.finish()
	x.end()
	x.stopReading()
}

// What follows makes an exchange the owner of its request's body.

func (x *exchange) beforeRead() { x.res.sendContinue() }

func (x *exchange) trailer() *http.Header { return &x.req.Trailer }

func (x *exchange) readFailed(err error) error { return x.conn.streamFailed(x.s, err) }

func (x *exchange) bodyClosed() { x.s.StopReading(uint64(h3.H3NoError)) }

func (x *exchange) bodyEnded() {}

func (x *exchange) on() *quic.Conn { return x.conn.q }

// newExchange prepares an exchange on s.
func newExchange(c *serverConn, ctx context.Context, s stream) *exchange {
	x := &exchange{conn: c, s: s}
	x.ctx.conn, x.ctx.stream = ctx, s
	x.body.owner = x
	x.body.limit = c.limit
	x.body.r = messageReader{s: s, conn: &c.conn, grammar: h3.Message{State: h3.RequestStart}}
	return x
}

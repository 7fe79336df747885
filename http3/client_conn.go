package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// ClientConn is the client's side of one HTTP/3 connection. It belongs to
// whoever made it; a Transport makes its own.
type ClientConn struct {
	conn
	t *Transport

	shaken atomic.Bool // the handshake is known to be done

	// Under conn.mu.
	calls   map[*call]struct{} // requests that are not over
	waiting int                // requests that wait for a stream
	peer    h3.GoAway          // what the server announced
	origins originSet          // the same
	closing bool               // no further request; the connection closes with the last
	used    bool               // it had a request before
	tls     *tls.ConnectionState
}

// NewClientConn speaks HTTP/3 on c, which has finished its handshake or uses
// 0-RTT, with the settings of a zero Transport. It sends SETTINGS at once. c must not be used
// for anything else, its AcceptStream included.
func NewClientConn(c *quic.Conn) *ClientConn { return new(Transport).NewClientConn(c) }

// NewClientConn speaks HTTP/3 on c with the settings of t, outside of its pool.
func (t *Transport) NewClientConn(c *quic.Conn) *ClientConn {
	cc := &ClientConn{t: t, calls: make(map[*call]struct{})}
	cc.init(c, false, t.maxResponseHeaderBytes(), t.Logger, new(compressionCounters))
	cc.goAway, cc.heard = cc.receiveGoAway, cc.receiveOrigins
	if c.EarlyData() {
		cc.recall()
	}
	if !c.TLS().HandshakeComplete {
		go func() {
			defer c.Contain(uint64(h3.H3InternalError))
			cc.awaitHandshake()
		}()
	}
	cc.judgeDatagram = cc.judgeCallDatagram
	cc.watchDatagrams()
	c.HandleStreams(cc.handleStream)
	// Requests need not wait for it, and a server that allows no unidirectional
	// stream must not hold the caller.
	go func() {
		defer c.Contain(uint64(h3.H3InternalError))
		cc.start()
	}()
	return cc
}

// RoundTrip sends one request on this connection and returns its response,
// whose Body must be closed. It waits, as long as the request's context
// allows, while the server's limit of concurrent streams is reached. It never
// sends a request twice: an error for which Unprocessed is true leaves that to
// the caller.
func (cc *ClientConn) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkRequest(req); err != nil {
		closeBody(req)
		return nil, err
	}
	res, _, err := cc.roundTripFirst(req)
	return res, err
}

// Conn returns the QUIC connection underneath.
func (cc *ClientConn) Conn() *quic.Conn { return cc.q }

// CanTakeRequest reports whether a new request has a chance: the connection is
// alive and the server has not sent GOAWAY.
func (cc *ClientConn) CanTakeRequest() bool {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return cc.refusal() == nil
}

// Running counts the requests whose response is not complete.
func (cc *ClientConn) Running() int {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return len(cc.calls)
}

// Compression says how far the connection has made use of dynamic tables.
func (cc *ClientConn) Compression() CompressionStats { return cc.counters.stats() }

// Shutdown takes no more requests and closes the connection with H3_NO_ERROR
// when the last running one is complete. It does not wait for that.
func (cc *ClientConn) Shutdown() {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.closing = true
	cc.closeIfDone()
}

// Close closes the connection at once with H3_NO_ERROR.
func (cc *ClientConn) Close() error {
	cc.mu.Lock()
	cc.closing = true
	cc.mu.Unlock()
	cc.close()
	return nil
}

var (
	errShutDown = errors.New("http3: the connection takes no more requests")
	errGoAway   = errors.New("http3: the server is going away")
)

// refusal says why a new request cannot be sent. mu is held. "Endpoints MUST
// NOT initiate new requests [...] on the connection after receipt of a GOAWAY
// frame from the peer" (RFC 9114, section 5.2).
func (cc *ClientConn) refusal() error {
	if err := cc.q.Err(); err != nil {
		return publicError(err)
	}
	if _, gone := cc.peer.ID(); gone {
		return errGoAway
	}
	if cc.closing {
		return errShutDown
	}
	return nil
}

// handleStream takes a stream that the server opened.
func (cc *ClientConn) handleStream(s *quic.Stream) {
	defer cc.q.Contain(uint64(h3.H3InternalError))
	if s.IsUni() {
		cc.watch(s)
		return
	}
	cc.fail(h3.ErrServerBidi)
}

// receiveGoAway gives up the requests that the server will not process:
// "Clients can safely retry unprocessed requests on a different HTTP
// connection" (RFC 9114, section 5.2).
func (cc *ClientConn) receiveGoAway(id int64) {
	for _, c := range cc.rejected(id) {
		c.abort(&unprocessedError{errGoAway})
	}
}

// rejected notes a GOAWAY and returns the requests that it refuses.
func (cc *ClientConn) rejected(id int64) (refused []*call) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.peer.Receive(id, true) // checked before
	for c := range cc.calls {
		if cc.peer.Rejects(c.s.ID()) {
			refused = append(refused, c)
		}
	}
	cc.closeIfDone()
	return refused
}

// open opens a stream for a request and notes the call.
func (cc *ClientConn) open(ctx context.Context, c *call) error {
	cc.mu.Lock()
	err := cc.refusal()
	c.reused = cc.used
	cc.waiting++
	cc.mu.Unlock()
	var s *quic.Stream
	if err == nil {
		if s, err = cc.q.OpenStream(ctx); err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.waiting--
	if err == nil {
		err = cc.refusal() // GOAWAY may have come meanwhile
	}
	if err != nil {
		if s == nil && ctx.Err() != nil {
			cc.closeIfDone()
			return err
		}
		if s != nil {
			s.Reset(uint64(h3.H3RequestCancelled))
			s.StopReading(uint64(h3.H3RequestCancelled))
		}
		cc.closeIfDone()
		return &unprocessedError{publicError(err)}
	}
	s.SetPriority(quic.DefaultUrgency, true) // contents of requests share; urgencies are about responses
	c.s = s
	cc.used = true
	cc.calls[c] = struct{}{}
	return nil
}

// forget drops a call that is over.
func (cc *ClientConn) forget(c *call) {
	c.priority.leave(c)
	cc.mu.Lock()
	defer cc.mu.Unlock()
	delete(cc.calls, c)
	cc.closeIfDone()
}

// closeIfDone closes the connection when it is of no more use. mu is held.
func (cc *ClientConn) closeIfDone() {
	_, gone := cc.peer.ID()
	if (gone || cc.closing) && len(cc.calls) == 0 && cc.waiting == 0 {
		cc.close()
	}
}

// closeIfIdle closes the connection unless requests run or wait on it.
func (cc *ClientConn) closeIfIdle() {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if len(cc.calls) == 0 && cc.waiting == 0 {
		cc.closing = true
		cc.close()
	}
}

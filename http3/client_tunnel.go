package http3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrNoExtendedConnect is for requests with a :protocol to a server that does not know
// extended CONNECT (RFC 9220).
var ErrNoExtendedConnect = errors.New("http3: the server does not offer extended CONNECT")

// OpenTunnel sends a CONNECT request and returns the tunnel that it becomes when the
// server answers with success.
//
// For extended CONNECT (RFC 9220) req.Header[":protocol"] names the protocol, such as
// "websocket", and req.URL what is asked for. It waits for the server's SETTINGS, and
// its error matches ErrNoExtendedConnect when they do not offer it. For plain CONNECT there is no
// ":protocol", req.URL is the proxy's, of which only scheme, host and port
// count, and req.Host is the host and port that the tunnel is to lead to.
//
// req's Method is CONNECT and its Body nil. Its context limits the opening alone. On any other
// answer the response is returned beside the error, with the first 4 KiB of its content, and need not be
// closed. A request that certainly was not processed is sent again, as RoundTrip does it.
func (t *Transport) OpenTunnel(req *http.Request) (*Tunnel, *http.Response, error) {
	if err := checkTunnel(req); err != nil {
		return nil, nil, err
	}
	ctx := req.Context()
	addr := authority(req.URL.Host)
	for attempt := 1; ; attempt++ {
		cc, err := t.pool.get(ctx, t, addr)
		if err != nil {
			return nil, nil, err
		}
		tunnel, res, err := cc.openTunnel(req)
		if err == nil || !Unprocessed(err) || ctx.Err() != nil || attempt == maxAttempts {
			return tunnel, res, err
		}
		t.pool.discard(addr, cc)
	}
}

// OpenTunnel is Transport.OpenTunnel on this connection. It never sends the request twice.
func (cc *ClientConn) OpenTunnel(req *http.Request) (*Tunnel, *http.Response, error) {
	if err := checkTunnel(req); err != nil {
		return nil, nil, err
	}
	return cc.openTunnel(req)
}

func checkTunnel(req *http.Request) error {
	switch {
	case req.Method != http.MethodConnect:
		return fmt.Errorf("http3: a tunnel is opened with CONNECT, not %s", req.Method)
	case req.Body != nil && req.Body != http.NoBody:
		return errors.New("http3: a tunnel is opened without a Body")
	}
	return checkRequest(req)
}

func (cc *ClientConn) openTunnel(req *http.Request) (*Tunnel, *http.Response, error) {
	if _, err := cc.mayGo(req, false); err != nil {
		return nil, nil, publicError(err)
	}
	if err := cc.awaitConnectProtocol(req); err != nil {
		return nil, nil, err
	}
	c, res, err := cc.call(req, true)
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		res.Body.Close()
		c.s.Close()
		c.requestOver()
		res.Body = io.NopCloser(bytes.NewReader(text))
		return nil, res, fmt.Errorf("http3: the server refuses the tunnel: %s", res.Status)
	}
	c.keep()
	tunnel := newTunnel(&cc.conn, c.s, connectProtocol(req))
	tunnel.status, tunnel.header, tunnel.body = res.StatusCode, res.Header, &c.body
	res.Body = http.NoBody // the content is the tunnel's
	tunnel.sent, tunnel.received = c.requestOver, c.responseOver
	return tunnel, res, nil
}

// awaitConnectProtocol waits until it is known that the server offers extended
// CONNECT, if a request needs that: "Upon receipt of SETTINGS_ENABLE_CONNECT_PROTOCOL
// with a value of 1, a client MAY use the Extended CONNECT definition of this
// document when creating new streams" (RFC 8441, section 3).
func (cc *ClientConn) awaitConnectProtocol(req *http.Request) error {
	if connectProtocol(req) == "" {
		return nil
	}
	// Ours come first, too: datagrams cannot be sent before that.
	for _, s := range []*signal{&cc.begun, &cc.settled} {
		if err := cc.await(req.Context(), s); err != nil {
			return err
		}
	}
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if !cc.settings.EnableConnectProtocol {
		return ErrNoExtendedConnect
	}
	return nil
}

// await waits for a signal of the connection's.
func (c *conn) await(ctx context.Context, s *signal) error {
	c.mu.Lock()
	given := s.given()
	c.mu.Unlock()
	select {
	case <-given:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.q.Context().Done():
		return publicError(c.q.Err())
	}
}

// signal is a channel that is closed once, and made when somebody waits. Its owner's lock guards it.
type signal struct {
	done bool
	c    chan struct{}
}

var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (s *signal) give() {
	if s.c != nil && !s.done {
		close(s.c)
	}
	s.done = true
}

func (s *signal) given() <-chan struct{} {
	switch {
	case s.done:
		return closedChannel
	case s.c == nil:
		s.c = make(chan struct{})
	}
	return s.c
}

// keep has a call outlive the context that it was opened with: as a tunnel.
func (c *call) keep() {
	if c.stop != nil {
		c.stop()
	}
}

package http3

import (
	"context"
	"io"
	"net/http"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// connKey is the context key of the request's *quic.Conn.
type connKey struct{}

// WaitHandshake returns when the handshake of the connection that a server's
// request came on is done, so that the request is no replay. It returns at
// once where 0-RTT plays no part, over TCP for one. Its error means that the
// connection ended, or r's context.
//
// A request was received before that if r.TLS.HandshakeComplete is false, which
// only happens to safe methods and with quic.Config.EarlyData: others
// reach no handler before the handshake is done.
func WaitHandshake(r *http.Request) error {
	q, ok := r.Context().Value(connKey{}).(*quic.Conn)
	if !ok {
		return nil
	}
	return publicError(q.HandshakeDone(r.Context()))
}

// isSafe reports whether a request may be sent, or handled, before it is certain
// that it is no replay: methods that are not known to be safe are taken for unsafe
// (RFC 8470, sections 3 and 4).
func isSafe(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return outgoingLength(req) == 0
	}
	return false
}

// waitUnlessSafe holds a request back that came in 0-RTT and is not safe: "The
// server can choose to delay processing of early data until after the TLS
// handshake completes." (RFC 8470, section 3)
func (x *exchange) waitUnlessSafe(req *http.Request) error {
	if req.TLS.HandshakeComplete {
		return nil
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if err := x.conn.q.HandshakeDone(&x.ctx); err != nil {
		return err
	}
	req.TLS = x.conn.tlsState()
	return nil
}

// roundTripFirst sends a request for the first time on this connection. When
// that is in 0-RTT and the server answers 425 (Too Early) it is sent once more
// after the handshake. early says that it went in 0-RTT.
func (cc *ClientConn) roundTripFirst(req *http.Request) (res *http.Response, early bool, err error) {
	early, err = cc.mayGo(req, false)
	if err == nil {
		err = cc.awaitConnectProtocol(req)
	}
	if err == nil {
		res, err = cc.roundTrip(req)
	} else {
		closeBody(req)
		err = publicError(err)
	}
	if err != nil || !tooEarly(res, early) {
		return res, early, err
	}
	if _, err = cc.mayGo(req, true); err != nil {
		return nil, early, publicError(err)
	}
	res, err = cc.roundTrip(req)
	return res, early, err
}

// mayGo waits until a client's request may be sent: at once if it is safe,
// otherwise after the handshake. early says that it goes before that.
func (cc *ClientConn) mayGo(req *http.Request, again bool) (early bool, err error) {
	if cc.shaken.Load() {
		return false, nil
	}
	if cc.q.EarlyData() && isSafe(req) && !again && !cc.q.TLS().HandshakeComplete {
		return true, nil
	}
	if err := cc.q.HandshakeDone(req.Context()); err != nil {
		return false, err
	}
	cc.shaken.Store(true)
	return false, nil
}

// tooEarly reports whether a response asks for the request to be sent once more,
// and not in 0-RTT (RFC 8470, section 5.2). It takes care of the response then.
func tooEarly(res *http.Response, early bool) bool {
	if !early || res.StatusCode != http.StatusTooEarly {
		return false
	}
	io.CopyN(io.Discard, res.Body, maxTooEarly)
	res.Body.Close()
	return true
}

// awaitHandshake closes a connection that began with 0-RTT and turns out not to
// speak HTTP/3.
func (cc *ClientConn) awaitHandshake() {
	if err := cc.q.HandshakeDone(context.Background()); err != nil {
		return
	}
	cc.shaken.Store(true)
	if p := cc.q.TLS().NegotiatedProtocol; p != NextProto {
		cc.fail(&h3.Error{Code: h3.H3VersionFallback, Reason: "the server chose another protocol"})
	}
}

// earlyState is what an end says about itself that its peer's 0-RTT relies on.
func (s *Server) earlyState() []byte {
	return h3.AppendSettings([]byte(NextProto+" "), s.announced())
}

// remember keeps the server's settings for the next connection's 0-RTT.
func (c *conn) remember(s h3.Settings) {
	s.Other = nil // reserved ones, and such as have no meaning here
	c.q.RememberEarlyState(h3.AppendSettings(nil, s))
}

// recall begins with the settings of the connection before: "When a 0-RTT QUIC
// connection is being used, the initial value of each server setting is the
// value used in the previous session" (RFC 9114, section 7.2.4.2).
func (c *conn) recall() {
	state := c.q.EarlyState()
	header, n := h3.ConsumeFrameHeader(state)
	if len(state) == 0 || n <= 0 || header.Type != h3.FrameSettings {
		return
	}
	if s, err := h3.ConsumeSettings(state[n:]); err == nil {
		c.settings, c.recalled = s, true
	}
}

// shrunk judges the settings of a server that accepted 0-RTT: "If a server
// accepts 0-RTT but then sends settings that are not compatible with the
// previously specified settings, this MUST be treated as a connection error of
// type H3_SETTINGS_ERROR" (section 7.2.4.2). A table of another capacity has a
// code of its own: "If it specifies any other value, or omits
// SETTINGS_QPACK_MAX_TABLE_CAPACITY from SETTINGS, the encoder must treat this
// as a connection error of type QPACK_DECODER_STREAM_ERROR" (RFC 9204, section
// 3.2.3).
func shrunk(before, now *h3.Settings) *h3.Error {
	switch {
	case before.QPACKMaxTableCapacity != 0 && now.QPACKMaxTableCapacity != before.QPACKMaxTableCapacity:
		return &h3.Error{Code: h3.QPACKDecoderStreamError, Reason: "0-RTT was accepted with another table capacity"}
	case now.MaxFieldSectionSize < before.MaxFieldSectionSize,
		// "omits a setting value that the client understands [...] that was
		// previously specified to have a non-default value" (RFC 9114, section
		// 7.2.4.2); the other settings are 0 then.
		now.MaxFieldSectionSize == h3.Unlimited && before.MaxFieldSectionSize != h3.Unlimited,
		now.QPACKBlockedStreams < before.QPACKBlockedStreams,
		before.EnableConnectProtocol && !now.EnableConnectProtocol,
		before.Datagram && !now.Datagram:
		return &h3.Error{Code: h3.H3SettingsError, Reason: "0-RTT was accepted with smaller settings"}
	}
	return nil
}

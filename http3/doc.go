// Package http3 is net/http on QUIC: HTTP/3 as RFC 9114 defines it, with the
// types that every Go program already speaks. A [Server] runs any
// [http.Handler]; a [Transport] is an [http.RoundTripper].
//
// A handler cannot tell that it runs on HTTP/3 unless it asks (r.ProtoMajor is
// 3 then): requests are filled, headers snapshotted, content types sniffed and
// errors named as net/http does it. Where HTTP/3 has no such thing as HTTP/1.1
// had, net/http's own answer for HTTP/2 is given: connections cannot be
// hijacked, and the Connection header field is dropped silently.
//
// # Goroutines
//
// Each request runs in a goroutine of its own. A connection without a running
// request owns none: what arrives on its control and QPACK streams is handled
// by a state machine that wakes when there is something to read.
//
// # Errors
//
// What the peer did wrong or decided is an [Error] with the code of RFC 9114,
// section 8.1. What went wrong underneath (a timeout, a broken handshake) is
// the error of package quic, as it is.
//
// # Priorities
//
// A server sends urgent responses first, as the extensible priorities of RFC 9218
// say: by the Priority header field of a request, by PRIORITY_UPDATE frames, also
// when they come before their requests, and by a Priority header field that the
// handler sets. What nothing is said about is sent response by response, in
// the order of requests; [Server.ShareEqually] turns all of this off. A client sends the Priority
// header field of a request as it is, and a [Reprioritizer] changes its mind. What clients send is
// shared among their requests, whatever their priorities.
//
// # Tunnels
//
// A CONNECT request, plain or extended (RFC 9220), becomes a [Tunnel], a net.Conn:
// on a server by [TakeTunnel], on a client by [Transport.OpenTunnel]. WebSocket over
// HTTP/3 is what a WebSocket library that takes a net.Conn, such as
// github.com/gobwas/ws, makes of it; see the examples. Extended CONNECT is offered
// by a server whose ConnectProtocols name what its handlers speak.
//
// [Tunnel.Capsules] speaks the Capsule Protocol (RFC 9297) on it, with HTTP datagrams: in QUIC's
// datagrams where quic.Config.Datagrams of both ends says so, as SETTINGS_H3_DATAGRAM then does,
// and in capsules otherwise.
//
// # Not here yet
//
// Server push is not offered and not accepted, as browsers and RFC 9114's
// successors have agreed to forget it.
package http3

// NextProto is the ALPN token of HTTP/3 (RFC 9114, section 3.1).
const NextProto = "h3"

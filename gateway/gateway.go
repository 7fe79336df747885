// Package gateway puts HTTP/3 in front of an HTTP site: one port, UDP for HTTP/3, TCP for HTTP/2 and HTTP/1.1, the same
// answer over all three.
//
//	s, err := gateway.New(gateway.Config{To: "http://127.0.0.1:8080"})
//	if err != nil { ... } // everything that is wrong with the Config, and nothing has been opened yet
//	if err := s.Listen(); err != nil { ... } // both sockets are bound, or neither
//	err = s.Serve(ctx) // until ctx is done and the requests under way are answered
//
// # What the upstream sees
//
// The upstream is asked over HTTP/1.1 and gets the request as it would have come to it directly: the same method, path,
// query, fields and trailers, and the client's own Host. Who asked is told in X-Forwarded-For, -Host and -Proto, in
// X-Real-IP and in Forwarded (RFC 7239). What the client itself says in these fields is removed first: the gateway is
// the edge, and whoever stands in front of it is not known.
//
// Bodies stream in both directions and are never held. Upgrades (WebSocket) work over HTTP/1.1, where they exist.
//
// # What the client sees
//
// Over TCP every answer carries Alt-Svc with the port that UDP is served on. An Alt-Svc of the upstream is removed: it
// speaks of ports that clients of the gateway cannot use. When the upstream cannot be reached the answer is 502, or 504
// when time ran out, with one line of text that says what was tried and what failed.
package gateway

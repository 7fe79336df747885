package altsvc

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/godwit-net/godwit/http3"
)

// route is a way to an origin by QUIC: a host in lower case, and a port.
type route struct {
	host string
	port uint16
}

func (r route) String() string {
	return net.JoinHostPort(r.host, strconv.Itoa(int(r.port)))
}

// origin is an https origin: the route to where it is at home.
type origin = route

// originOf returns the origin of a URL. It does not for hosts that are not in
// ASCII: net/http translates them, this package leaves them to TCP.
func originOf(u *url.URL) (o origin, ok bool) {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if u.Scheme != "https" || host == "" {
		return o, false
	}
	for i := range len(host) {
		if host[i] >= 0x80 {
			return o, false
		}
	}
	if port == "" {
		return origin{host, 443}, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return origin{host, uint16(n)}, err == nil && n > 0
}

// routeOf is where a service of an origin is.
func (s *Service) routeOf(o origin) route {
	if s.Host == "" {
		return route{o.host, s.Port}
	}
	return route{s.Host, s.Port}
}

// usable reports whether this package can speak the service's protocol.
func (s *Service) usable() bool { return s.Protocol == http3.NextProto }

// canGo reports whether HTTP/3 can carry a request at all.
func canGo(req *http.Request) bool {
	return req.Method != http.MethodConnect && req.Header != nil && req.Header.Get("Upgrade") == ""
}

// isIdempotent reports whether a request may be sent again although a server
// may have seen it: "a client SHOULD NOT automatically retry a request with a
// non-idempotent method unless it has some means to know that the request
// semantics are idempotent independent of the method or some means to detect
// that the original request was never applied." (RFC 9114, section 4.1.1) An
// Idempotency-Key says so, as for net/http.
func isIdempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	_, key := req.Header["Idempotency-Key"]
	_, other := req.Header["X-Idempotency-Key"]
	return key || other
}

// isSafe reports whether a request may go in 0-RTT, as package http3 has it.
func isSafe(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return req.Body == nil || req.Body == http.NoBody
	}
	return false
}

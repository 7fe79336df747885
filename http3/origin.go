package http3

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// originSet is what a server has said by ORIGIN frames that its connection may
// be used for (RFC 9412; RFC 8336, section 2.3). Our Transport has a connection
// for each authority and does not share them, so for now it only tells.
type originSet struct {
	known bool // a frame has come; otherwise the set says nothing
	list  []string
}

// add takes the origins of a frame. initial is what the connection was made
// for, which belongs to the set from the first frame on.
func (s *originSet) add(initial string, origins []string) {
	if !s.known {
		s.known, s.list = true, []string{initial}
	}
	for _, o := range origins {
		o, ok := cleanOrigin(o)
		if ok && len(s.list) < maxOriginSet && !slices.Contains(s.list, o) {
			s.list = append(s.list, o)
		}
	}
}

// remove takes an origin out of the set, for which the server has answered 421
// (Misdirected Request).
func (s *originSet) remove(origin string) {
	s.list = slices.DeleteFunc(s.list, func(o string) bool { return o == origin })
}

// cleanOrigin returns the ASCII serialization of an https origin as we write
// it: in lower case, and without the default port.
func cleanOrigin(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" ||
		u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#") {
		return "", false
	}
	return originOf(u.Hostname(), u.Port()), true
}

// originOf is the https origin of a host and a port ("": 443).
func originOf(host, port string) string {
	host = strings.ToLower(host)
	switch {
	case port != "" && port != "443":
		return "https://" + net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		return "https://[" + host + "]"
	}
	return "https://" + host
}

// Origins returns the origins for which the server has said, by ORIGIN frames,
// that this connection may be used: "https://example.com",
// "https://example.com:8443". The one that the connection was made for is
// the first. nil: the server has said nothing. That the server says so does
// not prove it: its certificate must hold for the host as well.
func (cc *ClientConn) Origins() []string {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return slices.Clone(cc.origins.list)
}

// receiveOrigins takes an ORIGIN frame.
func (cc *ClientConn) receiveOrigins(origins []string) {
	remote := cc.q.RemoteAddr().(*net.UDPAddr).AddrPort()
	host := cc.q.TLS().ServerName
	if host == "" {
		host = remote.Addr().String()
	}
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.origins.add(originOf(host, strconv.Itoa(int(remote.Port()))), origins)
}

// misdirected notes that the server does not answer for the origin of req.
func (cc *ClientConn) misdirected(req *http.Request) {
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	u := url.URL{Host: host}
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.origins.remove(originOf(u.Hostname(), u.Port()))
}

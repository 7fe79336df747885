package gateway

import (
	"net"
	"net/http"
	"strings"
)

// forward tells the upstream who asked, for which host, and how. What the client says about that is removed: it could
// say anything.
func forward(out, in *http.Request) {
	for name := range out.Header {
		if forwarding(name) {
			delete(out.Header, name)
		}
	}
	client, _, err := net.SplitHostPort(in.RemoteAddr)
	if err != nil {
		client = in.RemoteAddr
	}
	proto := "http"
	if in.TLS != nil {
		proto = "https"
	}
	out.Header.Set("X-Forwarded-For", client)
	out.Header.Set("X-Forwarded-Host", in.Host)
	out.Header.Set("X-Forwarded-Proto", proto)
	out.Header.Set("X-Real-Ip", client)
	out.Header.Set("Forwarded", "for="+node(client)+";host="+quoted(in.Host)+";proto="+proto)
}

// forwarding reports whether a field is one of those that tell where a request came from. Many upstreams do not tell
// X_Forwarded_For from X-Forwarded-For (CGI and WSGI make one variable of both), so neither do we.
func forwarding(name string) bool {
	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return name == "Forwarded" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-")
}

// node writes an address as Forwarded wants it. RFC 7239, section 6: "an IPv6 address [...] MUST be enclosed in square
// brackets", and as brackets are not characters of a token, quoted. A zone says nothing to others.
func node(addr string) string {
	addr, _, _ = strings.Cut(addr, "%")
	if strings.Contains(addr, ":") {
		return `"[` + addr + `]"`
	}
	return addr
}

// quoted writes s as a quoted-string (RFC 9110, section 5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

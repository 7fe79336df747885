package http3

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
)

// userAgent is what net/http's clients call themselves, for this version.
const userAgent = "Go-http-client/3.0"

// checkRequest judges what a caller asks for before anything is sent.
func checkRequest(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("http3: nil Request.URL")
	case req.Header == nil:
		return errors.New("http3: nil Request.Header")
	case req.URL.Scheme != "https":
		// RFC 9114, section 3.1.2: "HTTP/3 cannot be used for direct access to
		// the authoritative server for a resource identified by an "http" URI".
		return fmt.Errorf("http3: unsupported protocol scheme %q", req.URL.Scheme)
	case req.URL.Host == "":
		return errors.New("http3: no Host in request URL")
	case len(req.Header["Upgrade"]) > 0 && req.Header["Upgrade"][0] != "":
		return errors.New("http3: there is no Upgrade in HTTP/3")
	}
	return nil
}

// outgoingLength is the length of a request's content: 0 for none, -1 for
// unknown.
func outgoingLength(req *http.Request) int64 {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0
	case req.ContentLength != 0:
		return req.ContentLength
	}
	return -1
}

// connectProtocol is the protocol that an extended CONNECT asks for, named as
// net/http's HTTP/2 has it: by a header field ":protocol".
func connectProtocol(req *http.Request) string {
	if req.Method != http.MethodConnect || len(req.Header[":protocol"]) == 0 {
		return ""
	}
	return req.Header[":protocol"][0]
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// requestEncoder encodes the header section of a request. Every field passes
// the rules that a server will hold it to.
type requestEncoder struct {
	w     *messageWriter   // with an open section
	rules h3.RequestFields // ExtendedConnect set: the server knows it
	size  uint64           // as RFC 9114, section 4.2.2, counts it
	trace *httptrace.ClientTrace
	err   error
}

func (e *requestEncoder) add(name, value string) {
	if err := e.rules.Add(name, value); err != nil && e.err == nil {
		e.err = fmt.Errorf("http3: field %q of the request: %w", name, err)
	}
	e.appendField(name, value)
}

func (e *requestEncoder) appendField(name, value string) {
	e.size += uint64(qpack.Field{Name: name, Value: value}.Size())
	e.w.add(name, value)
	if e.trace != nil && e.trace.WroteHeaderField != nil {
		e.trace.WroteHeaderField(name, []string{value})
	}
}

// encode appends the header section of req.
func (e *requestEncoder) encode(req *http.Request, gzip bool) error {
	if e.trace == nil {
		// Otherwise it is called for each field.
		e.w.queued.section.hold()
		defer e.w.queued.section.release()
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	e.add(":method", method)
	protocol := connectProtocol(req)
	if protocol != "" {
		e.rules.ExtendedConnect = true
		e.add(":protocol", protocol)
	}
	if method == http.MethodConnect && protocol == "" {
		e.add(":authority", host)
	} else {
		e.add(":scheme", req.URL.Scheme)
		e.add(":authority", removeZone(host))
		path := req.URL.RequestURI()
		if path == "" || path == "*" && method != http.MethodOptions {
			path = "/"
		}
		e.add(":path", path)
	}
	for key, values := range req.Header {
		e.addHeader(key, values)
	}
	e.addImplied(req, method, gzip)
	if e.err == nil {
		if err := e.rules.Done(); err != nil {
			e.err = fmt.Errorf("http3: the request: %w", err)
		}
	}
	return e.err
}

// addHeader adds a field of the caller's, unless it is one that HTTP/3 says
// otherwise.
func (e *requestEncoder) addHeader(key string, values []string) {
	switch {
	case connectionSpecific(key):
		return
	case key == ":protocol" && e.rules.Protocol != "":
		return // sent already
	case key == "Host" || key == "Content-Length" || key == "Trailer":
		return // Request has fields for them
	case key == "Te":
		if tokenIn(values, "trailers") {
			e.add("te", "trailers")
		}
		return
	case key == "User-Agent":
		// As net/http: one, and an empty one means none.
		if len(values) > 0 && values[0] != "" {
			e.add("user-agent", values[0])
		}
		return
	}
	name := h3.LowerName(key)
	for _, v := range values {
		e.add(name, cleanValue(v))
	}
}

// addImplied adds the fields that follow from the rest of the request.
func (e *requestEncoder) addImplied(req *http.Request, method string, gzip bool) {
	switch n := outgoingLength(req); {
	case method == http.MethodConnect:
	case n > 0, n == 0 && (method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch):
		e.add("content-length", strconv.FormatInt(n, 10))
	}
	if len(req.Trailer) > 0 {
		keys := make([]string, 0, len(req.Trailer))
		for key := range req.Trailer {
			if key = http.CanonicalHeaderKey(key); forbiddenTrailer(key) {
				e.err = fmt.Errorf("http3: %q cannot be a trailer", key)
				return
			}
			keys = append(keys, key)
		}
		e.add("trailer", strings.Join(keys, ","))
	}
	if gzip {
		e.add("accept-encoding", "gzip")
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		e.add("user-agent", userAgent)
	}
}

// removeZone removes the zone of an IPv6 address, which means nothing to
// others: "[fe80::1%25eth0]:443".
func removeZone(host string) string {
	if !strings.HasPrefix(host, "[") {
		return host
	}
	end := strings.LastIndexByte(host, ']')
	zone := strings.IndexByte(host, '%')
	if zone < 0 || end < zone {
		return host
	}
	return host[:zone] + host[end:]
}

// authority returns the host and port that a URL's requests go to.
func authority(host string) string {
	if h, p, err := net.SplitHostPort(host); err == nil {
		if p == "" {
			p = "443"
		}
		return net.JoinHostPort(strings.ToLower(h), p)
	}
	return net.JoinHostPort(strings.ToLower(strings.Trim(host, "[]")), "443")
}

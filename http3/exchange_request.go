package http3

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
)

// badRequest is a request that is answered without the handler.
type badRequest struct{ status int }

func (e *badRequest) Error() string { return "http3: " + http.StatusText(e.status) }

// errHeaderTooLarge: "A server that receives a larger header section than it is
// willing to handle can send an HTTP 431 (Request Header Fields Too Large)
// status code" (RFC 9114, section 4.2.2).
var errHeaderTooLarge = &badRequest{http.StatusRequestHeaderFieldsTooLarge}

// readRequest reads the header section and makes of it the request that
// net/http would have made.
func (x *exchange) readRequest() (*http.Request, error) {
	srv := x.conn.srv
	began := x.setReadDeadline(srv)
	r := &x.body.r
	if _, err := r.next(); err != nil {
		return nil, err
	}
	section, err := r.section(x.conn.limit)
	if err == errSectionTooLong {
		return nil, errHeaderTooLarge
	}
	if err != nil {
		return nil, err
	}
	req, err := x.parseRequest(section)
	if err != nil {
		return nil, err
	}
	switch {
	case srv.ReadTimeout > 0:
		x.s.SetReadDeadline(began.Add(srv.ReadTimeout))
	case srv.readHeaderTimeout() > 0:
		x.s.SetReadDeadline(time.Time{})
	}
	return req, nil
}

// setReadDeadline limits how long the header section may take.
func (x *exchange) setReadDeadline(srv *Server) (began time.Time) {
	d := srv.readHeaderTimeout()
	if t := srv.ReadTimeout; t > 0 && (d <= 0 || t < d) {
		d = t
	}
	if d > 0 {
		began = time.Now()
		x.s.SetReadDeadline(began.Add(d))
	}
	return began
}

// parseRequest makes an http.Request of a header section.
func (x *exchange) parseRequest(section []byte) (*http.Request, error) {
	header := make(http.Header, 8)
	var values valueSlab
	fields := h3.RequestFields{
		Field:           func(name, value string) { values.add(header, name, value) },
		ExtendedConnect: len(x.conn.srv.ConnectProtocols) > 0,
	}
	err := x.body.r.decode(section, x.conn.limit, fields.Add)
	if err == qpack.ErrTooLarge {
		return nil, errHeaderTooLarge
	}
	if err == nil {
		err = fields.Done()
	}
	if err != nil {
		return nil, err
	}
	target, uri, err := requestTarget(&fields)
	if err != nil {
		return nil, err
	}
	x.body.length = h3.NewBodyLength(fields.ContentLength)
	if fields.Method == http.MethodConnect {
		// "Once the CONNECT method has completed, only DATA frames are permitted to be
		// sent on the stream" (RFC 9114, section 4.4). Before that there is no reason for
		// others, which would be trailers of a request that has no end yet.
		x.body.r.grammar.Tunnel()
	}
	if fields.Protocol != "" {
		header[":protocol"] = []string{fields.Protocol}
	}
	// WithContext is the only way to give a request a context, and copies it.
	req := (&http.Request{
		Method:        fields.Method,
		URL:           target,
		Proto:         "HTTP/3.0",
		ProtoMajor:    3,
		Header:        header,
		Body:          &x.body,
		ContentLength: fields.ContentLength,
		Host:          fields.Authority,
		RequestURI:    uri,
		RemoteAddr:    x.conn.remoteAddr(),
		TLS:           x.conn.tlsState(),
	}).WithContext(&x.ctx)
	if x.body.atEnd() && fields.ContentLength <= 0 || fields.ContentLength == 0 {
		req.Body, req.ContentLength = http.NoBody, 0
		if x.body.atEnd() {
			x.body.r.free()
		}
	}
	if announced, ok := header["Trailer"]; ok {
		// As net/http: announced trailers are keys without values until the
		// body was read, and the field itself is gone.
		delete(header, "Trailer")
		req.Trailer = make(http.Header)
		for _, key := range trailerKeys(announced) {
			req.Trailer[key] = nil
		}
	}
	return req, nil
}

// requestTarget returns the URL of a request as net/http's server has it: path
// and query only, or host and port only for CONNECT that is not extended.
func requestTarget(f *h3.RequestFields) (*url.URL, string, error) {
	if f.Method == http.MethodConnect && f.Protocol == "" {
		return &url.URL{Host: f.Authority}, f.Authority, nil
	}
	u, err := url.ParseRequestURI(f.Path)
	if err != nil {
		return nil, "", &badRequest{http.StatusBadRequest}
	}
	return u, f.Path, nil
}

// expectation reports whether the request expects 100 (Continue); known is false
// for any other expectation, which is answered with 417 as in net/http.
func expectation(req *http.Request) (expects, known bool) {
	values := req.Header["Expect"]
	switch {
	case len(values) == 0 || values[0] == "":
		return false, true
	case strings.EqualFold(values[0], "100-continue"):
		return true, true
	}
	return false, false
}

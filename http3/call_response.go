package http3

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/godwit-net/godwit/internal/h3"
)

var errManyInterim = &h3.Error{Code: h3.H3ExcessiveLoad, Reason: "too many 1xx responses", Stream: true}

// readResponse reads header sections until the final one.
func (c *call) readResponse() (*http.Response, error) {
	r := &c.body.r
	for interim := 1; ; interim++ {
		if _, err := r.next(); err != nil {
			return nil, err
		}
		if interim == 1 && c.trace.GotFirstResponseByte != nil {
			c.trace.GotFirstResponseByte()
		}
		section, err := r.section(c.body.limit)
		if err != nil {
			return nil, err
		}
		header := make(http.Header, 8)
		var values valueSlab
		fields := h3.ResponseFields{Field: func(name, value string) { values.add(header, name, value) }}
		if err = r.decode(section, c.body.limit, fields.Add); err == nil {
			err = fields.Done()
		}
		if err != nil {
			return nil, err
		}
		if !fields.Interim() {
			c.finalSeen()
			return c.response(&fields, header), nil
		}
		r.grammar.Interim()
		if err := c.gotInterim(interim, fields.Status, header); err != nil {
			return nil, err
		}
	}
}

// gotInterim tells of a 1xx response.
func (c *call) gotInterim(nth, status int, header http.Header) error {
	if status == http.StatusContinue {
		if c.trace.Got100Continue != nil {
			c.trace.Got100Continue()
		}
	}
	if c.trace.Got1xxResponse != nil {
		if err := c.trace.Got1xxResponse(status, textproto.MIMEHeader(header)); err != nil {
			c.abort(err)
			return err
		}
	} else if nth > maxInterimResponses {
		return errManyInterim
	}
	if status == http.StatusContinue {
		c.continueWith(true)
	}
	return nil
}

// response makes the http.Response of a final header section.
func (c *call) response(fields *h3.ResponseFields, header http.Header) *http.Response {
	res := &http.Response{
		Status:        statusText(fields.Status) + " " + http.StatusText(fields.Status),
		StatusCode:    fields.Status,
		Proto:         "HTTP/3.0",
		ProtoMajor:    3,
		Header:        header,
		Body:          &c.body,
		ContentLength: fields.ContentLength,
		Request:       c.req,
		TLS:           c.cc.tlsState(),
	}
	c.res = res
	if fields.Status == http.StatusMisdirectedRequest {
		c.cc.misdirected(c.req)
	}
	c.body.length = fields.BodyLength(c.req.Method)
	if announced, ok := header["Trailer"]; ok {
		delete(header, "Trailer")
		res.Trailer = make(http.Header)
		for _, key := range trailerKeys(announced) {
			res.Trailer[key] = nil
		}
	}
	if c.req.Method == http.MethodConnect && fields.Status/100 == 2 {
		// The end of its content is the end of the tunnel. "A client MUST ignore any
		// Content-Length or Transfer-Encoding header fields received in a successful
		// response to CONNECT" (RFC 9110, section 9.3.6).
		c.body.r.grammar.Tunnel()
		c.body.length = h3.NewBodyLength(-1)
		res.ContentLength = -1
		return res
	}
	head := c.req.Method == http.MethodHead
	if !bodyAllowed(fields.Status) && !head {
		res.ContentLength = 0
	}
	if c.body.atEnd() && c.body.length.Done() == nil {
		if res.ContentLength < 0 && !head {
			res.ContentLength = 0
		}
		res.Body = http.NoBody
		c.body.r.free()
		c.responseOver()
		return res
	}
	if head || !bodyAllowed(fields.Status) {
		// There is nothing to read, so callers tend to forget to close it. The end
		// of the stream is taken when it comes.
		res.Body = http.NoBody
		c.s.AfterReadable(func() {
			defer c.cc.q.Contain(uint64(h3.H3InternalError))
			c.body.Read(make([]byte, 1))
		})
		return res
	}
	if c.gzip && strings.EqualFold(header.Get("Content-Encoding"), "gzip") {
		header.Del("Content-Encoding")
		header.Del("Content-Length")
		res.ContentLength = -1
		res.Uncompressed = true
		res.Body = &gzipBody{body: &c.body}
	}
	return res
}

// gzipBody decodes a response that the caller did not ask to be compressed.
type gzipBody struct {
	body *body
	zr   *gzip.Reader
	err  error
}

func (g *gzipBody) Read(p []byte) (n int, err error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.body.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if g.zr == nil {
		if g.zr, g.err = gzip.NewReader(g.body); g.err != nil {
			return 0, g.err
		}
	}
	n, g.err = g.zr.Read(p)
	if g.err == io.EOF {
		g.drain()
	}
	return n, g.err
}

// drain reads the end of the message behind the compressed stream: gzip.Reader
// has seen the last byte, but not always the trailers and the end.
func (g *gzipBody) drain() {
	var one [1]byte
	if n, err := g.body.Read(one[:]); n > 0 {
		g.err = gzip.ErrHeader // gzip.Reader would have read on, were it another member
	} else if err != io.EOF {
		g.err = err
	}
}

func (g *gzipBody) Close() error { return g.body.Close() }

package http3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
)

// response is the http.ResponseWriter of one request. It does what net/http's
// does, field for field and error for error; where HTTP/1.1 and HTTP/2 differ
// there, it follows HTTP/2.
type response struct {
	req    *http.Request
	conn   *serverConn
	body   *body // the request's
	header http.Header
	prio   h3.Priority // what the request's header says

	// mayContinue: the client waits for 100 (Continue) and nothing was sent yet.
	mayContinue atomic.Bool

	mu       sync.Mutex // a body's reader may send 100 while the handler writes
	w        messageWriter
	status   int   // 0: WriteHeader was not called
	final    bool  // the section that w has open is the final response's
	length   int64 // what Content-Length says; -1: nothing
	written  int64 // content bytes accepted
	trailers []string
	flags    responseFlags
	finished bool

	tunnel atomic.Pointer[Tunnel] // what it has become
}

// responseFlags is what the header had when WriteHeader took its snapshot.
type responseFlags struct {
	typed     bool // a Content-Type, or none wanted
	encoded   bool // a Content-Encoding: there is nothing to sniff
	dated     bool // a Date, or none wanted
	announced bool // trailers will come
}

var errHandlerReturned = errors.New("http3: the handler has returned")

func (w *response) init(x *exchange, req *http.Request) {
	w.req, w.conn, w.body, w.length = req, x.conn, &x.body, -1
	w.w = messageWriter{s: x.s, conn: &x.conn.conn}
}

// Header returns the header that WriteHeader will send.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader takes the header as it is now and the status code with it; the
// bytes leave with the first content or Flush. 1xx codes are sent at once, as
// often as wanted. Codes outside of 100 to 999 panic, as in net/http, and so does
// 101, which HTTP/3 does not have (RFC 9114, section 4.5).
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("http3: invalid WriteHeader code %v", status))
	}
	if status == http.StatusSwitchingProtocols {
		panic("http3: there is no 101 (Switching Protocols) in HTTP/3")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *response) writeHeader(status int) {
	switch {
	case w.finished:
		w.conn.srv.log().Error("http3: WriteHeader after the handler returned")
		return
	case w.status != 0:
		w.conn.srv.log().Error("http3: superfluous WriteHeader", "status", status, "sent", w.status)
		return
	case status < 200:
		w.writeInterim(status, w.header)
		return
	}
	w.mayContinue.Store(false)
	w.status = status
	if w.snapshot() {
		w.conn.drain()
	}
}

// writeInterim sends a 1xx response.
func (w *response) writeInterim(status int, h http.Header) {
	if status == http.StatusContinue {
		w.mayContinue.Store(false)
	}
	w.w.openSection()
	w.w.add(":status", statusText(status))
	var rules h3.ResponseFields
	for key, values := range h {
		if key != "Content-Length" {
			w.w.addFields(&rules, key, values)
		}
	}
	w.w.closeSection()
	w.w.flush()
}

// sendContinue tells a client that asked for it to go on with the content.
func (w *response) sendContinue() {
	if !w.mayContinue.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 && w.mayContinue.Load() {
		w.writeInterim(http.StatusContinue, nil)
	}
}

// snapshot encodes the header as it is. What is decided later (type, length and
// date) is appended to the section then: order does not matter in it. closing
// says that the connection is to take no more requests.
func (w *response) snapshot() (closing bool) {
	w.w.openSection()
	w.w.queued.section.hold()
	defer w.w.queued.section.release()
	w.w.add(":status", statusText(w.status))
	var rules h3.ResponseFields
	for key, values := range w.header {
		switch key {
		case "Content-Length":
			w.addLength(values)
			continue
		case "Content-Type":
			w.flags.typed = true
			if w.status == http.StatusNotModified {
				continue // as net/http: 304 tells nothing about a content it does not have
			}
		case "Content-Encoding":
			w.flags.encoded = len(values) > 0 && values[0] != ""
		case "Date":
			w.flags.dated = true
		case "Priority":
			w.mergePriority(values)
		case "Trailer":
			w.trailers = trailerKeys(values)
			w.flags.announced = true
		case "Connection":
			// The HTTP/3 way to say it: no more requests on this connection.
			closing = closing || tokenIn(values, "close")
			continue
		default:
			if strings.HasPrefix(key, http.TrailerPrefix) {
				w.flags.announced = true
				continue
			}
		}
		w.w.addFields(&rules, key, values)
	}
	w.final = true
	return closing
}

// addLength notes and sends a Content-Length that makes sense; others are
// dropped, as is any where there is no content.
func (w *response) addLength(values []string) {
	if len(values) == 0 || values[0] == "" {
		return
	}
	n, err := strconv.ParseUint(strings.TrimSpace(values[0]), 10, 63)
	if err != nil {
		w.w.queued.section.release() // the log is the user's
		w.conn.srv.log().Error("http3: invalid Content-Length", "value", values[0])
		w.w.queued.section.hold()
		return
	}
	// "A server MUST NOT send any Transfer-Encoding or Content-Length header fields in
	// a 2xx (Successful) response to CONNECT" (RFC 9110, section 9.3.6).
	if !bodyAllowed(w.status) || w.isTunnel() {
		return
	}
	w.length = int64(n)
	w.w.add("content-length", strconv.FormatUint(n, 10))
}

// commit completes the header section, given the first content and whether it
// is all there will be, and queues its frame.
func (w *response) commit(first []byte, all bool) {
	if !w.final {
		return
	}
	sniffed := ""
	if bodyAllowed(w.status) && !w.isTunnel() && !w.flags.typed && !w.flags.encoded && len(first) > 0 {
		sniffed = http.DetectContentType(first)
	}
	w.w.queued.section.hold()
	if sniffed != "" {
		w.w.add("content-type", sniffed)
	}
	if bodyAllowed(w.status) && !w.isTunnel() {
		if all && w.length < 0 && !w.flags.announced && (w.written > 0 || w.req.Method != http.MethodHead) {
			w.w.add("content-length", strconv.FormatInt(w.written, 10))
		}
	}
	if !w.flags.dated {
		w.w.add("date", dateNow())
	}
	w.final = false
	w.w.closeSection()
}

// Write writes content. It returns http.ErrBodyNotAllowed for a status without
// content, http.ErrContentLength above the declared length, and an *Error when
// the client does not want to hear any more.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.accept(len(p)); err != nil {
		return 0, err
	}
	if err := w.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write for a string.
func (w *response) WriteString(s string) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.accept(len(s)); err != nil {
		return 0, err
	}
	if hold(&w.w, s) {
		return len(s), nil
	}
	if err := w.write([]byte(s)); err != nil {
		return 0, err
	}
	return len(s), nil
}

// accept decides whether n bytes of content may come now.
func (w *response) accept(n int) error {
	switch {
	case w.finished:
		return errHandlerReturned
	case w.tunnel.Load() != nil:
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	switch {
	case n == 0:
		return nil
	case !bodyAllowed(w.status):
		return http.ErrBodyNotAllowed
	}
	if w.length >= 0 && w.written+int64(n) > w.length {
		return http.ErrContentLength
	}
	w.written += int64(n)
	return w.w.err
}

// write holds p back or writes it.
func (w *response) write(p []byte) error {
	if w.final {
		if hold(&w.w, p) {
			return nil
		}
		// It is not small: the first 512 bytes decide about its type.
		w.commit(w.firstBytes(p), false)
	}
	if w.req.Method == http.MethodHead {
		freeBuffer(&frameBuffers, &w.w.body)
		return nil
	}
	if hold(&w.w, p) {
		return nil
	}
	return w.w.writeData(p)
}

// firstBytes returns the beginning of the content of which p is the latest, as
// much as http.DetectContentType looks at.
func (w *response) firstBytes(p []byte) []byte {
	const sniffLen = 512
	held := w.w.pending()
	switch {
	case len(held) == 0:
		return p
	case len(held) >= sniffLen:
		return held
	}
	first := append(make([]byte, 0, sniffLen), held...)
	return append(first, p[:min(len(p), sniffLen-len(held))]...)
}

// ReadFrom writes what r has, from a pooled buffer that has room for the frame
// header in front. Small pieces are held back as Write does it.
func (w *response) ReadFrom(r io.Reader) (n int64, err error) {
	out := getBuffer(&copyBuffers)
	defer freeBuffer(&copyBuffers, &out)
	room := out.b[:frameRoom+copyBufferSize]
	for {
		// Not under w.mu: to read the request's body may send 100 (Continue).
		k, rerr := r.Read(room[frameRoom:])
		if k > 0 {
			if err := w.writePlaced(room[:frameRoom+k]); err != nil {
				return n, err
			}
			n += int64(k)
		}
		switch {
		case rerr == io.EOF:
			return n, nil
		case rerr != nil:
			return n, rerr
		}
	}
}

// writePlaced is Write for content with frameRoom free bytes in front.
func (w *response) writePlaced(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := b[frameRoom:]
	if err := w.accept(len(p)); err != nil {
		return err
	}
	if w.final || len(p) < responseBufferSize || w.req.Method == http.MethodHead {
		return w.write(p)
	}
	return w.w.writePlaced(b)
}

// FlushError sends what is held back, the header at least. It returns an *Error
// when the client is gone.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.finished:
		return errHandlerReturned
	case w.tunnel.Load() != nil:
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	w.commit(w.w.pending(), false)
	if w.req.Method == http.MethodHead {
		freeBuffer(&frameBuffers, &w.w.body)
	}
	return w.w.flush()
}

// Flush is FlushError for those who do not ask.
func (w *response) Flush() { w.FlushError() }

// SetReadDeadline serves http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error { return w.w.s.SetReadDeadline(t) }

// SetWriteDeadline serves http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error { return w.w.s.SetWriteDeadline(t) }

// EnableFullDuplex serves http.ResponseController: HTTP/3 is never anything
// else.
func (w *response) EnableFullDuplex() error { return nil }

// finish ends the response when the handler has returned. It reports an error
// when the response is not what its header promised, or could not be written.
func (w *response) finish() error {
	if t := w.tunnel.Load(); t != nil {
		t.Close()
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	w.finished = true
	w.mayContinue.Store(false)
	head := w.req.Method == http.MethodHead
	if w.length >= 0 && w.written < w.length && !head {
		w.w.drop()
		return io.ErrUnexpectedEOF
	}
	w.commit(w.w.pending(), true)
	if head {
		freeBuffer(&frameBuffers, &w.w.body)
	}
	w.queueTrailers()
	return w.w.finish()
}

// queueTrailers queues the trailer section, if there is one: fields that the
// Trailer field announced, and those with http.TrailerPrefix.
func (w *response) queueTrailers() {
	if !w.flags.announced && len(w.header) == 0 {
		return
	}
	w.w.frameBody()
	w.w.openSection()
	var rules h3.ResponseFields
	for _, key := range w.trailers {
		w.w.addFields(&rules, key, w.header[key])
	}
	for key, values := range w.header {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok && !forbiddenTrailer(http.CanonicalHeaderKey(name)) {
			w.w.addFields(&rules, http.CanonicalHeaderKey(name), values)
		}
	}
	if w.w.empty() {
		w.w.dropSection()
		return
	}
	w.w.closeSection()
}

// abandon drops what was not sent: the stream is reset.
func (w *response) abandon() {
	if t := w.tunnel.Load(); t != nil {
		w.w.s.SetReliableBoundary()
		t.abort(h3.H3InternalError)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = true
	w.w.drop()
}

// addFields adds a field of a header unless HTTP/3 cannot carry it: names and
// values that are not valid are dropped, as in net/http, and so are
// connection-specific fields.
func (w *messageWriter) addFields(rules *h3.ResponseFields, key string, values []string) {
	if connectionSpecific(key) || len(values) == 0 {
		return
	}
	name := h3.LowerName(key)
	for _, v := range values {
		v = cleanValue(v)
		if rules.Add(name, v) == nil {
			w.add(name, v)
		}
	}
}

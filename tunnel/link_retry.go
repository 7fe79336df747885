package tunnel

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/godwit-net/godwit/http3"
)

// maxAttempts is how often one request is sent that the exit refuses unprocessed each time. Hit by
// TestARequestIsNotSentForEver.
const maxAttempts = 3

// brokenError says that a request was under way when the tunnel broke, or the exit gave it up. It may have been processed.
type brokenError struct{ reason string }

func (e *brokenError) Error() string { return e.reason + "; the request may have been processed" }

// RoundTrip sends a request to the exit. It sends it a second time only where that is certain to be as good as once: the
// exit did nothing with it and nothing of its body was read, or it has no body and its method is safe. Its errors are
// *awayError when the request was not processed, *brokenError when nobody knows, or what is wrong with the request.
func (l *link) RoundTrip(req *http.Request) (*http.Response, error) {
	for sent := 1; ; sent++ {
		s, err := l.session(req.Context())
		if err != nil {
			return nil, err
		}
		out, body := lend(req)
		res, err := s.roundTrip(out)
		if err == nil {
			return res, nil
		}
		untouched := body.takeBack()
		gone := s.conn().Err() != nil
		switch {
		case req.Context().Err() != nil:
			return nil, err
		case http3.Unprocessed(err):
			if untouched && sent < maxAttempts {
				continue
			}
			return nil, &awayError{reason: s.ended(), retry: time.Second}
		case gone && body == nil && safe(req.Method) && sent == 1:
			// RFC 9110, section 9.2.2: "Idempotent methods are distinguished because the request can be repeated
			// automatically if a communication failure occurs before the client is able to read the server's response."
			continue
		case gone:
			return nil, &brokenError{"the tunnel broke: " + s.ended()}
		case fromExit(err):
			return nil, &brokenError{"the exit gave the request up"}
		}
		return nil, err
	}
}

// safe reports whether a method is safe (RFC 9110, section 9.2.1). PUT and DELETE, though idempotent, are not repeated: what
// one client writes another may have changed meanwhile.
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// fromExit reports whether err is the exit's word about one request.
func fromExit(err error) bool {
	e, ok := err.(*http3.Error)
	return ok && e.Remote && e.Stream >= 0
}

// lent is the body of a request while one attempt has it. Closing it does not close the body, which belongs to the client's
// request: the proxy does that.
type lent struct {
	body io.Reader

	mu      sync.Mutex
	touched bool
	closed  bool
}

// lend returns req as an attempt may use it, up to the body's takeBack. The body is nil when there is none.
func lend(req *http.Request) (*http.Request, *lent) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	out := new(http.Request)
	*out = *req
	body := &lent{body: req.Body}
	out.Body = body
	return out, body
}

// Read reads from the body, unless it was taken back before.
func (b *lent) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	b.touched = true
	b.mu.Unlock()
	return b.body.Read(p)
}

// Close ends the reading.
func (b *lent) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// takeBack ends the reading and reports whether there was none: then another attempt may have the body.
func (b *lent) takeBack() (untouched bool) {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return !b.touched
}

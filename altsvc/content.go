package altsvc

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// content is the body of a request that may have to be sent more than once. A
// RoundTripper closes the body of each attempt; the caller's own is closed with
// the last one.
type content struct {
	req  *http.Request
	body io.ReadCloser // the caller's, or the latest from GetBody; nil: none
	view *view         // of the attempt that is on
}

func newContent(req *http.Request) *content {
	c := &content{req: req}
	if req.Body != nil && req.Body != http.NoBody {
		c.body = req.Body
	}
	return c
}

// attempt returns the request with a body that can be taken back.
func (c *content) attempt(req *http.Request) *http.Request {
	if c.body == nil {
		return req
	}
	out := new(http.Request)
	*out = *req
	c.view = &view{body: c.body}
	out.Body = c.view
	return out
}

// rewind takes the attempt back. It reports whether there can be another one:
// the body was not read from, or there is a GetBody.
func (c *content) rewind() bool {
	if c.body == nil || c.view == nil {
		return true
	}
	if c.view.revoke() {
		return true
	}
	if c.req.GetBody == nil {
		return false
	}
	body, err := c.req.GetBody()
	if err != nil {
		return false
	}
	c.body.Close()
	c.body = body
	return true
}

// settle says that there will be no other attempt: the one that is on closes the
// body when it is done with it, if it has not asked for that already.
func (c *content) settle() {
	if c.view != nil {
		c.view.settle()
	}
}

// close closes the body when no attempt will.
func (c *content) close() {
	c.settle()
	if c.body != nil {
		c.body.Close()
	}
}

// view is a body as one attempt sees it.
type view struct {
	body io.ReadCloser

	mu                             sync.Mutex
	read, closed, revoked, settled bool
}

var errTakenBack = errors.New("altsvc: the request is sent another way")

// Read is io.Reader's.
func (v *view) Read(p []byte) (int, error) {
	v.mu.Lock()
	if v.revoked || v.closed {
		v.mu.Unlock()
		if v.revoked {
			return 0, errTakenBack
		}
		return 0, http.ErrBodyReadAfterClose
	}
	v.read = true
	v.mu.Unlock()
	return v.body.Read(p)
}

// Close closes the body once it has been read from, or nobody else can want it.
func (v *view) Close() error {
	v.mu.Lock()
	again := v.closed || v.revoked
	pass := !again && (v.read || v.settled)
	v.closed = true
	v.mu.Unlock()
	if pass {
		return v.body.Close()
	}
	return nil
}

// revoke ends the attempt. It reports whether the body is still untouched.
func (v *view) revoke() (untouched bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.revoked = true
	return !v.read
}

// settle makes Close do what it says, and does what it had put off.
func (v *view) settle() {
	v.mu.Lock()
	late := v.closed && !v.read && !v.settled && !v.revoked
	v.settled = true
	v.mu.Unlock()
	if late {
		v.body.Close()
	}
}

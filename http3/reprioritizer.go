package http3

import (
	"context"
	"errors"
	"sync"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/varint"
)

// A Reprioritizer changes the priority of requests that are under way, with
// PRIORITY_UPDATE frames (RFC 9218, section 7). Its zero value is ready to use,
// for any number of requests: those that were sent with a context of its own.
// The priority that a request begins with is the value of its Priority header
// field, which is sent as it is.
//
//	var later http3.Reprioritizer
//	req = req.WithContext(later.Context(req.Context()))
//	...
//	later.Update("u=1, i")
type Reprioritizer struct {
	mu    sync.Mutex
	value string
	said  bool
	calls map[*call]struct{}
}

type reprioritizerKey struct{}

// Context returns a context for requests that r is to change the priority of.
func (r *Reprioritizer) Context(parent context.Context) context.Context {
	return context.WithValue(parent, reprioritizerKey{}, r)
}

var (
	errPriority     = errors.New("http3: a priority that is not a dictionary of structured fields")
	errPriorityLost = errors.New("http3: a priority was not sent: the server does not read its control stream")
)

// Update tells the servers of r's requests that are under way, or will be, what
// their priority is: a complete set of priority parameters as in a Priority
// header field, such as "u=5, i". What is not named has its default, u=3 and not
// incremental. An error means that value is none, or that it
// could not be sent to all of them; a server need not act on it anyway.
func (r *Reprioritizer) Update(value string) (err error) {
	if _, ok := h3.ParsePriority(value); !ok || len(value) > h3.MaxPriorityUpdatePayload-8 {
		return errPriority
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value, r.said = value, true
	for c := range r.calls {
		if !c.cc.updatePriority(c.s.ID(), value) {
			err = errPriorityLost
		}
	}
	return err
}

// joinPriority has the call be told of by the Reprioritizer of its context.
func (c *call) joinPriority() {
	r, _ := c.ctx.Value(reprioritizerKey{}).(*Reprioritizer)
	if r == nil {
		return
	}
	c.priority = r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls == nil {
		r.calls = make(map[*call]struct{})
	}
	r.calls[c] = struct{}{}
	if r.said {
		c.cc.updatePriority(c.s.ID(), r.value)
	}
}

// leave forgets a call that is over.
func (r *Reprioritizer) leave(c *call) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.calls, c)
}

// updatePriority sends a PRIORITY_UPDATE frame, whole or not at all.
func (cc *ClientConn) updatePriority(id int64, value string) bool {
	b := h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FramePriorityUpdateRequest, Length: int64(varint.Len(uint64(id)) + len(value))})
	b = append(varint.Append(b, uint64(id)), value...)
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.control != nil {
		cc.trace.frameCreated(cc.control.ID(), h3.FramePriorityUpdateRequest, id)
		return cc.control.TryWrite(b)
	}
	if len(cc.unsaid)+len(b) > maxUnsaid {
		return false
	}
	cc.unsaid = append(cc.unsaid, b...)
	return true
}

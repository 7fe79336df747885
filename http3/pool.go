package http3

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync"
)

// pool is the connections of a Transport, one for each authority.
type pool struct {
	mu      sync.Mutex
	closed  bool
	entries map[string]*poolEntry
}

// poolEntry is a connection, or the attempt to get one that any number of
// requests wait for.
type poolEntry struct {
	ready chan struct{} // closed when cc or err is set
	cc    *ClientConn
	err   error

	// Under pool.mu.
	waiters int
	cancel  context.CancelFunc // of the dial
}

// get returns the connection to addr, dialling it if need be. The dial ends
// when nobody waits for it any more.
func (p *pool) get(ctx context.Context, t *Transport, addr string) (*ClientConn, error) {
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(addr)
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	e, err := p.join(ctx, t, addr)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.ready:
		return e.cc, e.err
	default:
	}
	defer p.leave(addr, e)
	select {
	case <-e.ready:
		return e.cc, e.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// join finds the entry of addr, or starts a dial for the request of ctx.
func (p *pool) join(ctx context.Context, t *Transport, addr string) (*poolEntry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, net.ErrClosed
	}
	if e := p.entries[addr]; e != nil {
		select {
		case <-e.ready:
			if e.cc.CanTakeRequest() {
				return e, nil
			}
		default:
			e.waiters++
			return e, nil
		}
	}
	// The dial belongs to all who will wait for it: it keeps the values of the
	// first request's context, its trace for one, but not its end.
	dialCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e := &poolEntry{ready: make(chan struct{}), waiters: 1, cancel: cancel}
	if p.entries == nil {
		p.entries = make(map[string]*poolEntry)
	}
	p.entries[addr] = e
	go p.dial(dialCtx, t, addr, e)
	return e, nil
}

// dial gets the connection of an entry.
func (p *pool) dial(ctx context.Context, t *Transport, addr string, e *poolEntry) {
	defer e.cancel()
	cc, err := t.dialTraced(ctx, addr)
	p.mu.Lock()
	if err == nil && p.closed {
		defer cc.Close()
		cc, err = nil, net.ErrClosed
	}
	e.cc, e.err = cc, err
	if err != nil {
		p.remove(addr, e)
	}
	close(e.ready)
	p.mu.Unlock()
	if err == nil {
		context.AfterFunc(cc.q.Context(), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.remove(addr, e)
		})
	}
}

// leave is for a request that waited. The last one to go ends the dial.
func (p *pool) leave(addr string, e *poolEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.waiters--
	select {
	case <-e.ready:
	default:
		if e.waiters == 0 {
			e.cancel()
			p.remove(addr, e)
		}
	}
}

// remove forgets an entry if addr still has it. mu is held.
func (p *pool) remove(addr string, e *poolEntry) {
	if p.entries[addr] == e {
		delete(p.entries, addr)
	}
}

// discard takes a connection out of use that refused a request. It closes when
// its other requests are done.
func (p *pool) discard(addr string, cc *ClientConn) {
	p.mu.Lock()
	if e := p.entries[addr]; e != nil && e.cc == cc {
		delete(p.entries, addr)
	}
	p.mu.Unlock()
	cc.Shutdown()
}

// all returns the connections there are.
func (p *pool) all() (list []*ClientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.entries {
		if e.cc != nil {
			list = append(list, e.cc)
		}
	}
	return list
}

// close refuses further requests, ends the dials and returns the connections.
func (p *pool) close() []*ClientConn {
	list := p.all()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, e := range p.entries {
		e.cancel()
	}
	return list
}

package altsvc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/godwit-net/godwit/http3"
)

// exchange is one request and what is done for its response.
type exchange struct {
	t        *Transport
	o        origin
	req      *http.Request
	content  *content
	releases []func() // of connections that wait over TCP
}

var errRefused = errors.New("altsvc: the server has refused the request again and again")

// verdict says what comes after an attempt over QUIC.
type verdict uint8

const (
	final   verdict = iota // its outcome is the request's
	goAgain                // over QUIC, with another connection
	goByTCP                // the other way
)

func (x *exchange) run() (res *http.Response, err error) {
	defer func() {
		for _, release := range x.releases {
			release()
		}
		if err == nil {
			x.content.settle()
		} else {
			x.content.close()
		}
	}()
	for range maxAttempts {
		p, err := x.way()
		if err != nil {
			return nil, err
		}
		if p.l == nil {
			return x.overTCP()
		}
		res, next, err := x.overQUIC(p)
		if next == final {
			return res, err
		}
		if next == goByTCP && x.t.Preference != Only {
			break
		}
	}
	if x.t.Preference == Only {
		return nil, errRefused
	}
	return x.overTCP()
}

// mayUseQUIC reports whether HTTP/3 can carry the request at all.
func (x *exchange) mayUseQUIC() bool {
	t := x.t
	if t.Preference == Only {
		return true // and what it cannot carry is an error
	}
	if t.Preference == Never || !canGo(x.req) {
		return false
	}
	if p := t.tcp.transport.Proxy; p != nil {
		// "A client configured to use a proxy for a given request SHOULD NOT directly
		// connect to an alternative service for this request, but instead route it
		// through that proxy." (RFC 7838, section 2.4)
		u, err := p(x.req)
		return u == nil && err == nil
	}
	return true
}

// choose returns the alternative for the request.
func (x *exchange) choose() (c choice, ok bool) {
	if c, ok = x.t.m.choose(x.o); ok {
		return c, true
	}
	if x.t.Preference == Always || x.t.Preference == Only {
		return x.t.m.direct(x.o), true
	}
	return c, false
}

// path is a connection that stands, and what was sent on it before it did. Its
// zero value is TCP.
type path struct {
	l     *link
	early *attempt // nil: nothing
}

func (p path) drop() {
	if p.early != nil {
		p.early.cancel(errTakenBack)
	}
}

// way decides which way the request goes.
func (x *exchange) way() (p path, err error) {
	t, ctx := x.t, x.req.Context()
	if ctx.Err() != nil {
		return p, context.Cause(ctx)
	}
	if !x.mayUseQUIC() {
		return p, nil
	}
	// "Clients with existing connections to an alternative service do not need to
	// stop using it when its freshness lifetime ends" (RFC 7838, section 2.2).
	if l := t.links.standing(x.o); l != nil && l.cc.Conn().Quiet() < t.quietLimit {
		return path{l: l}, nil
	}
	c, ok := x.choose()
	if !ok {
		return x.askAndRace()
	}
	l, err := t.link(x.o, c) // also when TCP turns out to be faster: the next request may use it
	if err != nil {
		return p, err
	}
	if t.Preference == Only {
		if p, err = x.reach(ctx, l); errors.Is(err, errDeaf) {
			if l, err = t.link(x.o, c); err == nil { // the dead one is gone now
				p, err = x.reach(ctx, l)
			}
		}
		return p, err
	}
	head := t.headStart
	// What an origin has said and nobody has tried is believed, but not waited for
	// where TCP is there already.
	if c.troubled || !c.proven && (!c.altSvc || t.tcp.isLive(x.o.String())) && t.Preference != Always {
		head = 0
	}
	return x.race(head, func(ctx context.Context) (path, error) { return x.reach(ctx, l) })
}

// askAndRace is for an origin that nothing is known of: it is reached over TCP,
// unless the DNS is asked and its answer and QUIC are faster.
func (x *exchange) askAndRace() (p path, err error) {
	answered := x.t.ask(x.o)
	if answered == nil {
		return p, nil
	}
	return x.race(0, func(ctx context.Context) (path, error) {
		<-answered // the next request knows, if this one does not
		c, ok := x.choose()
		if !ok {
			return path{}, errNotKnown
		}
		l, err := x.t.link(x.o, c)
		if err != nil {
			return path{}, err
		}
		return x.reach(ctx, l)
	})
}

// errNotKnown says that nothing is known of HTTP/3 at an origin. It is no failure.
var errNotKnown = errors.New("altsvc: the origin is not known to have HTTP/3")

// race goes by QUIC and, after head, by TCP.
func (x *exchange) race(head time.Duration, quic func(context.Context) (path, error)) (p path, err error) {
	p, release, quicWon, err := race(x.req.Context(), head, ways[path, func()]{
		quic:     quic,
		tcp:      x.readyTCP,
		dropQUIC: path.drop,
		dropTCP:  func(release func()) { release() },
	})
	if err == nil && !quicWon {
		x.keep(release)
	}
	var both *BothError
	if errors.As(err, &both) && both.QUIC == errNotKnown {
		err = both.TCP
	}
	return p, err
}

// keep has a connection wait over TCP until the request is done.
func (x *exchange) keep(release func()) {
	if release != nil {
		x.releases = append(x.releases, release)
	}
}

// readyTCP returns when TCP stands.
func (x *exchange) readyTCP(ctx context.Context) (release func(), err error) {
	release, proved, err := x.t.tcp.ready(ctx, x.o.String())
	if err == nil && proved {
		x.t.m.tcpWorks(x.o)
	}
	return release, err
}

// reach returns when l stands. A safe request goes ahead in 0-RTT.
func (x *exchange) reach(ctx context.Context, l *link) (p path, err error) {
	p.l = l
	if isSafe(x.req) {
		select {
		case <-l.early:
			if !l.stands() {
				p.early = x.begin(l, l.first)
			}
		case <-l.ready:
		case <-ctx.Done():
		}
	}
	if err := x.t.await(ctx, l); err != nil {
		p.drop()
		return path{}, err
	}
	return p, nil
}

// attempt is a request on a connection, sent by a goroutine of its own.
type attempt struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
	res    *http.Response
	err    error
}

// begin sends the request on cc.
func (x *exchange) begin(l *link, cc *http3.ClientConn) *attempt {
	ctx, cancel := context.WithCancelCause(x.req.Context())
	a := &attempt{cancel: cancel, done: make(chan struct{})}
	req := x.request(ctx, l)
	go func() {
		defer close(a.done)
		if a.res, a.err = cc.RoundTrip(req); a.err == nil && ctx.Err() != nil {
			a.res.Body.Close()
			a.err = context.Cause(ctx)
		}
	}()
	return a
}

// request is the request as it is sent over l.
func (x *exchange) request(ctx context.Context, l *link) *http.Request {
	req := x.req.WithContext(ctx)
	if l.choice.altSvc {
		// "When using an alternative service, clients SHOULD include an Alt-Used header
		// field in all requests." (RFC 7838, section 5)
		req.Header = req.Header.Clone()
		req.Header.Set("Alt-Used", l.choice.route.altUsed())
	}
	return x.content.attempt(req)
}

// overQUIC sends the request over a connection that stands.
func (x *exchange) overQUIC(p path) (res *http.Response, next verdict, err error) {
	l, since := p.l, x.t.m.now()
	var cancel context.CancelCauseFunc
	if p.early != nil {
		cancel = p.early.cancel
		w := x.watch(x.req.Context(), l, cancel)
		<-p.early.done // the handshake is done: it answers as all others
		res, err = p.early.res, p.early.err
		x.keep(w.stop())
	}
	if p.early == nil || err != nil && !errors.Is(err, errDeaf) && x.req.Context().Err() == nil && l.usable() && x.content.rewind() {
		p.drop()
		var ctx context.Context
		ctx, cancel = context.WithCancelCause(x.req.Context())
		w := x.watch(ctx, l, cancel)
		res, err = l.cc.RoundTrip(x.request(ctx, l))
		x.keep(w.stop())
	}
	if err == nil {
		next = x.judge(l, res)
		if next == final {
			x.adopt(l, res, since, cancel)
			return res, final, nil
		}
	}
	cancel(nil)
	if err != nil {
		next, err = x.excuse(l, since, err)
	}
	return nil, next, err
}

// judge looks at a response.
func (x *exchange) judge(l *link, res *http.Response) verdict {
	if res.StatusCode != http.StatusMisdirectedRequest || l.choice.route == x.o {
		x.t.learn(x.o, res)
		return final
	}
	// "Regardless of the idempotency of the request method, they MAY retry the
	// request, either at another alternative server, or at the origin." (RFC 7838,
	// section 6)
	x.t.m.forget(x.o, l.choice.route)
	x.t.links.discard(l)
	if x.t.Preference == Only || !x.content.rewind() {
		return final
	}
	io.CopyN(io.Discard, res.Body, maxMisdirected)
	res.Body.Close()
	return goByTCP
}

// adopt makes a response the caller's.
func (x *exchange) adopt(l *link, res *http.Response, since time.Time, cancel context.CancelCauseFunc) {
	res.Request = x.req
	if res.Body == http.NoBody {
		cancel(nil)
		return
	}
	res.Body = &watchedBody{ReadCloser: res.Body, over: func(err error) {
		if err != nil && isBreak(l.cc.Conn().Err()) {
			x.t.failed(l, since, err)
		}
		cancel(nil)
	}}
}

// watchedBody tells when there is no more of it, and why: nil if it ended well or
// was closed.
type watchedBody struct {
	io.ReadCloser
	over func(error) // nil: told already
}

func (b *watchedBody) Read(p []byte) (n int, err error) {
	if n, err = b.ReadCloser.Read(p); err == io.EOF {
		b.tell(nil)
	} else if err != nil {
		b.tell(err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.tell(nil)
	return err
}

func (b *watchedBody) tell(err error) {
	if b.over != nil {
		b.over(err)
		b.over = nil
	}
}

// overTCP sends the request over TCP.
func (x *exchange) overTCP() (*http.Response, error) {
	res, err := x.t.tcp.roundTrip(x.content.attempt(x.req), x.o.String())
	if err != nil {
		return nil, err
	}
	res.Request = x.req
	x.t.m.tcpWorks(x.o)
	x.t.learn(x.o, res)
	return res, nil
}

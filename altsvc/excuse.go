package altsvc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// excuse decides what comes after a request that failed over l. RFC 9114, section
// 4.1.1: "Only idempotent actions such as GET, PUT, or DELETE can be safely
// retried"; and section 5.2 lets go again what was not processed.
func (x *exchange) excuse(l *link, since time.Time, err error) (verdict, error) {
	if x.req.Context().Err() != nil {
		return final, err
	}
	gone := l.cc.Conn().Err()
	next := final
	switch {
	case errors.Is(err, errDeaf):
		x.t.dead(l, since, err)
		next = goByTCP
	case isBreak(gone):
		x.t.links.discard(l)
		x.t.failed(l, since, err)
		if http3.Unprocessed(err) || isIdempotent(x.req) {
			next = goByTCP
		}
	case http3.Unprocessed(err), gone != nil && isIdempotent(x.req):
		x.t.links.discard(l)
		next = goAgain
	case wantsOtherVersion(err):
		// RFC 9114, section 8.1: "The requested operation cannot be served over
		// HTTP/3. The peer should retry over HTTP/1.1."
		next = goByTCP
	}
	if next != final && !x.content.rewind() {
		next = final
	}
	return next, err
}

func wantsOtherVersion(err error) bool {
	var e *http3.Error
	return errors.As(err, &e) && e.Remote && e.Code == http3.VersionFallback
}

// isBreak reports whether what ended a connection says that HTTP/3 does not work
// there. That a server goes away, or was started again, does not.
func isBreak(err error) bool {
	var app *quic.ApplicationError
	var transport *quic.TransportError
	switch {
	case errors.As(err, &app):
		return app.Code != uint64(http3.NoError)
	case errors.As(err, &transport):
		return transport.Code != 0
	}
	return errors.Is(err, quic.ErrIdleTimeout) || errors.Is(err, quic.ErrHandshakeTimeout)
}

// watch ends a request whose server is not heard any more, once TCP stands in
// for it. It is for requests that can be sent again.
type watch struct {
	x      *exchange
	l      *link
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer // nil: the request is not watched
	stopped bool
	release func()
}

func (x *exchange) watch(ctx context.Context, l *link, cancel context.CancelCauseFunc) *watch {
	w := &watch{x: x, l: l, ctx: ctx, cancel: cancel}
	if x.t.Preference != Only && isIdempotent(x.req) && (x.content.body == nil || x.req.GetBody != nil) {
		w.mu.Lock()
		w.timer = time.AfterFunc(x.t.deafLimit, w.look)
		w.mu.Unlock()
	}
	return w
}

func (w *watch) look() {
	limit := w.x.t.deafLimit
	quiet := w.l.cc.Conn().Quiet()
	var release func()
	var err error
	if quiet >= limit {
		release, err = w.x.readyTCP(w.ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopped:
		if release != nil {
			release()
		}
	case release == nil || err != nil:
		w.timer.Reset(max(limit-quiet, limit/8))
	default:
		w.release = release
		w.cancel(errDeaf)
	}
}

// stop ends the watch. It returns what keeps the connection over TCP, if there is
// one.
func (w *watch) stop() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
	return w.release
}

// learn takes what a response says about its origin's alternatives.
func (t *Transport) learn(o origin, res *http.Response) {
	lines := res.Header["Alt-Svc"]
	// "An Alt-Svc header field in a 421 (Misdirected Request) response MUST be
	// ignored." (RFC 7838, section 6)
	if len(lines) == 0 || res.StatusCode == http.StatusMisdirectedRequest || res.TLS == nil {
		return
	}
	services, _, err := Parse(lines)
	if err != nil {
		t.logger().Debug("an Alt-Svc field is ignored", "origin", o, "error", err)
		return
	}
	t.Trace.learned(o, services)
	if !t.assured() {
		services = slices.DeleteFunc(services, func(s Service) bool { return s.Host != "" && s.Host != o.host })
	}
	age, _ := deltaSeconds(res.Header.Get("Age"))
	t.m.learn(o, services, age)
	if l := t.links.standing(o); l != nil && l.choice.altSvc && !slices.ContainsFunc(services, func(s Service) bool {
		return s.usable() && s.routeOf(o) == l.choice.route
	}) {
		t.links.discard(l) // it is not an alternative any more
	}
}

// altUsed is the route as an Alt-Used field names it: uri-host [ ":" port ].
func (r route) altUsed() string {
	if r.port == 443 {
		return strings.TrimSuffix(r.String(), ":443")
	}
	return r.String()
}

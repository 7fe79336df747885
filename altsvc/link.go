package altsvc

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// link is a QUIC connection to an origin, or the attempt to get one, which any
// number of requests wait for and none of them ends.
type link struct {
	origin origin
	choice choice
	began  time.Time
	cancel context.CancelFunc // of the attempt

	early chan struct{} // closed when first may carry safe requests in 0-RTT
	first *http3.ClientConn
	ready chan struct{} // closed when cc stands or err is set
	cc    *http3.ClientConn
	err   error

	probing sync.Mutex // held while a request asks for a sign of life
}

// links are the connections of a Transport: one for each origin.
type links struct {
	mu     sync.Mutex
	closed bool
	byName map[origin]*list.Element
	recent list.List             // of *link, the latest used first
	before map[origin]netip.Addr // where the last connection went; of origins in the memory
}

func (ls *links) init() {
	ls.byName, ls.before = make(map[origin]*list.Element), make(map[origin]netip.Addr)
}

// link returns the connection of an origin, and has it dialled if need be.
func (t *Transport) link(o origin, c choice) (*link, error) {
	ls := &t.links
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return nil, net.ErrClosed
	}
	if e := ls.byName[o]; e != nil {
		if l := e.Value.(*link); l.usable() {
			ls.recent.MoveToFront(e)
			return l, nil
		}
		ls.remove(o)
	}
	if len(ls.byName) >= maxLinks {
		ls.remove(ls.recent.Back().Value.(*link).origin).retire()
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{origin: o, choice: c, began: t.m.now(), cancel: cancel, early: make(chan struct{}), ready: make(chan struct{})}
	ls.byName[o] = ls.recent.PushFront(l)
	go t.establish(ctx, l)
	return l, nil
}

// standing returns the connection of an origin if there is one already.
func (ls *links) standing(o origin) *link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if e := ls.byName[o]; e != nil {
		if l := e.Value.(*link); l.stands() && l.usable() {
			ls.recent.MoveToFront(e)
			return l
		}
	}
	return nil
}

// remove takes the link of an origin out of use. mu is held.
func (ls *links) remove(o origin) *link {
	e := ls.byName[o]
	if e == nil {
		return nil
	}
	delete(ls.byName, o)
	return ls.recent.Remove(e).(*link)
}

// discard takes l out of use.
func (ls *links) discard(l *link) {
	ls.mu.Lock()
	if e := ls.byName[l.origin]; e != nil && e.Value.(*link) == l {
		ls.remove(l.origin)
	}
	ls.mu.Unlock()
	l.retire()
}

// takeAll empties the table.
func (ls *links) takeAll(which func(*link) bool) (taken []*link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for o, e := range ls.byName {
		if l := e.Value.(*link); which(l) {
			taken = append(taken, l)
			ls.remove(o)
		}
	}
	return taken
}

// stands reports whether the handshake is done and went well, once.
func (l *link) stands() bool {
	return isClosed(l.ready) && l.err == nil
}

// earlyConn is the connection that began with 0-RTT, nil if there is none.
func (l *link) earlyConn() *http3.ClientConn {
	if !isClosed(l.early) {
		return nil
	}
	return l.first
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// usable reports whether there is any hope for a request in it.
func (l *link) usable() bool {
	return !isClosed(l.ready) || l.err == nil && l.cc.CanTakeRequest()
}

// idle reports whether nothing would be lost by closing it.
func (l *link) idle() bool { return l.stands() && l.cc.Running() == 0 }

// retire lets it end with its last request.
func (l *link) retire() {
	l.cancel()
	if l.stands() {
		l.cc.Shutdown()
	}
}

func (l *link) close() {
	l.cancel()
	if l.stands() {
		l.cc.Close()
	}
}

// establish dials until the connection stands, and tells who waits.
func (t *Transport) establish(ctx context.Context, l *link) {
	defer l.cancel()
	q, err := t.connect(ctx, l)
	if err == nil {
		if f := l.earlyConn(); f != nil && f.Conn() == q {
			l.cc = f
		} else {
			l.cc = t.h3.NewClientConn(q)
		}
	}
	ls := &t.links
	ls.mu.Lock()
	closed := ls.closed
	if err == nil {
		ls.before[l.origin] = q.RemoteAddr().(*net.UDPAddr).AddrPort().Addr()
		if len(ls.before) > maxOrigins {
			clear(ls.before)
		}
	}
	ls.mu.Unlock()
	if err == nil && (closed || ctx.Err() != nil) {
		l.cc.Close()
		err = net.ErrClosed
	}
	if l.err = err; err != nil {
		if ctx.Err() == nil {
			t.failed(l, l.began, err)
		}
		close(l.ready)
		ls.discard(l)
		return
	}
	t.m.worked(l.origin, l.choice.route)
	t.Trace.connected(l.origin, l.choice.route, q)
	close(l.ready)
	context.AfterFunc(q.Context(), func() { ls.discard(l) })
}

// failed notes that QUIC, which began at since, has failed where TCP may work.
func (t *Transport) failed(l *link, since time.Time, err error) {
	until, broken := t.m.failed(l.origin, l.choice.route, since)
	t.logger().Debug("HTTP/3 failed", "origin", l.origin, "alternative", l.choice.route, "error", err, "broken", broken)
	if !broken {
		until = time.Time{}
	}
	t.Trace.failed(l.origin, l.choice.route, err, until)
}

// connect opens a QUIC connection to the alternative of l. What it presents must
// be good for the origin: "when TLS [...] is used to authenticate, the alternative
// service will need to present a certificate for the origin's host name, not
// that of the alternative" (RFC 7838, section 2).
func (t *Transport) connect(ctx context.Context, l *link) (*quic.Conn, error) {
	addrs, err := t.resolve(ctx, l.choice.route.host)
	if err != nil {
		return nil, err
	}
	t.links.mu.Lock()
	before, known := t.links.before[l.origin]
	t.links.mu.Unlock()
	addrs = first(interleave(addrs), before)
	conf := t.quicConfig()
	// 0-RTT is bytes to an address from which nothing was heard yet: only where it
	// was before, and not where something has failed lately.
	early := conf.EarlyData && !l.choice.troubled && (len(addrs) == 1 || known && len(addrs) > 0 && addrs[0] == before)
	tlsConf := t.quicTLS(l.origin)
	dial := func(ctx context.Context, a netip.Addr) (*quic.Conn, error) {
		c := conf
		c.EarlyData = early && a == addrs[0]
		q, err := quic.Dial(ctx, netip.AddrPortFrom(a, l.choice.route.port).String(), tlsConf, &c)
		if err != nil {
			return nil, err
		}
		if !q.TLS().HandshakeComplete {
			l.first = t.h3.NewClientConn(q)
			close(l.early) // only the first address comes here
		}
		if err := q.HandshakeDone(ctx); err != nil {
			q.Close()
			return nil, err
		}
		// "If the connection to the alternative service does not negotiate the
		// expected protocol [...], the connection to the alternative service MUST be
		// considered to have failed." (RFC 7838, section 2.4)
		if p := q.TLS().NegotiatedProtocol; p != http3.NextProto {
			q.CloseWithError(uint64(http3.NoError), "")
			return nil, fmt.Errorf("altsvc: %v chose protocol %q", l.choice.route, p)
		}
		return q, nil
	}
	return dialEach(ctx, addrs, dial, func(q *quic.Conn) { q.CloseWithError(uint64(http3.NoError), "") })
}

// quicTLS is the configuration of QUIC connections for an origin. Their sessions
// are kept apart from those of TCP, and of other origins on the same host.
func (t *Transport) quicTLS(o origin) *tls.Config {
	conf := http3.ConfigureTLS(t.tls)
	if conf.ServerName == "" {
		conf.ServerName = o.host
		if addr, err := netip.ParseAddr(o.host); err == nil {
			conf.ServerName = addr.WithZone("").String() // no certificate has it
		}
	}
	cache := conf.ClientSessionCache
	if cache == nil {
		cache = t.sessions
	}
	conf.ClientSessionCache = originSessions{cache, "h3 " + o.String() + " "}
	return conf
}

// originSessions is a session cache as one origin sees it.
type originSessions struct {
	tls.ClientSessionCache
	prefix string
}

func (s originSessions) Get(key string) (*tls.ClientSessionState, bool) {
	return s.ClientSessionCache.Get(s.prefix + key)
}

func (s originSessions) Put(key string, cs *tls.ClientSessionState) {
	s.ClientSessionCache.Put(s.prefix+key, cs)
}

// await waits for the connection to stand. A quiet one is asked for a sign of life
// first, also when nobody waits for that any more.
func (t *Transport) await(ctx context.Context, l *link) error {
	if !isClosed(l.ready) {
		select {
		case <-l.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if l.err != nil {
		return l.err
	}
	if l.cc.Conn().Quiet() < t.quietLimit {
		return nil
	}
	return t.probe(ctx, l)
}

// errDeaf ends a connection whose peer is not heard any more.
var errDeaf = errors.New("altsvc: the server is not heard any more over UDP")

// probe asks a connection that nothing was heard on for a while. The question
// outlives the request that asked, so that a dead connection goes.
func (t *Transport) probe(ctx context.Context, l *link) error {
	answer := make(chan error, 1)
	go func() {
		l.probing.Lock() // the next one finds that something was heard, or that it ended
		defer l.probing.Unlock()
		if l.cc.Conn().Quiet() < t.quietLimit {
			answer <- nil
			return
		}
		began := t.m.now()
		ctx, cancel := context.WithTimeoutCause(context.Background(), t.probeLimit, errDeaf)
		defer cancel()
		err := l.cc.Conn().Probe(ctx)
		if errors.Is(err, errDeaf) {
			t.dead(l, began, err)
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dead ends a connection on which nothing comes any more.
func (t *Transport) dead(l *link, since time.Time, err error) {
	t.links.discard(l)
	t.failed(l, since, err)
	l.cc.Close()
}

package altsvc

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

// memory is what is known about origins: their alternatives, and which of them
// do not work. It belongs to a Transport, and is what its File holds.
type memory struct {
	now     func() time.Time
	changed func() // something of it should be written; nil: nobody does

	mu      sync.Mutex // a leaf: nothing is taken under it
	origins map[origin]*list.Element
	recent  list.List // of *entry, the latest used first
	broken  map[way]*trouble
	network string // where it was learned
}

// entry is what is known about one origin.
type entry struct {
	origin  origin
	learned []alternative // by Alt-Svc, the most preferred first
	records []alternative // from the DNS
	asked   time.Time     // until when what the DNS said holds; zero: it was not asked

	tcpWorked time.Time           // when the origin was last reached over TCP
	suspects  map[route]time.Time // when they failed, without a proof that the network worked; at most maxKept
}

// alternative is a Service that has HTTP/3, as it is kept.
type alternative struct {
	route   route
	expires time.Time
	persist bool
	proven  bool // a connection to it stood, on this network
}

// way is an alternative of an origin.
type way struct {
	origin origin
	route  route
}

// trouble is the failures of an alternative that no success came after.
type trouble struct {
	failures int
	until    time.Time // it is broken until then, and suspicious afterwards
}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, origins: make(map[origin]*list.Element), broken: make(map[way]*trouble)}
}

// find returns what is known about o, nil if nothing is. mu is held.
func (m *memory) find(o origin) *entry {
	e := m.origins[o]
	if e == nil {
		return nil
	}
	m.recent.MoveToFront(e)
	return e.Value.(*entry)
}

// get is find, and makes an entry where there is none. mu is held.
func (m *memory) get(o origin) *entry {
	if e := m.find(o); e != nil {
		return e
	}
	if len(m.origins) >= maxOrigins {
		last := m.recent.Remove(m.recent.Back()).(*entry)
		delete(m.origins, last.origin)
	}
	e := &entry{origin: o}
	m.origins[o] = m.recent.PushFront(e)
	return e
}

// learn replaces what is known of an origin's alternatives by what a response
// said that is age old: "When an Alt-Svc response header field is received from
// an origin, its value invalidates and replaces all cached alternative services
// for that origin." (RFC 7838, section 3.1)
func (m *memory) learn(o origin, services []Service, age time.Duration) {
	m.mu.Lock()
	e := m.get(o)
	before := e.learned
	e.learned = nil
	now := m.now()
	for i := range services {
		s := &services[i]
		if !s.usable() || s.MaxAge <= age || len(e.learned) == maxKept {
			continue
		}
		a := alternative{route: s.routeOf(o), expires: now.Add(s.MaxAge - age), persist: s.Persist}
		for _, b := range before {
			if b.route == a.route {
				a.proven = b.proven
			}
		}
		e.learned = append(e.learned, a)
	}
	changed := !slices.EqualFunc(before, e.learned, alternative.equal)
	m.mu.Unlock()
	m.tell(changed)
}

// equal leaves out differences that are not worth a write: each response moves
// the end of an alternative's freshness.
func (a alternative) equal(b alternative) bool {
	moved := a.expires.Sub(b.expires).Abs()
	a.expires = b.expires
	return a == b && moved < time.Minute
}

func (m *memory) tell(changed bool) {
	if changed && m.changed != nil {
		m.changed()
	}
}

// choice is the alternative to use for an origin.
type choice struct {
	route    route
	altSvc   bool // it is an alternative service: requests carry Alt-Used
	proven   bool // it has worked, on this network
	troubled bool // it was broken, and nothing has been heard of it since
}

// choose returns the best alternative of o that is fresh and not broken.
func (m *memory) choose(o origin) (c choice, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.find(o)
	if e == nil {
		return c, false
	}
	now := m.now()
	for i, kept := range [][]alternative{e.learned, e.records} {
		for _, a := range kept {
			if !now.Before(a.expires) || m.isBroken(way{o, a.route}) {
				continue
			}
			t := m.broken[way{o, a.route}]
			return choice{route: a.route, altSvc: i == 0, proven: a.proven && t == nil, troubled: t != nil}, true
		}
	}
	return c, false
}

// direct is the origin itself, for those who want HTTP/3 whatever is known.
func (m *memory) direct(o origin) choice {
	m.mu.Lock()
	defer m.mu.Unlock()
	return choice{route: o, troubled: m.broken[way{o, o}] != nil}
}

func (m *memory) isBroken(w way) bool {
	t := m.broken[w]
	return t != nil && m.now().Before(t.until)
}

// forget removes an alternative: "Clients receiving 421 (Misdirected Request)
// from an alternative service MUST remove the corresponding entry from its
// alternative service cache" (RFC 7838, section 6).
func (m *memory) forget(o origin, r route) {
	m.mu.Lock()
	e := m.get(o)
	n := len(e.learned) + len(e.records)
	is := func(a alternative) bool { return a.route == r }
	e.learned, e.records = slices.DeleteFunc(e.learned, is), slices.DeleteFunc(e.records, is)
	changed := n != len(e.learned)+len(e.records)
	m.mu.Unlock()
	m.tell(changed)
}

// worked notes that a connection to r stands: success clears what failed before.
func (m *memory) worked(o origin, r route) {
	m.mu.Lock()
	e := m.get(o)
	changed := m.broken[way{o, r}] != nil
	delete(m.broken, way{o, r})
	delete(e.suspects, r)
	for _, kept := range [][]alternative{e.learned, e.records} {
		for i := range kept {
			if kept[i].route == r && !kept[i].proven {
				kept[i].proven, changed = true, true
			}
		}
	}
	m.mu.Unlock()
	m.tell(changed)
}

// failed notes that QUIC to r did not work. since is when it was begun: if TCP
// has worked meanwhile the alternative is broken; otherwise it may have been the
// whole network, and TCP has the time of suspicion to show that it was not. It
// returns whether it is broken now, and until when.
func (m *memory) failed(o origin, r route, since time.Time) (until time.Time, broken bool) {
	m.mu.Lock()
	e, now := m.get(o), m.now()
	if broken = !e.tcpWorked.IsZero() && !e.tcpWorked.Before(since); broken {
		until = m.breakLocked(way{o, r}, now)
	} else if len(e.suspects) < maxKept {
		if e.suspects == nil {
			e.suspects = make(map[route]time.Time)
		}
		e.suspects[r] = now
	}
	m.mu.Unlock()
	m.tell(broken)
	return until, broken
}

// tcpWorks notes that o was reached over TCP.
func (m *memory) tcpWorks(o origin) {
	m.mu.Lock()
	e, now := m.get(o), m.now()
	e.tcpWorked = now
	changed := false
	for r, at := range e.suspects {
		if now.Sub(at) <= suspicion {
			m.breakLocked(way{o, r}, now)
			changed = true
		}
	}
	e.suspects = nil
	m.mu.Unlock()
	m.tell(changed)
}

// breakLocked notes a failure: 5 minutes, and twice as long each time, to 48
// hours. Failures while it is broken already are the same one. mu is held.
func (m *memory) breakLocked(w way, now time.Time) time.Time {
	t := m.broken[w]
	if t == nil {
		if len(m.broken) >= maxBroken {
			m.forgetTrouble()
		}
		t = &trouble{}
		m.broken[w] = t
	}
	if now.Before(t.until) {
		return t.until
	}
	t.until = now.Add(t.pause())
	t.failures = min(t.failures+1, maxFailures)
	return t.until
}

// pause is how long it is left alone after one more failure.
func (t *trouble) pause() time.Duration {
	d := firstBreak
	for range t.failures {
		if d *= 2; d >= maxBreak {
			return maxBreak
		}
	}
	return d
}

// forgetTrouble makes room: what is broken for the shortest time. mu is held.
func (m *memory) forgetTrouble() {
	var first way
	var until time.Time
	for w, t := range m.broken {
		if until.IsZero() || t.until.Before(until) {
			first, until = w, t.until
		}
	}
	delete(m.broken, first)
}

// onNetwork forgets what was good for another network: "clients SHOULD remove
// from cache all alternative services that lack the "persist" flag with the
// value "1" when they detect such a change" (RFC 7838, section 2.2). What failed
// there may work here, and the other way round.
func (m *memory) onNetwork(network string) (changed bool) {
	m.mu.Lock()
	changed = m.network != network
	if changed {
		m.network = network
		m.broken = make(map[way]*trouble)
		for _, e := range m.origins {
			e := e.Value.(*entry)
			e.records, e.asked, e.suspects = nil, time.Time{}, nil
			e.learned = slices.DeleteFunc(e.learned, func(a alternative) bool { return !a.persist })
			for i := range e.learned {
				e.learned[i].proven = false
			}
		}
	}
	m.mu.Unlock()
	m.tell(changed)
	return changed
}

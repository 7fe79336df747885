package link

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/udp"
)

// front is where clients send to reach one address of the server.
type front struct {
	link   *Link
	socket *udp.Socket
	target atomic.Pointer[netip.AddrPort] // nil: not named yet
}

// client is an address that sends to the link. What is under mu is the link's to guard.
type client struct {
	addr     netip.AddrPort
	up, down *simnet.Link // its lanes, each guarded by its direction
	current  atomic.Pointer[mapping]
	local    atomic.Pointer[netip.Addr] // where it sends, when a front is bound to every address
	old      *mapping                   // the one before, under mu; what is under way may need it
	turn     uint64                     // when it was heard last, under mu
}

// mapping is the address under which the server knows a client.
type mapping struct {
	client *client
	socket *udp.Socket
	addr   netip.AddrPort
	gone   atomic.Bool // its socket is closed
}

// way is how a datagram goes: between whom and through what.
type way struct {
	client  *client
	mapping *mapping
	front   *front
	target  netip.AddrPort // the server's address
}

// read carries what clients send.
func (f *front) read() {
	l, r := f.link, f.socket.NewReader()
	for {
		msgs, err := r.Read()
		if err != nil {
			return
		}
		for i := range msgs {
			m := &msgs[i]
			w, ok := l.way(f, m)
			if !ok {
				l.strays.Add(int64(m.Datagrams()))
				continue
			}
			l.up.enter(w, m)
		}
	}
}

// way finds out how a client's datagrams go, and makes a client of whoever is none yet.
func (l *Link) way(f *front, m *udp.Message) (way, bool) {
	target := f.target.Load()
	if target == nil {
		return way{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn++
	c := l.clients[m.Remote]
	if c == nil {
		if c = l.admit(m.Remote, *target); c == nil {
			return way{}, false
		}
	}
	c.turn = l.turn
	at := c.current.Load()
	if at.addr.Addr().Is4() != target.Addr().Is4() {
		return way{}, false // the client's mapping is of another family
	}
	if f.socket.LocalAddr().Addr().IsUnspecified() && m.Local.IsValid() {
		local := m.Local
		c.local.Store(&local)
	}
	return way{client: c, mapping: at, front: f, target: *target}, true
}

// admit makes a client, with room for it; nil if the system has no socket for it.
func (l *Link) admit(addr, target netip.AddrPort) *client {
	if l.closed {
		return nil
	}
	if l.first.Load() == 0 {
		l.first.Store(int64(time.Since(l.base)))
		l.startRebinding()
	}
	if len(l.clients) >= maxClients {
		l.evict()
	}
	c := &client{addr: addr}
	m, err := l.dial(c, target)
	if err != nil {
		return nil
	}
	c.up, c.down = l.up.lane(2*l.seen), l.down.lane(2*l.seen+1)
	c.current.Store(m)
	l.clients[addr] = c
	l.seen++
	l.all.Go(func() { l.readBack(m) })
	return c
}

// evict forgets the client that was silent longest.
func (l *Link) evict() {
	var silent *client
	for _, c := range l.clients { // in any order
		if silent == nil || c.turn < silent.turn {
			silent = c
		}
	}
	silent.close()
	delete(l.clients, silent.addr)
}

// close closes the client's mappings.
func (c *client) close() {
	c.current.Load().close()
	if c.old != nil {
		c.old.close()
	}
}

func (m *mapping) close() {
	m.gone.Store(true)
	m.socket.Close()
}

// dial opens the socket by which a client reaches the server.
func (l *Link) dial(c *client, target netip.AddrPort) (*mapping, error) {
	if l.source.IsValid() {
		return c.bind(l.source)
	}
	// The address that the routing table picks is asked for, because the captures show it.
	probe, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(target))
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	return c.bind(probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap())
}

// bind makes a mapping with a new port of an address.
func (c *client) bind(source netip.Addr) (*mapping, error) {
	s, err := udp.Listen(netip.AddrPortFrom(source, 0), udp.Config{})
	if err != nil {
		return nil, err
	}
	return &mapping{client: c, socket: s, addr: s.LocalAddr()}, nil
}

// readBack carries what the server sends to a mapping.
func (l *Link) readBack(m *mapping) {
	r := m.socket.NewReader()
	for {
		msgs, err := r.Read()
		if err != nil {
			return
		}
		for i := range msgs {
			f := l.frontTo(msgs[i].Remote)
			if f == nil {
				l.strays.Add(int64(msgs[i].Datagrams()))
				continue
			}
			l.down.enter(way{client: m.client, mapping: m, front: f, target: msgs[i].Remote}, &msgs[i])
		}
	}
}

package quic

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/udp"
)

// socket is a UDP socket of an endpoint, and the goroutine that reads it. There is one, but for the endpoint of a Dial whose
// connection migrates: it has the old one and the new one for a while.
type socket struct {
	*udp.Socket
	at    netip.AddrPort // our address as the peer's path has it; zero: the system tells it with each datagram
	ended chan struct{}  // closed when the reader has ended
	left  bool           // put away while the endpoint goes on; under the endpoint's mu
}

// carries reports whether datagrams from an address of ours leave by this socket.
func (s *socket) carries(local netip.AddrPort) bool { return s.at == local }

// start reads a socket that the endpoint already knows.
func (e *Endpoint) start(s *socket) { go e.read(s, s.NewReader()) }

// bind opens another socket, on local or where the system chooses if it is the zero AddrPort, and returns it with the path
// by which it reaches remote.
func (e *Endpoint) bind(ctx context.Context, local, remote netip.AddrPort) (*socket, engine.Path, error) {
	if !local.Addr().IsValid() {
		any := netip.IPv6Unspecified()
		if remote.Addr().Is4() {
			any = netip.IPv4Unspecified()
		}
		local = netip.AddrPortFrom(any, local.Port())
	}
	from := local.Addr()
	if from.IsUnspecified() {
		var err error
		if from, err = route(ctx, netip.IPv6Unspecified(), remote); err != nil {
			return nil, engine.Path{}, err
		}
	}
	sock, err := udp.Listen(local, udp.Config{})
	if err != nil {
		return nil, engine.Path{}, fmt.Errorf("quic: %w", err)
	}
	s := &socket{Socket: sock, at: netip.AddrPortFrom(from, sock.LocalAddr().Port()), ended: make(chan struct{})}
	return s, engine.Path{Local: s.at, Remote: remote}, e.adopt(s)
}

// adopt adds a socket, unless the endpoint is closed.
func (e *Endpoint) adopt(s *socket) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		_ = s.Close()
		return ErrClosed
	}
	e.changeSockets(func(list []*socket) []*socket { return append(list, s) })
	e.start(s)
	return nil
}

// bindPreferred opens a socket for each preferred address that the first does not receive on.
func (e *Endpoint) bindPreferred() error {
	bound := e.sock.LocalAddr()
	for _, at := range e.conf.Preferred {
		if at.Port() == bound.Port() && (bound.Addr() == at.Addr() || bound.Addr().IsUnspecified()) {
			continue
		}
		sock, err := udp.Listen(at, udp.Config{})
		if err != nil {
			return fmt.Errorf("quic: the preferred address: %w", err)
		}
		if err := e.adopt(&socket{Socket: sock, at: at, ended: make(chan struct{})}); err != nil {
			return err
		}
	}
	return nil
}

// changeSockets replaces the list of sockets besides the first, which senders read without a lock. mu is held.
func (e *Endpoint) changeSockets(change func([]*socket) []*socket) {
	list := change(append([]*socket(nil), e.others()...))
	e.more.Store(&list)
}

// others returns the sockets besides the first.
func (e *Endpoint) others() []*socket {
	if list := e.more.Load(); list != nil {
		return *list
	}
	return nil
}

// putAway closes a socket while the endpoint goes on.
func (e *Endpoint) putAway(s *socket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.left {
		return
	}
	s.left = true
	_ = s.Close()
	if s != e.sock {
		e.changeSockets(func(list []*socket) []*socket {
			kept := list[:0]
			for _, o := range list {
				if o != s {
					kept = append(kept, o)
				}
			}
			return kept
		})
	}
}

// settleOn puts away all sockets but one, after a while in which what is on its way to them still arrives.
func (e *Endpoint) settleOn(s *socket) {
	for _, o := range append([]*socket{e.sock}, e.others()...) {
		if o != s {
			time.AfterFunc(socketGrace, func() { e.putAway(o) })
		}
	}
}

// closeSockets ends the readers. mu is held, or nobody binds another socket any more.
func (e *Endpoint) closeSockets() error {
	err := e.sock.Close()
	if e.sock.left {
		err = nil
	}
	for _, s := range e.others() {
		_ = s.Close()
	}
	return err
}

// write sends the messages of an outbox, each by the socket that has its local address. What the network refuses is lost, as
// anything may be lost in it; what the socket refuses for good is noticed by its reader.
func (e *Endpoint) write(o *outbox) {
	for from := 0; from < len(o.msgs); {
		s, to := e.socketOf(o.via[from]), from+1
		for to < len(o.msgs) && (o.via[to] == o.via[from] || e.socketOf(o.via[to]) == s) {
			to++
		}
		_, _ = s.Send(o.msgs[from:to])
		from = to
		if e.own && s.Unroutable() > 0 {
			e.stranded(s)
		}
	}
}

func (e *Endpoint) socketOf(local netip.AddrPort) *socket {
	for _, s := range e.others() {
		if s.carries(local) {
			return s
		}
	}
	return e.sock
}

// stranded notes that the system does not send from a socket any more: its address has vanished, or the route.
func (e *Endpoint) stranded(s *socket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		if !s.left && !c.escaping && c.admitted && c.live {
			c.escaping = true
			go c.escape(s)
		}
	}
}

// expected reports whether a socket that fails to read was closed by us.
func (e *Endpoint) expected(s *socket) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.left
}

// localOf returns the address that a message came to.
func (s *socket) localOf(m *udp.Message) netip.AddrPort {
	if !m.Local.IsValid() && s.at.IsValid() {
		return s.at
	}
	return netip.AddrPortFrom(m.Local, s.LocalAddr().Port())
}

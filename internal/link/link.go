// Package link is a bad network in user space: datagrams that clients send to a [Link] reach a server, and the server's
// reach the clients, after all that [simnet.LinkConfig] can do to them.
//
// The decisions are those of simnet, taken against the wall clock and between real sockets of package udp, so that ECN
// marks pass and runs of equal datagrams stay runs. What befalls a datagram by chance follows from the seed, the direction,
// the client and the datagram's number, not from time. Datagrams of one client overtake one another only where Reorder says
// so. Times in the configuration count from the first datagram of the first client.
//
// A link is a NAT as well. Each client, which is an address and port, has a socket of its own towards the server, and a
// rebinding gives it another. Like simnet's, this NAT stands at the clients' end of the link: what is under way to the server
// keeps the source it began with, and what arrives for a mapping that is gone is counted as Stale.
//
// A second address of the server, such as a preferred address (RFC 9000, section 9.6), has a front of its own:
// Config.Preferred names the server's address, Config.PreferredListen where clients send to reach it, which is what the
// server has to advertise. As a server that advertises an address must know it before it starts, a link may start without a
// target, and [Link.SetTarget] names it later.
//
// Timers of the system are late by up to a millisecond, and so is a delivery; the times of the next ones do not shift for
// that.
package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/udp"
)

// Config says where a link leads and what it does.
type Config struct {
	Listen string // where clients send, as 127.0.0.1:0
	Target string // the server; empty: nothing passes before SetTarget

	Up, Down simnet.LinkConfig // from client to server, from server to client
	Seed     uint64
	Rebind   Rebind

	// Preferred is a second address of the server, and PreferredListen where clients send to reach it. If only the first
	// is set, the second is any port of loopback; if only the second, the server's address comes with SetTarget.
	Preferred       netip.AddrPort
	PreferredListen string

	// Capture takes a pcap file of raw IP packets as the server's end of the link sees them: those for the server when and
	// as they arrive, those of the server when and as they leave it, whatever the link then does to them. CaptureClient
	// takes one as the clients' end sees them.
	Capture, CaptureClient io.Writer

	// Tap sees every datagram when it enters and what will become of it. It must be quick, must not call the link, and
	// must not keep the payload; it is called by one goroutine at a time for each direction.
	Tap func(Passing)
}

// Rebind says when the server sees clients come from somewhere else. The zero value is never.
type Rebind struct {
	After time.Duration // the first time, from the first client's first datagram; 0: Every
	Every time.Duration // how long after that again and again; 0: only once
	Addr  bool          // not only the port changes but the address, within 127.0.0.0/8, where the target has to be
	Keep  bool          // the mapping before still leads to the client, until the next rebinding
}

// Passing is a datagram that enters a link. Its payload is as it enters.
type Passing struct {
	Up      bool // from client to server
	Client  netip.AddrPort
	Number  int // of this client's in this direction, from 0
	Payload []byte
	ECN     uint8

	Drop                        simnet.Drop // why it does not arrive, if it does not
	Corrupted, Late, Duplicated bool
}

// Stats counts what a link did.
type Stats struct {
	Up, Down simnet.Stats
	Clients  int // so far
	Rebinds  int
	Strays   int // datagrams that nobody carries: not from the server, or no server is named yet
}

// Link is a running link.
type Link struct {
	conf     Config
	up, down *direction
	fronts   []*front
	base     time.Time
	first    atomic.Int64 // when the first datagram came, from base; 0: not yet
	strays   atomic.Int64
	captures [2]*capture // at the server's end, at the clients' end

	mu      sync.Mutex // before the mutex of a direction
	clients map[netip.AddrPort]*client
	seen    int    // clients so far
	turn    uint64 // rises with every batch, to know who was silent longest
	rebinds int
	source  netip.Addr // of new mappings, after the address was rebound
	timer   *time.Timer
	failed  error // of a rebinding by the clock
	closed  bool

	stop  func() bool // looking at the context
	all   sync.WaitGroup
	close func() error
}

// Start opens the link's sockets and lets it run until Close or the end of ctx. It panics on a LinkConfig that means nothing.
func Start(ctx context.Context, c Config) (*Link, error) {
	l := &Link{conf: c, base: time.Now(), clients: map[netip.AddrPort]*client{}}
	l.up, l.down = newDirection(l, c.Up, true), newDirection(l, c.Down, false)
	l.captures = [2]*capture{newCapture(c.Capture), newCapture(c.CaptureClient)}
	l.close = sync.OnceValue(l.end)
	if err := l.open(); err != nil {
		l.close()
		return nil, err
	}
	l.all.Go(l.up.run)
	l.all.Go(l.down.run)
	for _, f := range l.fronts {
		l.all.Go(f.read)
	}
	l.stop = context.AfterFunc(ctx, func() { l.close() })
	return l, nil
}

// open opens the fronts.
func (l *Link) open() error {
	listen := []string{l.conf.Listen}
	switch {
	case l.conf.PreferredListen != "":
		listen = append(listen, l.conf.PreferredListen)
	case l.conf.Preferred.Addr().Is4():
		listen = append(listen, "127.0.0.1:0")
	case l.conf.Preferred.IsValid():
		listen = append(listen, "[::1]:0")
	}
	for _, at := range listen {
		addr, err := resolve(at)
		if err != nil {
			return err
		}
		socket, err := udp.Listen(addr, udp.Config{})
		if err != nil {
			return err
		}
		l.fronts = append(l.fronts, &front{link: l, socket: socket})
	}
	if l.conf.Target == "" {
		return nil
	}
	target, err := resolve(l.conf.Target)
	if err != nil {
		return err
	}
	return l.SetTarget(target, l.conf.Preferred)
}

// SetTarget says where the server is from now on, and its preferred address if it has one. Mappings stay.
func (l *Link) SetTarget(target, preferred netip.AddrPort) error {
	if to := target.Addr(); l.conf.Rebind.Addr && !(to.Is4() && to.IsLoopback()) {
		return fmt.Errorf("link: rebinding the address needs a target within 127.0.0.0/8, which %v is not", target)
	}
	l.fronts[0].target.Store(&target)
	if preferred.IsValid() {
		if len(l.fronts) == 1 {
			return errors.New("link: there is no front for a preferred address")
		}
		l.fronts[1].target.Store(&preferred)
	}
	return nil
}

// Addr returns where clients send.
func (l *Link) Addr() netip.AddrPort { return l.fronts[0].socket.LocalAddr() }

// PreferredAddr returns where clients send to reach the server's preferred address; the zero AddrPort if there is no front
// for it.
func (l *Link) PreferredAddr() netip.AddrPort {
	if len(l.fronts) == 1 {
		return netip.AddrPort{}
	}
	return l.fronts[1].socket.LocalAddr()
}

// Stats returns the counters. What is under way is in none but Sent.
func (l *Link) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Up: l.up.stats(), Down: l.down.stats(),
		Clients: l.seen, Rebinds: l.rebinds, Strays: int(l.strays.Load()),
	}
}

// Close ends the link. What is under way does not arrive; the captures are complete. The error is the first of what a
// capture's writer or a rebinding by the clock met.
func (l *Link) Close() error { return l.close() }

func (l *Link) end() error {
	if l.stop != nil {
		l.stop()
	}
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	for _, f := range l.fronts {
		f.socket.Close()
	}
	for _, c := range l.clients { // in any order
		c.close()
	}
	failed := l.failed
	l.mu.Unlock()
	close(l.up.done)
	close(l.down.done)
	l.all.Wait()
	return errors.Join(failed, l.captures[0].flush(), l.captures[1].flush())
}

// now is the instant in the configuration's time. It rises from 1, which is when the first datagram came.
func (l *Link) now() instant.Time {
	return instant.Time(1 + int64(time.Since(l.base)) - l.first.Load())
}

// frontTo returns the front that leads to an address; nil if none does.
func (l *Link) frontTo(server netip.AddrPort) *front {
	i := slices.IndexFunc(l.fronts, func(f *front) bool {
		to := f.target.Load()
		return to != nil && *to == server
	})
	if i < 0 {
		return nil
	}
	return l.fronts[i]
}

// resolve returns the address that a text means; the first if it means several.
func resolve(text string) (netip.AddrPort, error) {
	a, err := net.ResolveUDPAddr("udp", text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("link: %q: want HOST:PORT: %w", text, err)
	}
	addr := a.AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), nil
}

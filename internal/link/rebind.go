package link

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// RebindNow lets the server see every client come from another port and, if Config.Rebind has Addr, another address.
func (l *Link) RebindNow() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rebind()
}

func (l *Link) rebind() error {
	if l.closed {
		return net.ErrClosed
	}
	if l.conf.Rebind.Addr {
		l.source = after(l.source)
	}
	var failed error
	for _, c := range l.inOrder() {
		was := c.current.Load()
		source := l.source
		if !source.IsValid() {
			source = was.addr.Addr()
		}
		m, err := c.bind(source)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if c.old != nil {
			c.old.close()
		}
		c.old = was
		c.current.Store(m)
		l.all.Go(func() { l.readBack(m) })
	}
	l.rebinds++
	return failed
}

// inOrder returns the clients in the order of their addresses.
func (l *Link) inOrder() []*client {
	var all []*client
	for _, c := range l.clients { // sorted below
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *client) int { return a.addr.Compare(b.addr) })
	return all
}

// after returns the loopback address that follows: from 127.0.0.2 to 127.0.0.254 and over again.
func after(a netip.Addr) netip.Addr {
	if !a.IsValid() || a.As4()[3] == 254 {
		return netip.AddrFrom4([4]byte{127, 0, 0, 2})
	}
	return a.Next()
}

// startRebinding winds the clock of Config.Rebind.
func (l *Link) startRebinding() {
	first := l.conf.Rebind.After
	if first == 0 {
		first = l.conf.Rebind.Every
	}
	if first > 0 {
		l.timer = time.AfterFunc(first, l.rebindByClock)
	}
}

func (l *Link) rebindByClock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if err := l.rebind(); err != nil && l.failed == nil {
		l.failed = err
	}
	if l.conf.Rebind.Every > 0 {
		l.timer.Reset(l.conf.Rebind.Every)
	}
}

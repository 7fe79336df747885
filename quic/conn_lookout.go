package quic

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// lookout is how a client notices that its address is good for nothing any more although the system still sends from it: Linux
// keeps an IPv4 address when its interface goes down, and lets it leave by another. The datagrams arrive, the answers do not, and
// who only receives has no probe timeout to tell. So a client that has a stream open and hears nothing looks once a second.
//
// An idle connection has no lookout, and one that hears its peer asks the system nothing.
type lookout struct {
	looking *time.Timer // nil: nobody waits for anything
	heardAt instant.Time
}

// lookOut begins, if it is not going on, when a stream was opened. mu is held.
func (c *Conn) lookOut() {
	if c.client && c.ep.own && c.looking == nil {
		c.looking = time.AfterFunc(lookoutPause, c.look)
	}
}

// look is what the timer runs.
func (c *Conn) look() {
	c.mu.Lock()
	waits := c.err == nil && !c.gone && !c.broken && c.hasRequest()
	silent := clock().Sub(c.heardAt) >= lookoutPause
	path := c.path
	if waits {
		c.looking.Reset(lookoutPause)
	} else {
		c.looking = nil
	}
	c.mu.Unlock()
	if !waits || !silent || isUp(path.Local.Addr()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookoutPause)
	defer cancel()
	if other, err := route(ctx, path.Remote); err == nil && other != path.Local.Addr() {
		c.ep.stranded(c.ep.socketOf(path.Local))
	}
}

// hasRequest reports whether a bidirectional stream is open. mu is held.
func (c *Conn) hasRequest() bool {
	for id := range c.streams { // any order: there is one, or there is none
		if id&2 == 0 {
			return true
		}
	}
	return false
}

// isUp reports whether an address of ours belongs to an interface that works, or to none and can be used (any of 127.0.0.0/8). What
// the system does not tell counts as yes.
func isUp(local netip.Addr) bool {
	interfaces, err := net.Interfaces()
	if err != nil || !local.IsValid() {
		return true
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			return true
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(local.AsSlice()) && (local.Zone() == "" || local.Zone() == i.Name) {
				return i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0
			}
		}
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.AsSlice(), Zone: local.Zone()})
	if err == nil {
		conn.Close()
	}
	return err == nil
}

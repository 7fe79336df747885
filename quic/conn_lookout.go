package quic

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/instant"
)

// lookout is what a client that waits for something does about silence. Who only receives has no probe timeout: it would wait for the
// idle timeout when the server has lost its state, when a NAT has forgotten the flow and the server's packets do not come through,
// and when its own address is good for nothing any more although the system still sends from it (Linux keeps an IPv4 address when
// its interface goes down, and lets it leave by another, but the answers do not come back). So a client that has a request open
// and hears nothing for a second sends a PING, one until something of a stream comes again: the answer, a stateless reset, or
// probe timeouts that wake the NAT are its reward. And it looks, every second, whether its address is still the right one.
//
// It asks again whenever half of the idle timeout is over. RFC 9000, section 10.1.2: "An endpoint might need to send ack-eliciting
// packets to avoid an idle timeout if it is expecting response data but does not have or is unable to send application data."
//
// An idle connection has no lookout, and one that hears its peer asks nobody anything.
type lookout struct {
	looking *time.Timer // nil: nobody waits for anything
	heardAt instant.Time
	hearing waitList // those in Probe
	asked   bool     // a PING was sent, and nothing of a stream has come since
}

// lookOut begins, if it is not going on, when a stream was opened. mu is held.
func (c *Conn) lookOut() {
	if c.client && c.looking == nil {
		c.asked = false
		c.looking = time.AfterFunc(lookoutPause, c.look)
	}
}

// look is what the timer runs.
func (c *Conn) look() {
	if path, silent := c.ask(); silent && c.ep.own && !isUp(path.Local.Addr()) {
		ctx, cancel := context.WithTimeout(context.Background(), lookoutPause)
		defer cancel()
		if other, err := route(ctx, netip.IPv6Unspecified(), path.Remote); err == nil && other != path.Local.Addr() {
			c.ep.stranded(c.ep.socketOf(path.Local))
		}
	}
}

// ask sends a PING if it is time for one, and reports whether the peer is silent while something is waited for.
func (c *Conn) ask() (path engine.Path, silent bool) {
	c.mu.Lock()
	defer c.leave(nil)
	if c.err != nil || c.gone || c.broken || !c.hasRequest() {
		c.looking = nil
		return path, false
	}
	c.looking.Reset(lookoutPause)
	now := c.now()
	if now.Sub(c.heardAt) < lookoutPause {
		return path, false
	}
	if !c.asked || c.core.Fading(now) {
		c.asked = true
		c.core.Ping(now)
		c.flush(now, false)
	}
	return c.path, true
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

package simnet

import (
	"net/netip"
	"slices"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// mapping is what a NAT shows of an address from an instant on.
type mapping struct {
	at              instant.Time
	inside, outside netip.AddrPort
}

// Rebind makes a NAT give the host's address another outside from the instant at on. Datagrams that leave inside after
// it carry the new address; those that arrive for the old one after it are lost, as the NAT no longer knows them. The
// host notices nothing. Calls for one address must come in the order of their instants.
func (n *Network) Rebind(at instant.Time, inside, outside netip.AddrPort) {
	n.nats = append(n.nats, mapping{at, inside, outside})
}

// outside returns how the world sees an address at an instant.
func (n *Network) outside(at instant.Time, inside netip.AddrPort) netip.AddrPort {
	for i := len(n.nats) - 1; i >= 0; i-- {
		if m := &n.nats[i]; m.inside == inside && m.at <= at {
			return m.outside
		}
	}
	return inside
}

// inside returns whose address this is or once was.
func (n *Network) inside(outside netip.AddrPort) netip.AddrPort {
	for i := len(n.nats) - 1; i >= 0; i-- {
		if m := &n.nats[i]; m.outside == outside {
			return m.inside
		}
	}
	return outside
}

// forgetful is a NAT that forgets a host which is silent for a while.
type forgetful struct {
	inside, outside netip.AddrPort
	after           time.Duration
	last            instant.Time // the host's last datagram
}

// Forget makes a NAT forget the host's address whenever it has been silent for a while: what leaves it next comes from another port
// of outside, each time the next.
func (n *Network) Forget(inside, outside netip.AddrPort, after time.Duration) {
	n.Remember(inside)
	n.forgetful = append(n.forgetful, forgetful{inside, outside, after, n.now})
}

// Remember ends what Forget began: the host keeps the address that it has.
func (n *Network) Remember(inside netip.AddrPort) {
	n.forgetful = slices.DeleteFunc(n.forgetful, func(f forgetful) bool { return f.inside == inside })
}

// speaks notes that a host sends, and gives it another address if it was forgotten.
func (n *Network) speaks(now instant.Time, inside netip.AddrPort) {
	for i := range n.forgetful {
		f := &n.forgetful[i]
		if f.inside != inside {
			continue
		}
		if now.Sub(f.last) >= f.after {
			n.Rebind(now, inside, f.outside)
			f.outside = netip.AddrPortFrom(f.outside.Addr(), f.outside.Port()+1)
		}
		f.last = now
	}
}

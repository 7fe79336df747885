package simnet

import (
	"net/netip"

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

package altsvc

import (
	"net"
	"net/netip"
)

// attachment names the network that we are on: the prefixes of the addresses
// that we would leave from. Nothing is sent for it. It is "" where there is no
// way out, and the same after a new privacy address of the same prefix.
func attachment() string {
	text := ""
	for _, far := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} { // of RFC 5737 and RFC 3849: they belong to nobody
		conn, err := net.Dial("udp", far)
		if err != nil {
			continue
		}
		a := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		conn.Close()
		bits := 24
		if a.Is6() {
			bits = 64
		}
		if p, err := a.WithZone("").Prefix(bits); err == nil {
			text += p.String() + " "
		}
	}
	return text
}

// lookAround has the memory and the connections follow a change of networks.
// QUIC connections move by themselves, so what runs on them goes on.
func (t *Transport) lookAround() {
	now := t.m.now()
	t.looked.Lock()
	due := now.Sub(t.lookedAt) >= networkPause || now.Before(t.lookedAt)
	if due {
		t.lookedAt = now
	}
	t.looked.Unlock()
	if due && t.m.onNetwork(t.network()) {
		t.links.mu.Lock()
		t.links.before = make(map[origin]netip.Addr)
		t.links.mu.Unlock()
		t.tcp.transport.CloseIdleConnections()
	}
}

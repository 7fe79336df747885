package interop

import (
	"fmt"
	"strings"
	"testing"
)

// near checks a size that a search has found: no larger than what passes, and no more than a step of the search below.
func near(t *testing.T, what string, got, most int) {
	t.Helper()
	const step = 16
	if got > most || got <= most-step {
		t.Errorf("%s: datagrams of %d bytes, want %d or up to %d less", what, got, most, step-1)
	}
}

// learns checks what size a sender comes to. The search goes on as long as datagrams are filled, by transfers of the client's, and
// takes its time when probes are lost.
func learns(t *testing.T, sender, client *agent, what string, most int) {
	t.Helper()
	for more := 0; more < 20 && sender.conn().DatagramSize <= most-16; more++ {
		client.do(order{Do: what, Bytes: MiB})
		client.wantSum(MiB)
	}
	near(t, what, sender.conn().DatagramSize, most)
}

// Both ends learn what the interfaces carry, and the cable never sees more.
func TestNamespacesTeachTheInterfacesMTU(t *testing.T) {
	for _, c := range []struct {
		mtu, size   int
		server      string
		want, exact int // the largest UDP payload; exact: found by the first probe
	}{
		{mtu: 1500, server: "10.77.0.2", want: 1452, exact: 1452},
		{mtu: 1500, server: "fd77::2", want: 1452, exact: 1452},
		{mtu: 1500, size: 1472, server: "10.77.0.2", want: 1472, exact: 1472},
		{mtu: 1500, size: 1472, server: "fd77::2", want: 1452, exact: 1452},
		{mtu: 1280, server: "10.77.0.2", want: 1252},
		{mtu: 1280, server: "fd77::2", want: 1232},
		{mtu: 9000, size: 9000, server: "10.77.0.2", want: 8972},
		{mtu: 9000, size: 9000, server: "fd77::2", want: 8952},
	} {
		t.Run(fmt.Sprintf("%d for %s with at most %d", c.mtu, c.server, c.size), func(t *testing.T) {
			a, b := two(t, c.mtu)
			addr := hostPort(c.server, 4433)
			server := b.serveHere(order{Addr: addr, Size: c.size})
			client := a.dialFrom(order{Addr: addr, Size: c.size})
			cable := a.capture("e0")
			client.fetch(8 * MiB)
			client.do(order{Do: "put", Bytes: 8 * MiB})
			client.wantSum(8 * MiB)
			learns(t, server, client, "get", c.want)
			learns(t, client, client, "put", c.want)
			frames := cable.stop()
			for who, agent := range map[string]*agent{"server": server, "client": client} {
				got := agent.conn().DatagramSize
				if c.exact != 0 && got != c.exact {
					t.Errorf("%s: datagrams of %d bytes, want %d", who, got, c.exact)
				}
				sent := only(frames, func(f frame) bool { return f.out == (who == "client") })
				if n := largest(sent); n != got {
					t.Errorf("%s: packets of up to %d bytes on the cable, and %d learned", who, n, got)
				}
			}
			wantWhole(t, frames)
			wantNoFragments(t, a, b)
		})
	}
}

// A router whose other side is narrower than ours: with its ICMP messages and without them the transfer comes through, and
// both ends learn the size, the one by its own interface and the other by what is lost.
func TestNamespacesTeachTheMTUBehindARouter(t *testing.T) {
	for _, icmp := range []bool{true, false} {
		for server, want := range map[string]int{"10.77.2.1": 1372, "fd77:2::1": 1352} {
			t.Run(fmt.Sprintf("%s, ICMP %v", server, icmp), func(t *testing.T) {
				a, r, b := routed(t, 1500)
				a.ip("link set e0 mtu 1400")
				r.ip("link set ra mtu 1400")
				if !icmp {
					r.nft(withoutICMP)
				}
				addr := hostPort(server, 4433)
				s := b.serveHere(order{Addr: addr})
				client := a.dialFrom(order{Addr: addr})
				inner, far := a.capture("e0"), b.capture("e0")
				client.fetch(8 * MiB)
				client.do(order{Do: "put", Bytes: 8 * MiB})
				client.wantSum(8 * MiB)
				learns(t, s, client, "get", want)
				learns(t, client, client, "put", want)
				count := r.counters()
				told := count["Icmp.OutDestUnreachs"] + count["Icmp6OutPktTooBigs"]
				if icmp && told == 0 {
					t.Error("the router has said nothing: the test has tested nothing")
				}
				if sent := only(far.stop(), func(f frame) bool { return f.out && f.size > want }); len(sent) == 0 {
					t.Error("the server has tried nothing that the router does not forward")
				}
				frames := inner.stop()
				if n := largest(frames); n > want {
					t.Errorf("a packet of %d bytes on a cable that carries %d", n, want)
				}
				wantWhole(t, frames)
				wantNoFragments(t, a, r, b)
			})
		}
	}
}

// withoutICMP keeps a router from saying anything about packets that it drops.
const withoutICMP = `
table inet mute {
	chain output {
		type filter hook output priority 0;
		icmp type destination-unreachable drop;
		icmpv6 type packet-too-big drop;
	}
}
`

// Paths that become narrower under a transfer.
func TestNamespacesLowerTheMTUUnderATransfer(t *testing.T) {
	const size = 8 * MiB
	for name, c := range map[string]struct {
		server string
		want   int
		lower  func(a, r, b *host)
		quiet  bool // the router says nothing
		local  bool // the interface itself refuses
	}{
		"the server's own interface":         {"10.77.2.1", 1272, func(_, _, b *host) { b.ip("link set e0 mtu 1300") }, false, true},
		"the server's own interface, IPv6":   {"fd77:2::1", 1252, func(_, _, b *host) { b.ip("link set e0 mtu 1300") }, false, true},
		"a router, which says so":            {"10.77.2.1", 1272, func(_, r, _ *host) { r.ip("link set ra mtu 1300") }, false, false},
		"a router, which does not say so":    {"10.77.2.1", 1272, func(_, r, _ *host) { r.ip("link set ra mtu 1300") }, true, false},
		"a router, IPv6":                     {"fd77:2::1", 1252, func(_, r, _ *host) { r.ip("link set ra mtu 1300") }, false, false},
		"a router, IPv6, which says nothing": {"fd77:2::1", 1252, func(_, r, _ *host) { r.ip("link set ra mtu 1300") }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, r, b := routed(t, 1500)
			if c.quiet {
				r.nft(withoutICMP)
			}
			b.rate("e0", 50)
			addr := hostPort(c.server, 4433)
			server := b.serveHere(order{Addr: addr})
			client := a.dialFrom(order{Addr: addr})
			cable := b.capture("e0")
			client.do(order{Do: "get", Bytes: size})
			client.passed(2 * MiB)
			if n := server.conn().DatagramSize; n != 1452 {
				t.Errorf("datagrams of %d bytes before, want 1452", n)
			}
			c.lower(a, r, b)
			before := len(cable.sofar())
			client.wantWhole(size)
			end := len(cable.sofar())
			learns(t, server, client, "get", c.want)
			after := server.stats()
			conn := after.Conns[0]
			if refused := after.Endpoint.DatagramsRefused; c.local != (refused > 0) {
				t.Errorf("the system refused %d datagrams", refused)
			}
			if len(after.Conns) != 1 || conn.PathChanges != 0 || !strings.Contains(after.Features, ", GSO") {
				t.Errorf("%d connections, %d path changes, %s", len(after.Conns), conn.PathChanges, after.Features)
			}
			frames := cable.stop()
			sent := only(frames[before:end], func(f frame) bool { return f.out })
			t.Logf("%d datagrams refused, %d black holes, %d of %d packets lost", after.Endpoint.DatagramsRefused, conn.BlackHoles, conn.PacketsLost, conn.PacketsSent)
			// What is still larger in the second half are probes: three at the most of each size.
			if larger := only(sent[len(sent)/2:], func(f frame) bool { return f.size > c.want }); packets(larger) > 12 {
				t.Errorf("still %d packets like %v at the end", packets(larger), larger[0])
			}
			wantWhole(t, frames)
			wantNoFragments(t, a, r, b)
		})
	}
}

// The routes of both ends change to another interface with a smaller MTU; their addresses stay.
func TestNamespacesChangeTheRouteUnderATransfer(t *testing.T) {
	const size = 8 * MiB
	a, b := two(t, 1500)
	a.cable("e1", b, "e1", 1300)
	for _, h := range []*host{a, b} {
		h.rate("e0", 50)
		h.rate("e1", 50)
	}
	a.ip("addr add 10.77.1.1/24 dev e1", "addr add 10.77.9.1/32 dev lo", "route add 10.77.9.2 via 10.77.0.2 src 10.77.9.1")
	b.ip("addr add 10.77.1.2/24 dev e1", "addr add 10.77.9.2/32 dev lo", "route add 10.77.9.1 via 10.77.0.1 src 10.77.9.2")
	server := b.serveHere(order{Addr: ":4433"})
	client := a.dialFrom(order{Addr: "10.77.9.2:4433"})
	client.do(order{Do: "get", Bytes: size})
	client.passed(2 * MiB)
	b.ip("route replace 10.77.9.1 via 10.77.1.1 src 10.77.9.2")
	a.ip("route replace 10.77.9.2 via 10.77.1.2 src 10.77.9.1")
	second := a.capture("e1")
	client.wantWhole(size)
	learns(t, server, client, "get", 1272)
	conn := server.conn()
	if conn.PathChanges != 0 || conn.Remote != client.conn().Local {
		t.Errorf("%d path changes; the client is %s and the server's peer %s", conn.PathChanges, client.conn().Local, conn.Remote)
	}
	frames := second.stop()
	if n := packets(only(frames, func(f frame) bool { return !f.out })); n < 1000 {
		t.Errorf("only %d packets came by the second cable", n)
	}
	wantWhole(t, frames)
	wantNoFragments(t, a, b)
}

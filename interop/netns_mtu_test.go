package interop

import (
	"fmt"
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

// Both ends learn what the interfaces carry, and the cable never sees more.
func TestNamespacesTeachTheInterfacesMTU(t *testing.T) {
	for _, c := range []struct {
		mtu, size    int
		server       string
		want, exact  int // the largest UDP payload; exact: found by the first probe
		wantOnCables int
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
			frames := cable.stop()
			for who, agent := range map[string]*agent{"server": server, "client": client} {
				got := agent.conn().DatagramSize
				near(t, who, got, c.want)
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
				near(t, "server", s.conn().DatagramSize, want)
				near(t, "client", client.conn().DatagramSize, want)
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

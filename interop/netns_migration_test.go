package interop

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// wantSeparateIDs checks that no connection ID was seen with two addresses of the client's (RFC 9000, section 9.5: "An endpoint
// MUST NOT reuse a connection ID when sending from more than one local address"), and returns those addresses.
func wantSeparateIDs(t *testing.T, server netip.AddrPort, frames []frame) []netip.AddrPort {
	t.Helper()
	at, clients := map[string]netip.AddrPort{}, []netip.AddrPort(nil)
	for _, f := range frames {
		client := f.src
		if f.src == server {
			client = f.dst
		}
		if !slices.Contains(clients, client) {
			clients = append(clients, client)
		}
		if f.long {
			continue
		}
		if was, ok := at[f.id]; ok && was != client {
			t.Errorf("connection ID %x with %v and with %v", f.id, was, client)
			return clients
		}
		at[f.id] = client
	}
	return clients
}

// A client moves to its other interface in the middle of a transfer, by its own will or because it has to. The transfer is
// whole, on the one connection; the server sees one change of address, and no connection ID is seen on both paths.
func TestNamespacesMoveAClientToAnotherInterface(t *testing.T) {
	const size = 8 * MiB
	moves := []struct {
		name string
		move func(a *host, client *agent, six bool)
	}{
		{"Migrate", func(a *host, client *agent, six bool) {
			client.do(order{Do: "migrate", Addr: map[bool]string{false: "10.77.3.1:0", true: "[fd77:3::1]:0"}[six]})
		}},
		{"its address is deleted", func(a *host, _ *agent, six bool) {
			a.ip(map[bool]string{false: "addr del 10.77.1.1/24 dev e0", true: "addr del fd77:1::1/64 dev e0"}[six])
		}},
		{"its interface goes down", func(a *host, _ *agent, _ bool) { a.ip("link set e0 down") }},
	}
	for _, m := range moves {
		for _, what := range []string{"get", "put"} {
			for _, addr := range []string{"10.77.2.1:4433", "[fd77:2::1]:4433"} {
				t.Run(fmt.Sprintf("%s, %s %s", m.name, what, addr), func(t *testing.T) {
					a, _, b := twoWays(t)
					server := b.serveHere(order{Addr: ":4433"})
					client := a.dialFrom(order{Addr: addr})
					cable := b.capture("e0")
					client.do(order{Do: what, Bytes: size})
					client.passed(2 * MiB)
					before := client.conn()
					m.move(a, client, strings.HasPrefix(addr, "["))
					if what == "get" {
						client.wantWhole(size)
					} else {
						client.wantSum(size)
					}
					after, seen := client.conn(), server.stats()
					if before.Local == after.Local || after.PathChanges != 1 || !strings.Contains(after.Local, "77.3.1:") && !strings.Contains(after.Local, "77:3::1]:") {
						t.Errorf("the client was at %s and is at %s, %d changes", before.Local, after.Local, after.PathChanges)
					}
					if len(seen.Conns) != 1 || seen.Conns[0].Remote != after.Local || seen.Conns[0].PathChanges != 1 {
						t.Errorf("the server sees %d connections, of %s, with %d changes", len(seen.Conns), seen.Conns[0].Remote, seen.Conns[0].PathChanges)
					}
					frames := cable.stop()
					if clients := wantSeparateIDs(t, netip.MustParseAddrPort(addr), frames); len(clients) != 2 {
						t.Errorf("the client was seen at %v", clients)
					}
					wantValidated(t, frames, netip.MustParseAddrPort(after.Local), what == "get")
					wantWhole(t, frames)
				})
			}
		}
	}
}

// wantValidated checks that the server sent a client more than three times of what came from there, which it may only when
// the address is validated (RFC 9000, section 8), and in datagrams of full size.
func wantValidated(t *testing.T, frames []frame, client netip.AddrPort, down bool) {
	t.Helper()
	in, out, top := 0, 0, 0
	for _, f := range frames {
		switch client {
		case f.src:
			in += f.total
		case f.dst:
			out += f.total
		default:
			continue
		}
		top = max(top, f.size)
	}
	if down && out < 3*in {
		t.Errorf("%d bytes went to %v and %d came from there: it seems not to be validated", out, client, in)
	}
	if top != 1452 {
		t.Errorf("datagrams of up to %d bytes on the new path, want 1452", top)
	}
}

// A host loses its only address and gets another a moment later, as a DHCP client does in another network.
func TestNamespacesReplaceTheOnlyAddress(t *testing.T) {
	const size = 8 * MiB
	for _, what := range []string{"get", "put"} {
		t.Run(what, func(t *testing.T) {
			a, _, b := routed(t, 1500)
			a.rate("e0", 50)
			b.rate("e0", 50)
			server := b.serveHere(order{Addr: ":4433"})
			client := a.dialFrom(order{Addr: "10.77.2.1:4433"})
			client.do(order{Do: what, Bytes: size})
			client.passed(2 * MiB)
			a.ip("addr del 10.77.1.1/24 dev e0") // and with it the default route
			a.ip("addr add 10.77.1.9/24 dev e0", "route add default via 10.77.1.254")
			if what == "get" {
				client.wantWhole(size)
			} else {
				client.wantSum(size)
			}
			after, seen := client.conn(), server.stats()
			if !strings.HasPrefix(after.Local, "10.77.1.9:") || len(seen.Conns) != 1 || seen.Conns[0].Remote != after.Local {
				t.Errorf("the client is at %s; the server sees %d connections, the first of %s", after.Local, len(seen.Conns), seen.Conns[0].Remote)
			}
		})
	}
}

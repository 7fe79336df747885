package interop

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// getFrom is godwit get in the host, which trusts the authority.
func (h *host) getFrom(args ...string) result {
	h.t.Helper()
	args = append([]string{"get", "--http3-only", "--cacert", filepath.Join(ca.host, caFile)}, args...)
	return execute(within(h.t, patience), h.t, h.command(godwit, args...))
}

// serveDemo starts godwit serve, the demo site, in the host, with the authority's certificate.
func (h *host) serveDemo(listen string, more ...string) *process {
	h.t.Helper()
	args := append([]string{"serve", "--listen", listen, "--udp-only",
		"--cert", filepath.Join(ca.host, certFile), "--key", filepath.Join(ca.host, keyFile)}, more...)
	p := start(h.t, h.command(godwit, args...))
	p.waitFor(h.t, "its banner", func() bool { return strings.Contains(p.out.String(), "https://") })
	return p
}

// A server on a wildcard socket answers from the address that was asked, whatever the routing table would choose: one
// interface with several addresses, a second interface, IPv6 with a second address, IPv4 on the socket that is IPv6.
func TestNamespacesAnswerFromTheAddressThatWasAsked(t *testing.T) {
	for _, listen := range []string{":4433", "0.0.0.0:4433", "[::]:4433"} {
		t.Run(listen, func(t *testing.T) {
			a, b := two(t, 1500)
			a.cable("e1", b, "e1", 1500)
			b.ip("addr add 10.77.0.3/24 dev e0", "addr add 10.77.0.4/24 dev e0",
				"addr add fd77::3/64 dev e0 nodad", "addr add fd77::7a1:9eff:fe01:77/64 dev e0 nodad",
				"addr add 10.77.1.2/24 dev e1", "addr add 10.77.8.2/32 dev lo")
			a.ip("addr add 10.77.1.1/24 dev e1", "route add 10.77.8.2 via 10.77.0.2")
			asked := []string{"10.77.0.2", "10.77.0.3", "10.77.0.4", "10.77.1.2", "10.77.8.2"}
			if listen != "0.0.0.0:4433" {
				asked = append(asked, "fd77::2", "fd77::3", "fd77::7a1:9eff:fe01:77")
			}
			server := b.serveHere(order{Addr: listen})
			for i, addr := range asked {
				device := "e0"
				if addr == "10.77.1.2" {
					device = "e1"
				}
				cable := a.capture(device)
				to := hostPort(addr, 4433)
				client := a.dialFrom(order{Addr: to})
				client.fetch(MiB)
				if got := server.stats().Conns[i].Local; got != to {
					t.Errorf("%s was asked, the server's connection is at %s", to, got)
				}
				// What is no connection is answered from there too: a connected socket takes nothing else.
				a.inside(func() error {
					if !speaksQUIC(to) {
						return fmt.Errorf("no Version Negotiation from %s", to)
					}
					return nil
				})
				me := client.conn().Local // the connections before may still have something to say
				frames := only(cable.stop(), func(f frame) bool { return f.dst.String() == me })
				for _, f := range frames {
					if f.src.String() != to {
						t.Fatalf("%s was asked: %v", to, f)
					}
				}
				if packets(frames) < 700 {
					t.Errorf("%d packets came by %s", packets(frames), device)
				}
			}
		})
	}
}

// godwit serve and godwit get with a link-local address, of which every interface may have the same.
func TestNamespacesHaveLinkLocalAddresses(t *testing.T) {
	for _, listen := range []string{"[fe80::77%e1]:4433", "[::]:4433", ":4433"} {
		t.Run(listen, func(t *testing.T) {
			a, b := two(t, 1500)
			a.cable("e1", b, "e1", 1500)
			b.ip("addr add fe80::77/64 dev e1 nodad")
			a.ip("addr add fe80::77/64 dev e0 nodad", "addr add fe80::1/64 dev e1 nodad") // one's own, on another cable
			b.serveDemo(listen)
			cable := a.capture("e1")
			r := a.getFrom("-v", "https://[fe80::77%25e1]:4433/proto")
			if r.code != 0 || r.stdout != "HTTP/3.0\n" {
				t.Fatalf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
			}
			frames := cable.stop()
			for _, f := range frames {
				if ip := f.src.Addr(); !ip.IsLinkLocalUnicast() || !f.out && ip.String() != "fe80::77" {
					t.Fatalf("a packet from %v", f.src)
				}
			}
			if len(frames) < 6 {
				t.Errorf("%d packets on the cable", len(frames))
			}
			if r := a.getFrom("--timeout", "2s", "https://[fe80::77%25nowhere]:4433/proto"); r.code == 0 {
				t.Errorf("an interface that is not there: %s", r.stdout)
			}
		})
	}
}

// An interface that comes while a process runs is one like all others.
func TestNamespacesGetNewInterfaces(t *testing.T) {
	a, b := two(t, 1500)
	b.ip("addr add fe80::77/64 dev e0 nodad")
	server := b.serveHere(order{Addr: "[::]:4433"})
	client := a.dialFrom(order{Addr: "[fe80::77%e0]:4433"})
	client.fetch(MiB)
	a.cable("new0", b, "new1", 1500)
	b.ip("addr add fe80::78/64 dev new1 nodad")
	a.ip("addr add fe80::1/64 dev new0 nodad")
	client.do(order{Do: "dial", Addr: "[fe80::78%new0]:4433"})
	client.fetch(MiB)
	if got := server.conn(); got.Local != "[fe80::78%new1]:4433" || !strings.HasSuffix(strings.Split(got.Remote, "]")[0], "%new1") {
		t.Errorf("the server's connection is between %s and %s", got.Local, got.Remote)
	}
}

// A name with two addresses, the first of which leads nowhere: the other is tried.
func TestNamespacesHaveAddressesThatLeadNowhere(t *testing.T) {
	a, b := two(t, 1500)
	b.serveDemo("10.77.0.2:4433")
	a.ip("route add blackhole fd77:dead::/64", "route add unreachable fd77:beef::/64")
	for _, addr := range []string{"fd77:dead::1", "fd77:beef::1", "fd99::1"} {
		began := time.Now()
		r := a.getFrom("https://[" + addr + "]:4433/proto")
		if r.code != 1 || r.stdout != "" {
			t.Errorf("%s: exit code %d: %s", addr, r.code, r.stdout)
		}
		t.Logf("%s: %v: %s", addr, time.Since(began).Round(time.Millisecond), strings.TrimSpace(r.stderr))
	}
	if r := a.getFrom("https://" + net.JoinHostPort("10.77.0.2", "4433") + "/proto"); r.code != 0 {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

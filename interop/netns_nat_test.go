package interop

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// translate makes a router give what leaves by rb another source, and forget the flows it knows: what belongs to them gets the
// new source with its next packet, as behind a NAT that was restarted.
func (h *host) translate(to netip.AddrPort) {
	h.t.Helper()
	family := "ip"
	if to.Addr().Is6() {
		family = "ip6"
	}
	h.nft(fmt.Sprintf("add table %s nat\ndelete table %s nat\ntable %s nat {\n chain out {\n"+
		"  type nat hook postrouting priority srcnat;\n  oifname \"rb\" meta l4proto udp snat to %v\n }\n}\n", family, family, family, to))
	h.inside(flushConnections)
}

// flushConnections has the kernel forget the flows that it tracks: conntrack -F.
func flushConnections() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const deleteFlows = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2 // IPCTNL_MSG_CT_DELETE, of all flows as it names none
	b := binary.NativeEndian.AppendUint32(nil, 20)        // struct nlmsghdr
	b = binary.NativeEndian.AppendUint16(b, deleteFlows)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = append(b, make([]byte, 8+4)...) // sequence, port; struct nfgenmsg: any family, version 0
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 64) // struct nlmsghdr, struct nlmsgerr
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err == nil && n >= 20 {
		if errno := -int32(binary.NativeEndian.Uint32(answer[16:])); errno != 0 {
			err = unix.Errno(errno)
		}
	}
	return err
}

// A NAT gives the client's flow another port, or another address, in the middle of a transfer, twice. The client does not know;
// the server follows, with another connection ID for each path, and the transfer is whole.
func TestNamespacesHaveANATThatForgets(t *testing.T) {
	const size = 12 * MiB
	for _, c := range []struct{ server, port1, port2, addr string }{
		{"10.77.2.1:4433", "10.77.2.254:5001", "10.77.2.254:5002", "10.77.2.253:5003"},
		{"[fd77:2::1]:4433", "[fd77:2::254]:5001", "[fd77:2::254]:5002", "[fd77:2::253]:5003"},
	} {
		for _, what := range []string{"get", "put"} {
			t.Run(what+" "+c.server, func(t *testing.T) {
				a, r, b := routed(t, 1500)
				r.ip("addr add 10.77.2.253/24 dev rb", "addr add fd77:2::253/64 dev rb nodad")
				a.rate("e0", 50)
				b.rate("e0", 50)
				r.translate(netip.MustParseAddrPort(c.port1))
				server := b.serveHere(order{Addr: ":4433"})
				client := a.dialFrom(order{Addr: c.server})
				cable := b.capture("e0")
				client.do(order{Do: what, Bytes: size})
				remote := func(want string) {
					t.Helper()
					eventually(t, "the server sees "+want, func() bool { return server.conn().Remote == want })
				}
				client.passed(2 * MiB)
				remote(c.port1)
				r.translate(netip.MustParseAddrPort(c.port2))
				remote(c.port2)
				client.passed(6 * MiB)
				r.translate(netip.MustParseAddrPort(c.addr))
				remote(c.addr)
				if what == "get" {
					client.wantWhole(size)
				} else {
					client.wantSum(size)
				}
				seen := server.stats()
				if len(seen.Conns) != 1 || seen.Conns[0].PathChanges != 2 || client.conn().PathChanges != 0 {
					t.Errorf("%d connections, %d changes for the server, %d for the client", len(seen.Conns), seen.Conns[0].PathChanges, client.conn().PathChanges)
				}
				frames := cable.stop()
				// What the client sends has the ID it had: it knows of nothing. What the server sends has another.
				from := netip.MustParseAddrPort(c.server)
				down := only(frames, func(f frame) bool { return f.src == from })
				if clients := wantSeparateIDs(t, from, down); len(clients) != 3 {
					t.Errorf("the server has sent to %v", clients)
				}
				// Another port is the same path: the size of datagrams is kept. Another address is another path, and the size is found
				// out anew.
				at := map[string][]frame{}
				for _, f := range down {
					at[f.dst.String()] = append(at[f.dst.String()], f)
				}
				if what == "get" {
					if n := largest(at[c.port2][:min(len(at[c.port2]), 60)]); n != 1452 {
						t.Errorf("behind another port datagrams begin with %d bytes", n)
					}
					wantValidated(t, frames, netip.MustParseAddrPort(c.addr), true)
				}
				wantWhole(t, frames)
			})
		}
	}
}

// A NAT forgets the flow of a download while its client has nothing to say: what the server sends does not come through any more, so
// nothing of it can be acknowledged. Unless a window update of its happens to be on the way, whose probe timeouts do the same, the
// client asks after a second; the NAT knows it again.
func TestNamespacesHaveANATThatForgetsASilentClient(t *testing.T) {
	const size = 8 * MiB
	a, r, b := routed(t, 1500)
	b.rate("e0", 50)
	r.translate(netip.MustParseAddrPort("10.77.2.254:5001"))
	server := b.serveHere(order{Addr: "10.77.2.1:4433"})
	client := a.dialFrom(order{Addr: "10.77.2.1:4433"})
	client.do(order{Do: "get", Bytes: size})
	client.passed(2 * MiB)
	r.ip("link set ra down")
	r.translate(netip.MustParseAddrPort("10.77.2.254:5002"))
	time.Sleep(200 * time.Millisecond) // the client's last acknowledgment leaves meanwhile, and is lost
	r.ip("link set ra up")
	client.wantWhole(size)
	if seen := server.stats(); len(seen.Conns) != 1 || seen.Conns[0].Remote != "10.77.2.254:5002" {
		t.Errorf("%d connections, of %s", len(seen.Conns), seen.Conns[0].Remote)
	}
}

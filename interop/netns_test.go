package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// network is network namespaces with cables between them: real interfaces, routes, fragmentation, ICMP and offloads, which
// neither loopback nor a simulated network has. It goes with the test.
type network struct {
	t     *testing.T
	hosts map[string]*host
}

// host is one namespace: a machine of its own, as far as packets can tell.
type host struct {
	t  *testing.T
	ns string
}

var (
	ipTool  = &peer{name: "ip of iproute2", path: "ip", version: []string{"-V"}}
	tcTool  = &peer{name: "tc of iproute2", path: "tc", version: []string{"-V"}}
	nftTool = &peer{name: "nft of nftables", path: "nft", version: []string{"--version"}}
)

var networks atomic.Int64 // that this process has made, for their names

// newNetwork makes a namespace for each name. IPv6 addresses in them are good at once: nobody looks for duplicates.
func newNetwork(t *testing.T, names ...string) *network {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "missing privilege: network namespaces; run the suite as root")
	}
	need(t, ipTool)
	sweepNetworks()
	n, id := &network{t: t, hosts: map[string]*host{}}, networks.Add(1)
	for _, name := range names {
		h := &host{t: t, ns: fmt.Sprintf("godwit-%d-%d-%s", os.Getpid(), id, name)}
		if out, err := ipTool.command("netns", "add", h.ns).CombinedOutput(); err != nil {
			lacking(t, "missing privilege: network namespaces: ip netns add: "+strings.TrimSpace(string(out)))
		}
		t.Cleanup(func() { ipTool.command("netns", "del", h.ns).Run() })
		n.hosts[name] = h
		for _, which := range []string{"all", "default"} { // of either family, as it is where nobody has set anything
			h.set("net/ipv4/conf/"+which+"/rp_filter", "0")
		}
		h.set("net/ipv6/conf/default/accept_dad", "0")
		h.set("net/ipv6/conf/default/accept_ra", "0")
		h.set("net/ipv6/conf/default/router_solicitations", "0")
		h.ip("link set lo up")
	}
	return n
}

// sweepNetworks removes what a run left that was killed.
func sweepNetworks() {
	files, _ := filepath.Glob("/run/netns/godwit-*-*")
	for _, f := range files {
		pid, err := strconv.Atoi(strings.Split(filepath.Base(f), "-")[1])
		if _, gone := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil && gone != nil {
			ipTool.command("netns", "del", filepath.Base(f)).Run()
		}
	}
}

// namespaceAddrs are the addresses of servers in these networks, which the certificate has.
var namespaceAddrs = []string{"10.77.0.2", "10.77.2.1", "fd77::2", "fd77:2::1", "fe80::77"}

// two is a network of hosts a and b with one cable: interface e0 of either, 10.77.0.1 and 10.77.0.2, fd77::1 and fd77::2.
func two(t *testing.T, mtu int) (a, b *host) {
	t.Helper()
	n := newNetwork(t, "a", "b")
	a, b = n.hosts["a"], n.hosts["b"]
	a.cable("e0", b, "e0", mtu)
	a.ip("addr add 10.77.0.1/24 dev e0", "addr add fd77::1/64 dev e0 nodad")
	b.ip("addr add 10.77.0.2/24 dev e0", "addr add fd77::2/64 dev e0 nodad")
	return a, b
}

// routed is hosts a and b with the router r between them, whose interfaces are ra and rb: a is 10.77.1.1 and fd77:1::1, b is
// 10.77.2.1 and fd77:2::1, the router ends with 254 in either network.
func routed(t *testing.T, mtu int) (a, r, b *host) {
	t.Helper()
	n := newNetwork(t, "a", "r", "b")
	a, r, b = n.hosts["a"], n.hosts["r"], n.hosts["b"]
	a.cable("e0", r, "ra", mtu)
	b.cable("e0", r, "rb", mtu)
	r.set("net/ipv4/ip_forward", "1")
	r.set("net/ipv6/conf/all/forwarding", "1")
	r.ip("addr add 10.77.1.254/24 dev ra", "addr add 10.77.2.254/24 dev rb",
		"addr add fd77:1::254/64 dev ra nodad", "addr add fd77:2::254/64 dev rb nodad")
	a.ip("addr add 10.77.1.1/24 dev e0", "addr add fd77:1::1/64 dev e0 nodad",
		"route add default via 10.77.1.254", "route add default via fd77:1::254")
	b.ip("addr add 10.77.2.1/24 dev e0", "addr add fd77:2::1/64 dev e0 nodad",
		"route add default via 10.77.2.254", "route add default via fd77:2::254")
	return a, r, b
}

// cable puts a pair of interfaces between two hosts and brings them up.
func (h *host) cable(name string, to *host, toName string, mtu int) {
	h.t.Helper()
	h.ip(fmt.Sprintf("link add %s mtu %d type veth peer name %s mtu %d netns %s", name, mtu, toName, mtu, to.ns))
	h.ip("link set " + name + " up")
	to.ip("link set " + toName + " up")
}

// ip runs lines of ip(8) in the host.
func (h *host) ip(lines ...string) {
	h.t.Helper()
	cmd := ipTool.command("-n", h.ns, "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("ip in %s: %v\n%s\n%s", h.ns, err, strings.Join(lines, "\n"), out)
	}
}

// nft runs a script of nft(8) in the host.
func (h *host) nft(script string) {
	h.t.Helper()
	need(h.t, nftTool)
	cmd := h.command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("nft in %s: %v\n%s\n%s", h.ns, err, script, out)
	}
}

// rate limits what leaves by an interface, with a queue of a tenth of a second.
func (h *host) rate(device string, mbit int) {
	h.t.Helper()
	need(h.t, tcTool)
	line := fmt.Sprintf("qdisc replace dev %s root tbf rate %dmbit burst 20kb limit %d", device, mbit, mbit*1e6/8/10)
	if out, err := h.command("tc", strings.Fields(line)...).CombinedOutput(); err != nil {
		h.t.Fatalf("tc in %s: %v\n%s", h.ns, err, out)
	}
}

// command prepares a command that runs in the host. ip becomes it, so its process ID is the command's.
func (h *host) command(name string, args ...string) *exec.Cmd {
	return ipTool.command(append([]string{"netns", "exec", h.ns, name}, args...)...)
}

// inside runs f on a thread that is in the host meanwhile. Sockets that f opens stay there.
//
// The thread has to live on: processes that it has started die with it (Pdeathsig).
func (h *host) inside(f func() error) {
	h.t.Helper()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		h.t.Fatal(err)
	}
	defer home.Close()
	ns, err := os.Open("/run/netns/" + h.ns)
	if err != nil {
		h.t.Fatal(err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		h.t.Fatal(err)
	}
	err = f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		h.t.Fatalf("no way back from %s: %v", h.ns, err) // the thread stays locked, and ends with the test
	}
	runtime.UnlockOSThread()
	if err != nil {
		h.t.Fatalf("in %s: %v", h.ns, err)
	}
}

// set writes a file below /proc/sys.
func (h *host) set(name, value string) {
	h.t.Helper()
	h.inside(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0o644) })
}

// counters are those of /proc/net/snmp, /proc/net/snmp6 and /proc/net/netstat: "Ip.FragCreates", "IpExt.InECT0Pkts",
// "Ip6FragCreates".
func (h *host) counters() map[string]int64 {
	h.t.Helper()
	out := map[string]int64{}
	h.inside(func() error {
		for _, file := range []string{"snmp", "netstat"} {
			text, err := os.ReadFile("/proc/thread-self/net/" + file)
			if err != nil {
				return err
			}
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			for i := 0; i+1 < len(lines); i += 2 {
				names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
				for j := 1; j < len(names) && j < len(values); j++ {
					n, _ := strconv.ParseInt(values[j], 10, 64)
					out[strings.TrimSuffix(names[0], ":")+"."+names[j]] = n
				}
			}
		}
		text, err := os.ReadFile("/proc/thread-self/net/snmp6")
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				out[name], _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			}
		}
		return err
	})
	return out
}

// wantNoFragments checks that the hosts have neither fragmented nor reassembled anything (RFC 9000, section 14: "UDP
// datagrams MUST NOT be fragmented at the IP layer.").
func wantNoFragments(t *testing.T, hosts ...*host) {
	t.Helper()
	for _, h := range hosts {
		c := h.counters()
		for _, name := range []string{"Ip.FragCreates", "Ip.FragOKs", "Ip.ReasmReqds", "Ip6FragCreates", "Ip6FragOKs", "Ip6ReasmReqds"} {
			if c[name] != 0 {
				t.Errorf("%s: %s is %d", h.ns, name, c[name])
			}
		}
	}
}

// hostPort is an address as a URL and net.Dial want it.
func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// twoWays is a host a with two interfaces to the router r, and b behind it: a is 10.77.1.1 and fd77:1::1 on e0, which its
// default routes prefer, 10.77.3.1 and fd77:3::1 on e1; b is 10.77.2.1 and fd77:2::1. What a sends leaves by the interface
// that has its source address.
func twoWays(t *testing.T) (a, r, b *host) {
	t.Helper()
	a, r, b = routed(t, 1500)
	a.cable("e1", r, "rc", 1500)
	r.ip("addr add 10.77.3.254/24 dev rc", "addr add fd77:3::254/64 dev rc nodad")
	a.ip("addr add 10.77.3.1/24 dev e1", "addr add fd77:3::1/64 dev e1 nodad",
		"route add default via 10.77.3.254 metric 500", "route add default via fd77:3::254 metric 5000",
		"route add default via 10.77.3.254 table 3", "rule add from 10.77.3.0/24 table 3")
	ipv6 := ipTool.command("-6", "-n", a.ns, "-batch", "-")
	ipv6.Stdin = strings.NewReader("route add default via fd77:3::254 table 3\nrule add from fd77:3::/64 table 3\n")
	if out, err := ipv6.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v: %s", err, out)
	}
	for _, device := range []string{"e0", "e1"} {
		a.rate(device, 50)
	}
	b.rate("e0", 50)
	return a, r, b
}

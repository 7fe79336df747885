package tunnel

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Addresses returns where others may reach an exit that listens on local, as a token wants them: local itself when it is
// one address; otherwise the addresses of this machine's interfaces that mean something beyond their own link, the one
// that the default route uses first, and never more than fit into a token. A machine without any gets loopback. What
// a router or a container engine translates cannot be seen from here.
func Addresses(local *net.UDPAddr) []string {
	port := uint16(local.Port)
	own := local.AddrPort().Addr().Unmap()
	if own.IsValid() && !own.IsUnspecified() {
		return []string{netip.AddrPortFrom(own, port).String()}
	}
	found := append(routed(), interfaceAddrs()...)
	var addrs []string
	for _, ip := range found {
		if own.Is4() && !ip.Is4() {
			continue // "0.0.0.0" is IPv4 alone
		}
		if a := netip.AddrPortFrom(ip, port).String(); !slices.Contains(addrs, a) && len(addrs) < maxAddrs {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		return []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(local.Port))}
	}
	return addrs
}

// routed returns the addresses from which this machine speaks to the world. Connecting a UDP socket asks the system for
// the route and sends nothing; the destinations are documentation addresses (RFC 5737, RFC 3849).
func routed() (ips []netip.Addr) {
	for _, to := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		if c, err := net.Dial("udp", to); err == nil {
			if ip := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(); reachable(ip) {
				ips = append(ips, ip)
			}
			c.Close()
		}
	}
	return ips
}

// interfaceAddrs returns the addresses of the interfaces that are up.
func interfaceAddrs() (ips []netip.Addr) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && reachable(p.Addr().Unmap()) {
				ips = append(ips, p.Addr().Unmap())
			}
		}
	}
	return ips
}

// reachable reports whether an address may mean something on another machine.
func reachable(ip netip.Addr) bool { return ip.IsGlobalUnicast() && ip.Zone() == "" }

// InContainer reports whether this process seems to run in a container, where 127.0.0.1 is not the machine's and the
// addresses of Addresses are not those that others use. It is a guess, for hints.
func InContainer() bool {
	if runtime.GOOS != "linux" {
		return false
	}
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" || os.Getenv("container") != "" {
		return true
	}
	groups, err := os.ReadFile("/proc/1/cgroup")
	return err == nil && slices.ContainsFunc([]string{"docker", "kubepods", "containerd", "libpod"}, func(name string) bool {
		return strings.Contains(string(groups), name)
	})
}

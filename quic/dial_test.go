package quic

import (
	"net/netip"
	"testing"
)

// What comes of the addresses that Dial takes.
func TestAddressesAreResolved(t *testing.T) {
	for _, c := range []struct{ addr, host, remote string }{
		{"192.0.2.1:443", "192.0.2.1", "192.0.2.1:443"},
		{"[2001:db8::1]:443", "2001:db8::1", "[2001:db8::1]:443"},
		{"[::ffff:192.0.2.1]:443", "::ffff:192.0.2.1", "192.0.2.1:443"},
		{"[fe80::1%lo]:443", "fe80::1%lo", "[fe80::1%lo]:443"},
		{"192.0.2.1:https", "192.0.2.1", "192.0.2.1:443"},
	} {
		host, remotes, err := resolve(t.Context(), c.addr)
		if err != nil || host != c.host || len(remotes) != 1 || remotes[0] != netip.MustParseAddrPort(c.remote) {
			t.Errorf("%s: host %q, addresses %v, error %v; want %q, %s", c.addr, host, remotes, err, c.host, c.remote)
		}
	}
}

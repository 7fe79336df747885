package udp

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

func TestPortOwnerFindsThisProcess(t *testing.T) {
	self := fmt.Sprintf("(pid %d)", os.Getpid())
	for _, ip := range []string{"127.0.0.1", "::"} {
		s := open(t, ip, Config{})
		port := int(s.LocalAddr().Port())
		if owner := PortOwner("udp", port); !strings.HasSuffix(owner, self) {
			t.Errorf("UDP on %s: %q, want %s", ip, owner, self)
		}
		_, err := Listen(s.LocalAddr(), Config{})
		want := fmt.Sprintf("UDP port %d is taken by %s: choose another with --listen, or stop it", port, PortOwner("udp", port))
		if err == nil || err.Error() != want {
			t.Errorf("Listen = %v, want %s", err, want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if owner := PortOwner("tcp4", port); !strings.HasSuffix(owner, self) {
		t.Errorf("TCP: %q, want %s", owner, self)
	}
	l.Close()
	if owner := PortOwner("tcp", port); owner != "" {
		t.Errorf("%q owns a port that is closed", owner)
	}
	if owner := PortOwner("carrier pigeon", 1); owner != "" {
		t.Errorf("%q owns a pigeon", owner)
	}
}

func TestSocketTableLinesAreUnderstood(t *testing.T) {
	const (
		udp    = "  215: 00000000:20FB 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16021 2 0 0\n"
		udp6   = "  215: 00000000000000000000000000000000:20FB 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16022 2 0 0\n"
		listen = "    0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 16023 1 0 100 0 0 10 0\n"
		open   = "    1: 0100007F:20FB 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 16024 1 0 100 0 0 10 0\n"
		header = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	)
	for _, c := range []struct {
		line, network string
		port          int
		want          string
	}{
		{udp, "udp", 8443, "16021"}, {udp, "udp", 8444, ""}, {udp6, "udp", 8443, "16022"},
		{listen, "tcp", 8443, "16023"}, {open, "tcp", 8443, ""}, {header, "udp", 0, ""}, {"", "udp", 0, ""},
	} {
		if got := socketOnPort(c.line, c.network, c.port); got != c.want {
			t.Errorf("%q on %s %d: %q, want %q", strings.TrimSpace(c.line), c.network, c.port, got, c.want)
		}
	}
}

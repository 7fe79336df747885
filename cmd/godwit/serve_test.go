package main

import (
	"context"
	"crypto/x509"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/gateway"
)

// serving runs godwit serve until the test ends, or end is called, and returns its URL without the last slash.
func serving(t *testing.T, args ...string) (url string, end func() result) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var out, errors output
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, process{stdout: &out, stderr: &errors}, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...))
	}()
	ended := false
	end = func() result {
		cancel()
		if !ended {
			ended = true
			if code := <-done; code != 0 {
				t.Errorf("serve: code %d, %s", code, errors.String())
			}
		}
		return result{0, out.String(), errors.String()}
	}
	t.Cleanup(func() { end() })
	printed := regexp.MustCompile(`(?m)^  (https://127\.0\.0\.1:\d+)/$`)
	for wait := time.Now().Add(time.Minute); time.Now().Before(wait); time.Sleep(time.Millisecond) {
		if m := printed.FindStringSubmatch(out.String()); m != nil {
			return m[1], end
		}
		if len(done) > 0 {
			break
		}
	}
	t.Fatalf("serve printed no URL:\n%s%s", out.String(), errors.String())
	return "", nil
}

func TestServePrintsWhatToDoNext(t *testing.T) {
	url, end := serving(t)
	text := end().out
	for _, want := range []string{
		"Serving the demo site at",
		"HTTP/3 (UDP), h2 and HTTP/1.1 (TCP) on 127.0.0.1:",
		"curl --http3-only -k " + url + "/",
		"--origin-to-force-quic-on=" + strings.TrimPrefix(url, "https://"),
		"--ignore-certificate-errors-spki-list=",
		"godwit get --http3-only -v --insecure " + url + "/",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestServeNamesATakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	got := godwit("serve", "--listen", l.Addr().String())
	if got.code != 1 || got.out != "" || !strings.HasPrefix(got.errors, "godwit: TCP port "+port+" is taken by ") || strings.Count(got.errors, "\n") != 1 {
		t.Errorf("%+v", got)
	}
}

func TestBannerLinesSuitTheCertificateAndTheSystem(t *testing.T) {
	addr := func(s string) *net.UDPAddr {
		a, err := net.ResolveUDPAddr("udp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	local := gateway.Certificate{Leaf: &x509.Certificate{}, Local: true}
	named := gateway.Certificate{Leaf: &x509.Certificate{DNSNames: []string{"*.example.com", "example.com"}}, Trusted: true}
	for _, c := range []struct {
		name                string
		b                   banner
		curl, chromium, get string
	}{
		{"the default", banner{conf: gateway.Config{Listen: "127.0.0.1:8443"}, addr: addr("127.0.0.1:8443"), cert: local},
			"curl --http3-only -k https://127.0.0.1:8443/",
			"--origin-to-force-quic-on=127.0.0.1:8443 --ignore-certificate-errors-spki-list=" + local.SPKI() + " https://127.0.0.1:8443/",
			"godwit get --http3-only -v --insecure https://127.0.0.1:8443/"},
		{"every address, the usual port", banner{conf: gateway.Config{Listen: ":443"}, addr: addr("[::]:443"), cert: local, root: true},
			"curl --http3-only -k https://127.0.0.1/",
			"--origin-to-force-quic-on=127.0.0.1:443 --no-sandbox --ignore",
			"godwit get --http3-only -v --insecure https://127.0.0.1/"},
		{"IPv6", banner{conf: gateway.Config{Listen: "[::1]:8443"}, addr: addr("[::1]:8443"), cert: local},
			"curl --http3-only -k https://[::1]:8443/", "force-quic-on=[::1]:8443 ", "https://[::1]:8443/"},
		{"a certificate that is trusted", banner{conf: gateway.Config{Listen: ":8443"}, addr: addr("[::]:8443"), cert: named},
			"curl --http3-only --resolve www.example.com:8443:127.0.0.1 https://www.example.com:8443/",
			"force-quic-on=www.example.com:8443 --host-resolver-rules='MAP www.example.com 127.0.0.1' https://www.example.com:8443/",
			"godwit get --http3-only -v --insecure -H 'Host: www.example.com' https://127.0.0.1:8443/"},
		{"a link-local address", banner{conf: gateway.Config{Listen: "[fe80::1%lo]:8443"}, addr: addr("[fe80::1]:8443"), cert: local},
			"curl --http3-only -k https://[fe80::1%25lo]:8443/", "force-quic-on=[fe80::1%lo]:8443 ", "https://[fe80::1%25lo]:8443/"},
		{"a host by name", banner{conf: gateway.Config{Listen: "localhost:8443"}, addr: addr("127.0.0.1:8443"), cert: local},
			"curl --http3-only -k https://localhost:8443/", "force-quic-on=localhost:8443 ", "https://localhost:8443/"},
	} {
		if got := c.b.curl(); got != c.curl {
			t.Errorf("%s: %s, want %s", c.name, got, c.curl)
		}
		if got := c.b.chromium("linux"); !strings.Contains(got, c.chromium) || !strings.HasPrefix(got, "chromium ") {
			t.Errorf("%s: %s, want %s", c.name, got, c.chromium)
		}
		if got := c.b.get(); !strings.Contains(got, c.get) {
			t.Errorf("%s: %s, want %s", c.name, got, c.get)
		}
		for _, system := range []string{"darwin", "windows"} {
			if got := c.b.chromium(system); !strings.Contains(got, "Google") {
				t.Errorf("%s on %s: %s", c.name, system, got)
			}
		}
	}
}

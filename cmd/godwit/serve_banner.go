package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/godwit-net/godwit/gateway"
)

// banner is what serve says when it serves: the URL, and the command lines with which HTTP/3 is seen at once. Browsers
// and curl would otherwise begin with TCP, and browsers use HTTP/3 with a certificate of our own only when told to.
type banner struct {
	conf gateway.Config
	addr *net.UDPAddr
	cert gateway.Certificate
	root bool // Chromium wants no sandbox then
}

func (b banner) print(w io.Writer) {
	site := "the demo site"
	if b.conf.To != "" {
		site = b.conf.To
	}
	fmt.Fprintf(w, "Serving %s at\n\n  %s\n\n", site, b.url())
	over := "HTTP/3 (UDP), h2 and HTTP/1.1 (TCP)"
	if b.conf.UDPOnly {
		over = "HTTP/3 (UDP)"
	}
	fmt.Fprintf(w, "%s on %s\n", over, b.addr)
	switch {
	case b.cert.Local:
		fmt.Fprintf(w, "Certificate: made for this run and kept in memory; its key is %s\n", b.cert.SPKI())
	default:
		fmt.Fprintf(w, "Certificate: %s, until %s; its key is %s\n", b.name(), b.cert.Leaf.NotAfter.Format("2006-01-02"), b.cert.SPKI())
	}
	if b.conf.UDPOnly {
		fmt.Fprintf(w, "Browsers come when the server on TCP answers with   Alt-Svc: h3=\":%d\"; ma=86400\n", b.addr.Port)
	}
	fmt.Fprintf(w, "\nOver HTTP/3:\n\n  %s\n\n  %s\n\n  %s\n\n", b.curl(), b.chromium(runtime.GOOS), b.get())
	fmt.Fprintln(w, "Ctrl-C ends it.")
}

// name is a host that the certificate is for: the address of the socket if it is.
func (b banner) name() string {
	if bare, _, _ := strings.Cut(b.reachable(), "%"); b.cert.Local || b.cert.Leaf.VerifyHostname(bare) == nil {
		return b.reachable()
	}
	for _, name := range b.cert.Leaf.DNSNames {
		return strings.Replace(name, "*", "www", 1)
	}
	for _, ip := range b.cert.Leaf.IPAddresses {
		return ip.String()
	}
	return b.reachable()
}

// reachable is an address by which this host reaches the socket.
func (b banner) reachable() string {
	host, _, _ := net.SplitHostPort(b.conf.Listen)
	switch {
	case net.ParseIP(host) == nil && host != "":
		return host // a name
	case !b.addr.IP.IsUnspecified():
		return b.addr.IP.String()
	}
	return "127.0.0.1"
}

func (b banner) hostPort() string { return net.JoinHostPort(b.name(), strconv.Itoa(b.addr.Port)) }

func (b banner) url() string {
	host := inURL(b.hostPort())
	if b.addr.Port == 443 {
		host = strings.TrimSuffix(host, ":443")
	}
	return "https://" + host + "/"
}

// inURL writes the zone of a link-local address, if there is one, as URLs have it (RFC 6874, section 2).
func inURL(hostPort string) string { return strings.Replace(hostPort, "%", "%25", 1) }

// elsewhere reports whether the certificate's name is one that has to be led to this host.
func (b banner) elsewhere() bool { return b.name() != b.reachable() }

func (b banner) curl() string {
	line := "curl --http3-only "
	if !b.cert.Trusted {
		line += "-k "
	}
	if b.elsewhere() {
		line += fmt.Sprintf("--resolve %s:%d:%s ", b.name(), b.addr.Port, b.reachable())
	}
	return line + b.url()
}

// chromium is the command line for a browser with a profile of its own: one that runs already ignores the flags.
func (b banner) chromium(system string) string {
	program, profile, quote := "chromium", `"$(mktemp -d)"`, "'"
	switch system {
	case "darwin":
		program = `"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"`
	case "windows":
		program, profile, quote = `"%ProgramFiles%\Google\Chrome\Application\chrome.exe"`, `"%TEMP%\godwit-chrome"`, `"`
	}
	line := fmt.Sprintf("%s --user-data-dir=%s --no-first-run --origin-to-force-quic-on=%s ", program, profile, b.hostPort())
	if b.root {
		line += "--no-sandbox "
	}
	if !b.cert.Trusted {
		line += "--ignore-certificate-errors-spki-list=" + b.cert.SPKI() + " "
	}
	if b.elsewhere() {
		line += fmt.Sprintf("--host-resolver-rules=%sMAP %s %s%s ", quote, b.name(), b.reachable(), quote)
	}
	return line + b.url()
}

func (b banner) get() string {
	line := "godwit get --http3-only -v "
	if b.elsewhere() { // by address, for which the certificate is not
		return line + fmt.Sprintf("--insecure -H 'Host: %s' https://%s/", b.name(), inURL(net.JoinHostPort(b.reachable(), strconv.Itoa(b.addr.Port))))
	}
	if !b.cert.Trusted {
		line += "--insecure "
	}
	return line + b.url()
}

func isRoot() bool { return runtime.GOOS == "linux" && os.Geteuid() == 0 }

package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Config says what a Server serves and where. The zero value serves the demo site on 127.0.0.1:8443, with a certificate
// made for the occasion.
type Config struct {
	// Listen is the address for both UDP and TCP: "127.0.0.1:8443" if empty. ":443" means every address of this host;
	// port 0 lets the system choose one.
	Listen string

	// To is the upstream, "http://127.0.0.1:8080" for instance. A path in it is put in front of every request's path.
	// Empty: the demo site. An https upstream must show a certificate that the system trusts for its host, unless it is
	// a loopback address: what listens there has its certificate for another name, and no network lies in between.
	To string

	// UDPOnly binds no TCP port: for a host on which another server owns it. That server has to send the Alt-Svc field.
	UDPOnly bool

	// CertFile and KeyFile are PEM files: the chain, the leaf first, and the leaf's key. They are read again when they
	// change. Both empty: a certificate for localhost is made and kept in memory; it is valid for 13 days at a time and
	// renewed with the same key.
	CertFile, KeyFile string

	// Grace is how long Serve waits for requests under way when it is told to end. 0: 10 seconds.
	Grace time.Duration

	// QLogDir, if not empty, is the folder that gets the qlog of each HTTP/3 connection; it is created if need be.
	QLogDir string

	// KeyLogFile, if not empty, is the file to which TLS secrets are appended, in the format that Wireshark reads.
	// Whoever can read it can read the traffic.
	KeyLogFile string

	// SecretFile, if not empty, is the file that keeps the secret of the QUIC endpoint; it is made if need be, for its owner alone.
	// With it clients of a server that was restarted learn at once that their connections are lost, and the tokens that prove
	// their addresses stay good. Servers that share an address share its content.
	SecretFile string

	// AccessLog writes one line to Logger, at level Info, for each request.
	AccessLog bool

	// Logger receives what an operator should know: an upstream that fails, a socket buffer that is too small.
	// nil: slog.Default().
	Logger *slog.Logger
}

// ConfigError is everything that is wrong with a Config, each problem on a line of its own in Problems.
type ConfigError struct{ Problems []string }

// Error returns the problems on one line.
func (e *ConfigError) Error() string { return strings.Join(e.Problems, "; ") }

// plan is a Config that was found good, with its defaults written out.
type plan struct {
	Config
	host   string   // of Listen; "" is every address
	port   uint16   // of Listen
	target *url.URL // of To; nil: the demo site
	cert   *certificate
}

// compile checks c. Its error is a *ConfigError.
func compile(c Config) (*plan, error) {
	p := &plan{Config: c}
	if p.Logger == nil {
		p.Logger = slog.Default()
	}
	if p.Grace == 0 {
		p.Grace = 10 * time.Second
	}
	var problems []string
	for _, check := range []func() error{
		p.checkListen, p.checkTarget, p.checkGrace, p.checkCertificate, p.checkQLogDir, p.checkKeyLogFile,
	} {
		if err := check(); err != nil {
			problems = append(problems, err.Error())
		}
	}
	if problems != nil {
		return nil, &ConfigError{problems}
	}
	return p, nil
}

func (p *plan) checkListen() error {
	if p.Listen == "" {
		p.Listen = "127.0.0.1:8443"
	}
	host, port, err := net.SplitHostPort(p.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: want HOST:PORT, such as 127.0.0.1:8443, or :443 for every address of this host", p.Listen)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("listen address %q: the port must be a number from 0 to 65535", p.Listen)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		if _, err := net.LookupHost(host); err != nil {
			return fmt.Errorf("listen address %q: the host name %q has no address", p.Listen, host)
		}
	}
	p.host, p.port = host, uint16(n)
	return nil
}

func (p *plan) checkTarget() error {
	if p.To == "" {
		return nil
	}
	u, err := url.Parse(p.To)
	switch {
	case err != nil && !strings.Contains(p.To, "://"), err == nil && u.Host == "":
		return fmt.Errorf("upstream %q is not a URL: want one such as http://127.0.0.1:8080", p.To)
	case err != nil:
		return fmt.Errorf("upstream %q: %v", p.To, errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("upstream %q: the scheme must be http or https", p.To)
	case u.Hostname() == "":
		return fmt.Errorf("upstream %q names no host", p.To)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("upstream %q: only scheme, host, port and path can be given", p.To)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("upstream %q: the port must be a number from 1 to 65535", p.To)
	}
	if !p.UDPOnly && uint16(n) == p.port && loopback(u.Hostname()) && (p.host == "" || loopback(p.host)) {
		return fmt.Errorf("upstream %q is the address that the gateway itself listens on", p.To)
	}
	p.target = u
	return nil
}

func (p *plan) checkGrace() error {
	if p.Grace < 0 {
		return fmt.Errorf("grace period %v is negative", p.Grace)
	}
	return nil
}

func (p *plan) checkCertificate() (err error) {
	switch {
	case p.CertFile == "" && p.KeyFile == "":
		p.cert, err = newLocalCertificate(p.host)
	case p.KeyFile == "":
		err = fmt.Errorf("certificate %s comes without its key: name the key file too", p.CertFile)
	case p.CertFile == "":
		err = fmt.Errorf("key %s comes without its certificate: name the certificate file too", p.KeyFile)
	default:
		p.cert, err = newFileCertificate(p.CertFile, p.KeyFile, p.Logger)
	}
	return err
}

func (p *plan) checkQLogDir() error {
	if p.QLogDir == "" {
		return nil
	}
	if info, err := os.Stat(p.QLogDir); err == nil && !info.IsDir() {
		return fmt.Errorf("qlog folder %s is not a folder", p.QLogDir)
	}
	return nil
}

func (p *plan) checkKeyLogFile() error {
	if p.KeyLogFile == "" {
		return nil
	}
	if info, err := os.Stat(p.KeyLogFile); err == nil && info.IsDir() {
		return fmt.Errorf("key log file %s is a folder", p.KeyLogFile)
	}
	if _, err := os.Stat(filepath.Dir(p.KeyLogFile)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("key log file %s: there is no folder %s", p.KeyLogFile, filepath.Dir(p.KeyLogFile))
	}
	return nil
}

// loopback reports whether a host, by name or by address, is this host.
func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// localLifetime is how long a certificate of ours is valid: browsers that accept one by its hash want 14 days at the
	// most. localMargin is how much of it must be left, and how far it reaches into the past for clocks that are slow.
	localLifetime = 13 * 24 * time.Hour
	localMargin   = time.Hour

	// lookInterval is how often the files of a certificate are looked at, and only when a client comes.
	lookInterval = 10 * time.Second
)

// certificate is what clients are shown. It replaces itself when it must: next makes the successor.
type certificate struct {
	local bool // made by us
	next  func(now time.Time, old *tls.Certificate) *tls.Certificate

	mu      sync.Mutex
	current *tls.Certificate // Leaf is set
}

// get serves tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.at(time.Now()), nil
}

func (c *certificate) at(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = c.next(now, c.current)
	return c.current
}

// newLocalCertificate makes a certificate for this host, listening on host.
func newLocalCertificate(host string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	first, err := issue(key, host, time.Now())
	if err != nil {
		return nil, fmt.Errorf("a certificate for %q cannot be made: %w", host, err)
	}
	next := func(now time.Time, old *tls.Certificate) *tls.Certificate {
		if now.Add(localMargin).Before(old.Leaf.NotAfter) {
			return old
		}
		if renewed, err := issue(key, host, now); err == nil {
			return renewed
		}
		return old
	}
	return &certificate{local: true, current: first, next: next}, nil
}

// issue makes a certificate that key signs for itself.
func issue(key *ecdsa.PrivateKey, host string, now time.Time) (*tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "godwit local certificate"},
		NotBefore:             now.Add(-localMargin),
		NotAfter:              now.Add(localLifetime - localMargin),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	host, _, _ = strings.Cut(host, "%") // a zone means something to this host alone
	switch ip := net.ParseIP(host); {
	case ip == nil && host != "" && host != "localhost":
		template.DNSNames = append(template.DNSNames, host)
	case ip != nil && !ip.IsUnspecified() && !slices.ContainsFunc(template.IPAddresses, ip.Equal):
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// newFileCertificate loads a certificate and its key, and loads them again when a file has changed: a certificate that
// was renewed needs no restart. Files that are wrong by then leave the old one in place, and are reported once.
func newFileCertificate(certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	first, err := loadCertificate(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	looked, seen := time.Now(), modified(certFile, keyFile)
	next := func(now time.Time, old *tls.Certificate) *tls.Certificate {
		if now.Sub(looked) < lookInterval {
			return old
		}
		looked = now
		stamp := modified(certFile, keyFile)
		if stamp == seen {
			return old
		}
		seen = stamp
		renewed, err := loadCertificate(certFile, keyFile)
		if err != nil {
			logger.Warn("the certificate has changed and cannot be used: the old one stays", "error", err)
			return old
		}
		logger.Info("the certificate was renewed", "file", certFile, "expires", renewed.Leaf.NotAfter)
		return renewed
	}
	return &certificate{current: first, next: next}, nil
}

// modified returns when the two files were last changed.
func modified(certFile, keyFile string) (at [2]time.Time) {
	for i, name := range []string{certFile, keyFile} {
		if info, err := os.Stat(name); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}

func loadCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", certFile, fileReason(err))
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", keyFile, fileReason(err))
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return &cert, nil
}

// fileReason is err without the name of the file, which is told already.
func fileReason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Certificate describes what the gateway shows to clients.
type Certificate struct {
	Leaf    *x509.Certificate
	Local   bool // the gateway made it: no client trusts it without being told to
	Trusted bool // it chains to a root that this system trusts
}

// SPKI returns the base64 of the SHA-256 of the certificate's public key, by which browsers can be told to accept it.
func (c Certificate) SPKI() string {
	sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (c *certificate) describe() Certificate {
	cert := c.at(time.Now())
	out := Certificate{Leaf: cert.Leaf, Local: c.local}
	if !c.local {
		between := x509.NewCertPool()
		for _, der := range cert.Certificate[1:] {
			if x, err := x509.ParseCertificate(der); err == nil {
				between.AddCert(x)
			}
		}
		_, err := cert.Leaf.Verify(x509.VerifyOptions{Intermediates: between})
		out.Trusted = err == nil
	}
	return out
}

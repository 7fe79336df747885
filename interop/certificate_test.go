package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// authority is the certificate authority of this run, and the one certificate it gave out: for localhost, 127.0.0.1, ::1 and
// servers in network namespaces.
type authority struct {
	share
	roots *x509.CertPool
	leaf  tls.Certificate
	chain tls.Certificate // the same by way of seven others, large ones
	spki  string          // base64 of the SHA-256 of the leaf's public key, as Chromium wants it
}

// The files of the authority, in its share.
const (
	caFile   = "ca.pem"
	certFile = "cert.pem"
	keyFile  = "key.pem"
	fullFile = "full.pem" // chain and key, as HAProxy wants it

	// With the long chain and its key.
	longCertFile = "long-cert.pem"
	longKeyFile  = "long-key.pem"
	longFullFile = "long-full.pem"
)

func newAuthority() (*authority, error) {
	s, err := makeShare()
	if err != nil {
		return nil, err
	}
	a := &authority{share: s, roots: x509.NewCertPool()}
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	ca, err = x509.ParseCertificate(caDER)
	if err != nil {
		return nil, err
	}
	a.roots.AddCert(ca)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		BasicConstraintsValid: true,
	}
	for _, addr := range namespaceAddrs {
		leaf.IPAddresses = append(leaf.IPAddresses, net.ParseIP(addr))
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, err
	}
	a.leaf = tls.Certificate{Certificate: [][]byte{leafDER, caDER}, PrivateKey: key}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(public)
	a.spki = base64.StdEncoding.EncodeToString(sum[:])
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := a.save(caDER, leafDER, keyDER); err != nil {
		return nil, err
	}
	return a, a.makeChain(ca, caKey)
}

// makeChain makes nine certificates, the authority's and the leaf's among them, that take up more than 7.5 kB.
func (a *authority) makeChain(root *x509.Certificate, rootKey *ecdsa.PrivateKey) error {
	issuer, issuerKey, chain := root, rootKey, [][]byte{root.Raw}
	for i := range 8 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(10 + i)),
			Subject:      pkix.Name{CommonName: fmt.Sprintf("interop authority %d", i), OrganizationalUnit: []string{strings.Repeat("a long name ", 50)}},
			NotBefore:    root.NotBefore, NotAfter: root.NotAfter,
			KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		}
		if i == 7 {
			c.Subject = pkix.Name{CommonName: "localhost"}
			c.KeyUsage, c.IsCA, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, false, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		}
		der, err := x509.CreateCertificate(rand.Reader, c, issuer, key.Public(), issuerKey)
		if err != nil {
			return err
		}
		if issuer, err = x509.ParseCertificate(der); err != nil {
			return err
		}
		issuerKey, chain = key, append([][]byte{der}, chain...)
	}
	a.chain = tls.Certificate{Certificate: chain, PrivateKey: issuerKey}
	keyDER, err := x509.MarshalPKCS8PrivateKey(issuerKey)
	if err != nil {
		return err
	}
	var certs []byte
	for _, der := range chain {
		certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for name, content := range map[string][]byte{ // any order
		longCertFile: certs, longKeyFile: key, longFullFile: append(slices.Clone(certs), key...),
	} {
		if err := os.WriteFile(filepath.Join(a.host, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// save writes the files that peers read.
func (a *authority) save(ca, leaf, key []byte) error {
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	chain := append(block("CERTIFICATE", leaf), block("CERTIFICATE", ca)...)
	for name, content := range map[string][]byte{
		caFile: block("CERTIFICATE", ca), certFile: chain, keyFile: block("PRIVATE KEY", key),
		fullFile: append(chain, block("PRIVATE KEY", key)...),
	} {
		if err := os.WriteFile(filepath.Join(a.host, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// client is a TLS configuration that trusts the authority.
func (a *authority) client() *tls.Config { return &tls.Config{RootCAs: a.roots} }

// server is a TLS configuration with the authority's certificate.
func (a *authority) server() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{a.leaf}} }

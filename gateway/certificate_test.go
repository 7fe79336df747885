package gateway

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair writes a certificate of ours as PEM files.
func writePair(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	c, err := newLocalCertificate(name + ".example")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.current.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for file, block := range map[string]*pem.Block{ // any order
		certFile: {Type: "CERTIFICATE", Bytes: c.current.Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestTheLocalCertificateIsForThisHost(t *testing.T) {
	for _, c := range []struct {
		listen string
		names  []string
	}{
		{"", []string{"localhost", "127.0.0.1", "::1"}},
		{"127.0.0.1", []string{"localhost", "127.0.0.1", "::1"}},
		{"dev.example", []string{"localhost", "127.0.0.1", "::1", "dev.example"}},
		{"192.0.2.7", []string{"localhost", "192.0.2.7"}},
		{"fe80::7%lo", []string{"localhost", "fe80::7"}},
	} {
		cert, err := newLocalCertificate(c.listen)
		if err != nil {
			t.Fatal(err)
		}
		leaf := cert.current.Leaf
		roots := x509.NewCertPool()
		roots.AddCert(leaf)
		for _, name := range c.names {
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
				t.Errorf("listening on %q, for %s: %v", c.listen, name, err)
			}
		}
		if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 13*24*time.Hour {
			t.Errorf("valid for %v", life)
		}
		if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Params().BitSize != 256 {
			t.Errorf("key %T", leaf.PublicKey)
		}
		bare, _, _ := strings.Cut(c.listen, "%")
		if len(leaf.IPAddresses) > 2 && !leaf.IPAddresses[2].Equal(net.ParseIP(bare)) {
			t.Errorf("addresses %v", leaf.IPAddresses)
		}
	}
}

func TestTheLocalCertificateIsRenewedWithItsKey(t *testing.T) {
	c, err := newLocalCertificate("")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	first := c.at(now)
	if c.at(now.Add(localLifetime-3*localMargin)) != first {
		t.Error("renewed long before its end")
	}
	before := c.describe().SPKI()
	later := now.Add(localLifetime - localMargin)
	second := c.at(later)
	if second == first || second.Leaf.NotAfter.Before(later) {
		t.Error("not renewed")
	}
	if after := c.describe().SPKI(); after != before || len(after) != 44 {
		t.Errorf("the key was %s and is %s", before, after)
	}
}

func TestCertificateFilesAreReadAgainWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writePair(t, dir, "a")
	c, err := newFileCertificate(certFile, keyFile, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.describe(); got.Local || got.Trusted {
		t.Errorf("%+v", got)
	}
	now := time.Now()
	first := c.at(now)
	next := func() *x509.Certificate {
		now = now.Add(2 * lookInterval)
		return c.at(now).Leaf
	}
	touch := func(file string) {
		stamp := now.Add(time.Hour)
		if err := os.Chtimes(file, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	if next() != first.Leaf {
		t.Error("loaded again without a change")
	}
	os.WriteFile(certFile, []byte("half written"), 0o600)
	touch(certFile)
	if next() != first.Leaf {
		t.Error("a broken file took effect")
	}
	os.Remove(certFile)
	if next() != first.Leaf {
		t.Error("a missing file took effect")
	}
	newCert, newKey := writePair(t, dir, "b")
	os.Rename(newCert, certFile)
	os.Rename(newKey, keyFile)
	touch(certFile)
	if leaf := next(); leaf.VerifyHostname("b.example") != nil {
		t.Errorf("still the old certificate: %v", leaf.DNSNames)
	}
}

package sim

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"time"
)

// The server's certificate is the same in every world: its key comes from a constant seed, and Ed25519 signs without
// randomness.
var identity = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "sim"},
		DNSNames:     []string{"*.sim"},
		NotBefore:    clock().Add(-time.Hour),
		NotAfter:     clock().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

// clock is what TLS takes for the time of day.
func clock() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

const protocol = "sim"

// clientTLS names the client in the handshake: that is how the server's end finds out whose it is, whatever has become of
// addresses on the way.
func clientTLS(name string) *tls.Config {
	_, pool := identity()
	return &tls.Config{ServerName: name, RootCAs: pool, NextProtos: []string{protocol}, Time: clock}
}

func serverTLS() *tls.Config {
	cert, _ := identity()
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{protocol}, Time: clock}
}

package quic_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"time"

	"github.com/godwit-net/godwit/quic"
)

// A server that sends back what it receives, and a client that asks it once.
func Example() {
	server, client := throwawayTLS("echo")
	e, err := quic.Listen("127.0.0.1:0", server, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	go func() {
		for {
			c, err := e.Accept(context.Background())
			if err != nil {
				return // the endpoint is closed
			}
			c.HandleStreams(func(s *quic.Stream) {
				defer s.Close()
				io.Copy(s, s)
			})
		}
	}()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := quic.Dial(ctx, e.Addr().String(), client, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	s, err := c.OpenStream(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.WriteFinal([]byte("hello, godwit")); err != nil {
		log.Fatal(err)
	}
	answer, err := io.ReadAll(s)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s over %s\n", answer, c.TLS().NegotiatedProtocol)
	// Output: hello, godwit over echo
}

func ExampleListen() {
	cert, err := tls.LoadX509KeyPair("cert.pem", "key.pem")
	if err != nil {
		log.Fatal(err)
	}
	e, err := quic.Listen(":4433", &tls.Config{
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"my-protocol"},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	log.Print(e.Features())
	for {
		c, err := e.Accept(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		log.Printf("%v is here", c.RemoteAddr())
	}
}

func ExampleDial() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := quic.Dial(ctx, "example.com:4433", &tls.Config{NextProtos: []string{"my-protocol"}}, &quic.Config{
		KeepAlive: 15 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	log.Printf("connected in %v", c.Stats().Handshake)
}

// throwawayTLS makes a certificate for 127.0.0.1 that lives for a minute, and the configurations that go with it.
func throwawayTLS(protocol string) (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Minute),
		DNSNames:     []string{"example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{protocol}},
		&tls.Config{RootCAs: pool, ServerName: "example", NextProtos: []string{protocol}}
}

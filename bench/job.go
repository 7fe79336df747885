package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"time"
)

// The processes speak lines of JSON over standard input and output. A child gets its job, and answers with a hello;
// then it gets commands. When its input ends, so does the child, however the parent ended.

// job is what a child does.
type job struct {
	Stack    string
	Window   int64
	Work     workload
	Addr     string // of the server; for a client
	Cert     []byte // DER, self-signed
	Key      []byte // PKCS #8; for a server
	Profile  string // file for the CPU profile; empty: none
	Deadline time.Duration
}

// hello says that a child is ready.
type hello struct {
	Addr   string `json:",omitempty"` // of a server
	Socket string `json:",omitempty"` // what Godwit's server says about its socket
	Cipher string `json:",omitempty"` // of a client
}

// command tells a child to begin or to end what is measured. The server answers both with a sample; a client answers
// begin when it has done its work.
type command string

const (
	begin command = "begin"
	end   command = "end"
)

// answer is what a child says to a command.
type answer struct {
	Usage   usageSample
	Seconds float64   `json:",omitempty"` // of a client: how long the work took
	Latency []float64 `json:",omitempty"` // of a client: median and 99th percentile in milliseconds
	Error   string    `json:",omitempty"`
}

// line is a peer at the other end of two pipes.
type line struct {
	in  *json.Decoder
	out *json.Encoder
}

func newLine(in io.Reader, out io.Writer) *line {
	return &line{json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)}
}

// runRole is a child's main.
func runRole(role string) error {
	parent := newLine(os.Stdin, os.Stdout)
	var j job
	if err := parent.in.Decode(&j); err != nil {
		return fmt.Errorf("a role is not for calling by hand: %w", err)
	}
	s, ok := stackByName(j.Stack)
	if !ok {
		return fmt.Errorf("no stack is called %q", j.Stack)
	}
	switch role {
	case "server":
		return runServer(s, j, parent)
	case "client":
		return runClient(s, j, parent)
	}
	return fmt.Errorf("no role is called %q", role)
}

// newCertificate makes the certificate that the servers of this run show: ECDSA on P-256 for 127.0.0.1.
func newCertificate() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err = x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(private)
	return cert, key, err
}

func (j *job) serverTLS() (*tls.Config, error) {
	key, err := x509.ParsePKCS8PrivateKey(j.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{j.Cert}, PrivateKey: key}}}, nil
}

func (j *job) clientTLS() (*tls.Config, error) {
	cert, err := x509.ParseCertificate(j.Cert)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}, nil
}

package interop

import (
	"os"
	"path/filepath"
)

// ngtcp2's example programs, built with OpenSSL and with GnuTLS.
var (
	ngtcp2OpenSSLPeer = &matrixPeer{
		name:     "ngtcp2 (OpenSSL)",
		programs: []*peer{osslClient, osslServer},
		follows:  true,
		version:  ngtcp2Version,
		serve:    func(c *cell) error { return ngtcp2Serves(c, osslServer, "TLS_CHACHA20_POLY1305_SHA256") },
		ask:      func(c *cell) error { return ngtcp2Asks(c, osslClient, "TLS_CHACHA20_POLY1305_SHA256") },
	}
	ngtcp2GnuTLSPeer = &matrixPeer{
		name:     "ngtcp2 (GnuTLS)",
		programs: []*peer{gtlsClient, gtlsServer},
		follows:  true,
		version:  ngtcp2Version,
		serve:    func(c *cell) error { return ngtcp2Serves(c, gtlsServer, gtlsChaCha) },
		ask:      func(c *cell) error { return ngtcp2Asks(c, gtlsClient, gtlsChaCha) },
	}
)

const gtlsChaCha = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305"

// ngtcp2Version is the version of Debian's source package that the examples are built from; they do not tell it themselves.
func ngtcp2Version() string { return packageVersion("libngtcp2-dev", "libngtcp2-16") }

func ngtcp2Serves(c *cell, server *peer, chacha string) error {
	host, port := c.listenAt()
	args := []string{"--quiet", "--htdocs=" + c.dir.peer + "/docs"}
	key, cert := keyFile, certFile
	if c.wants.longChain {
		key, cert = longKeyFile, longCertFile
	}
	if c.wants.retry {
		args = append(args, "--validate-addr")
	}
	if c.wants.chacha {
		args = append(args, "--ciphers="+chacha)
		c.variant = insistence
	}
	if c.wants.v2 {
		args = append(args, "--preferred-versions=v2,v1")
	}
	if c.wants.move {
		args = append(args, "--preferred-ipv4-addr="+c.prefer().String())
	}
	return c.background(server.command(append(args, host, port, ca.peer+"/"+key, ca.peer+"/"+cert)...))
}

// insistence is the variant of chacha20 with our client.
const insistence = "the server insists on ChaCha20: Godwit's client cannot be told its cipher suites, because crypto/tls cannot"

func ngtcp2Asks(c *cell, client *peer, chacha string) error {
	for _, names := range c.names {
		args := []string{"--quiet", "--exit-on-all-streams-close", "--download=" + c.dir.peer + "/down"}
		switch {
		case c.wants.resume:
			if c.wants.early {
				args = append(args, withoutHelloRetry(c, client)...)
			}
			args = append(args, "--session-file="+c.dir.peer+"/session", "--tp-file="+c.dir.peer+"/params")
			if _, err := os.Stat(filepath.Join(c.dir.host, "session")); err != nil {
				args = append(args, "--wait-for-ticket")
			}
			if !c.wants.early {
				args = append(args, "--disable-early-data")
			}
		case c.wants.chacha:
			args = append(args, "--ciphers="+chacha)
		case c.wants.keyUpdate:
			args = append(args, "--key-update=1ms")
		case c.wants.v2:
			args = append(args, "--version=v1", "--available-versions=v2,v1", "--preferred-versions=v2,v1")
			args = append(args, withoutHelloRetry(c, client)...)
		}
		args = append(args, c.addr.Addr().String(), portOf(c.addr))
		if _, err := c.output(client.command(append(args, c.urls(names)...)...)); err != nil {
			return err
		}
	}
	return nil
}

// withoutHelloRetry are the arguments with which osslclient wants no key exchange that it has no share for. By default it names
// X25519MLKEM768 last, without a share, and crypto/tls prefers that at the price of a HelloRetryRequest: with which neither 0-RTT
// nor, because crypto/tls shows the client's transport parameters too late, a change of version is possible.
func withoutHelloRetry(c *cell, client *peer) []string {
	if client != osslClient {
		return nil
	}
	c.variant = "with --groups=X25519: it names X25519MLKEM768 without a share, and crypto/tls asks for one by HelloRetryRequest, after which neither 0-RTT nor a change of version is possible"
	return []string{"--groups=X25519"}
}

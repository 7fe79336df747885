package interop

import (
	"net"
	"net/http"
	"strings"
)

// HAProxy is a server only, and has the files from an HTTP/1.1 server of this process.
var haproxyPeer = &matrixPeer{
	name:     "HAProxy",
	programs: []*peer{haproxy},
	version:  func() string { return packageVersion("haproxy") },
	serve:    haproxyServes,
	cannotServe: map[string]string{
		"ecn":                 "HAProxy does not mark its packets",
		"connectionmigration": "HAProxy forbids its clients to move (disable_active_migration) and has no preferred address",
	},
	faultServing: map[string]string{
		"rebind-port": haproxyPaths,
		"rebind-addr": haproxyPaths,
	},
}

const haproxyPaths = "HAProxy does not follow a client whose address a NAT has changed: it drops what comes from there"

func haproxyServes(c *cell) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	files := &http.Server{Handler: c.handler()}
	go files.Serve(l)
	c.closers = append(c.closers, func() { files.Close() })

	host, port := c.listenAt()
	family, cert, more := "quic4", fullFile, ""
	if c.wants.ipv6 {
		family = "quic6"
	}
	if c.wants.longChain {
		cert = longFullFile
	}
	if c.wants.retry {
		more += " quic-force-retry"
	}
	if c.wants.early {
		more += " allow-0rtt"
	}
	if c.wants.chacha {
		more += " ciphersuites TLS_CHACHA20_POLY1305_SHA256"
		c.variant = insistence
	}
	return c.backgroundWith(haproxy, "haproxy.cfg", strings.NewReplacer("CERT", ca.peer+"/"+cert, "FAMILY", family,
		"HOST", host, "PORT", port, "TO", l.Addr().String(), "MORE", more).Replace(`
global
	maxconn 1000
	nbthread 1
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend fe
	bind FAMILY@HOST:PORT ssl crt CERT alpn h3 MORE
	default_backend files
backend files
	server f TO
`), "-db", "-f", c.dir.peer+"/haproxy.cfg")
}

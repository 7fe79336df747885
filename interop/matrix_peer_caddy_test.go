package interop

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"strings"
)

// Caddy is quic-go in a server that people run.
var caddyPeer = &matrixPeer{
	name:     "Caddy",
	programs: []*peer{caddy},
	version:  caddyVersion,
	serve:    caddyServes,
	cannotServe: map[string]string{
		"retry":    "Caddy cannot be told to send Retry packets",
		"chacha20": "the cipher suites of TLS 1.3 cannot be chosen in crypto/tls, which both ends have",
		"v2":       "quic-go, which Caddy is made with, has no compatible version negotiation (RFC 9368)",
	},
}

func caddyServes(c *cell) error {
	host, port := c.listenAt()
	key, cert := keyFile, certFile
	if c.wants.longChain {
		key, cert = longKeyFile, longCertFile
	}
	text := strings.NewReplacer("DIR", c.dir.host, "CERT", ca.host+"/"+cert, "KEY", ca.host+"/"+key, "HOST", host, "PORT", port).Replace(caddyOptions + `https://:PORT {
	bind HOST
	tls CERT KEY
	root * DIR/docs
	file_server
}
`)
	file := filepath.Join(c.dir.host, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	cmd := caddy.command("run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(cmd.Environ(), "HOME="+c.dir.host, "XDG_DATA_HOME="+c.dir.host, "XDG_CONFIG_HOME="+c.dir.host)
	return c.background(cmd)
}

// caddyVersion is what Caddy was built from.
func caddyVersion() string {
	info, err := buildinfo.ReadFile(filepath.Join(peersDir(), caddy.path))
	if err != nil {
		return "not installed"
	}
	return info.Main.Version
}

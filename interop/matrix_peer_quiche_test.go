package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// quicheNode runs quiche, which is a library, by the npm package that wraps it.
var quicheNode = &peer{name: "quiche (npm's @currentspace/http3) and its Node", path: "npm/node_modules/.bin/node", optional: true, version: []string{"--version"}}

// quichePackage is the folder of the package.
func quichePackage() string {
	return filepath.Join(peersDir(), "npm/node_modules/@currentspace/http3")
}

var quichePeer = &matrixPeer{
	name:     "quiche",
	programs: []*peer{quicheNode},
	version:  quicheVersion,
	serve:    quicheServes,
	ask:      quicheAsks,
	cannotServe: map[string]string{
		"chacha20": "the package cannot be told which cipher suites to take",
		"zerortt":  "the package's server issues no tickets for 0-RTT",
		"ecn":      "the package's server does not mark its packets",
		"v2":       "quiche speaks version 1 alone",
	},
	faultServing: map[string]string{
		"resumption":          "the package's server does not take every ticket that it issued (our ClientHello offers one; the cause is not known)",
		"rebind-port":         quichePaths,
		"rebind-addr":         quichePaths,
		"connectionmigration": "the package's server does not answer probes from another address",
	},
	faultAsking: map[string]string{
		"zerortt": "on a busy machine its JavaScript opens the streams so slowly that the handshake is done before all requests are sent",
	},
	cannotAsk: map[string]string{
		"chacha20":            "the package cannot be told which cipher suites to offer",
		"ecn":                 "the package's client does not mark its packets",
		"keyupdate":           "quiche's client cannot be told to update keys",
		"v2":                  "quiche speaks version 1 alone",
		"connectionmigration": "the package cannot be told to move",
	},
}

const quichePaths = "the package's server goes on sending to the old address, or closes the connection when the new path does not carry the 16 kB " +
	"datagrams of its search for the path MTU (NO_VIABLE_PATH)"

func quicheVersion() string {
	var p struct{ Version string }
	text, err := os.ReadFile(filepath.Join(quichePackage(), "package.json"))
	if err != nil || json.Unmarshal(text, &p) != nil {
		return "not installed"
	}
	return "@currentspace/http3 " + p.Version
}

func quicheCommand(verb string, options map[string]any) (*exec.Cmd, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs("matrix_peer_quiche.mjs")
	if err != nil {
		return nil, err
	}
	return quicheNode.command(script, filepath.Join(quichePackage(), "dist/index.js"), verb, string(text)), nil
}

func quicheServes(c *cell) error {
	host, _ := c.listenAt()
	o := map[string]any{"host": host, "port": c.server.Port(), "docs": filepath.Join(c.dir.host, "docs"), "retry": c.wants.retry,
		"cert": filepath.Join(ca.host, certFile), "key": filepath.Join(ca.host, keyFile)}
	if c.wants.longChain {
		o["cert"], o["key"] = filepath.Join(ca.host, longCertFile), filepath.Join(ca.host, longKeyFile)
	}
	cmd, err := quicheCommand("serve", o)
	if err != nil {
		return err
	}
	// It is silent to versions that it does not know, by which other servers show that they are there.
	return c.backgroundUntil(cmd, func(said string) bool { return strings.Contains(said, "listening") })
}

func quicheAsks(c *cell) error {
	cmd, err := quicheCommand("ask", map[string]any{"host": c.addr.Addr().String(), "port": c.addr.Port(), "ca": filepath.Join(ca.host, caFile),
		"names": c.names, "down": filepath.Join(c.dir.host, "down"), "early": c.wants.early, "resume": c.wants.resume})
	if err != nil {
		return err
	}
	_, err = c.output(cmd)
	return err
}

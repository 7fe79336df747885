package interop

import (
	"encoding/json"
	"net/netip"
	"os/exec"
	"path/filepath"
)

// deno is quinn in a program that can be told what to do with it.
var deno = &peer{name: "Deno, which has quinn", path: "npm/node_modules/.bin/deno", optional: true, version: []string{"--version"}}

// Deno offers quinn without HTTP/3, so the files go by hq-interop, as in the runner.
var denoPeer = &matrixPeer{
	name:     "quinn (Deno)",
	hq:       true,
	programs: []*peer{deno},
	version:  func() string { return "Deno " + programVersion(deno, "--version") },
	serve:    denoServes,
	ask:      denoAsks,
	cannotServe: map[string]string{
		"retry":    "Deno cannot be told to send Retry packets",
		"chacha20": "Deno cannot be told which cipher suites to take",
		"v2":       "quinn speaks version 1 alone",
	},
	faultServing: map[string]string{
		"connectionmigration": "quinn answers what comes to its preferred address from the address that the connection began with",
	},
	faultAsking: map[string]string{
		"rebind-port": quinnAnswers,
		"rebind-addr": quinnAnswers,
		"zerortt":     "on a busy machine its JavaScript opens the streams so slowly that the handshake is done before all requests are sent",
	},
	cannotAsk: map[string]string{
		"chacha20":            "Deno cannot be told which cipher suites to offer",
		"keyupdate":           "Deno cannot be told to update keys",
		"v2":                  "quinn speaks version 1 alone",
		"connectionmigration": "Deno cannot be told to move",
		"amplificationlimit":  "the chain of nine certificates is longer than webpki follows (MaximumPathDepthExceeded)",
	},
}

const quinnAnswers = "quinn keeps one answer for each address that is challenged: of two challenges that come together it answers one (RFC 9000, " +
	"section 8.2.2, wants both answered)"

// denoRuns is a command line with its options as JSON.
func denoRuns(verb string, options map[string]any) ([]string, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs("matrix_peer_deno.js")
	if err != nil {
		return nil, err
	}
	return []string{"run", "--quiet", "--no-lock", "--allow-all", "--unstable-net", script, verb, string(text)}, nil
}

// denoCommand keeps what Deno caches in the cell's folder.
func denoCommand(c *cell, args []string) *exec.Cmd {
	cmd := deno.command(args...)
	cmd.Env = append(cmd.Environ(), "DENO_DIR="+filepath.Join(c.dir.host, "deno"), "DENO_NO_UPDATE_CHECK=1")
	return cmd
}

func denoServes(c *cell) error {
	host, _ := c.listenAt()
	o := map[string]any{"host": host, "port": c.server.Port(), "docs": filepath.Join(c.dir.host, "docs"),
		"cert": filepath.Join(ca.host, certFile), "key": filepath.Join(ca.host, keyFile), "early": c.wants.early}
	if c.wants.longChain {
		o["cert"], o["key"] = filepath.Join(ca.host, longCertFile), filepath.Join(ca.host, longKeyFile)
	}
	if c.wants.move {
		// One socket on all addresses: one is preferred, the other is where clients begin.
		c.preferred = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 2}), c.server.Port())
		o["host"], o["preferred"] = "0.0.0.0", c.preferred.String()
	}
	args, err := denoRuns("serve", o)
	if err != nil {
		return err
	}
	return c.background(denoCommand(c, args))
}

func denoAsks(c *cell) error {
	o := map[string]any{"host": c.addr.Addr().String(), "port": c.addr.Port(), "ca": filepath.Join(ca.host, caFile),
		"names": c.names, "down": filepath.Join(c.dir.host, "down"), "early": c.wants.early}
	if c.rebinds() {
		o["keepAlive"] = 1000
	}
	args, err := denoRuns("ask", o)
	if err != nil {
		return err
	}
	_, err = c.output(denoCommand(c, args))
	return err
}

package interop

import (
	"fmt"
	"strings"
)

// curl, a client with ngtcp2 and OpenSSL inside.
var curlPeer = &matrixPeer{
	name:     "curl",
	programs: []*peer{curl},
	version:  func() string { return programVersion(curl, "-V") },
	ask:      curlAsks,
	cannotAsk: map[string]string{
		"keyupdate":           "curl cannot be told to update its keys",
		"ecn":                 "curl does not mark its packets",
		"zerortt":             "curl keeps sessions in memory, and one process asks for the files of a second connection one after the other: only the first request can go in 0-RTT (it does, with --tls-earlydata)",
		"v2":                  "curl cannot be told which version of QUIC to speak",
		"connectionmigration": "curl cannot be told to move",
	},
	faultAsking: map[string]string{
		"amplificationlimit": "curl gives a handshake ten seconds and sends one packet at each probe timeout: its seventh packet, the first that is not lost, comes in time only where it has measured a round trip of less than some 40 ms",
	},
}

// curlAsks fetches each list on a connection of its own. All are made by one process, since curl keeps sessions in memory alone; a
// local port of its own keeps a transfer from going over an earlier connection.
func curlAsks(c *cell) error {
	var args []string
	for round, names := range c.names {
		if round > 0 {
			args = append(args, "--next")
		}
		args = append(args, "--no-progress-meter", "--http3-only", "--fail", "--cacert", ca.peer+"/"+caFile)
		if round == 0 && len(c.names) == 1 {
			args = append(args, "--parallel", "--parallel-max", "100", "--parallel-max-host", "1")
		}
		if len(c.names) > 1 {
			args = append(args, "--local-port", fmt.Sprint(freePort(c.t)))
		}
		if c.wants.early {
			args = append(args, "--tls-earlydata")
		}
		if c.wants.chacha {
			args = append(args, "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256")
		}
		if c.wants.longChain {
			c.variant = "with --curves X25519, so that the ClientHello is one packet: with two, curl's ten seconds for a handshake are over before its seventh packet"
			args = append(args, "--curves", "X25519")
		}
		for _, name := range names {
			args = append(args, "--output", c.dir.peer+"/down/"+name, c.url(name))
		}
	}
	// The list is too long for a command line where it has 1999 names of 250 characters.
	var conf strings.Builder
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			fmt.Fprintf(&conf, " %q", arg)
			continue
		}
		fmt.Fprintf(&conf, "\n%s", arg)
	}
	c.dir.write(c.t, "curl.conf", strings.ReplaceAll(conf.String(), ` "https:`, "\nurl \"https:"))
	_, err := c.output(curl.command("--config", c.dir.peer+"/curl.conf"))
	return err
}

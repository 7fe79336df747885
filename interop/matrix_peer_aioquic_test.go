package interop

import (
	"os/exec"
	"strings"
)

// aioquic's example client and server.
var aioquicPeer = &matrixPeer{
	name:     "aioquic",
	programs: []*peer{aioquicClient, aioquicServer},
	slow:     true, // it is Python
	version:  func() string { return packageVersion("python3-aioquic") },
	serve:    aioquicServes,
	ask:      aioquicAsks,
	cannotServe: map[string]string{
		"ecn":      noECN,
		"chacha20": "neither aioquic's server nor crypto/tls in our client can be told a cipher suite",
	},
	faultServing: map[string]string{
		"connectionmigration": "aioquic answers a PATH_CHALLENGE only on the path in use, so that a client that asks before it moves gets no answer (RFC 9000, section 8.2.2, wants one)",
	},
	cannotAsk: map[string]string{
		"ecn":                 noECN,
		"connectionmigration": "aioquic's client neither moves nor follows a preferred address",
	},
}

const noECN = "aioquic neither sets nor reads ECN marks"

// python is a command that leaves nothing behind in the tree.
func python(p *peer, env []string, args ...string) *exec.Cmd {
	cmd := p.command(args...)
	cmd.Env = append(append(cmd.Env, "PYTHONDONTWRITEBYTECODE=1"), env...)
	return cmd
}

func aioquicServes(c *cell) error {
	host, port := c.listenAt()
	key, cert := keyFile, certFile
	if c.wants.longChain {
		key, cert = longKeyFile, longCertFile
	}
	args := []string{"--certificate", ca.peer + "/" + cert, "--private-key", ca.peer + "/" + key, "--host", host, "--port", port}
	if c.wants.retry {
		args = append(args, "--retry")
	}
	return c.background(python(aioquicServer, []string{"STATIC_ROOT=" + c.dir.peer + "/docs"}, args...))
}

func aioquicAsks(c *cell) error {
	for round, names := range c.names {
		args := []string{"--ca-certs", ca.peer + "/" + caFile, "--output-dir", c.dir.peer + "/down"}
		switch {
		case c.wants.resume:
			args = append(args, "--session-ticket", c.dir.peer+"/ticket")
			if c.wants.early && round > 0 {
				args = append(args, "--zero-rtt")
			}
		case c.wants.chacha:
			args = append(args, "--cipher-suites", "CHACHA20_POLY1305_SHA256")
		case c.wants.keyUpdate:
			args = append(args, "--key-update")
		case c.wants.v2:
			args = append(args, "--negotiate-v2")
		}
		urls := c.urls(names)
		if c.wants.ipv6 {
			c.variant = "by the name localhost: of an address, its client writes the second URL's :authority without brackets"
			for i := range urls {
				urls[i] = strings.Replace(urls[i], "[::1]", "localhost", 1)
			}
		}
		if _, err := c.output(python(aioquicClient, nil, append(args, urls...)...)); err != nil {
			return err
		}
	}
	return nil
}

package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peer is a program of others. Most live in the Debian tree that install.sh makes and run inside it, by chroot.
type peer struct {
	name     string // as a missing one is reported
	path     string // of the program: absolute inside the tree, or below $PEERS, or a name to be looked up in PATH
	optional bool   // install.sh does not bring it; its absence is never a failure
	version  []string
}

var (
	curl          = &peer{name: "curl with HTTP/3", path: "/usr/bin/curl", version: []string{"-V"}}
	nginx         = &peer{name: "nginx with HTTP/3", path: "/usr/sbin/nginx", version: []string{"-v"}}
	haproxy       = &peer{name: "HAProxy with QUIC", path: "/usr/sbin/haproxy", version: []string{"-v"}}
	aioquicClient = &peer{name: "aioquic's http3_client.py", path: aioquicExamples + "/http3_client.py"}
	aioquicServer = &peer{name: "aioquic's http3_server.py", path: aioquicExamples + "/http3_server.py"}
	tshark        = &peer{name: "tshark", path: "/usr/bin/tshark", version: []string{"--version"}}
	caddy         = &peer{name: "Caddy", path: "bin/caddy", version: []string{"version"}}
	chromium      = &peer{name: "Chromium", path: "chromium", version: []string{"--version"}}
	osslClient    = &peer{name: "ngtcp2's osslclient", path: "/usr/local/bin/osslclient", optional: true}
	gtlsClient    = &peer{name: "ngtcp2's gtlsclient", path: "/usr/local/bin/gtlsclient", optional: true}
	osslServer    = &peer{name: "ngtcp2's osslserver", path: "/usr/local/bin/osslserver", optional: true}
	gtlsServer    = &peer{name: "ngtcp2's gtlsserver", path: "/usr/local/bin/gtlsserver", optional: true}
	h2load        = &peer{name: "h2load with HTTP/3", path: "/usr/local/bin/h2load", optional: true, version: []string{"--version"}}
)

const aioquicExamples = "/usr/share/doc/python-aioquic-doc/examples"

// peersDir is where install.sh put the peers.
func peersDir() string {
	if dir := os.Getenv("PEERS"); dir != "" {
		return dir
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "godwit-peers")
}

// tree is the root of the Debian tree.
func tree() string { return filepath.Join(peersDir(), "sid") }

func (p *peer) inTree() bool { return strings.HasPrefix(p.path, "/") }

// missing says what stands in the way of running the peer: "" when nothing does.
func (p *peer) missing() string {
	report := fmt.Sprintf("missing peer: %s; ./interop/install.sh installs it", p.name)
	if p.optional {
		report = fmt.Sprintf("missing peer: %s; it is optional: interop/README.md says where it comes from", p.name)
	}
	switch {
	case p.inTree():
		if _, err := os.Stat(filepath.Join(tree(), p.path)); err != nil {
			return report
		}
		if os.Getuid() != 0 {
			return "missing privilege: chroot, to run " + p.name + "; run the suite as root"
		}
	case strings.Contains(p.path, "/"):
		if _, err := os.Stat(filepath.Join(peersDir(), p.path)); err != nil {
			return report
		}
	default:
		if _, err := exec.LookPath(p.path); err != nil {
			return report
		}
	}
	return ""
}

// need skips the test when a peer is not there. With GODWIT_PEERS_REQUIRED=1 it fails instead, unless the peer is optional.
func need(t *testing.T, peers ...*peer) {
	t.Helper()
	for _, p := range peers {
		report := p.missing()
		switch {
		case report == "":
		case p.optional:
			t.Skip(report)
		default:
			lacking(t, report)
		}
	}
}

// lacking ends a test that cannot run here, and says why.
func lacking(t *testing.T, report string) {
	t.Helper()
	if os.Getenv("GODWIT_PEERS_REQUIRED") == "1" {
		t.Fatal(report)
	}
	t.Skip(report)
}

// command prepares the peer to be run; it dies with the test process. Paths in args are as the peer sees them: see share.
func (p *peer) command(args ...string) *exec.Cmd {
	name := p.path
	if strings.HasSuffix(name, ".py") {
		name, args = "/usr/bin/python3", append([]string{"-u", p.path}, args...)
	} else if !p.inTree() && strings.Contains(name, "/") {
		name = filepath.Join(peersDir(), name)
	}
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.inTree() {
		cmd.SysProcAttr.Chroot = tree()
		cmd.Dir = "/"
		cmd.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
	}
	return cmd
}

// share is a folder that both the tests and the peers in the tree can use.
type share struct {
	host string // its path for the tests, and for peers outside the tree
	peer string // its path for the peers in the tree
}

// newShare makes a folder for a test; it goes with the test.
func newShare(t *testing.T) share {
	t.Helper()
	s, err := makeShare()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.host) })
	return s
}

func makeShare() (share, error) {
	root := tree()
	if _, err := os.Stat(filepath.Join(root, "tmp")); err != nil {
		root = ""
	}
	dir := os.TempDir()
	if root != "" {
		dir = filepath.Join(root, "tmp")
	}
	host, err := os.MkdirTemp(dir, "godwit-interop-")
	if err != nil {
		return share{}, err
	}
	return share{host: host, peer: strings.TrimPrefix(host, root)}, os.Chmod(host, 0o755)
}

// write puts a file into the folder.
func (s share) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.host, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// read is the content of a file in the folder.
func (s share) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.host, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestPeersAreInstalled reports every peer and its version.
func TestPeersAreInstalled(t *testing.T) {
	for _, p := range []*peer{curl, nginx, haproxy, aioquicClient, aioquicServer, tshark, caddy, chromium,
		osslClient, gtlsClient, osslServer, h2load, ipTool, tcTool, nftTool} {
		t.Run(p.name, func(t *testing.T) {
			need(t, p)
			if p.version == nil {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out := execute(ctx, t, p.command(p.version...))
			t.Log(strings.SplitN(strings.TrimSpace(out.stdout+out.stderr), "\n", 2)[0])
		})
	}
}

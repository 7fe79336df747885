package interop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The attacks of internal/hostile against other servers: what happens is written down, and nothing is asserted. Each attack has a
// fresh server.

// hostileVar names the file that results are appended to, which internal/hostile does, and hostileTable the document whose table is
// made from them.
const (
	hostileVar   = "GODWIT_HOSTILE_RESULTS"
	hostileTable = "GODWIT_HOSTILE_TABLE"
)

// targets are the servers that are attacked, with the defaults of each but for where its files and certificates are.
var targets = []struct {
	name    string
	peers   []*peer
	version func() string
	start   func(t *testing.T, example string) *server
}{
	{"Godwit", nil, treeVersion, targetGodwit},
	{"quic-go", nil, func() string { return moduleVersion("github.com/quic-go/quic-go") + ", its example server" }, targetQuicGo},
	{"nginx", []*peer{nginx}, func() string { return programVersion(nginx, "-v") }, targetNginx},
	{"HAProxy", []*peer{haproxy}, func() string { return packageVersion("haproxy") }, targetHAProxy},
}

// treeVersion names the commit, and says when there is more than that.
func treeVersion() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=7").Output()
	if err != nil {
		return "a tree without git"
	}
	return strings.TrimSpace(string(out))
}

func targetGodwit(t *testing.T, _ string) *server {
	s := &server{site: newSite(freePort(t))}
	return running(t, s, exec.Command(godwit, "serve", "--listen", s.addr))
}

// hostileFiles is a folder with a page and a file of 1 GiB that takes no room.
func hostileFiles(t *testing.T) share {
	dir := newShare(t)
	dir.write(t, "index.html", strings.Repeat("A page.\n", 500))
	if err := os.Mkdir(filepath.Join(dir.host, "bytes"), 0o755); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir.host, "bytes", "1073741824")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 1<<30); err != nil {
		t.Fatal(err)
	}
	return dir
}

func targetQuicGo(t *testing.T, example string) *server {
	s := &server{site: newSite(freePort(t))}
	files := hostileFiles(t)
	return running(t, s, exec.Command(example, "-bind", s.addr, "-www", files.host,
		"-cert", filepath.Join(ca.host, certFile), "-key", filepath.Join(ca.host, keyFile)))
}

func targetNginx(t *testing.T, _ string) *server {
	s := &server{site: newSite(freePort(t))}
	dir := hostileFiles(t)
	dir.write(t, "nginx.conf", strings.NewReplacer("DIR", dir.peer, "CA", ca.peer, "PORT", s.port).Replace(`
daemon off; master_process off; user root; pid DIR/nginx.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off; default_type text/html;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	ssl_certificate CA/cert.pem; ssl_certificate_key CA/key.pem; ssl_protocols TLSv1.3;
	server { listen 127.0.0.1:PORT quic reuseport; http3 on; root DIR; }
}
`))
	return running(t, s, nginx.command("-c", dir.peer+"/nginx.conf", "-e", "stderr"))
}

func targetHAProxy(t *testing.T, _ string) *server {
	s := &server{site: newSite(freePort(t))}
	files := hostileFiles(t)
	site := httptest.NewServer(http.FileServer(http.Dir(files.host)))
	t.Cleanup(site.CloseClientConnections)
	dir := newShare(t)
	dir.write(t, "haproxy.cfg", strings.NewReplacer("CA", ca.peer, "PORT", s.port, "TO", strings.TrimPrefix(site.URL, "http://")).Replace(`
global
	maxconn 4000
defaults
	mode http
	timeout http-request 10s
	timeout connect 5s
	timeout client 30s
	timeout server 30s
frontend fe
	bind quic4@127.0.0.1:PORT ssl crt CA/full.pem alpn h3
	default_backend site
backend site
	server s TO
`))
	return running(t, s, haproxy.command("-db", "-f", dir.peer+"/haproxy.cfg"))
}

// attackNames are those of internal/hostile, in order.
func attackNames(t *testing.T) (names []string) {
	list := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestAttacksHaveNames$", "./internal/hostile")
	list.Dir = ".."
	out := succeed(t.Context(), t, list)
	for _, m := range regexp.MustCompile(`attack: (.*)`).FindAllStringSubmatch(out.stdout, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestHostileObservations(t *testing.T) {
	if os.Getenv(hostileVar) == "" {
		t.Skip("long: make hostile-table")
	}
	attacker, example := filepath.Join(ca.host, "hostile.test"), filepath.Join(ca.host, "quic-go-example")
	build := exec.Command("go", "test", "-c", "-o", attacker, "./internal/hostile")
	build.Dir = ".."
	succeed(t.Context(), t, build)
	succeed(t.Context(), t, exec.Command("go", "build", "-o", example, "github.com/quic-go/quic-go/example"))
	names := attackNames(t)
	for _, target := range targets {
		t.Run(target.name, func(t *testing.T) {
			need(t, target.peers...)
			version := target.version()
			for _, name := range names {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s := target.start(t, example)
					cmd := exec.Command(attacker, "-test.v", "-test.run", "^TestHostileClientsAreBounded$/^"+regexp.QuoteMeta(strings.ReplaceAll(name, " ", "_"))+"$")
					cmd.Env = append(os.Environ(), "GODWIT_HOSTILE_ADDR="+s.addr, "GODWIT_HOSTILE_SERVER="+target.name, "GODWIT_HOSTILE_VERSION="+version,
						"GODWIT_HOSTILE_PID="+strconv.Itoa(s.proc.cmd.Process.Pid))
					if r := execute(t.Context(), t, cmd); r.code != 0 {
						t.Logf("no result:\n%s", tail(r.stdout+r.stderr)) // the table shows a hole
					}
				})
			}
		})
	}
}

// observation is a line of the results: internal/hostile's result.
type observation struct {
	Server, Version, Attack   string
	Sent, Before, Peak, After int64
	CPU                       float64
	Died                      bool
	Old, New                  struct{ Asked, Failed int }
	Afterwards, What, Err     string
}

// cell is what the table says of it.
func (o *observation) cell() string {
	const mib = 1 << 20
	text := fmt.Sprintf("%+.1f, %+.1f MiB", float64(o.Peak-o.Before)/mib, float64(o.After-o.Before)/mib)
	if o.Died {
		text = "**died**"
	}
	if o.Sent >= mib/4 && !o.Died {
		text += fmt.Sprintf("; %.2f s/MiB", o.CPU/(float64(o.Sent)/mib))
	}
	if failed := o.Old.Failed + o.New.Failed; failed > 0 {
		text += fmt.Sprintf("; **%d of %d beside it not served**", failed, o.Old.Asked+o.New.Asked)
	} else {
		text += fmt.Sprintf("; %d served", o.Old.Asked+o.New.Asked)
	}
	if o.Afterwards != "" {
		text += "; **nobody afterwards**"
	}
	if o.Err != "" {
		o.What += "; no further: " + o.Err
	}
	if what := strings.TrimPrefix(o.What, "; "); what != "" {
		text += "<br>" + strings.ReplaceAll(what, "|", "/")
	}
	return text
}

// TestHostileTable writes the table between the two marks of the document.
func TestHostileTable(t *testing.T) {
	results, table := os.Getenv(hostileVar), os.Getenv(hostileTable)
	if results == "" || table == "" {
		t.Skip("make hostile-table")
	}
	f, err := os.Open(results)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cells, versions := map[string]map[string]string{}, map[string][]string{}
	for in := json.NewDecoder(f); ; {
		var o observation
		if err := in.Decode(&o); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if cells[o.Attack] == nil {
			cells[o.Attack] = map[string]string{}
		}
		cells[o.Attack][o.Server] = o.cell()
		if !slices.Contains(versions[o.Server], o.Version) {
			versions[o.Server] = append(versions[o.Server], o.Version)
		}
	}
	out, rule := "\n| attack |", "\n|---|"
	for _, target := range targets {
		out += fmt.Sprintf(" %s (%s) |", target.name, strings.Join(versions[target.name], ", "))
		rule += "---|"
	}
	out += rule + "\n"
	for _, name := range attackNames(t) {
		if cells[name] == nil {
			continue // it has not been tried since there is a table
		}
		out += "| " + name + " |"
		for _, target := range targets {
			out += " " + cmp.Or(cells[name][target.name], "-") + " |"
		}
		out += "\n"
	}
	const begin, end = "<!-- hostile-table -->\n", "<!-- end of hostile-table -->"
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, rest, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the document has no marks")
	}
	if err := os.WriteFile(table, []byte(head+begin+out+"\n"+end+rest), 0o644); err != nil {
		t.Fatal(err)
	}
}

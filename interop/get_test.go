package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// get is godwit get, which trusts the authority.
func get(args ...string) *exec.Cmd {
	return command(append([]string{"get", "--http3-only", "--cacert", filepath.Join(ca.host, caFile)}, args...)...)
}

func TestGetAsksServersOfOthers(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		t.Run("GET", func(t *testing.T) {
			if r := succeed(within(t, patience), t, get(s.url+s.hello)); r.stdout != greeting || r.stderr != "" {
				t.Errorf("stdout %q, stderr %q; want the greeting alone", r.stdout, r.stderr)
			}
		})
		t.Run("HEAD", func(t *testing.T) {
			r := succeed(within(t, patience), t, get("-i", "-X", "HEAD", s.url+s.large))
			if !strings.HasPrefix(r.stdout, "HTTP/3 200") || !strings.Contains(r.stdout, fmt.Sprintf("content-length: %d\r\n", s.size)) {
				t.Errorf("it says %q", r.stdout)
			}
		})
		t.Run("what is not there is 404", func(t *testing.T) {
			if r := succeed(within(t, patience), t, get("-i", s.url+"/no/such/thing")); !strings.HasPrefix(r.stdout, "HTTP/3 404") {
				t.Errorf("it says %q", r.stdout)
			}
			r := execute(within(t, patience), t, get("--fail", s.url+"/no/such/thing"))
			if r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "404") {
				t.Errorf("with --fail: exit code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
			}
		})
		t.Run("large content to a file", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "down")
			succeed(within(t, 60*time.Second), t, get("-o", file, s.url+s.large))
			wantBlobFile(t, file, s.size)
		})
		t.Run("POST", func(t *testing.T) { getPosts(t, s) })
		t.Run("-v shows what was agreed and what it took", func(t *testing.T) {
			r := succeed(within(t, patience), t, get("-v", s.url+s.hello))
			for _, want := range []string{`QUIC version 1`, `ALPN h3`, `TLS 1\.3`, `resumed: no`, `(?m)^> GET /hello HTTP/3`,
				`(?m)^< HTTP/3 200`, `handshake [0-9.]+ ms, first byte [0-9.]+ ms, total [0-9.]+ ms, 22 bytes`} {
				if !regexp.MustCompile(want).MatchString(r.stderr) {
					t.Errorf("no %s in %s", want, r.stderr)
				}
			}
			if r.stdout != greeting {
				t.Errorf("stdout %q", r.stdout)
			}
		})
		t.Run("a second connection resumes the first one's session", func(t *testing.T) {
			r := succeed(within(t, patience), t, get("--resume", "--json", "-o", os.DevNull, s.url+s.hello))
			var report struct {
				Resumed bool
				Status  int
				ALPN    string
			}
			if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || !report.Resumed || report.Status != 200 || report.ALPN != "h3" {
				t.Errorf("report %s, error %v; want 200, h3, resumed", r.stdout, err)
			}
		})
		t.Run("an unknown authority is refused", func(t *testing.T) {
			r := execute(within(t, patience), t, command("get", "--http3-only", s.url+s.hello))
			if r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "unknown authority") {
				t.Errorf("exit code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
			}
		})
	})
}

// getPosts sends content from a file and, where the server counts what comes, from standard input too.
func getPosts(t *testing.T, s *server) {
	dir := share{host: t.TempDir()}
	switch {
	case s.sum != "":
		n := int64(20 * MiB)
		name := filepath.Join(dir.host, dir.blobFile(t, n))
		if r := succeed(within(t, 60*time.Second), t, get("-d", "@"+name, s.url+s.sum)); r.stdout != summed(n) {
			t.Errorf("the origin read %q, want %q", r.stdout, summed(n))
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := get("-d", "@-", s.url+s.sum)
		cmd.Stdin = f
		if r := succeed(within(t, 60*time.Second), t, cmd); r.stdout != summed(n) {
			t.Errorf("of standard input the origin read %q, want %q", r.stdout, summed(n))
		}
	case s.echo != "":
		name := filepath.Join(dir.host, dir.blobFile(t, 2*MiB))
		succeed(within(t, 60*time.Second), t, get("-d", "@"+name, "-o", dir.host+"/echoed", s.url+s.echo))
		wantBlobFile(t, dir.host+"/echoed", 2*MiB)
	default:
		t.Skip("this server takes no content")
	}
}

// get through bad networks, from nginx.
func TestGetComesThroughBadNetworks(t *testing.T) {
	need(t, nginx)
	s := startNginx(t, "")
	inBadWeather(t, s.addr, func(t *testing.T, r *relay) {
		file := filepath.Join(t.TempDir(), "down")
		succeed(within(t, 60*time.Second), t, get("-o", file, r.url+blobPath(moderate)))
		wantBlobFile(t, file, moderate)
	})
}

func TestGetsKeyLogDecryptsWhatWasSaid(t *testing.T) {
	need(t, tshark)
	onServers(t, func(t *testing.T, s *server) {
		dir := newShare(t)
		r := startRelay(t, s.addr, weather{}, filepath.Join(dir.host, "capture.pcap"))
		succeed(within(t, patience), t, get("--keylog", filepath.Join(dir.host, "keys"), r.url+s.hello))
		if err := os.Chmod(filepath.Join(dir.host, "keys"), 0o644); err != nil {
			t.Fatal(err)
		}
		r.close()
		wantDecrypted(t, dir, "capture.pcap", "keys", r.port, s.hello)
	})
}

func TestGetsQlogIsASequenceOfJSON(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		dir := filepath.Join(t.TempDir(), "qlog")
		succeed(within(t, patience), t, get("--qlog", dir, s.url+s.hello))
		files, _ := filepath.Glob(filepath.Join(dir, "*_client.sqlog"))
		if len(files) != 1 {
			t.Fatalf("files %v, want one", files)
		}
		wantQlog(t, files[0], "quic:packet_sent", "quic:packet_received", "http3:frame_parsed")
	})
}

// wantQlog reads a qlog file, every record of it, and wants events of the given names among them.
func wantQlog(t *testing.T, file string, names ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seen, records := map[string]int{}, strings.Split(string(text), "\x1e")
	if records[0] != "" {
		t.Errorf("the file does not begin with a record separator: %.40q", records[0])
	}
	for i, record := range records[1:] {
		var event struct {
			Name string
			Data map[string]any
		}
		if err := json.Unmarshal([]byte(record), &event); err != nil {
			t.Fatalf("record %d: %v: %q", i, err, record)
		}
		if !strings.HasSuffix(record, "\n") || i > 0 && event.Name == "" {
			t.Errorf("record %d is not whole: %q", i, record)
		}
		seen[event.Name]++
	}
	for _, name := range names {
		if seen[name] == 0 {
			t.Errorf("no %s among %v", name, seen)
		}
	}
}

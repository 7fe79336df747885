package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ngtcp2's example clients, built with OpenSSL and with GnuTLS. They verify no certificates.
func TestNgtcp2AsksGodwit(t *testing.T) {
	for _, p := range []*peer{osslClient, gtlsClient} {
		t.Run(p.name, func(t *testing.T) {
			need(t, p)
			onBoth(t, func(t *testing.T, s *site) {
				ask := func(t *testing.T, dir share, args ...string) string {
					t.Helper()
					args = append([]string{"--quiet", "--exit-on-all-streams-close", "--download=" + dir.peer}, args...)
					r := succeed(within(t, 60*time.Second), t, p.command(args...))
					return r.stdout + r.stderr
				}
				t.Run("GET", func(t *testing.T) {
					dir := newShare(t)
					ask(t, dir, "127.0.0.1", s.port, s.url+"/hello")
					if got := dir.read(t, "hello"); got != greeting {
						t.Errorf("it read %q", got)
					}
				})
				t.Run("100 MiB down", func(t *testing.T) {
					dir := newShare(t)
					ask(t, dir, "127.0.0.1", s.port, fmt.Sprintf("%s/blob?n=%d", s.url, 100*MiB))
					wantBlobFile(t, onlyFile(t, dir), 100*MiB)
				})
				t.Run("POST", func(t *testing.T) {
					dir, out := newShare(t), newShare(t)
					ask(t, out, "--http-method=POST", "--data="+dir.peer+"/"+dir.blobFile(t, 10*MiB), "127.0.0.1", s.port, s.url+"/sum")
					if got := out.read(t, "sum"); got != summed(10*MiB) {
						t.Errorf("the origin read %q", got)
					}
				})
				t.Run("a key update in between", func(t *testing.T) {
					dir := newShare(t)
					ask(t, dir, "--key-update=1ms", "127.0.0.1", s.port, fmt.Sprintf("%s/blob?n=%d", s.url, 20*MiB))
					wantBlobFile(t, onlyFile(t, dir), 20*MiB)
				})
				t.Run("a client that moves to another address", func(t *testing.T) {
					dir := newShare(t)
					ask(t, dir, "--change-local-addr=10ms", "127.0.0.1", s.port, fmt.Sprintf("%s/blob?n=%d", s.url, 50*MiB))
					wantBlobFile(t, onlyFile(t, dir), 50*MiB)
				})
				// It has to be an upload: a client that only reads, and whose address was changed for it, has nothing to
				// send by which the server could learn of that.
				t.Run("a client whose address was changed for it", func(t *testing.T) {
					dir, out := newShare(t), newShare(t)
					ask(t, out, "--change-local-addr=10ms", "--nat-rebinding", "--http-method=POST",
						"--data="+dir.peer+"/"+dir.blobFile(t, 50*MiB), "127.0.0.1", s.port, s.url+"/sum")
					if got := out.read(t, "sum"); got != summed(50*MiB) {
						t.Errorf("the origin read %q", got)
					}
				})
				for name, args := range map[string][]string{ // any order
					"version 2": {"--version=v2"},
					"version 2 is wanted and version 1 begins": {"--version=v1", "--available-versions=v2,v1", "--preferred-versions=v2,v1"},
					"version 1 is wanted and version 2 begins": {"--version=v2", "--available-versions=v1,v2", "--preferred-versions=v1,v2"},
					"a reserved version, then version 2":       {"--version=0x1a2a3a4a", "--preferred-versions=v2"},
				} {
					t.Run(name, func(t *testing.T) {
						dir := newShare(t)
						ask(t, dir, append(args, "127.0.0.1", s.port, s.url+"/hello")...)
						if got := dir.read(t, "hello"); got != greeting {
							t.Errorf("it read %q", got)
						}
					})
				}
				t.Run("a version that does not exist at first", func(t *testing.T) {
					dir := newShare(t)
					ask(t, dir, "--version=0x1a2a3a4a", "--preferred-versions=v1", "127.0.0.1", s.port, s.url+"/hello")
					if got := dir.read(t, "hello"); got != greeting {
						t.Errorf("it read %q", got)
					}
				})
			})
		})
	}
}

// onlyFile is the one file in a folder.
func onlyFile(t *testing.T, dir share) string {
	t.Helper()
	entries, err := os.ReadDir(dir.host)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files, error %v; want one", len(entries), err)
	}
	return filepath.Join(dir.host, entries[0].Name())
}

// h2load does not look at what it gets, but at how much, and it counts.
func TestH2loadCountsNoFailure(t *testing.T) {
	need(t, h2load)
	onBoth(t, func(t *testing.T, s *site) {
		for _, c := range []struct{ name, clients, streams string }{
			{"one connection with 100 streams", "1", "100"},
			{"64 connections with 10 streams", "64", "10"},
		} {
			t.Run(c.name, func(t *testing.T) {
				r := succeed(within(t, 60*time.Second), t, h2load.command("--alpn-list=h3", "-c", c.clients, "-m", c.streams,
					"-n", "6400", s.url+"/hello"))
				if !strings.Contains(r.stdout, "6400 succeeded, 0 failed, 0 errored, 0 timeout") {
					t.Errorf("h2load says: %s", tail(r.stdout))
				}
				if m := regexp.MustCompile(`Application protocol: (\S+)`).FindStringSubmatch(r.stdout); m == nil || m[1] != "h3" {
					t.Errorf("h2load spoke %v, want h3", m)
				}
			})
		}
	})
}

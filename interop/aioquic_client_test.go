package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aioquicTo runs aioquic's example client and returns what it logged. The answers are files in dir.
func aioquicTo(t *testing.T, dir share, args ...string) string {
	t.Helper()
	cmd := aioquicClient.command(append([]string{"--ca-certs", ca.peer + "/" + caFile, "--output-dir", dir.peer}, args...)...)
	cmd.Env = append(cmd.Env, "PYTHONDONTWRITEBYTECODE=1")
	r := succeed(within(t, 60*time.Second), t, cmd)
	return r.stdout + r.stderr
}

func TestAioquicAsksGodwit(t *testing.T) {
	need(t, aioquicClient)
	onBoth(t, func(t *testing.T, s *site) {
		t.Run("GET", func(t *testing.T) {
			dir := newShare(t)
			aioquicTo(t, dir, "--include", s.url+"/hello")
			if got := dir.read(t, "hello"); !strings.HasSuffix(got, greeting) || !strings.Contains(got, "content-length: 22") {
				t.Errorf("aioquic read %q", got)
			}
		})
		t.Run("POST", func(t *testing.T) {
			dir := newShare(t)
			aioquicTo(t, dir, "--data", "what is posted", s.url+"/echo")
			if got := dir.read(t, "echo"); got != "what is posted" {
				t.Errorf("aioquic read %q", got)
			}
		})
		t.Run("20 MiB down with small windows", func(t *testing.T) {
			dir := newShare(t)
			aioquicTo(t, dir, "--max-data", "262144", "--max-stream-data", "131072", fmt.Sprintf("%s/blob?n=%d", s.url, 20*MiB))
			wantBlobFile(t, filepath.Join(dir.host, "blob"), 20*MiB)
		})
		t.Run("several requests at once", func(t *testing.T) {
			dir := newShare(t)
			log := aioquicTo(t, dir, s.url+"/hello", s.url+"/trailers", s.url+"/no/such/thing")
			if n := strings.Count(log, "Response received"); n != 3 {
				t.Errorf("%d of 3 answers: %s", n, log)
			}
			if got := dir.read(t, "hello"); got != greeting {
				t.Errorf("aioquic read %q", got)
			}
		})
		t.Run("each cipher suite", func(t *testing.T) {
			for _, suite := range []string{"AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"} {
				dir := newShare(t)
				aioquicTo(t, dir, "--cipher-suites", suite, fmt.Sprintf("%s/blob?n=%d", s.url, 100_000))
				wantBlobFile(t, filepath.Join(dir.host, "blob"), 100_000)
			}
		})
	})
}

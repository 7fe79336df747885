package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// wantDecrypted has tshark read a capture with a key log, and wants it to see the method and path of the request and the
// status of the response.
func wantDecrypted(t *testing.T, dir share, capture, keys, port, path string) {
	t.Helper()
	args := []string{"-r", dir.peer + "/" + capture, "-o", "tls.keylog_file:" + dir.peer + "/" + keys,
		"-d", "udp.port==" + port + ",quic", "-Y", "http3", "-T", "fields",
		"-e", "http3.headers.method", "-e", "http3.headers.path", "-e", "http3.headers.status"}
	r := succeed(within(t, 60*time.Second), t, tshark.command(args...))
	for _, want := range []string{"GET", path, "200"} {
		if !slices.Contains(strings.Fields(r.stdout), want) {
			t.Errorf("tshark does not show %q: %q\n%s", want, r.stdout, r.stderr)
		}
	}
}

// Wireshark reads what http3.Transport and http3.Server say to each other and to others, with the key log of either side.
func TestKeyLogsDecryptWhatWasSaid(t *testing.T) {
	need(t, tshark)
	t.Run("of http3.Transport, talking to nginx", func(t *testing.T) {
		need(t, nginx)
		s, dir := startNginx(t, ""), newShare(t)
		keys, err := os.Create(filepath.Join(dir.host, "keys"))
		if err != nil {
			t.Fatal(err)
		}
		defer keys.Close()
		r := startRelay(t, s.addr, weather{}, filepath.Join(dir.host, "capture.pcap"))
		c, tr := client(t)
		tr.TLSClientConfig.KeyLogWriter = keys
		wantGreeting(t, c, r.url+s.hello, 3)
		r.close()
		wantDecrypted(t, dir, "capture.pcap", "keys", r.port, s.hello)
	})
}

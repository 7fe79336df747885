package main

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// trusting writes the certificate of what serves at url, for --cacert.
func trusting(t *testing.T, url string) (file string) {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file = filepath.Join(t.TempDir(), "cert.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ConnectionState().PeerCertificates[0].Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestGetLearnsWhoHasHTTP3(t *testing.T) {
	url, _ := serving(t)
	cert, file := trusting(t, url), filepath.Join(t.TempDir(), "alt-svc.json")
	got := godwit("get", "-v", "--no-http3", "--cacert", cert, "--alt-svc", file, url+"/proto")
	if got.code != 0 || got.out != "HTTP/2.0\n" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		`\* connected to 127\.0\.0\.1:\d+ over TCP, ALPN h2\n`,
		`\* TLS 1\.3 TLS_\w+, certificate for localhost 127\.0\.0\.1 ::1 until .*, resumed: no\n`,
		`> GET /proto HTTP/2\n> host: 127\.0\.0\.1:\d+\n`, `< HTTP/2 200 OK\n`, `\* the server has h3 at :\d+, for `,
		`\* handshake \d+\.\d ms, first byte \d+\.\d ms, total \d+\.\d ms, 9 bytes\n`,
	} {
		if !regexp.MustCompile(want).MatchString(got.errors) {
			t.Errorf("%s is missing in\n%s", want, got.errors)
		}
	}
	text, err := os.ReadFile(file)
	if _, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "https://")); err != nil || !strings.Contains(string(text), `"port": `+port) {
		t.Errorf("%v, %s", err, text)
	}
	// With -k nothing is kept.
	none := filepath.Join(t.TempDir(), "none")
	if got := godwit("get", "-k", "--no-http3", "--alt-svc", none, url+"/proto"); got.out != "HTTP/2.0\n" {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("what was learned without certificates is kept")
	}
}

func TestGetUsesWhatItKnows(t *testing.T) {
	url, _ := serving(t)
	cert, file := trusting(t, url), filepath.Join(t.TempDir(), "alt-svc.json")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "https://"))
	closed := closedPort(t) // nobody listens for TCP either, so it is HTTP/3 or nothing
	_, origin, _ := net.SplitHostPort(closed)
	text := fmt.Sprintf(`{"version":1,"network":"","origins":[{"host":"127.0.0.1","port":%s,"services":[{"host":"127.0.0.1","port":%s,"persist":true,"expires":%q}]}]}`,
		origin, port, time.Now().Add(time.Hour).Format(time.RFC3339))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := godwit("get", "-i", "--json", "--cacert", cert, "--alt-svc", file, "https://"+closed+"/proto")
	var r report
	if err := json.Unmarshal([]byte(got.errors), &r); err != nil || got.code != 0 || r.Protocol != "HTTP/3" || r.Version == 0 || !strings.HasSuffix(r.Remote, ":"+port) {
		t.Errorf("%+v, %v", got, err)
	}
	if !strings.HasPrefix(got.out, "HTTP/3 200 OK\r\n") || !strings.HasSuffix(got.out, "HTTP/3.0\n") {
		t.Errorf("%q", got.out)
	}
}

func TestGetObeysItsFlags(t *testing.T) {
	url, _ := serving(t)
	udp, _ := serving(t, "--udp-only")
	for _, c := range []struct{ flag, url, want string }{
		{"--no-http3", url, "HTTP/2.0\n"},
		{"--http3", udp, "HTTP/3.0\n"},
		{"--json=false", udp, "HTTP/3.0\n"}, // nothing said
		{"--http3-only", url, "HTTP/3.0\n"},
		{"--no-http3", udp, ""},
	} {
		got := godwit("get", "-k", c.flag, "--alt-svc", "", c.url+"/proto")
		if got.out != c.want || (got.code == 0) != (c.want != "") || strings.Count(got.errors, "\n") > 1 {
			t.Errorf("%s %s: %+v", c.flag, c.url, got)
		}
	}
	for _, args := range [][]string{{"--http3", "--no-http3"}, {"--http3-only", "--http3"}, {"--no-http3", "--resume"}} {
		if got := godwit(append([]string{"get", url}, args...)...); got.code != 2 {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

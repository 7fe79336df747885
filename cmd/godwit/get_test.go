package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/quic"
)

func TestGetWritesTheContent(t *testing.T) {
	url, _ := serving(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "in")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, stdin, want string
		args              []string
	}{
		{"plain", "", "HTTP/3.0\n", []string{url + "/proto"}},
		{"flags behind", "", "HTTP/3.0\n", []string{url + "/proto", "-X", "GET"}},
		{"data", "", "a=b", []string{"-d", "a=b", url + "/echo"}},
		{"a file", "", "from a file", []string{"-d", "@" + file, url + "/echo"}},
		{"stdin", "from stdin", "from stdin", []string{"-d", "@-", url + "/echo"}},
		{"a status without --fail", "", "404 page not found\n", []string{url + "/missing"}},
		{"HEAD", "", "", []string{"-X", "HEAD", url + "/proto"}},
	} {
		got := godwitWith(c.stdin, append([]string{"get", "-k", "--http3-only"}, c.args...)...)
		if got.code != 0 || got.out != c.want || got.errors != "" {
			t.Errorf("%s: %+v, want %q", c.name, got, c.want)
		}
	}
}

func TestGetShowsWhatHappened(t *testing.T) {
	url, _ := serving(t)
	got := godwit("get", "-v", "--insecure", "--resume", "-H", "X-Test: yes", url+"/proto")
	if got.code != 0 || got.out != "HTTP/3.0\n" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		`\* connected to 127\.0\.0\.1:\d+ over UDP, QUIC version 1 \(0x00000001\), ALPN h3\n`,
		`\* TLS 1\.3 TLS_\w+, certificate for localhost 127\.0\.0\.1 ::1 until .*, resumed: no\n(?s:.*), resumed: yes\n`,
		`> GET /proto HTTP/3\n> host: 127\.0\.0\.1:\d+\n`,
		`> x-test: yes\n`,
		`> user-agent: godwit\n`,
		`< HTTP/3 200 OK\n< cache-control: no-store\n`,
		`\* handshake \d+\.\d ms, first byte \d+\.\d ms, total \d+\.\d ms, 9 bytes\n`,
		`\* address changes: 0\n`,
		`\* congestion control cubic, window \d+ bytes, RTT \d+\.\d ms`,
		`\* packets: \d+ sent, \d+ received, \d+ lost\n`,
	} {
		if !regexp.MustCompile(want).MatchString(got.errors) {
			t.Errorf("%s is missing in\n%s", want, got.errors)
		}
	}
}

func TestAPasswordInTheURLIsSentAndNotShown(t *testing.T) {
	to := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header["Authorization"]) }))
	defer to.Close()
	url, _ := serving(t, "--to", to.URL)
	got := godwit("get", "-k", "--http3-only", "--json", strings.Replace(url, "https://", "https://me:secret@", 1))
	if got.out != "[Basic bWU6c2VjcmV0]" || strings.Contains(got.errors, "secret") {
		t.Errorf("%+v", got)
	}
}

func TestGetReportsAsJSON(t *testing.T) {
	url, _ := serving(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		name string
		args []string
		in   func(result) string
	}{
		{"stderr", nil, func(r result) string { return r.errors }},
		{"stdout", []string{"-o", out}, func(r result) string { return r.out }},
	} {
		got := godwit(append([]string{"get", "-k", "--http3-only", "--json", url + "/bytes/1000"}, c.args...)...)
		var r report
		if err := json.Unmarshal([]byte(c.in(got)), &r); err != nil || got.code != 0 {
			t.Errorf("%s: %+v, %v", c.name, got, err)
			continue
		}
		if r.URL != url+"/bytes/1000" || r.Status != 200 || r.Protocol != "HTTP/3" || r.Version != 1 || r.ALPN != "h3" || r.Resumed || r.Bytes != 1000 ||
			r.Handshake <= 0 || r.FirstByte < r.Handshake || r.Total < r.FirstByte || r.Controller != "cubic" || r.PacketsGot == 0 {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	if b, err := os.ReadFile(out); err != nil || len(b) != 1000 {
		t.Errorf("%d bytes written, %v", len(b), err)
	}
}

func TestGetIncludesTheHeader(t *testing.T) {
	url, _ := serving(t)
	got := godwit("get", "-k", "--http3-only", "-i", url+"/proto")
	if !strings.HasPrefix(got.out, "HTTP/3 200 OK\r\ncache-control: no-store\r\n") || !strings.HasSuffix(got.out, "\r\n\r\nHTTP/3.0\n") {
		t.Errorf("%q", got.out)
	}
}

func TestGetWritesKeysAndQlog(t *testing.T) {
	url, _ := serving(t)
	dir := t.TempDir()
	keys, qlogs := filepath.Join(dir, "keys"), filepath.Join(dir, "new", "qlog")
	if got := godwit("get", "-k", "--http3-only", "--keylog", keys, "--qlog", qlogs, url+"/proto"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if text, err := os.ReadFile(keys); err != nil || !strings.Contains(string(text), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("keys: %v, %q", err, text)
	}
	files, _ := filepath.Glob(filepath.Join(qlogs, "*_client.sqlog"))
	if len(files) != 1 {
		t.Fatalf("qlog files: %q", files)
	}
	if text, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(text), "connection_closed") {
		t.Errorf("qlog: %v, %d bytes", err, len(text))
	}
}

func TestGetThroughAnUpstreamThatIsDown(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	url, _ := serving(t, "--to", down.URL)
	want := "cannot reach " + down.URL + ": connection refused"
	if got := godwit("get", "-k", url); got.code != 0 || !strings.HasPrefix(got.out, "godwit: "+want) {
		t.Errorf("%+v", got)
	}
	if got := godwit("get", "-k", "--fail", url); got.code != 1 || got.out != "" || got.errors != "godwit: "+url+": status 502 Bad Gateway\n" {
		t.Errorf("--fail: %+v", got)
	}
}

func TestGetSaysWhyItFailed(t *testing.T) {
	url, _ := serving(t)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"no answer", "no answer from " + silent.LocalAddr().String() + " over UDP within", []string{"https://" + silent.LocalAddr().String(), "--timeout", "100ms"}},
		{"no trust", "is not trusted (signed by an unknown authority): --cacert FILE names a root to trust, --insecure accepts any", []string{url}},
		{"no such host", "the host name nowhere.invalid cannot be resolved", []string{"https://nowhere.invalid"}},
		{"not HTTP/3", "speaks QUIC, but not HTTP/3", []string{"-k", "https://" + otherProtocol(t)}},
	} {
		got := godwit(append([]string{"get", "--http3-only"}, c.args...)...)
		if got.code != 1 || !strings.Contains(got.errors, c.want) || strings.Count(got.errors, "\n") != 1 || got.out != "" {
			t.Errorf("%s: %+v, want %q", c.name, got, c.want)
		}
	}
}

func TestGetSaysThatAResponseIsSlow(t *testing.T) {
	url := stuck(t)
	for _, way := range []string{"--http3-only", "--no-http3"} {
		// There has to be a connection before the time is over: it gets more until there is.
		for timeout := 100 * time.Millisecond; ; timeout *= 2 {
			got := godwit("get", "-k", way, "--timeout", timeout.String(), "-d", "@-", url)
			if strings.Contains(got.errors, "no answer from ") && timeout < time.Minute {
				continue
			}
			if want := fmt.Sprintf("godwit: %s: no response within %v (--timeout)\n", url, timeout); got.code != 1 || got.errors != want || got.out != "" {
				t.Errorf("%s: %+v, want %q", way, got, want)
			}
			break
		}
	}
}

func TestGetSaysThatNobodyListens(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system does not tell which datagram was refused")
	}
	got := godwit("get", "--http3-only", "https://"+closedPort(t))
	if got.code != 1 || !strings.Contains(got.errors, ": nobody listens on UDP port ") || strings.Count(got.errors, "\n") != 1 {
		t.Errorf("%+v", got)
	}
}

// closedPort is an address on which nobody listens. A socket that is connected to somewhere else has it, so that nobody
// will until the test ends.
func closedPort(t *testing.T) string {
	c, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

// otherProtocol listens for QUIC connections that are not HTTP/3.
func otherProtocol(t *testing.T) string {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	t.Cleanup(cert.Close)
	e, err := quic.Listen("127.0.0.1:0", &tls.Config{Certificates: cert.TLS.Certificates, NextProtos: []string{"other"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e.Addr().String()
}

// stuck is a site that never answers. It reads what it is sent: net/http does not notice that a client has gone before the
// end of the request was read, and whether a body of unknown length turns out to be empty in time is up to the scheduler.
func stuck(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	url, _ := serving(t, "--to", s.URL)
	return url
}

func TestGetStopsWhenInterrupted(t *testing.T) {
	url := stuck(t)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	var out, errs output
	code := run(ctx, process{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}, []string{"get", "-k", "--http3-only", url})
	if code != 1 || errs.String() != "godwit: interrupted\n" {
		t.Errorf("code %d, %q", code, errs.String())
	}
}

func TestProgressIsShownOnATerminalOnly(t *testing.T) {
	url, _ := serving(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, terminal := range []bool{true, false} {
		var errs output
		p := process{stdin: strings.NewReader(""), stdout: new(output), stderr: &errs, terminal: terminal}
		if code := run(context.Background(), p, []string{"get", "-k", "--http3-only", "-o", out, url + "/bytes/2000000"}); code != 0 {
			t.Fatal(code, errs.String())
		}
		if got := strings.Contains(errs.String(), "2.0 MB of 2.0 MB"); got != terminal {
			t.Errorf("terminal %v: %q", terminal, errs.String())
		}
	}
}

func TestFailuresOfSeveralAddressesAreOneLine(t *testing.T) {
	o, err := parseGet(process{}, []string{"https://a.example"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fetch{getOptions: o}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.Join(quic.ErrIdleTimeout, fmt.Errorf("x509: some\nthing")), "https://a.example: a.example:443 has stopped answering (nothing was heard from the peer within the idle timeout); some thing"},
		{&quic.VersionError{Ours: []uint32{1}, Theirs: []uint32{2}}, "https://a.example: a.example:443 speaks QUIC, but only versions [0x2]; this is [0x1]"},
		{quic.ErrStatelessReset, "https://a.example: a.example:443 has lost the connection, most likely in a restart: try again"},
	} {
		if got := f.explain(c.err).Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godwit-net/godwit/tunnel"
)

func TestTunnelIsCalledWrongly(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	open := filepath.Join(dir, "open.key")
	garbage := filepath.Join(dir, "garbage.key")
	os.WriteFile(open, nil, 0o600)
	os.Chmod(open, 0o644)
	os.WriteFile(garbage, []byte("once upon a time"), 0o600)
	k := tunnel.NewKey()
	good, err := k.Token("127.0.0.1:4433")
	if err != nil {
		t.Fatal(err)
	}
	token := good.Text()
	for _, c := range []struct {
		args string
		want string
	}{
		{"", "tunnel: which end?"},
		{"exid", `tunnel: "exid" is neither exit nor entry`},
		{"exit", "tunnel exit: --to is missing"},
		{"exit --too http://h", "flag provided but not defined: -too"},
		{"exit --to", "flag needs an argument: -to"},
		{"exit --to h:80", "--to: \"h:80\" is no URL of a platform: http://HOST:PORT is wanted"},
		{"exit --to ftp://h", "http://HOST:PORT is wanted"},
		{"exit --to http://", "names no host"},
		{"exit --to http://h/path", "the tunnel does not change paths"},
		{"exit --to http://u:secret@h", "holds a user name"},
		{"exit --to http://h:%zz", "is no URL"},
		{"exit http://h", `what is "http://h"? The platform is named with --to`},
		{"exit --to http://h --listen 4433", `--listen "4433": HOST:PORT or :PORT is wanted`},
		{"exit --to http://h --listen :hopeless", `"hopeless" is no port`},
		{"exit --to http://h --listen :70000", `"70000" is no port`},
		{"exit --to http://h --advertise exit.example", `--advertise: address "exit.example": HOST:PORT is wanted`},
		{"exit --to http://h --grace -1s", "--grace -1s is negative"},
		{"exit --to http://h --ephemeral --key x", "exclude each other"},
		{"exit --ephemeral --print-token", "exclude each other"},
		{"exit --print-token --listen 127.0.0.1:0", "needs a fixed port"},
		{"exit --to http://h --key " + open, "others may read or write it (mode 0644): chmod 600 it"},
		{"exit --to http://h --key " + garbage, "it is not a tunnel key"},
		{"exit --to http://h --key " + dir, "it is not a file"},
		{"entry", "the token is missing"},
		{"entry hello", "this is not a tunnel token"},
		{"entry " + token[:40], "the token is cut short"},
		{"entry " + token + " more", "one token is wanted, not 2 words"},
		{"entry " + token + " --listen 8081", "HOST:PORT or :PORT is wanted"},
		{"entry --silence 0s " + token, "--silence 0s is not positive"},
		{"entry --token-file x " + token, "exclude each other"},
		{"entry --token-file " + filepath.Join(dir, "none"), "no such file"},
		{"entry --token-file -", "this is not a tunnel token"},
	} {
		var stdout, stderr bytes.Buffer
		p := process{stdin: strings.NewReader("nothing"), stdout: &stdout, stderr: &stderr}
		code := run(t.Context(), p, append([]string{"tunnel"}, strings.Fields(c.args)...))
		if code != 2 || !strings.Contains(stderr.String(), c.want) || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%q: exit code %d, %q %q, want %q", c.args, code, stdout.String(), stderr.String(), c.want)
		}
	}
	if made, _ := filepath.Glob(filepath.Join(dir, "config", "*", "*")); len(made) > 1 {
		t.Errorf("files were made: %v", made)
	}
}

func TestTunnelPortsThatAreTaken(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	good, err := tunnel.NewKey().Token("127.0.0.1:4433")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		port string
	}{
		{[]string{"tunnel", "exit", "--ephemeral", "--to", "http://h", "--listen", udp.LocalAddr().String()}, "UDP port " + portOf(udp.LocalAddr())},
		{[]string{"tunnel", "entry", good.Text(), "--listen", tcp.Addr().String()}, "TCP port " + portOf(tcp.Addr())},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), process{stdout: &stdout, stderr: &stderr}, c.args)
		if code != 1 || !strings.Contains(stderr.String(), c.port+" is taken by ") || strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%v: exit code %d, %q %q", c.args[:2], code, stdout.String(), stderr.String())
		}
	}
}

func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

func TestTunnelPrintsTheTokenOfItsKey(t *testing.T) {
	key := filepath.Join(t.TempDir(), "exit.key")
	var printed [2]bytes.Buffer
	for i := range printed {
		p := process{stdout: &printed[i], stderr: io.Discard}
		if code := run(t.Context(), p, []string{"tunnel", "exit", "--print-token", "--key", key, "--advertise", "exit.example:40000"}); code != 0 {
			t.Fatal(code)
		}
	}
	token, err := tunnel.ParseToken(printed[0].String())
	if err != nil || token.Addrs[0] != "exit.example:40000" || printed[0].String() != printed[1].String() {
		t.Errorf("%v, %v, %q", token, err, printed[0].String())
	}
}

// Both ends in one process: what the exit prints is all that the entry needs.
func TestTunnelFromEndToEnd(t *testing.T) {
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s at %s: %s", r.Method, r.URL, r.Host, body)
	}))
	defer platform.Close()
	exit := begin(t, "tunnel", "exit", "--ephemeral", "--to", platform.URL, "--listen", "127.0.0.1:0")
	token := exit.find(`token\s+(gw1\.\S+)`)
	exit.find(`forwards to\s+` + regexp.QuoteMeta(platform.URL))
	exit.find(`key\s+SHA256:\S+`)
	exit.find(`godwit tunnel entry ` + regexp.QuoteMeta(token) + ` --listen 127\.0\.0\.1:8081`)
	entry := begin(t, "tunnel", "entry", "--listen", "127.0.0.1:0", token)
	url := entry.find(`listen=(http://\S+)`)
	entry.find(`"tunnel up" exit=127\.0\.0\.1:`)

	req, err := http.NewRequest("POST", url+"/path?query", strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.example"
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if want := "POST /path?query at shop.example: content"; string(body) != want || err != nil {
		t.Errorf("%q, %v, want %q", body, err, want)
	}
	if strings.Contains(entry.text(), token) {
		t.Error("the token is in the entry's log")
	}
	exit.stop()
	entry.find("tunnel away")
	entry.stop()
}

// running is a command under way.
type running struct {
	t      *testing.T
	cancel context.CancelFunc
	code   chan int

	mu  sync.Mutex
	out bytes.Buffer // both streams
}

// begin runs a command until stop, or the end of the test.
func begin(t *testing.T, args ...string) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, cancel: cancel, code: make(chan int, 1)}
	go func() { r.code <- run(ctx, process{stdout: r, stderr: r}, args) }()
	t.Cleanup(r.cancel)
	return r
}

// Write takes what the command prints.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *running) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// find waits until the command has printed what the expression matches, and returns its group.
func (r *running) find(expression string) string {
	r.t.Helper()
	re := regexp.MustCompile(expression)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		text := r.text()
		if m := re.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
		if time.Now().After(end) {
			r.t.Fatalf("%s is not in what was printed: %s", expression, text)
		}
	}
}

// stop is Ctrl-C.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if code := <-r.code; code != 0 {
		r.t.Errorf("exit code %d: %s", code, r.text())
	}
}

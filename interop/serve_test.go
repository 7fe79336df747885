package interop

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	quicgo "github.com/quic-go/quic-go/http3"
)

// A client that vanished is one whose datagrams stop: the relay between them ends.
func TestCtrlCEndsServeThoughAClientVanished(t *testing.T) {
	for _, c := range []struct {
		name  string
		path  string        // what the client that vanishes had asked for
		idle  time.Duration // how long ago
		grace string        // far more than serve may take, but in the last case
	}{
		{"with its connection idle", "/hello", 1500 * time.Millisecond, "1h"},
		{"just after a response", "/hello", 0, "1h"},
		{"in the middle of a response", "/wait", 0, "3s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveOrigin(t, "--grace", c.grace)
			r := startRelay(t, s.addr, weather{}, "")
			tr := &quicgo.Transport{TLSClientConfig: ca.client()}
			res, err := tr.RoundTrip(mustRequest(t, r.url+c.path))
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			if c.path == "/hello" {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			time.Sleep(c.idle)
			r.close()
			if code := s.proc.end(syscall.SIGINT); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// The rest of a response waits in serve for a client that reads slowly, and serve waits for the client.
func TestCtrlCLetsARunningTransferEnd(t *testing.T) {
	for _, size := range []int64{600_000, 10 * MiB} { // quic-go's first window is 512 KiB: the first is all but sent, the second is not
		s := serveOrigin(t, "--grace", "1h")
		tr := &quicgo.Transport{TLSClientConfig: ca.client()}
		defer tr.Close()
		res, err := tr.RoundTrip(mustRequest(t, fmt.Sprintf("%s/blob?n=%d", s.url, size)))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		s.proc.cmd.Process.Signal(syscall.SIGINT)
		time.Sleep(2 * time.Second)
		wantBlob(t, res.Body, size)
		if code := s.proc.end(syscall.SIGCONT); code != 0 { // a signal that says nothing: serve ends by itself
			t.Errorf("exit code %d", code)
		}
	}
}

func TestServeNamesWhoHasThePort(t *testing.T) {
	t.Run("UDP and TCP by another godwit", func(t *testing.T) {
		first := serve(t)
		wantTaken(t, first.port, fmt.Sprintf("godwit (pid %d)", first.proc.cmd.Process.Pid), "serve", "--listen", first.addr)
		wantTaken(t, first.port, fmt.Sprintf("godwit (pid %d)", first.proc.cmd.Process.Pid), "serve", "--listen", first.addr, "--udp-only")
	})
	t.Run("UDP and TCP by nginx", func(t *testing.T) {
		need(t, nginx)
		s := startNginx(t, "")
		wantTaken(t, s.port, fmt.Sprintf("nginx (pid %d)", s.proc.cmd.Process.Pid), "serve", "--listen", s.addr)
		wantTaken(t, s.port, fmt.Sprintf("nginx (pid %d)", s.proc.cmd.Process.Pid), "serve", "--listen", s.addr, "--udp-only")
	})
	t.Run("UDP alone", func(t *testing.T) {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		wantTaken(t, port, fmt.Sprintf("(pid %d)", os.Getpid()), "serve", "--listen", c.LocalAddr().String())
	})
}

// wantTaken runs the command, which must fail with one line that names the port and who has it.
func wantTaken(t *testing.T, port, owner string, args ...string) {
	t.Helper()
	r := execute(within(t, patience), t, command(args...))
	if r.code != 1 || !strings.Contains(r.stderr, port) || !strings.Contains(r.stderr, owner) || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("%v: exit code %d, %q; want 1 and one line that names %s and %s", args, r.code, r.stderr, port, owner)
	}
}

// Beside an nginx that keeps the TCP port and sends the Alt-Svc field, curl comes to godwit by itself.
func TestServeUDPOnlyLivesBesideAServerOnTCP(t *testing.T) {
	need(t, nginx, curl)
	dir, docs := newShare(t), documents(t)
	_, to := startOrigin(t)
	s := newSite(freePort(t))
	dir.write(t, "nginx.conf", strings.NewReplacer("DIR", dir.peer, "DOCS", docs.peer, "CA", ca.peer, "PORT", s.port).Replace(`
daemon off; master_process off; user root; pid DIR/nginx.pid; error_log stderr warn;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	ssl_certificate CA/cert.pem; ssl_certificate_key CA/key.pem;
	server { listen 127.0.0.1:PORT ssl; http2 on; root DOCS; add_header Alt-Svc 'h3=":PORT"; ma=86400'; }
}
`))
	n := start(t, nginx.command("-c", dir.peer+"/nginx.conf", "-e", "stderr"))
	n.waitFor(t, "TCP", func() bool { return speaksTCP(s.addr) })
	g := start(t, command("serve", "--udp-only", "--listen", s.addr, "--to", to, "--cert", ca.host+"/"+certFile, "--key", ca.host+"/"+keyFile))
	g.waitFor(t, "an answer to QUIC", func() bool { return speaksQUIC(s.addr) })
	for _, want := range []string{"2 200", "3 200"} {
		r := succeed(within(t, patience), t, curl.command("--silent", "--show-error", "--max-time", "20", "--cacert", ca.peer+"/"+caFile,
			"--alt-svc", dir.peer+"/alt-svc", "--resolve", "localhost:"+s.port+":127.0.0.1", "--output", "/dev/null",
			"--write-out", "%{http_version} %{http_code}", "https://localhost:"+s.port+"/hello"))
		if r.stdout != want {
			t.Errorf("curl says %q, want %q", r.stdout, want)
		}
	}
}

func TestServeUDPOnlyBindsNoTCPPort(t *testing.T) {
	s := serve(t, "--udp-only")
	if speaksTCP(s.addr) {
		t.Errorf("something accepts TCP connections on port %s", s.port)
	}
	if sockets := listening(t, s.proc.cmd.Process.Pid); sockets != 0 {
		t.Errorf("the process has %d listening TCP sockets", sockets)
	}
	if both := serve(t); listening(t, both.proc.cmd.Process.Pid) != 1 {
		t.Error("without --udp-only no listening TCP socket is found: this test finds nothing")
	}
}

// listening counts the TCP sockets on which a process listens.
func listening(t *testing.T, pid int) (n int) {
	t.Helper()
	inodes := map[string]bool{}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open("/proc/net/" + table)
		if err != nil {
			t.Skip("missing: /proc/net/" + table)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[3] == "0A" && inodes[fields[9]] {
				n++
			}
		}
	}
	return n
}

// What serve writes for Wireshark is as good as what get writes, and its qlog too.
func TestServesKeyLogAndQlogShowWhatWasSaid(t *testing.T) {
	need(t, curl, tshark)
	dir, qlog := newShare(t), filepath.Join(t.TempDir(), "qlog")
	s := serveOrigin(t, "--keylog", filepath.Join(dir.host, "keys"), "--qlog", qlog)
	r := startRelay(t, s.addr, weather{}, filepath.Join(dir.host, "capture.pcap"))
	succeed(within(t, patience), t, curlTo(r.url+"/hello"))
	if code := s.proc.end(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	r.close()
	wantDecrypted(t, dir, "capture.pcap", "keys", r.port, "/hello")
	files, _ := filepath.Glob(filepath.Join(qlog, "*_server.sqlog"))
	if len(files) != 1 {
		t.Fatalf("qlog files %v, want one", files)
	}
	wantQlog(t, files[0], "quic:packet_sent", "quic:packet_received", "http3:frame_parsed")
}

// The certificate that serve makes is one that clients can pin, and no client trusts it otherwise.
func TestServeMakesACertificateThatNobodyTrusts(t *testing.T) {
	need(t, curl)
	s := serve(t)
	r := execute(within(t, patience), t, curl.command("--silent", "--show-error", "--http3-only", "--max-time", "20", s.url+"/proto"))
	if r.code == 0 || r.stdout != "" {
		t.Errorf("curl accepts it: exit code %d, %q", r.code, r.stdout)
	}
	r = succeed(within(t, patience), t, curl.command("--silent", "--show-error", "--http3-only", "--insecure", "--max-time", "20", s.url+"/proto"))
	if r.stdout != "HTTP/3.0\n" {
		t.Errorf("with --insecure: %q", r.stdout)
	}
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if leaf := conn.ConnectionState().PeerCertificates[0]; time.Until(leaf.NotAfter) > 14*24*time.Hour {
		t.Errorf("it is valid until %v: browsers pin certificates of 14 days at most", leaf.NotAfter)
	}
}

package interop

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tunnelled is a tunnel: two processes, one UDP port between them.
type tunnelled struct {
	exit, entry *process
	startExit   func() *process // again, with the same key, on the same port
	url         string          // of the entry
}

// startTunnel starts an exit in front of a platform and an entry with the token that the exit prints.
func startTunnel(t *testing.T, platform string) *tunnelled {
	t.Helper()
	d, key := new(tunnelled), filepath.Join(t.TempDir(), "key")
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d.startExit = func() *process {
		return start(t, command("tunnel", "exit", "--listen", listen, "--to", platform, "--key", key))
	}
	d.exit = d.startExit()
	in := newSite(freePort(t))
	d.entry = start(t, command("tunnel", "entry", tokenOf(t, d.exit), "--listen", in.addr))
	d.entry.waitFor(t, "its TCP port", func() bool { return speaksTCP(in.addr) })
	d.url = "http://" + in.addr
	return d
}

// tokenOf is the token that an exit prints when it is ready.
func tokenOf(t *testing.T, exit *process) string {
	t.Helper()
	token := regexp.MustCompile(`(?m)^token\s+(\S+)$`)
	exit.waitFor(t, "its token", func() bool { return token.MatchString(exit.out.String()) })
	return token.FindStringSubmatch(exit.out.String())[1]
}

// startPlatform starts the nginx behind a tunnel: HTTP/1.1, files, and /origin/ for what files cannot do.
func startPlatform(t *testing.T) (url string) {
	t.Helper()
	dir, docs := newShare(t), documents(t)
	_, to := startOrigin(t)
	s := newSite(freePort(t))
	dir.write(t, "nginx.conf", platformConf(dir, docs, s.addr, `location /origin/ {
		proxy_pass `+to+`/; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off; }`))
	p := start(t, nginx.command("-c", dir.peer+"/nginx.conf", "-e", "stderr"))
	p.waitFor(t, "its TCP port", func() bool { return speaksTCP(s.addr) })
	return "http://" + s.addr
}

func platformConf(dir, docs share, listen, more string) string {
	return strings.NewReplacer("DIR", dir.peer, "DOCS", docs.peer, "LISTEN", listen, "MORE", more).Replace(`
daemon off; master_process off; user root; pid DIR/nginx.pid; error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off; default_type application/octet-stream; client_max_body_size 0;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	server { listen LISTEN; root DOCS; MORE }
}
`)
}

// curlPlain is curl over HTTP/1.1, as the clients of a tunnel are.
func curlPlain(args ...string) []string {
	return append([]string{"--silent", "--show-error", "--http1.1", "--max-time", "100", "--write-out",
		"[HTTP/%{http_version} %{http_code}]"}, args...)
}

func TestTunnelCarriesCurlToNginx(t *testing.T) {
	need(t, nginx, curl)
	d := startTunnel(t, startPlatform(t))
	t.Run("GET", func(t *testing.T) {
		r := succeed(within(t, patience), t, curl.command(curlPlain(d.url+"/hello")...))
		if want := greeting + "[HTTP/1.1 200]"; r.stdout != want {
			t.Errorf("curl says %q, want %q", r.stdout, want)
		}
	})
	t.Run("what is not there is 404", func(t *testing.T) {
		if r := succeed(within(t, patience), t, curl.command(curlPlain(d.url+"/no/such/thing")...)); !strings.HasSuffix(r.stdout, "[HTTP/1.1 404]") {
			t.Errorf("curl says %q", r.stdout)
		}
	})
	t.Run("100 MiB down", func(t *testing.T) {
		dir := newShare(t)
		succeed(within(t, 100*time.Second), t, curl.command(curlPlain("--output", dir.peer+"/down", d.url+blobPath(large))...))
		wantBlobFile(t, filepath.Join(dir.host, "down"), large)
	})
	t.Run("200 MiB up", func(t *testing.T) {
		cmd := curl.command(curlPlain("--upload-file", "-", "--request", "POST", d.url+"/origin/sum")...)
		cmd.Stdin = blob(200 * MiB)
		r := succeed(within(t, 100*time.Second), t, cmd)
		if want := summed(200*MiB) + "[HTTP/1.1 200]"; r.stdout != want {
			t.Errorf("curl says %q, want %q", r.stdout, want)
		}
	})
	t.Run("server-sent events arrive one by one", func(t *testing.T) {
		eventsOneByOne(t, curl.command(curlPlain("--no-buffer", d.url+"/origin/events")...))
	})
	t.Run("neither end has needed much memory", func(t *testing.T) {
		const most = 150 * MiB
		exit, entry := d.exit.peakMemory(t), d.entry.peakMemory(t)
		t.Logf("exit %d MiB, entry %d MiB at their peaks", exit/MiB, entry/MiB)
		if exit > most || entry > most {
			t.Errorf("exit %d MiB, entry %d MiB at their peaks; want %d at the most", exit/MiB, entry/MiB, most/MiB)
		}
	})
	t.Run("Ctrl-C ends both with exit code 0", func(t *testing.T) {
		if entry, exit := d.entry.end(syscall.SIGINT), d.exit.end(syscall.SIGINT); entry != 0 || exit != 0 {
			t.Errorf("exit codes %d of the entry, %d of the exit", entry, exit)
		}
	})
}

// An exit that dies takes nobody with it: the entry says so to its clients, and finds it again when it is back.
func TestTunnelRecoversFromAnExitThatWasKilled(t *testing.T) {
	need(t, nginx, curl)
	d := startTunnel(t, startPlatform(t))
	ask := func() result {
		return execute(within(t, patience), t, curl.command(curlPlain("--include", "--max-time", "15", d.url+"/hello")...))
	}
	if r := ask(); !strings.HasSuffix(r.stdout, greeting+"[HTTP/1.1 200]") {
		t.Fatalf("curl says %q", r.stdout+r.stderr)
	}
	d.exit.end(syscall.SIGKILL)
	killed := time.Now()
	var r result
	eventually(t, "503", func() bool {
		r = ask()
		return strings.HasSuffix(r.stdout, "[HTTP/1.1 503]")
	})
	if !regexp.MustCompile(`(?im)^Retry-After: [0-9]+\r?$`).MatchString(r.stdout) {
		t.Errorf("no Retry-After: %q", r.stdout)
	}
	t.Logf("503 after %v", time.Since(killed).Round(time.Millisecond))
	again := d.startExit()
	tokenOf(t, again)
	back := time.Now()
	eventually(t, "200", func() bool { return strings.HasSuffix(ask().stdout, greeting+"[HTTP/1.1 200]") })
	t.Logf("200 after %v", time.Since(back).Round(time.Millisecond))
	if d.entry.exited() {
		t.Error("the entry has ended")
	}
}

func TestTunnelWorksOverAPathOf1280Bytes(t *testing.T) {
	need(t, nginx, curl)
	a, b := two(t, 1280)
	dir, docs := newShare(t), documents(t)
	dir.write(t, "nginx.conf", platformConf(dir, docs, "127.0.0.1:8080", "location /put/ { alias "+dir.peer+"/; dav_methods PUT; }"))
	start(t, b.command("chroot", tree(), nginx.path, "-c", dir.peer+"/nginx.conf", "-e", "stderr"))
	exit := start(t, b.command(godwit, "tunnel", "exit", "--ephemeral", "--listen", "10.77.0.2:4433", "--to", "http://127.0.0.1:8080"))
	start(t, a.command(godwit, "tunnel", "entry", tokenOf(t, exit), "--listen", "127.0.0.1:8081"))
	ask := func(args ...string) result {
		return execute(within(t, 60*time.Second), t, a.command("chroot", append([]string{tree(), curl.path}, curlPlain(args...)...)...))
	}
	eventually(t, "an answer through the tunnel", func() bool {
		return ask("http://127.0.0.1:8081/hello").stdout == greeting+"[HTTP/1.1 200]"
	})
	if r := ask("--output", dir.peer+"/down", "http://127.0.0.1:8081"+blobPath(moderate)); r.stdout != "[HTTP/1.1 200]" {
		t.Errorf("curl says %q", r.stdout+r.stderr)
	}
	wantBlobFile(t, filepath.Join(dir.host, "down"), moderate)
	if r := ask("--upload-file", docs.peer+blobPath(moderate), "http://127.0.0.1:8081/put/up"); r.stdout != "[HTTP/1.1 201]" {
		t.Errorf("curl says %q", r.stdout+r.stderr)
	}
	wantBlobFile(t, filepath.Join(dir.host, "up"), moderate)
}

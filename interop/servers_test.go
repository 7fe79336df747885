package interop

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	quicgo "github.com/quic-go/quic-go/http3"
)

// server is a server of others, started by a test, with what it has to offer.
type server struct {
	*site
	hello string // a path that answers with the greeting
	large string // a path that answers with blob(size)
	size  int64
	sum   string // a path that answers POST as the origin's /sum does; empty: there is none
	echo  string // a path that answers POST with what was posted; empty: there is none
}

// otherServer is a kind of server. Those behind HTTP/1.1 origins ask startOrigin's.
type otherServer struct {
	name  string
	peers []*peer
	start func(t *testing.T) *server
}

var otherServers = []otherServer{
	{"quic-go", nil, startQuicGo},
	{"nginx", []*peer{nginx}, func(t *testing.T) *server { return startNginx(t, "quic_gso off;") }},
	{"nginx with GSO", []*peer{nginx}, func(t *testing.T) *server { return startNginx(t, "quic_gso on;") }},
	{"nginx with Retry", []*peer{nginx}, func(t *testing.T) *server { return startNginx(t, "quic_retry on;") }},
	{"Caddy", []*peer{caddy}, startCaddy},
	{"HAProxy", []*peer{haproxy}, startHAProxy},
	{"aioquic", []*peer{aioquicServer}, func(t *testing.T) *server { return startAioquic(t) }},
	{"aioquic with Retry", []*peer{aioquicServer}, func(t *testing.T) *server { return startAioquic(t, "--retry") }},
	{"ngtcp2", []*peer{osslServer}, func(t *testing.T) *server { return startNgtcp2(t) }},
	{"ngtcp2 with Retry", []*peer{osslServer}, func(t *testing.T) *server { return startNgtcp2(t, "--validate-addr") }},
}

// onServers runs a test against each kind of server.
func onServers(t *testing.T, test func(t *testing.T, s *server)) {
	for _, o := range otherServers {
		t.Run(o.name, func(t *testing.T) {
			need(t, o.peers...)
			test(t, o.start(t))
		})
	}
}

// The sizes of large content: for servers in general, and for those in Python.
const (
	large    = 100 * MiB
	moderate = 5 * MiB
)

// blobPath is where documents holds blob(n).
func blobPath(n int64) string { return fmt.Sprintf("/blob-%d", n) }

// documents is what static servers serve. It is made once for all tests, and nobody writes to it.
func documents(t *testing.T) share {
	t.Helper()
	docsOnce.Do(func() {
		docs = share{host: ca.host + "/docs", peer: ca.peer + "/docs"}
		if err := os.Mkdir(docs.host, 0o755); err != nil {
			t.Fatal(err)
		}
		docs.write(t, "hello", greeting)
		docs.blobFile(t, large)
		docs.blobFile(t, moderate)
	})
	return docs
}

var (
	docsOnce sync.Once
	docs     share
)

func startQuicGo(t *testing.T) *server {
	s := &server{site: newSite(freePort(t)), hello: "/hello", large: fmt.Sprintf("/blob?n=%d", large), size: large,
		sum: "/sum", echo: "/echo"}
	s.origin = new(origin)
	h := &quicgo.Server{Addr: s.addr, Handler: s.origin.handler(), TLSConfig: quicgo.ConfigureTLSConfig(ca.server())}
	done := make(chan error, 1)
	go func() { done <- h.ListenAndServe() }()
	t.Cleanup(func() {
		h.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Log("quic-go:", err)
		}
	})
	eventually(t, "quic-go's server to answer", func() bool { return speaksQUIC(s.addr) })
	return s
}

// running starts a server's process and waits until it answers to QUIC.
func running(t *testing.T, s *server, cmd *exec.Cmd) *server {
	t.Helper()
	s.proc = start(t, cmd)
	s.proc.waitFor(t, "an answer to QUIC", func() bool { return speaksQUIC(s.addr) })
	return s
}

// startNginx starts an nginx that serves files and passes /origin/ on, with more directives for its server block.
func startNginx(t *testing.T, directives string) *server {
	dir, docs := newShare(t), documents(t)
	o, to := startOrigin(t)
	s := &server{site: newSite(freePort(t)), hello: "/hello", large: blobPath(large), size: large, sum: "/origin/sum"}
	s.origin = o
	// One process: then ending it by its ID ends all of it. (A master with workers differs in nothing that is tested.)
	dir.write(t, "nginx.conf", strings.NewReplacer("DIR", dir.peer, "CA", ca.peer, "PORT", s.port, "TO", to, "DOCS", docs.peer, "MORE", directives).Replace(`
daemon off; master_process off; user root; pid DIR/nginx.pid; error_log stderr warn;
events { worker_connections 1024; }
http {
	access_log off; default_type application/octet-stream;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi; client_max_body_size 0;
	ssl_certificate CA/cert.pem; ssl_certificate_key CA/key.pem; ssl_protocols TLSv1.3;
	ssl_session_cache shared:tickets:1m;
	server {
		listen 127.0.0.1:PORT quic reuseport;
		listen 127.0.0.1:PORT ssl;
		http2 on; http3 on; root DOCS; MORE
		location /origin/ {
			proxy_pass TO/; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
		}
	}
}
`))
	return running(t, s, nginx.command("-c", dir.peer+"/nginx.conf", "-e", "stderr"))
}

// caddyOptions begins a Caddyfile.
const caddyOptions = `{
	admin off
	auto_https off
	default_sni localhost
	persist_config off
	log {
		level ERROR
	}
	servers {
		protocols h1 h2 h3
	}
}
`

func startCaddy(t *testing.T) *server {
	dir, docs := newShare(t), documents(t)
	o, to := startOrigin(t)
	s := &server{site: newSite(freePort(t)), hello: "/hello", large: blobPath(large), size: large, sum: "/origin/sum"}
	s.origin = o
	dir.write(t, "Caddyfile", strings.NewReplacer("DOCS", docs.host, "CA", ca.host, "PORT", s.port, "TO", to).Replace(caddyOptions+`https://:PORT {
	bind 127.0.0.1
	tls CA/cert.pem CA/key.pem
	handle_path /origin/* {
		reverse_proxy TO
	}
	handle {
		root * DOCS
		file_server
	}
}
`))
	cmd := caddy.command("run", "--config", filepath.Join(dir.host, "Caddyfile"), "--adapter", "caddyfile")
	cmd.Env = append(cmd.Environ(), "HOME="+dir.host, "XDG_DATA_HOME="+dir.host, "XDG_CONFIG_HOME="+dir.host)
	return running(t, s, cmd)
}

func startHAProxy(t *testing.T) *server {
	dir := newShare(t)
	o, to := startOrigin(t)
	s := &server{site: newSite(freePort(t)), hello: "/hello", large: fmt.Sprintf("/blob?n=%d", large), size: large,
		sum: "/sum"}
	s.origin = o
	dir.write(t, "haproxy.cfg", strings.NewReplacer("CA", ca.peer, "PORT", s.port, "TO", strings.TrimPrefix(to, "http://")).Replace(`
global
	maxconn 1000
	nbthread 1
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend fe
	bind quic4@127.0.0.1:PORT ssl crt CA/full.pem alpn h3
	bind 127.0.0.1:PORT ssl crt CA/full.pem alpn h2,http/1.1
	default_backend origin
backend origin
	server o TO
`))
	return running(t, s, haproxy.command("-db", "-f", dir.peer+"/haproxy.cfg"))
}

// startAioquic starts aioquic's example server. It is Python: what is large for it is smaller.
func startAioquic(t *testing.T, flags ...string) *server {
	docs := documents(t)
	s := &server{site: newSite(freePort(t)), hello: "/hello", large: blobPath(moderate), size: moderate, echo: "/echo"}
	cmd := aioquicServer.command(append([]string{"--certificate", ca.peer + "/" + certFile, "--private-key", ca.peer + "/" + keyFile,
		"--host", "127.0.0.1", "--port", s.port}, flags...)...)
	cmd.Env = append(cmd.Env, "STATIC_ROOT="+docs.peer, "PYTHONDONTWRITEBYTECODE=1")
	return running(t, s, cmd)
}

func startNgtcp2(t *testing.T, flags ...string) *server {
	docs := documents(t)
	s := &server{site: newSite(freePort(t)), hello: "/hello", large: blobPath(large), size: large}
	return running(t, s, osslServer.command(append(flags, "--quiet", "--htdocs="+docs.peer, "127.0.0.1", s.port,
		ca.peer+"/"+keyFile, ca.peer+"/"+certFile)...))
}

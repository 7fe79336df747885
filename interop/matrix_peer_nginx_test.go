package interop

import (
	"strings"
)

// nginx is a server only.
var nginxPeer = &matrixPeer{
	name:     "nginx",
	programs: []*peer{nginx},
	version:  func() string { return programVersion(nginx, "-v") },
	serve:    nginxServes,
	cannotServe: map[string]string{
		"ecn": "nginx does not mark its packets",
		"v2":  "nginx speaks version 1 alone",
	},
	faultServing: map[string]string{
		"handshakeloss":       "nginx does not always repeat a lost part of its ServerHello, though later packets are acknowledged: the two wait for each other",
		"rebind-port":         nginxPaths,
		"rebind-addr":         nginxPaths,
		"connectionmigration": "nginx answers the client's probe by a PATH_RESPONSE and challenges the path once the client uses it, which is allowed; the runner wants a challenge first",
	},
}

const nginxPaths = "nginx does not always challenge a new path at once: it begins with acknowledgments or PINGs there; and as it retires no connection ID " +
	"of a path that it left, a second rebinding needs quic_active_connection_id_limit above the default of 2 (which the test sets)"

func nginxServes(c *cell) error {
	host, port := c.listenAt()
	if c.wants.ipv6 {
		host = "[" + host + "]"
	}
	key, cert, more := keyFile, certFile, ""
	if c.wants.longChain {
		key, cert = longKeyFile, longCertFile
	}
	if c.wants.retry {
		more += "quic_retry on; "
	}
	if c.wants.early {
		more += "ssl_early_data on; "
	}
	if c.wants.chacha {
		more += "ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; "
		c.variant = insistence
	}
	if c.rebinds() {
		more += "quic_active_connection_id_limit 8; "
		c.variant = "with quic_active_connection_id_limit 8: nginx retires no connection ID of a path that it left, and a second rebinding finds the default of 2 used up"
	}
	// One process, as in startNginx.
	return c.backgroundWith(nginx, "nginx.conf", strings.NewReplacer("DIR", c.dir.peer, "CERT", ca.peer+"/"+cert, "KEY", ca.peer+"/"+key,
		"HOST", host, "PORT", port, "MORE", more).Replace(`
daemon off; master_process off; user root; pid DIR/nginx.pid; error_log stderr warn;
events { worker_connections 1024; }
http {
	access_log off; default_type application/octet-stream;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	ssl_certificate CERT; ssl_certificate_key KEY; ssl_protocols TLSv1.3; ssl_session_cache shared:tickets:1m;
	keepalive_requests 10000;
	server {
		listen HOST:PORT quic reuseport; http3 on; root DIR/docs; MORE
	}
}
`), "-c", c.dir.peer+"/nginx.conf", "-e", "stderr")
}

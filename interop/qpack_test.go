package interop

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// QPACK's dynamic table with peers: that requests and responses are right is what all other tests are about; here it is
// proved that the table was used for them, by the counters at our end.

// steady is a handler whose answers differ in nothing but what was asked for.
var steady = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Godwit's interop tests")
	w.Header().Set("Content-Type", "text/html; charset=utf-8; for=testing")
	w.Header().Set("X-Steady", "a field that nobody knows, but that is always the same")
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	if r.URL.Path == "/page" {
		io.WriteString(w, page)
		return
	}
	fmt.Fprintf(w, "%s %s\n", r.Method, r.URL.Path)
})

// page asks for thirty things, one after the other, and says how many it got.
const page = `<!doctype html><title>t</title><p id="p">waiting</p><script>
(async () => {
	let good = 0
	for (let i = 0; i < 30; i++) {
		const res = await fetch("/thing-" + i, {headers: {"x-mine": "a field of this page, always the same"}})
		if (res.headers.get("x-steady").startsWith("a field that nobody knows") && await res.text() == "GET /thing-" + i + "\n") good++
	}
	document.getElementById("p").textContent = "good: " + good
})()
</script>`

// sequential asks aioquic for thirty things on one connection, one after the other.
const sequential = `
import asyncio, sys
sys.path.insert(0, "` + aioquicExamples + `")
from http3_client import HttpClient
from aioquic.asyncio.client import connect
from aioquic.h3.connection import H3_ALPN
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration

async def main(port, cafile):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN)
    configuration.load_verify_locations(cafile)
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=HttpClient) as client:
        good = 0
        for i in range(30):
            events = await client.get("https://127.0.0.1:%d/thing-%d" % (port, i), {"x-mine": "a field of this program, always the same"})
            fields = [h for e in events if isinstance(e, HeadersReceived) for h in e.headers]
            data = b"".join(e.data for e in events if isinstance(e, DataReceived))
            if data == b"GET /thing-%d\n" % i and (b"server", b"Godwit's interop tests") in fields:
                good += 1
        print("good:", good)

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
`

// aioquicPython is the interpreter that has aioquic.
var aioquicPython = &peer{name: "aioquic", path: "/usr/bin/python3"}

func TestTheDynamicTableWithClientsOfOthers(t *testing.T) {
	for _, c := range []struct {
		name  string
		peer  *peer
		ask   func(t *testing.T, s *site)
		ours  bool // it announces a table, so that our encoder uses it
		their bool // its encoder uses ours
	}{
		{"aioquic", aioquicPython, func(t *testing.T, s *site) {
			dir := newShare(t)
			dir.write(t, "sequential.py", sequential)
			cmd := aioquicPython.command(dir.peer+"/sequential.py", s.port, ca.peer+"/"+caFile)
			cmd.Env = append(cmd.Env, "PYTHONDONTWRITEBYTECODE=1")
			if r := succeed(within(t, 60*time.Second), t, cmd); !strings.Contains(r.stdout, "good: 30") {
				t.Errorf("aioquic says %q", r.stdout+r.stderr)
			}
		}, true, true},
		{"ngtcp2 with OpenSSL", osslClient, ngtcp2Things(osslClient), true, true},
		{"ngtcp2 with GnuTLS", gtlsClient, ngtcp2Things(gtlsClient), true, true},
		{"h2load", h2load, func(t *testing.T, s *site) {
			r := succeed(within(t, 60*time.Second), t, h2load.command("--alpn-list=h3", "-c4", "-m20", "-n2000", s.url+"/thing"))
			if !strings.Contains(r.stdout, "2000 succeeded, 0 failed, 0 errored, 0 timeout") {
				t.Errorf("h2load says: %s", tail(r.stdout))
			}
		}, true, true},
		{"Chromium", chromium, func(t *testing.T, s *site) {
			if dom := dumpDOM(t, s.addr, ca.spki, s.url+"/page"); !strings.Contains(dom, "good: 30") {
				t.Errorf("Chromium shows %q", tail(dom))
			}
		}, true, true},
		{"curl", curl, func(t *testing.T, s *site) {
			args := []string{"--header", "x-mine: a field of this command, always the same"}
			for i := range 30 {
				args = append(args, fmt.Sprintf("%s/thing-%d", s.url, i))
			}
			if r := succeed(within(t, 60*time.Second), t, curlTo(args...)); strings.Count(r.stdout, "[HTTP/3 200]") != 30 {
				t.Errorf("curl says %q", r.stdout)
			}
		}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			need(t, c.peer)
			server := &http3.Server{Handler: steady}
			s, _ := run(t, server, nil)
			c.ask(t, s)
			n := server.Stats().Compression
			t.Logf("%+v", n)
			if used := n.Inserted > 0 && n.Sections > 0; used != c.ours {
				t.Errorf("our encoder used the table: %v, want %v", used, c.ours)
			}
			if used := n.PeerInserted > 0 && n.PeerSections > 0; used != c.their {
				t.Errorf("our decoder's table was used: %v, want %v", used, c.their)
			}
		})
	}
}

// ngtcp2Things has a client of ngtcp2 ask for the same thing many times.
func ngtcp2Things(p *peer) func(t *testing.T, s *site) {
	return func(t *testing.T, s *site) {
		dir := newShare(t)
		succeed(within(t, 60*time.Second), t, p.command("--quiet", "--exit-on-all-streams-close", "--nstreams=200",
			"--download="+dir.peer, "127.0.0.1", s.port, s.url+"/thing"))
		if got := dir.read(t, "thing"); !strings.HasSuffix(got, "GET /thing\n") {
			t.Errorf("it read %q", got)
		}
	}
}

func TestTheDynamicTableWithServersOfOthers(t *testing.T) {
	for _, c := range []struct {
		name  string
		peers []*peer
		start func(t *testing.T) *server
		ours  bool // it announces a table, so that our encoder uses it
		their bool // its encoder uses ours
	}{
		{"aioquic", []*peer{aioquicServer}, func(t *testing.T) *server { return startAioquic(t) }, true, true},
		{"ngtcp2", []*peer{osslServer}, func(t *testing.T) *server { return startNgtcp2(t) }, true, true},
		{"nginx", []*peer{nginx}, func(t *testing.T) *server { return startNginx(t, "") }, true, false},
		{"HAProxy", []*peer{haproxy}, startHAProxy, false, false},
		{"quic-go", nil, startQuicGo, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			need(t, c.peers...)
			s := c.start(t)
			q, err := quic.Dial(t.Context(), s.addr, http3.ConfigureTLS(ca.client()), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			cc := http3.NewClientConn(q)
			client := &http.Client{Transport: always{cc}, Timeout: 30 * time.Second}
			for range 30 {
				wantGreeting(t, client, s.url+s.hello, 3)
			}
			hundredGreetings(t, client, s.url+s.hello)
			n := cc.Compression()
			t.Logf("%+v", n)
			if used := n.Inserted > 0 && n.Sections > 0; used != c.ours {
				t.Errorf("our encoder used the table: %v, want %v", used, c.ours)
			}
			if used := n.PeerInserted > 0 && n.PeerSections > 0; used != c.their {
				t.Errorf("our decoder's table was used: %v, want %v", used, c.their)
			}
		})
	}
}

// always adds a field to each request.
type always struct{ http.RoundTripper }

func (a always) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(context.Background())
	req.Header.Set("X-Mine", "a field of this test, always the same")
	return a.RoundTripper.RoundTrip(req)
}

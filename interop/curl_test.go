package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// within is a context for one transfer of a test.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// curlTo is curl over HTTP/3 alone, with the authority's certificate verified. It prints version and status after the content.
func curlTo(args ...string) *exec.Cmd {
	return curl.command(append([]string{"--silent", "--show-error", "--http3-only", "--max-time", "60",
		"--cacert", ca.peer + "/" + caFile, "--write-out", "[HTTP/%{http_version} %{http_code}]"}, args...)...)
}

func TestCurlAsksGodwit(t *testing.T) {
	need(t, curl)
	onBoth(t, func(t *testing.T, s *site) {
		t.Run("GET with a verified certificate", func(t *testing.T) {
			r := succeed(within(t, patience), t, curlTo(s.url+"/hello"))
			if want := greeting + "[HTTP/3 200]"; r.stdout != want {
				t.Errorf("curl says %q, want %q", r.stdout, want)
			}
		})
		t.Run("HEAD shows the fields and no content", func(t *testing.T) {
			r := succeed(within(t, patience), t, curlTo("--head", s.url+"/hello"))
			for _, want := range []string{"HTTP/3 200", "x-method: HEAD", "content-length: 22", "[HTTP/3 200]"} {
				if !strings.Contains(r.stdout, want) {
					t.Errorf("no %q in %q", want, r.stdout)
				}
			}
			if strings.Contains(r.stdout, greeting) {
				t.Errorf("content in the answer to HEAD: %q", r.stdout)
			}
		})
		t.Run("what is not there is 404", func(t *testing.T) {
			r := succeed(within(t, patience), t, curlTo(s.url+"/no/such/thing"))
			if !strings.HasSuffix(r.stdout, "[HTTP/3 404]") {
				t.Errorf("curl says %q", r.stdout)
			}
		})
		t.Run("trailers arrive", func(t *testing.T) {
			r := succeed(within(t, patience), t, curlTo("--dump-header", "-", s.url+"/trailers"))
			if !strings.Contains(r.stdout, "content before a trailer") || !strings.Contains(r.stdout, "x-checksum: bd5e") {
				t.Errorf("curl says %q", r.stdout)
			}
		})
		t.Run("server-sent events arrive one by one", func(t *testing.T) { eventsOneByOne(t, curlTo("--no-buffer", s.url+"/events")) })
	})
}

func TestCurlMovesLargeContent(t *testing.T) {
	need(t, curl)
	onBoth(t, func(t *testing.T, s *site) {
		dir := newShare(t)
		t.Run("POST of 10 MiB comes back byte by byte", func(t *testing.T) {
			name := dir.blobFile(t, 10*MiB)
			r := succeed(within(t, 60*time.Second), t, curlTo("--data-binary", "@"+dir.peer+"/"+name,
				"--output", dir.peer+"/echoed", s.url+"/echo"))
			if r.stdout != "[HTTP/3 200]" {
				t.Errorf("curl says %q", r.stdout)
			}
			wantBlobFile(t, filepath.Join(dir.host, "echoed"), 10*MiB)
		})
		t.Run("100 MiB down", func(t *testing.T) {
			out := "down"
			succeed(within(t, 60*time.Second), t, curlTo("--output", dir.peer+"/"+out, fmt.Sprintf("%s/blob?n=%d", s.url, 100*MiB)))
			wantBlobFile(t, filepath.Join(dir.host, out), 100*MiB)
		})
		t.Run("64 MiB up, of a length that is not announced", func(t *testing.T) {
			name := dir.blobFile(t, 64*MiB)
			upload := curlTo("--upload-file", "-", "--request", "POST", s.url+"/sum")
			f, err := os.Open(filepath.Join(dir.host, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			upload.Stdin = f
			if r := succeed(within(t, 60*time.Second), t, upload); r.stdout != summed(64*MiB)+"[HTTP/3 200]" {
				t.Errorf("curl says %q, want %q", r.stdout, summed(64*MiB))
			}
		})
	})
}

func TestCurlMakesAHundredTransfersAtOnce(t *testing.T) {
	need(t, curl)
	const each = 50_000
	for _, c := range []struct{ name, flag string }{
		{"on one connection", "--no-parallel-immediate"},
		{"on as many connections", "--parallel-immediate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s *site) {
				dir := newShare(t)
				r := succeed(within(t, 60*time.Second), t, curlTo("--parallel", "--parallel-max", "100", c.flag,
					"--output", dir.peer+"/#1", fmt.Sprintf("%s/blob?n=%d&i=[1-100]", s.url, each)))
				if n := strings.Count(r.stdout, "[HTTP/3 200]"); n != 100 {
					t.Errorf("%d of 100 transfers succeeded: %s", n, tail(r.stdout+r.stderr))
				}
				for i := range 100 {
					wantBlobFile(t, filepath.Join(dir.host, fmt.Sprint(i+1)), each)
				}
			})
		})
	}
}

// eventsOneByOne runs a client that prints the events of /events as they come. They are 200 ms apart at their source, so
// a client that gets one of them together with the next has been kept waiting.
func eventsOneByOne(t *testing.T, client *exec.Cmd) {
	t.Helper()
	p := start(t, client)
	for i := range 3 {
		eventually(t, fmt.Sprintf("event %d", i), func() bool {
			return strings.Contains(p.out.String(), fmt.Sprintf("data: event %d\n", i))
		})
		if got := p.out.String(); i < 2 && strings.Contains(got, fmt.Sprintf("event %d", i+2)) {
			t.Errorf("event %d came together with event %d", i, i+2)
		}
	}
	<-p.done
}

// Browsers and curl come to HTTP/3 as strangers: by the Alt-Svc field of an answer over TCP.
func TestCurlLearnsHTTP3FromAltSvc(t *testing.T) {
	need(t, curl)
	s := serveOrigin(t)
	dir := newShare(t)
	ask := func() string {
		return succeed(within(t, patience), t, curl.command("--silent", "--show-error", "--max-time", "20",
			"--cacert", ca.peer+"/"+caFile, "--alt-svc", dir.peer+"/alt-svc", "--resolve", "localhost:"+s.port+":127.0.0.1",
			"--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", "https://localhost:"+s.port+"/hello")).stdout
	}
	if got := ask(); got != "2 200" {
		t.Errorf("the first answer is %q, want one over HTTP/2", got)
	}
	cache, _ := os.ReadFile(filepath.Join(dir.host, "alt-svc"))
	if !strings.Contains(string(cache), "h3 localhost "+s.port) && !strings.Contains(string(cache), "h3 127.0.0.1 "+s.port) {
		t.Errorf("curl has not learnt of h3 on port %s: %s", s.port, cache)
	}
	if got := ask(); got != "3 200" {
		t.Errorf("the second answer is %q, want one over HTTP/3", got)
	}
}

package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	quicgo "github.com/quic-go/quic-go/http3"
)

// quicGoClient is quic-go's HTTP/3 client, which trusts the authority.
func quicGoClient(t *testing.T) *http.Client {
	tr := &quicgo.Transport{TLSClientConfig: ca.client()}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: 90 * time.Second}
}

func TestQuicGoAsksGodwit(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		client := quicGoClient(t)
		t.Run("GET", func(t *testing.T) { wantGreeting(t, client, s.url+"/hello", 3) })
		t.Run("200 requests at once", func(t *testing.T) { manyAtOnce(t, client, s.url, 200) })
		t.Run("100 MiB down", func(t *testing.T) { down(t, client, s.url, 100*MiB) })
		t.Run("64 MiB up", func(t *testing.T) { up(t, client, s.url, 64*MiB) })
		t.Run("content both ways at once", func(t *testing.T) { bothWays(t, client, s.url) })
		t.Run("trailers", func(t *testing.T) { wantTrailer(t, client, s.url) })
		t.Run("a resumed session", func(t *testing.T) { quicGoResumes(t, s) })
		t.Run("a cancelled request ends the handler's", func(t *testing.T) { cancelled(t, client, s) })
	})
}

// wantGreeting asks for /hello and wants the greeting over the given major version.
func wantGreeting(t *testing.T, client *http.Client, url string, major int) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != greeting || res.StatusCode != 200 || res.ProtoMajor != major {
		t.Errorf("%s %s %q, error %v; want %q over HTTP/%d", res.Proto, res.Status, body, err, greeting, major)
	}
}

// manyAtOnce asks for n different lengths, all at the same time.
func manyAtOnce(t *testing.T, client *http.Client, url string, n int) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			size := int64(1000 + 100*i)
			res, err := client.Get(fmt.Sprintf("%s/blob?n=%d", url, size))
			if err != nil {
				t.Errorf("request %d: %v", i, err)
				return
			}
			defer res.Body.Close()
			wantBlob(t, res.Body, size)
		})
	}
	all.Wait()
}

// quicGoResumes connects twice and wants the server to resume the TLS session the second time.
func quicGoResumes(t *testing.T, s *site) {
	t.Helper()
	conf := ca.client()
	tickets := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(10)}
	conf.ClientSessionCache = tickets
	for _, want := range []bool{false, true} {
		tr := &quicgo.Transport{TLSClientConfig: conf}
		res, err := tr.RoundTrip(mustRequest(t, s.url+"/hello"))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		if res.TLS == nil || res.TLS.DidResume != want {
			t.Errorf("resumed: %v, want %v", res.TLS != nil && res.TLS.DidResume, want)
		}
		eventually(t, "a session ticket", func() bool { return tickets.stored.Load() > 0 })
		tr.Close()
	}
}

func down(t *testing.T, client *http.Client, url string, n int64) {
	t.Helper()
	res, err := client.Get(fmt.Sprintf("%s/blob?n=%d", url, n))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ContentLength != n {
		t.Errorf("content length %d, want %d", res.ContentLength, n)
	}
	wantBlob(t, res.Body, n)
}

func up(t *testing.T, client *http.Client, url string, n int64) {
	t.Helper()
	res, err := client.Post(url+"/sum", "application/octet-stream", io.NopCloser(blob(n)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); string(body) != summed(n) {
		t.Errorf("the origin read %q, error %v; want %q", body, err, summed(n))
	}
}

// bothWays sends a line only after the last one has come back.
func bothWays(t *testing.T, client *http.Client, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	body, feed := io.Pipe()
	defer feed.Close()
	req, _ := http.NewRequestWithContext(ctx, "POST", url+"/echo", body)
	go io.WriteString(feed, "line 0")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for i := range 5 {
		got := make([]byte, len("line 0"))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != fmt.Sprintf("line %d", i) {
			t.Fatalf("read %q, error %v", got, err)
		}
		if i < 4 {
			fmt.Fprintf(feed, "line %d", i+1)
		}
	}
	feed.Close()
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
		t.Errorf("after the last line: %q, error %v", rest, err)
	}
}

func wantTrailer(t *testing.T, client *http.Client, url string) {
	t.Helper()
	res, err := client.Get(url + "/trailers")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if got := res.Trailer.Get("X-Checksum"); got != "bd5e" {
		t.Errorf("trailers %v, want X-Checksum: bd5e", res.Trailer)
	}
}

// cancelled gives up a request half way and wants the origin to hear of it.
func cancelled(t *testing.T, client *http.Client, s *site) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/wait", nil)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	cancel()
	if _, err := io.ReadAll(res.Body); !errors.Is(err, context.Canceled) && err == nil {
		t.Error("reading a cancelled response succeeded")
	}
	eventually(t, "the origin's request to end", func() bool { return s.origin.cancelled.Load() > 0 })
	wantGreeting(t, client, s.url+"/hello", 3) // the connection has survived
}

// Go's own client, over TCP: the same port, the same answers.
func TestGoAsksGodwitOverTCP(t *testing.T) {
	s := serveOrigin(t)
	for _, c := range []struct {
		name  string
		major int
		h2    bool
	}{{"HTTP/2", 2, true}, {"HTTP/1.1", 1, false}} {
		t.Run(c.name, func(t *testing.T) {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!c.h2)
			protocols.SetHTTP2(c.h2)
			tr := &http.Transport{TLSClientConfig: ca.client(), Protocols: protocols}
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr, Timeout: 60 * time.Second}
			wantGreeting(t, client, s.url+"/hello", c.major)
			down(t, client, s.url, 10*MiB)
			up(t, client, s.url, 10*MiB)
			wantTrailer(t, client, s.url)
			manyAtOnce(t, client, s.url, 50)
			res, err := client.Get(s.url + "/hello")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if field := res.Header.Get("Alt-Svc"); !strings.Contains(field, `h3=":`+s.port+`"`) {
				t.Errorf("Alt-Svc is %q, want port %s in it", field, s.port)
			}
		})
	}
}

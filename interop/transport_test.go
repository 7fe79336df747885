package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// client is http3.Transport in this process, which trusts the authority.
func client(t *testing.T) (*http.Client, *http3.Transport) {
	tr := &http3.Transport{TLSClientConfig: ca.client()}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: 90 * time.Second}, tr
}

func TestTransportAsksServersOfOthers(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		c, _ := client(t)
		t.Run("GET", func(t *testing.T) { wantGreeting(t, c, s.url+s.hello, 3) })
		t.Run("HEAD", func(t *testing.T) {
			res, err := c.Head(s.url + s.large)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if n, _ := io.Copy(io.Discard, res.Body); n != 0 || res.StatusCode != 200 || res.ContentLength != s.size {
				t.Errorf("%s, %d bytes of content, length %d; want 200, none, %d", res.Status, n, res.ContentLength, s.size)
			}
		})
		t.Run("what is not there is 404", func(t *testing.T) {
			res, err := c.Get(s.url + "/no/such/thing")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 404 {
				t.Errorf("status %s", res.Status)
			}
		})
		t.Run("large content down", func(t *testing.T) {
			res, err := c.Get(s.url + s.large)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			wantBlob(t, res.Body, s.size)
		})
		t.Run("100 requests at once", func(t *testing.T) { hundredGreetings(t, c, s.url+s.hello) })
		t.Run("POST", func(t *testing.T) { post(t, c, s) })
	})
}

// hundredGreetings asks a hundred times at once.
func hundredGreetings(t *testing.T, c *http.Client, url string) {
	done := make(chan string, 100)
	for range 100 {
		go func() {
			res, err := c.Get(url)
			if err != nil {
				done <- err.Error()
				return
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			done <- string(body)
		}()
	}
	for range 100 {
		if got := <-done; got != greeting {
			t.Errorf("%q, want the greeting", got)
		}
	}
}

// post sends content as large as the server can bear.
func post(t *testing.T, c *http.Client, s *server) {
	switch {
	case s.sum != "":
		n := int64(20 * MiB)
		res, err := c.Post(s.url+s.sum, "application/octet-stream", io.NopCloser(blob(n)))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); string(body) != summed(n) {
			t.Errorf("the origin read %q, error %v; want %q", body, err, summed(n))
		}
	case s.echo != "":
		sent, _ := io.ReadAll(blob(2 * MiB))
		res, err := c.Post(s.url+s.echo, "application/octet-stream", bytes.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		wantBlob(t, res.Body, 2*MiB)
	default:
		t.Skip("this server takes no content")
	}
}

// A second connection resumes the TLS session of the first where the server gives tickets.
func TestTransportResumesSessions(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		conf := ca.client()
		tickets := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(10)}
		conf.ClientSessionCache = tickets
		resumed := func() bool {
			var last *quic.Conn
			tr := &http3.Transport{TLSClientConfig: conf}
			defer tr.Close()
			tr.Dial = dialAnd(func(c *quic.Conn) { last = c })
			wantGreeting(t, &http.Client{Transport: tr, Timeout: patience}, s.url+s.hello, 3)
			for end := time.Now().Add(time.Second); tickets.stored.Load() == 0 && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond)
			}
			return last.Stats().Resumed
		}
		if resumed() {
			t.Error("the first connection claims to be resumed")
		}
		if tickets.stored.Load() == 0 {
			t.Skip("the server gave no ticket")
		}
		if !resumed() {
			t.Error("the second connection was not resumed")
		}
	})
}

// dialAnd is Transport.Dial with a look at each connection.
func dialAnd(f func(*quic.Conn)) func(context.Context, string, *tls.Config, *quic.Config) (*quic.Conn, error) {
	return func(ctx context.Context, addr string, conf *tls.Config, c *quic.Config) (*quic.Conn, error) {
		conn, err := quic.Dial(ctx, addr, conf, c)
		if err == nil {
			f(conn)
		}
		return conn, err
	}
}

// countingCache counts the tickets that come.
type countingCache struct {
	tls.ClientSessionCache
	stored atomic.Int64
}

func (c *countingCache) Put(key string, s *tls.ClientSessionState) {
	if s != nil {
		c.stored.Add(1)
	}
	c.ClientSessionCache.Put(key, s)
}

// A certificate for another name, or from an authority that nobody trusts, ends the handshake on our side.
func TestTransportRefusesForeignCertificates(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		tr := &http3.Transport{}
		defer tr.Close()
		_, err := (&http.Client{Transport: tr, Timeout: patience}).Get(s.url + s.hello)
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("error %v, want one about the certificate", err)
		}
	})
}

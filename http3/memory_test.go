//go:build !race

package http3_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// TestIdleConnectionIsSmall measures what a pair of idle HTTP/3 connections, client and server, keeps on the heap once both have
// been at rest for a second. The race detector's shadow is on the
// heap as well, so that it is not measured with it.
func TestIdleConnectionIsSmall(t *testing.T) {
	const conns, maxIdleBytes = 200, 24 << 10
	srv := &http3.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hi") })}
	e, err := quic.Listen("127.0.0.1:0", http3.ConfigureTLS(serverTLS()), nil)
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(e)
	t.Cleanup(func() { srv.Close() })
	client, err := quic.NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	conf := clientTLS()
	var transports []*http3.Transport
	open := func() {
		tr := &http3.Transport{TLSClientConfig: conf}
		tr.Dial = func(ctx context.Context, addr string, tlsConf *tls.Config, c *quic.Config) (*quic.Conn, error) {
			return client.Dial(ctx, addr, tlsConf, c)
		}
		transports = append(transports, tr)
		req, err := http.NewRequest("GET", "https://"+e.Addr().String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // the first one empties pools, the second their victims
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	open()
	before, goroutines := heap(), runtime.NumGoroutine()
	for range conns {
		open()
	}
	var each int64
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if each = (int64(heap()) - int64(before)) / (2 * conns); each <= maxIdleBytes && runtime.NumGoroutine() <= goroutines {
			t.Logf("%d bytes each", each)
			return
		}
	}
	t.Errorf("an idle connection keeps %d bytes, the limit is %d, and there are %d goroutines more", each, maxIdleBytes, runtime.NumGoroutine()-goroutines)
	runtime.KeepAlive(transports)
}

package tunnel

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/godwit-net/godwit/quic"
)

func TestRequestsBeyondTheLimitWait(t *testing.T) {
	goroutinesReturn(t)
	x, err := ListenExit("127.0.0.1:0", ExitConfig{To: &url.URL{Scheme: "http", Host: "h"}, Logger: (&world{log: new(logBuffer)}).logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	finish := make(chan struct{})
	var running, most atomic.Int64
	x.server.ReadHeaderTimeout = forever // four thousand requests at once take a slow machine long
	x.server.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-finish
		running.Add(-1)
	})
	go x.Serve()
	ctx, cancel := context.WithTimeout(context.Background(), forever)
	defer cancel()
	token := tokenFor(t, x.Key(), x.Addr().String())
	q, err := quic.Dial(ctx, x.Addr().String(), token.entryTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(q, "", forever)
	defer s.close()
	var all sync.WaitGroup
	for range maxRequests + 10 {
		all.Go(func() {
			req := (&http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Host: "h"}, Header: http.Header{}}).WithContext(ctx)
			if res, err := s.roundTrip(req); err != nil {
				t.Error(err)
			} else if res.Body.Close(); res.StatusCode != 200 {
				t.Error(res.Status)
			}
		})
	}
	eventually(t, "the limit is reached", func() bool { return x.server.Stats().Requests >= maxRequests })
	for range 10 {
		finish <- struct{}{}
	}
	eventually(t, "those that waited have begun", func() bool { return x.server.Stats().Requests == maxRequests+10 })
	close(finish)
	all.Wait()
	if n := most.Load(); n != maxRequests {
		t.Errorf("%d requests ran at a time", n)
	}
}

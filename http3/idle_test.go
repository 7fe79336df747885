package http3_test

import (
	"context"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// A connection that ends while a handler runs is forgotten when that has returned: the idle timer, which would start then, does not
// hold its memory until it fires.
func TestAnEndedConnectionWaitsForNoTimer(t *testing.T) {
	type mark struct{ _ [64]byte }
	type key struct{}
	var freed atomic.Bool
	running, end := make(chan bool, 1), make(chan bool)
	h := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		running <- true
		<-end
	}), func(s *http3.Server) {
		s.IdleTimeout = time.Hour
		s.ConnContext = func(ctx context.Context, _ *quic.Conn) context.Context {
			m := new(mark)
			runtime.AddCleanup(m, func(*atomic.Bool) { freed.Store(true) }, &freed)
			return context.WithValue(ctx, key{}, m)
		}
	})
	done := make(chan bool)
	go func() {
		defer close(done)
		if res, err := h.Client.Get(h.URL); err == nil {
			res.Body.Close()
		}
	}()
	<-running
	h.Transport.Close()
	<-done
	waitFor(t, "the server knows that the connection has ended", func() bool { return h.Server.Stats().Conns == 0 })
	close(end)
	waitFor(t, "its memory is free", func() bool {
		runtime.GC()
		return freed.Load()
	})
}

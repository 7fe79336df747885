package http3_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// The handler is done long before the client has read: the rest waits in the server for the client's flow control.
func TestShutdownWaitsForAClientThatPausesReading(t *testing.T) {
	const size = 20_000
	handled := make(chan struct{})
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, size))
		close(handled)
	}))
	tr := &http3.Transport{TLSClientConfig: clientTLS(), QUIC: &quic.Config{Windows: quic.Windows{StreamWindow: 8 << 10, MaxStreamWindow: 8 << 10}}}
	defer tr.Close()
	req, _ := http.NewRequestWithContext(t.Context(), "GET", h.URL, nil)
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	<-handled
	ended := make(chan error, 1)
	go func() { ended <- h.Server.Shutdown(t.Context()) }()
	select {
	case err := <-ended:
		t.Fatalf("Shutdown did not wait: %v", err)
	case <-time.After(1500 * time.Millisecond): // longer than the silence after which a client that has all is let go
	}
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("read %d bytes, error %v; want %d", n, err, size)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package http3_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// What a handler has flushed arrives although it breaks off, however slowly it is read; and no client takes it for all.
func TestWhatWasFlushedArrivesBeforeTheEndThatIsMissing(t *testing.T) {
	want := bytes.Repeat([]byte("flushed "), 6_000) // all of it fits the send buffer
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short" {
			w.Header().Set("Content-Length", "1000000")
		}
		w.Write(want)
		w.(http.Flusher).Flush()
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/panic":
			io.WriteString(w, "and this was not")
			panic("oops")
		}
	}))
	// Windows that are smaller than the response: most of it waits when the handler breaks off.
	tr := &http3.Transport{TLSClientConfig: clientTLS(), QUIC: &quic.Config{Windows: quic.Windows{StreamWindow: 8 << 10, MaxStreamWindow: 8 << 10}}}
	defer tr.Close()
	for _, path := range []string{"/abort", "/panic", "/short"} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", h.URL+path, nil)
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(path, err)
		}
		waitFor(t, "the handler has broken off", func() bool { return h.Server.Stats().Running == 0 })
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes arrived, want the %d that were flushed", path, len(got), len(want))
		}
		wantCode(t, err, http3.InternalError)
	}
}

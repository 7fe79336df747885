package http3_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// TestAResponseOutlivesTheConnection: a server may close right behind its last response, and a client may be slow to read.
func TestAResponseOutlivesTheConnection(t *testing.T) {
	want := bytes.Repeat([]byte("all of it"), 10_000)
	h := rawServer(t, func(c *quic.Conn) {
		sayOn(c, uni(h3.StreamControl, settings))
		if s := nextRequest(c); s != nil {
			s.WriteFinal(join(ok200, frame(h3.FrameData, want...)))
			for s := c.Stats(); s.InFlight > 0 || s.Unsent > 0; s = c.Stats() { // what has not arrived cannot outlive anything
				runtime.Gosched()
			}
			c.CloseWithError(uint64(h3.H3NoError), "")
		}
	})
	conn, err := quic.Dial(t.Context(), h.Addr, clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, _ := http.NewRequest("GET", h.URL, nil)
	resp, err := (&http3.Transport{}).NewClientConn(conn).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	<-conn.Context().Done()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes and %v after the connection was closed, want all %d", len(got), err, len(want))
	}
}

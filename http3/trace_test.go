package http3_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

func (l *logged) Close() error { return nil }

func TestBothSidesWriteHTTP3EventsIntoTheirQLogs(t *testing.T) {
	var client, server logged
	into := func(l *logged) *quic.Config {
		return &quic.Config{QLog: func(quic.QLogInfo) io.WriteCloser { return l }}
	}
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Answer", "42")
		io.WriteString(w, "hello")
	}), func(s *http3.Server) { s.QUIC = into(&server) })
	h.Transport.QUIC = into(&client)
	req, _ := http.NewRequest("GET", h.URL+"/question", nil)
	req.Header.Set("Authorization", "Basic c2VjcmV0")
	res, err := h.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if err := h.Server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for side, log := range map[string]*logged{"client": &client, "server": &server} {
		waitFor(t, side+"'s GOAWAY", func() bool { return strings.Contains(log.String(), `"goaway"`) })
		text := log.String()
		for _, want := range []string{"http3:parameters_set", "http3:stream_type_set", "http3:frame_created",
			"http3:frame_parsed", "/question", "x-answer", `"frame_type":"data"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s", side, want)
			}
		}
		if strings.Contains(text, "c2VjcmV0") {
			t.Errorf("%s: the secret is in the log", side)
		}
	}
}

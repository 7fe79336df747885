package http3_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/godwit-net/godwit/http3"
)

func TestAServerNamesItsOrigins(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "b.example:8443" {
			w.WriteHeader(http.StatusMisdirectedRequest)
		}
	}), func(s *http3.Server) { s.Origins = []string{"https://example.com", "https://b.example:8443"} })
	cc := http3.NewClientConn(h.dial(t))
	client := &http.Client{Transport: cc}
	own := "https://localhost:" + h.Addr[len("127.0.0.1:"):] // the name that TLS was asked for
	waitFor(t, "the ORIGIN frame", func() bool {
		return slices.Equal(cc.Origins(), []string{own, "https://example.com", "https://b.example:8443"})
	})
	if res := fetch(t, client, "https://example.com/"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
	if res := fetch(t, client, "https://b.example:8443/"); res.StatusCode != 421 {
		t.Error(res.Status)
	}
	if got := cc.Origins(); !slices.Equal(got, []string{own, "https://example.com"}) {
		t.Errorf("after 421: %q", got)
	}

	silent := http3.NewClientConn(start(t, readAnything).dial(t))
	fetch(t, &http.Client{Transport: silent}, "https://localhost/")
	if got := silent.Origins(); got != nil {
		t.Errorf("a server that names none: %q", got)
	}
}

package h3_test

import (
	"net/http"
	"testing"

	"github.com/godwit-net/godwit/internal/h3"
)

func TestCanonicalNamesAreThoseOfNetHTTP(t *testing.T) {
	for _, name := range []string{"accept", "content-type", "etag", "te", "www-authenticate", "x-custom-header", "x", "a--b",
		"-a", "a-", "dnt", "x_y-z", "1a-2b", "sec-ch-ua-full-version-list", "sec-websocket-key"} {
		if got, want := h3.CanonicalName(name), http.CanonicalHeaderKey(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if got := h3.LowerName(http.CanonicalHeaderKey(name)); got != name {
			t.Errorf("%s: back to %s", name, got)
		}
	}
}

func TestCommonNamesCostNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		_ = h3.CanonicalName("content-type")
		_ = h3.LowerName("Content-Type")
		_ = h3.LowerName("x-anything")
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

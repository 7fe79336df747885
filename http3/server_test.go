package http3_test

import (
	"io"
	"net/http"
	"testing"
)

func TestHello(t *testing.T) {
	h := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello "+r.URL.Path)
	}))
	res, err := h.Client.Get(h.URL + "/world")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	t.Log(res, string(b), err)
	res.Body.Close()
}

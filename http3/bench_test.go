package http3_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/godwit-net/godwit/http3"
)

// BenchmarkGet1K is a GET of 1 KiB over loopback: client, server and QUIC
// underneath in one process, so that allocs/op are those of both sides together.
func BenchmarkGet1K(b *testing.B) {
	content := make([]byte, 1024)
	h := start(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(content) }))
	req, _ := http.NewRequest("GET", h.URL, nil)
	b.ReportAllocs()
	for b.Loop() {
		res, err := h.Transport.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); n != 1024 || err != nil {
			b.Fatal(n, err)
		}
		res.Body.Close()
	}
}

// BenchmarkGet1KServer is the same with a client that does next to nothing.
func BenchmarkGet1KServer(b *testing.B) {
	content := make([]byte, 1024)
	h := start(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(content) }))
	c := h.dial(b)
	request := getHeaders("user-agent", "bench", "accept", "*/*")
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		s, err := c.OpenStream(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		s.WriteFinal(request)
		for err == nil {
			_, err = s.Read(buf)
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}

func BenchmarkDownload(b *testing.B) {
	content := make([]byte, 8<<20)
	h := start(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(content) }))
	b.SetBytes(int64(len(content)))
	buf := make([]byte, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		res, err := h.Client.Get(h.URL)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, buf); int(n) != len(content) || err != nil {
			b.Fatal(n, err)
		}
		res.Body.Close()
	}
}

func BenchmarkParallelGet1K(b *testing.B) {
	content := make([]byte, 1024)
	h := start(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(content) }))
	cc := http3.NewClientConn(h.dial(b))
	req, _ := http.NewRequest("GET", h.URL, nil)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := cc.RoundTrip(req)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
}

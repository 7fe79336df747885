package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// origin is the site that stands behind godwit, or that godwit's own server runs directly.
type origin struct {
	cancelled atomic.Int64 // requests to /wait whose context ended
	waiting   atomic.Int64 // requests to /wait so far
}

// greeting is what /hello says.
const greeting = "hello from the origin\n"

func (o *origin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("GET /blob", sendBlob)
	mux.HandleFunc("POST /echo", echo)
	mux.HandleFunc("/sum", sum)
	mux.HandleFunc("GET /trailers", trailers)
	mux.HandleFunc("GET /events", events)
	mux.HandleFunc("/wait", o.wait)
	return mux
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("Content-Length", strconv.Itoa(len(greeting)))
	io.WriteString(w, greeting)
}

// sendBlob answers /blob?n=N with blob(N).
func sendBlob(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.FormValue("n"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	io.Copy(w, blob(n))
}

// echo sends back what it reads while it reads it.
func echo(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	control.EnableFullDuplex() // HTTP/1.1 needs it to be said; HTTP/3 always is
	w.Header().Set("Content-Type", "application/octet-stream")
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			control.Flush()
		}
		if err != nil {
			return
		}
	}
}

// sum answers with SHA-256 and length of the request's content, and how far it got when reading failed.
func sum(w http.ResponseWriter, r *http.Request) {
	s, n, err := sumOf(r.Body)
	if err != nil {
		http.Error(w, fmt.Sprintf("after %d bytes: %v", n, err), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s %d\n", s, n)
}

// summed is what sum answers to blob(n).
func summed(n int64) string { return fmt.Sprintf("%s %d\n", blobSum(n), n) }

func trailers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Checksum")
	io.WriteString(w, "content before a trailer\n")
	w.(http.Flusher).Flush()
	w.Header().Set("X-Checksum", "bd5e")
}

// events sends three server-sent events, each after the last one was flushed and some time has passed.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 3 {
		fmt.Fprintf(w, "data: event %d\n\n", i)
		w.(http.Flusher).Flush()
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// wait answers only when the client has gone.
func (o *origin) wait(w http.ResponseWriter, r *http.Request) {
	o.waiting.Add(1)
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	o.cancelled.Add(1)
}

// startOrigin serves an origin over HTTP/1.1 on a free port of 127.0.0.1.
func startOrigin(t *testing.T) (o *origin, url string) {
	o = new(origin)
	s := httptest.NewServer(o.handler())
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return o, s.URL
}

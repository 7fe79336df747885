package tunnel

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestARequestArrivesAsTheClientSentIt(t *testing.T) {
	goroutinesReturn(t)
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s host=%s body=%q length=%d\n", r.Method, r.RequestURI, r.Host, body, r.ContentLength)
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Accept-Encoding",
			"User-Agent", "Te", "X-Custom", "Keep-Alive", "X-Hop", "Proxy-Authorization", "Godwit-Tunnel"} {
			if v, ok := r.Header[name]; ok {
				fmt.Fprintf(w, "%s=%q\n", name, v)
			}
		}
	})
	for _, c := range []struct{ name, request, want string }{
		{"a bare request", "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n",
			"GET / host=shop.example body=\"\" length=0\nX-Forwarded-For=[\"127.0.0.1\"]\nX-Forwarded-Host=[\"shop.example\"]\nX-Forwarded-Proto=[\"http\"]\n"},
		{"a path and a query that Go would write otherwise", "GET //a/%2fb/../c%20d?x=1;y=%zz&&e HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			"GET //a/%2fb/../c%20d?x=1;y=%zz&&e host=h "},
		{"a question mark alone", "GET /? HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET /? host=h "},
		{"a body with a length", "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", "POST /p host=h body=\"hello\" length=5"},
		{"a body in chunks", "PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "PUT /p host=h body=\"hello\" length=-1"},
		{"an empty body with a length", "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "POST /p host=h body=\"\" length=0"},
		{"a method of its own", "BREW /pot HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "BREW /pot host=h "},
		{"what the client claims about itself is replaced",
			"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n",
			"X-Forwarded-For=[\"127.0.0.1\"]\nX-Forwarded-Host=[\"h\"]\nX-Forwarded-Proto=[\"http\"]\n"},
		{"hop-by-hop fields stay on their hop",
			"GET / HTTP/1.1\r\nHost: h\r\nX-Custom: stays\r\nX-Hop: goes\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nTE: trailers, deflate\r\nConnection: close, X-Hop\r\n\r\n",
			"X-Forwarded-Proto=[\"http\"]\nTe=[\"trailers\"]\nX-Custom=[\"stays\"]\n"},
		{"nobody talks to the exit itself", "GET / HTTP/1.1\r\nHost: h\r\nGodwit-Tunnel: godwit-tunnel/1\r\nConnection: close\r\n\r\n", "X-Forwarded-Proto=[\"http\"]\n"},
		{"an offer of HTTP/2 is let pass", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n", "GET / host=h "},
		{"HTTP/1.0", "GET /old HTTP/1.0\r\n\r\n", "GET /old host=127.0.0.1:"},
	} {
		got := w.raw(c.request)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q in it", c.name, got, c.want)
		}
		for _, never := range []string{"X-Hop=", "Keep-Alive=", "Proxy-Authorization=", "Godwit-Tunnel=", "1.2.3.4"} {
			if strings.Contains(got, never) {
				t.Errorf("%s: %s has passed: %q", c.name, never, got)
			}
		}
	}
}

func TestAResponseArrivesAsThePlatformSentIt(t *testing.T) {
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			h.Set("Etag", `"x"`)
			w.WriteHeader(304)
		case "/head":
			h.Set("Content-Length", "12345")
		case "/untyped":
			h["Content-Type"] = nil
			io.WriteString(w, "<html>")
		case "/twice":
			h.Add("Set-Cookie", "a=1")
			h.Add("Set-Cookie", "b=2")
			h.Set("Keep-Alive", "timeout=5")
			w.WriteHeader(418)
		case "/gzip":
			h.Set("Content-Encoding", "gzip")
			io.WriteString(w, "not really")
		case "/trailers":
			h.Set("Trailer", "X-Sum")
			io.WriteString(w, "body")
			h.Set("X-Sum", "42")
			h.Set(http.TrailerPrefix+"X-Late", "too")
		}
	})
	for _, c := range []struct {
		method, path string
		status       int
		length       int64
		body         string
		fields       map[string]string
	}{
		{"GET", "/204", 204, 0, "", map[string]string{"Content-Length": "", "Content-Type": ""}},
		{"GET", "/304", 304, 0, "", map[string]string{"Etag": `"x"`}},
		{"HEAD", "/head", 200, 12345, "", nil},
		{"GET", "/untyped", 200, 6, "<html>", map[string]string{"Content-Type": ""}},
		{"GET", "/twice", 418, 0, "", map[string]string{"Set-Cookie": "a=1", "Keep-Alive": ""}},
		{"GET", "/gzip", 200, 10, "not really", map[string]string{"Content-Encoding": "gzip"}},
		{"GET", "/nothing", 200, 0, "", nil},
	} {
		res, body := w.do(w.request(c.method, c.path, nil))
		if res.StatusCode != c.status || res.ContentLength != c.length || body != c.body {
			t.Errorf("%s %s: %d, length %d, body %q", c.method, c.path, res.StatusCode, res.ContentLength, body)
		}
		for name, want := range c.fields {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s %s: %s = %q, want %q", c.method, c.path, name, got, want)
			}
		}
	}
	res, body := w.get("/trailers")
	if body != "body" || res.Trailer.Get("X-Sum") != "42" || res.Trailer.Get("X-Late") != "too" {
		t.Errorf("body %q, trailers %v", body, res.Trailer)
	}
}

func TestTrailersOfARequestArrive(t *testing.T) {
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Trailer.Get("X-Sum"))
	})
	got := w.raw("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 42\r\n\r\n")
	contains(t, got, "200 OK", "\r\n\r\n42")
}

func TestInterimResponsesPass(t *testing.T) {
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(413) // the body is not asked for
			return
		}
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	var seen []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		seen = append(seen, strings.TrimSpace(strconv.Itoa(code)+" "+h.Get("Link")))
		return nil
	}}
	req := w.request("POST", "/", strings.NewReader("content"))
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	req.Header.Set("Expect", "100-continue")
	if _, body := w.do(req); body != "content" {
		t.Errorf("body %q", body)
	}
	if got := strings.Join(seen, ", "); got != "103 </style.css>, 100" {
		t.Errorf("1xx responses: %s", got)
	}
	read := make(chan struct{}, 1)
	req = w.request("POST", "/refuse", readerFunc(func([]byte) (int, error) { read <- struct{}{}; return 0, io.EOF }))
	req.Header.Set("Expect", "100-continue")
	if res, _ := w.do(req); res.StatusCode != 413 {
		t.Errorf("status %d", res.StatusCode)
	}
	select {
	case <-read:
		t.Error("the client was told to send a body that nobody wanted")
	default:
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Each event is sent only after the client has acknowledged the one before, by another request: were one held back
// anywhere, the test would stand still.
func TestEventsArriveOneByOne(t *testing.T) {
	acknowledged := make(chan string)
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ack" {
			acknowledged <- r.URL.RawQuery
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 20 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case got := <-acknowledged:
				if got != strconv.Itoa(i) {
					t.Errorf("event %d was acknowledged as %s", i, got)
				}
			case <-r.Context().Done(): // the test has failed
				return
			}
		}
	})
	res, err := w.client.Do(w.request("GET", "/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for i := 0; i < 20; {
		if !lines.Scan() {
			t.Fatalf("the stream ended before event %d: %v", i, lines.Err())
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			w.get("/ack?" + data)
			i++
		}
	}
}

// A header is on its way before the first byte of its body is known, whatever the platform says about the length.
func TestHeadersAndPiecesAreNotHeldBack(t *testing.T) {
	step := make(chan struct{})
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2")
		for _, piece := range []string{"", "a", "b"} {
			io.WriteString(w, piece)
			w.(http.Flusher).Flush()
			<-step
		}
	})
	res, err := w.client.Do(w.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, want := range []string{"a", "b"} {
		step <- struct{}{}
		got := make([]byte, 1)
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	step <- struct{}{}
}

// An echo whose every byte waits for the one before it.
func TestBothDirectionsStreamAtOnce(t *testing.T) {
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		b := make([]byte, 1)
		for {
			if _, err := r.Body.Read(b); err != nil {
				return
			}
			w.Write(b)
			w.(http.Flusher).Flush()
		}
	})
	in, out := io.Pipe()
	go out.Write([]byte("a"))
	res, err := w.client.Do(w.request("POST", "/", in))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for c := byte('a'); c < 'z'; c++ {
		got := make([]byte, 1)
		if _, err := io.ReadFull(res.Body, got); err != nil || got[0] != c {
			t.Fatalf("%q, %v, want %q", got, err, c)
		}
		go out.Write([]byte{c + 1})
	}
	out.CloseWithError(io.EOF)
}

func TestLargeBodiesStreamBothWays(t *testing.T) {
	const size = 100 << 20
	w := build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			io.Copy(w, noise(size))
			return
		}
		sum := sha256.New()
		io.Copy(sum, r.Body)
		io.WriteString(w, hex.EncodeToString(sum.Sum(nil)))
	})
	want := sha256.New()
	io.Copy(want, noise(size))
	grown := heapGrowth()
	if _, got := w.do(w.request("POST", "/", noise(size))); got != hex.EncodeToString(want.Sum(nil)) {
		t.Errorf("the upload's hash is %s", got)
	}
	res, err := w.client.Do(w.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := sha256.New()
	if n, err := io.Copy(got, res.Body); err != nil || n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Error("the download's hash is another")
	}
	// Windows grow to 4 MiB, at both ends of both hops.
	if n := grown(); n > 64<<20 {
		t.Errorf("the heap has grown by %d MiB", n>>20)
	}
}

// noise is n bytes that are the same each time.
func noise(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

// heapGrowth returns a function that tells by how much the memory taken from the system for the heap has grown since.
func heapGrowth() func() int64 {
	size := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapSys)
	}
	before := size()
	return func() int64 { return size() - before }
}

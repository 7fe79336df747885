package gateway

import (
	"crypto/sha256"
	_ "embed" // the demo's page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed demo/page.html
var demoPage string

//go:embed demo/style.css
var demoStyle string

//go:embed demo/script.js
var demoScript string

// newDemo makes the site that is served when there is none to stand in front of.
func newDemo() http.Handler {
	fill := strings.NewReplacer("{{tiles}}", strconv.Itoa(demoTiles))
	style, script := fill.Replace(demoStyle), fill.Replace(demoScript)
	page := strings.NewReplacer("{{style}}", style, "{{script}}", script, "{{tiles}}", strconv.Itoa(demoTiles)).Replace(demoPage)
	// The script sets the colours of tiles through the DOM, which a policy without 'unsafe-inline' allows.
	policy := fmt.Sprintf("default-src 'none'; connect-src 'self'; img-src data:; style-src '%s'; script-src '%s'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", integrity(style), integrity(script))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		answer(w, "text/html; charset=utf-8", page)
	})
	mux.HandleFunc("GET /proto", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "text/plain; charset=utf-8", r.Proto+"\n")
	})
	mux.HandleFunc("GET /tile/{n}", serveTile)
	mux.HandleFunc("GET /events", serveEvents)
	mux.HandleFunc("GET /bytes/{n}", serveBytes)
	mux.HandleFunc("POST /echo", serveEcho)
	mux.HandleFunc("GET /hints", serveHints)
	mux.HandleFunc("CONNECT /ws", serveWebSocket)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		mux.ServeHTTP(w, r)
	})
}

// integrity is how a Content-Security-Policy names an inline text.
func integrity(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func answer(w http.ResponseWriter, contentType, text string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	io.WriteString(w, text)
}

// number reads the N of a path, from 0 to below limit. It answers 404 when there is none.
func number(w http.ResponseWriter, r *http.Request, limit int64) (n int64, ok bool) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 || n >= limit {
		http.Error(w, fmt.Sprintf("want a number from 0 to %d", limit-1), http.StatusNotFound)
		return 0, false
	}
	return n, true
}

// serveTile answers with a colour and the protocol the request came over, in ALPN's words. All tiles together are an
// evening sky.
func serveTile(w http.ResponseWriter, r *http.Request) {
	n, ok := number(w, r, demoTiles)
	if !ok {
		return
	}
	proto := "http/1.1"
	if r.ProtoMajor > 1 {
		proto = fmt.Sprintf("h%d", r.ProtoMajor)
	}
	at := float64(n) / (demoTiles - 1)
	hue := math.Mod(225+165*at, 360) // from blue through rose to amber
	text, _ := json.Marshal(map[string]any{
		"tile":   n,
		"proto":  proto,
		"colour": fmt.Sprintf("hsl(%.0f %.0f%% %.0f%%)", hue, 45+20*at, 30+22*at+3*math.Sin(float64(n))),
	})
	answer(w, "application/json", string(text)+"\n")
}

// serveEvents sends a server-sent event each second.
func serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; n <= demoMaxEvents; n++ {
		fmt.Fprintf(w, "id: %d\ndata: %s over %s\n\n", n, time.Now().UTC().Format(time.TimeOnly), r.Proto)
		if flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// serveHints tells what will be needed before it answers (103, RFC 8297), and what the content was behind it, in a trailer.
func serveHints(w http.ResponseWriter, r *http.Request) {
	const text = "103 (Early Hints) came before this, and a trailer comes behind it.\n"
	w.Header().Set("Link", "</tile/7>; rel=preload; as=fetch")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Trailer", "Content-Digest")
	io.WriteString(w, text)
	http.NewResponseController(w).Flush()
	sum := sha256.Sum256([]byte(text))
	w.Header().Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
}

// serveBytes sends N bytes of the alphabet.
func serveBytes(w http.ResponseWriter, r *http.Request) {
	left, ok := number(w, r, demoMaxBytes+1)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(left, 10))
	if r.Method == http.MethodHead {
		return
	}
	for left > 0 {
		n, err := w.Write(alphabet[:min(left, int64(len(alphabet)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

var alphabet = []byte(strings.Repeat("abcdefghijklmnopqrstuvwxyz\n", copyBuffer/27+1))

// serveEcho sends the request's body back as it comes. Its type is one that no browser shows as a page.
func serveEcho(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	control := http.NewResponseController(w)
	control.EnableFullDuplex() // over HTTP/1.1; the others always are
	buf := copyBuffers.Get()
	defer copyBuffers.Put(buf)
	for {
		n, err := r.Body.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil || err == nil && control.Flush() != nil {
			return
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // what came back is not all of it
		}
	}
}

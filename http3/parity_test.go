package http3_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// notes is what a handler of a parity test wants to have compared.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) addf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

// parity is a behaviour that net/http's HTTP/1.1 server and client, and ours,
// must show alike.
type parity struct {
	name    string
	handler func(n *notes, w http.ResponseWriter, r *http.Request)
	request func(url string) *http.Request // nil: GET /
	without []string                       // response headers that may differ

	noHandler bool // the request does not reach it
}

func get(u string) *http.Request { return newRequest("GET", u+"/", nil) }

func newRequest(method, u string, body io.Reader) *http.Request {
	req, err := http.NewRequest(method, u, body)
	if err != nil {
		panic(err)
	}
	return req
}

// onlyReader hides what http.NewRequest looks for to know a body's length.
type onlyReader struct{ io.Reader }

func write(w http.ResponseWriter, s string) { io.WriteString(w, s) }

var parities = []parity{
	{name: "the content type is sniffed", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		write(w, "<html><body>hi</body></html>")
	}},
	{name: "the content type is sniffed from pieces", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		write(w, "<ht")
		write(w, "ml>"+strings.Repeat("x", 10_000))
	}},
	{name: "a content type that was set stays", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-mine")
		write(w, "<html>")
	}},
	{name: "a nil content type stops the sniffing", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		write(w, "<html>")
	}},
	{name: "encoded content is not sniffed", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "foo")
		write(w, "<html>")
	}},
	{name: "a nil date suppresses the date", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		write(w, "x")
	}},
	{name: "a handler that does nothing says 200 and no content", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
	}},
	{name: "a status alone has content length 0", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(418)
	}},
	{name: "a small response has a content length", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		write(w, "a")
		write(w, "b")
		write(w, "c")
	}},
	{name: "a large response has none", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		write(w, strings.Repeat("large ", 10_000))
	}},
	{name: "a flushed response has none", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		write(w, "a")
		w.(http.Flusher).Flush()
		write(w, "b")
	}},
	{name: "a flush alone sends the header", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "1")
		n.addf("flush: %v", http.NewResponseController(w).Flush())
		w.Header().Set("X-A", "2")
		write(w, "<html>")
	}},
	{name: "the header is taken at WriteHeader", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "1")
		w.WriteHeader(201)
		w.Header().Set("X-A", "2")
		w.Header().Set("X-B", "2")
		w.WriteHeader(202)
		write(w, "created")
	}},
	{name: "the header is taken at the first Write", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "1")
		write(w, "created")
		w.Header().Set("X-A", "2")
	}},
	{name: "values of one field keep their order", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Many"] = []string{"c", "a", "b"}
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
	}},
	{name: "HEAD has the header of GET", request: func(u string) *http.Request { return newRequest("HEAD", u+"/", nil) },
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			k, err := io.WriteString(w, "<html>hello")
			n.addf("write: %d %v", k, err)
		}},
	{name: "HEAD keeps a declared length", request: func(u string) *http.Request { return newRequest("HEAD", u+"/", nil) },
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "12345")
		}},
	{name: "HEAD of a large response", request: func(u string) *http.Request { return newRequest("HEAD", u+"/", nil) },
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			k, err := w.Write(make([]byte, 100_000))
			n.addf("write: %d %v", k, err)
		}},
	{name: "HEAD that writes nothing", request: func(u string) *http.Request { return newRequest("HEAD", u+"/", nil) },
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {}},
	{name: "204 has no content", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(204)
		_, err := w.Write([]byte("x"))
		n.addf("write: %v", err)
		_, err = w.Write(nil)
		n.addf("write nothing: %v", err)
	}},
	{name: "304 has no content and keeps its validators", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"x"`)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "10")
		w.WriteHeader(304)
		_, err := w.Write([]byte("x"))
		n.addf("write: %v", err)
	}},
	{name: "content above the declared length is refused", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		k, err := io.WriteString(w, "hello")
		n.addf("write: %d %v", k, err)
		k, err = io.WriteString(w, "!")
		n.addf("write: %d %v", k, err)
	}},
	{name: "declared trailers", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-One, x-two")
		w.Header().Add("Trailer", "X-Never")
		write(w, "body")
		w.Header().Set("X-One", "1")
		w.Header().Set("X-Two", "2")
		w.Header().Set("X-Three", "not declared")
	}},
	{name: "trailers with the prefix", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		write(w, strings.Repeat("body", 2000))
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
	}},
	{name: "early hints", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Add("Link", "</script.js>; rel=preload")
		w.WriteHeader(103)
		write(w, "final")
	}},
	{name: "the request arrives as it was sent",
		request: func(u string) *http.Request {
			req := newRequest("GET", u+"/a//b%20c/?q=1&r=%2f", nil)
			req.Host = "example.com:99"
			req.Header.Set("X-One", "1")
			req.Header["X-Many"] = []string{"b", "a"}
			req.Header.Add("Cookie", "a=1; b=2")
			req.Header.Set("Authorization", "Basic eDp5")
			return req
		},
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			n.addf("%s %s %s %q %q %q", r.Method, r.Host, r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery)
			n.addf("%v %v %v %v", r.ContentLength, r.TransferEncoding, r.Trailer, r.Body == http.NoBody)
			n.addf("%q %q %q", r.Header["X-One"], r.Header["X-Many"], r.Header["Cookie"])
			n.addf("%q %q", r.Header["Authorization"], r.Header["Accept-Encoding"])
			n.addf("%v %v %v", r.TLS != nil && r.TLS.HandshakeComplete, r.URL.Host, r.URL.Scheme)
			host, _, err := net.SplitHostPort(r.RemoteAddr)
			n.addf("%v %v %v", host, err, r.Context().Value(http.LocalAddrContextKey) != nil)
			_, hasHost := r.Header["Host"]
			n.addf("%v %v", hasHost, r.Context().Err())
		}},
	{name: "content with a length",
		request: func(u string) *http.Request { return newRequest("POST", u+"/", strings.NewReader("hello")) },
		handler: readAll},
	{name: "content of unknown length",
		request: func(u string) *http.Request {
			return newRequest("PUT", u+"/", onlyReader{strings.NewReader(strings.Repeat("hello", 5000))})
		},
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			r.TransferEncoding = nil // HTTP/1.1 needs chunked
			readAll(n, w, r)
		}},
	{name: "content of length 0", request: func(u string) *http.Request { return newRequest("POST", u+"/", http.NoBody) },
		handler: readAll},
	{name: "DELETE with content", request: func(u string) *http.Request {
		return newRequest("DELETE", u+"/", strings.NewReader("which"))
	}, handler: readAll},
	{name: "request trailers",
		request: func(u string) *http.Request {
			req := newRequest("POST", u+"/", onlyReader{strings.NewReader("hello")})
			req.Trailer = http.Header{"X-Sum": {"5"}}
			return req
		},
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			n.addf("before: %v %q", r.Trailer, r.Header["Trailer"])
			b, err := io.ReadAll(r.Body)
			n.addf("%q %v after: %v", b, err, r.Trailer)
		}},
	{name: "a body that was closed cannot be read",
		request: func(u string) *http.Request { return newRequest("POST", u+"/", strings.NewReader("hello")) },
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			n.addf("close: %v", r.Body.Close())
			_, err := r.Body.Read(make([]byte, 1))
			n.addf("read: %v", err)
		}},
	{name: "100 Continue comes when the body is read", request: expectContinue,
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			n.addf("%q", r.Header["Expect"])
			readAll(n, w, r)
		}},
	{name: "100 Continue does not come when it is not", request: expectContinue,
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			write(w, "no")
		}},
	{name: "an unknown expectation fails",
		request: func(u string) *http.Request {
			req := get(u)
			req.Header.Set("Expect", "a miracle")
			return req
		},
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) { n.addf("called") },
		without: []string{"Connection", "Content-Type", "Date"}, noHandler: true},
	{name: "gzip is asked for and decoded", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		n.addf("%q", r.Header["Accept-Encoding"])
		sendGzip(w, strings.Repeat("compressible ", 1000))
	}},
	{name: "gzip that the caller asked for is left alone",
		request: func(u string) *http.Request {
			req := get(u)
			req.Header.Set("Accept-Encoding", "gzip")
			return req
		},
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) { sendGzip(w, "compressible") }},
	{name: "gzip that is none is an error", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		write(w, "this is not gzip at all")
	}},
	{name: "io.Copy into the response", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		k, err := io.Copy(w, onlyReader{strings.NewReader(strings.Repeat("<html>", 50_000))})
		n.addf("%d %v", k, err)
	}},
	{name: "io.Copy of little into the response", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		k, err := io.Copy(w, onlyReader{strings.NewReader("<html>")})
		n.addf("%d %v", k, err)
	}},
	{name: "the content is an echo of a large request",
		request: func(u string) *http.Request {
			return newRequest("POST", u+"/", bytes.NewReader(bytes.Repeat([]byte("0123456789"), 300_000)))
		},
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			k, err := io.Copy(w, r.Body)
			n.addf("%d %v", k, err)
		}},
	{name: "http.Error", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		http.Error(w, "it broke", http.StatusInternalServerError)
	}},
	{name: "http.Redirect", request: func(u string) *http.Request { return newRequest("HEAD", u+"/a", nil) },
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/a" {
				http.Redirect(w, r, "/b?c", http.StatusFound)
				return
			}
			n.addf("%s", r.RequestURI)
		}},
	{name: "http.ServeContent with a range",
		request: func(u string) *http.Request {
			req := get(u)
			req.Header.Set("Range", "bytes=2-4")
			return req
		},
		handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x.txt", time.Unix(1e9, 0), strings.NewReader("0123456789"))
		}},
	{name: "http.TimeoutHandler", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		// The handler within may return neither before the timeout is answered, as both would be ready at once and chance
		// chooses, nor after what it noted is compared.
		answered, noted := make(chan struct{}), make(chan struct{})
		http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			n.addf("%v", r.Context().Err())
			close(noted)
			<-answered
		}), time.Millisecond, "too slow").ServeHTTP(w, r)
		<-noted
		close(answered)
	}, without: []string{"Content-Type"}},
	{name: "http.MaxBytesReader", request: func(u string) *http.Request {
		return newRequest("POST", u+"/", strings.NewReader("0123456789"))
	}, handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4))
		n.addf("%q %v", b, err)
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	}, without: []string{"Connection"}},
	{name: "a form is parsed", request: func(u string) *http.Request {
		req := newRequest("POST", u+"/?q=1", strings.NewReader(url.Values{"a": {"b c"}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return req
	}, handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		n.addf("%v %v", r.ParseForm(), r.Form)
	}},
	{name: "an invalid field name is not sent", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		w.Header()["Not A Name"] = []string{"x"}
		w.Header().Set("X-Ok", "  spaces around  ")
	}},
	{name: "hijacking is not supported by HEAD of a buffered writer", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		_, isPusher := w.(http.Pusher)
		_, isReaderFrom := w.(io.ReaderFrom)
		_, isStringWriter := w.(io.StringWriter)
		_, isFlusher := w.(http.Flusher)
		n.addf("%v %v %v %v", isPusher, isReaderFrom, isStringWriter, isFlusher)
	}},
	{name: "what a ResponseController can do", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		later := time.Now().Add(time.Hour)
		n.addf("%v %v %v", rc.SetReadDeadline(later), rc.SetWriteDeadline(later), rc.EnableFullDuplex())
		write(w, "before")
		n.addf("%v", rc.Flush())
		n.addf("%v %v", rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}))
		write(w, " and after")
	}},
	{name: "the context lives as long as the handler", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		_, hasDeadline := ctx.Deadline()
		n.addf("%v %v %v", ctx.Err(), hasDeadline, ctx.Value(http.LocalAddrContextKey) != nil)
		write(w, "an answer")
		n.addf("%v", ctx.Err())
	}},
	{name: "several hints before an answer without content", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		for _, link := range []string{"</a>", "</b>"} {
			w.Header().Set("Link", link)
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Del("Link")
		w.WriteHeader(http.StatusNoContent)
	}},
	{name: "deadlines in the past", request: func(u string) *http.Request {
		// Nothing of it comes: net/http's client takes a failure to write for that of the request.
		body, _ := io.Pipe()
		return newRequest("POST", u+"/", onlyReader{body})
	}, handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		n.addf("%v", rc.SetReadDeadline(time.Now().Add(-time.Second)))
		_, err := io.Copy(io.Discard, r.Body)
		n.addf("%v", errors.Is(err, context.DeadlineExceeded) || isTimeout(err))
		w.Header().Set("Connection", "close")
		w.WriteHeader(408)
	}, without: []string{"Connection"}},
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func readAll(n *notes, w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	n.addf("%d %v %v: %d bytes %.20q %v", r.ContentLength, r.TransferEncoding, r.Body == http.NoBody, len(b), b, err)
}

func expectContinue(u string) *http.Request {
	req := newRequest("POST", u+"/", strings.NewReader("content"))
	req.Header.Set("Expect", "100-continue")
	return req
}

func sendGzip(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Encoding", "gzip")
	zw := gzip.NewWriter(w)
	io.WriteString(zw, s)
	zw.Close()
}

// transcript does the request and writes down everything that can be compared.
func transcript(t *testing.T, p parity, c *http.Client, base string) string {
	var out strings.Builder
	req := get(base)
	if p.request != nil {
		req = p.request(base)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			fmt.Fprintf(&out, "interim %d %q\n", code, h["Link"])
			return nil
		},
		Got100Continue: func() { fmt.Fprintln(&out, "continue") },
	})
	res, err := c.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatalf("%s: %v", base, err)
	}
	body, err := io.ReadAll(res.Body)
	fmt.Fprintf(&out, "%s, length %d, uncompressed %v\n", res.Status, res.ContentLength, res.Uncompressed)
	if d, ok := res.Header["Date"]; ok {
		if _, err := http.ParseTime(d[0]); err != nil {
			t.Errorf("Date: %v", err)
		}
		res.Header.Set("Date", "now")
	}
	for _, name := range p.without {
		res.Header.Del(name)
	}
	writeHeader(&out, res.Header)
	fmt.Fprintf(&out, "%d bytes %.60q, error %v\ntrailer\n", len(body), body, err)
	writeHeader(&out, res.Trailer)
	res.Body.Close()
	_, err = res.Body.Read(make([]byte, 1))
	fmt.Fprintf(&out, "read after close fails: %v\n", err != nil)
	return out.String()
}

func writeHeader(out *strings.Builder, h http.Header) {
	var keys []string
	for key := range h {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Fprintf(out, "  %s: %q\n", key, h[key])
	}
}

// stage is the handler of both servers: it plays what is on. Its lock is also what tells
// the race detector that a request follows from what its test did before.
type stage struct {
	mu   sync.Mutex
	play func(w http.ResponseWriter, r *http.Request)
	over chan struct{}
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	play, over := s.play, s.over
	s.mu.Unlock()
	defer func() { over <- struct{}{} }()
	play(w, r)
}

func (s *stage) put(play func(w http.ResponseWriter, r *http.Request)) (over chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.play, s.over = play, make(chan struct{}, 8)
	return s.over
}

func TestHandlersAndClientsSeeWhatNetHTTPShows(t *testing.T) {
	var handler stage
	old := httptest.NewUnstartedServer(&handler)
	old.Config.ErrorLog = slogDiscard()
	old.StartTLS()
	defer old.Close()
	ours := start(t, &handler)
	oldTransport := old.Client().Transport.(*http.Transport)
	oldTransport.ExpectContinueTimeout = patience
	ours.Transport.ExpectContinueTimeout = patience
	for _, p := range parities {
		t.Run(p.name, func(t *testing.T) {
			say := func(c *http.Client, base string) string {
				var n notes
				over := handler.put(func(w http.ResponseWriter, r *http.Request) { p.handler(&n, w, r) })
				text := transcript(t, p, c, base)
				if !p.noHandler {
					<-over
				}
				n.mu.Lock()
				defer n.mu.Unlock()
				return text + "handler\n  " + strings.Join(n.lines, "\n  ")
			}
			want := say(old.Client(), old.URL)
			got := say(ours.Client, ours.URL)
			want = strings.ReplaceAll(want, strings.TrimPrefix(old.URL, "https://"), "HOST")
			got = strings.ReplaceAll(got, ours.Addr, "HOST")
			if got != want {
				t.Errorf("HTTP/3:\n%s\n\nHTTP/1.1:\n%s", got, want)
			}
		})
	}
}

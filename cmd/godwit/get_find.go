package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/godwit-net/godwit/altsvc"
	"github.com/godwit-net/godwit/quic"
)

// finder is what finds out whether there is HTTP/3, and says so with -v.
func (f *fetch) finder() *altsvc.Transport {
	conf := *f.quic
	conf.EarlyData = true
	t := &altsvc.Transport{
		TLSClientConfig: f.tls,
		TCP:             &http.Transport{DisableCompression: true, ForceAttemptHTTP2: true, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second},
		QUIC:            &conf,
		Preference:      f.preference,
		File:            f.altSvc,
		Logger:          slog.New(slog.NewTextHandler(f.p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Trace:           &altsvc.Trace{Connected: f.stood.set, Failed: f.failed, Learned: f.learned},
	}
	if f.altSvc == altSvcFile() && f.altSvc != "" && !f.insecure {
		if err := os.MkdirAll(filepath.Dir(f.altSvc), 0o700); err != nil {
			t.File = "" // nobody has asked for it
		}
	}
	return t
}

// stood is the latest QUIC connection.
type stood struct {
	mu   sync.Mutex
	conn *quic.Conn
}

func (s *stood) set(_, _ string, q *quic.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = q
}

func (s *stood) get() *quic.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

func (f *fetch) failed(_, at string, err error, until time.Time) {
	text := ""
	if !until.IsZero() {
		text = ", and is not tried again before " + until.Local().Format(time.TimeOnly)
	}
	f.verbosef("* HTTP/3 at %s has failed (%s)%s", at, trim(err), text)
}

func (f *fetch) learned(_ string, services []altsvc.Service) {
	for _, s := range services {
		f.verbosef("* the server has %s at %s:%d, for %v", s.Protocol, s.Host, s.Port, s.MaxAge)
	}
	if services == nil {
		f.verbosef("* the server takes back what it said of other protocols")
	}
}

// protocolName is a response's protocol, as others write it.
func protocolName(res *http.Response) string {
	if res.ProtoMajor >= 2 {
		return fmt.Sprintf("HTTP/%d", res.ProtoMajor)
	}
	return res.Proto
}

// gotConn describes the connection that a request goes out on.
func (f *fetch) gotConn(info httptrace.GotConnInfo) {
	if f.http3Only {
		return // it is described
	}
	f.conn, f.proto = nil, "HTTP/1.1"
	if c, ok := info.Conn.(*tls.Conn); ok {
		if f.describeTCP(c); f.report.ALPN == "h2" {
			f.proto = "HTTP/2"
		}
	} else if c := f.stood.get(); c != nil {
		f.conn, f.proto = c, "HTTP/3"
		f.describeConn()
	}
}

// maxInterim is how many 1xx responses are shown; a server that sends more is not worth waiting for.
const maxInterim = 100

// gotInterim shows a 1xx response and notes it.
func (f *fetch) gotInterim(status int, h http.Header) error {
	if len(f.report.Interim) == maxInterim {
		return fmt.Errorf("more than %d responses before the final one", maxInterim)
	}
	f.report.Interim = append(f.report.Interim, interim{status, h.Clone()})
	f.verbosef("< %d %s", status, http.StatusText(status))
	f.verbosef("%s<", fieldLines(h, "< "))
	return nil
}

// trace shows the request as it is sent, and notes when the answer begins. net/http calls it from goroutines of its own, and for
// HTTP/2 may say that the header was written when the response is already there.
func (f *fetch) trace() *httptrace.ClientTrace {
	var mu sync.Mutex
	var sent sentRequest
	var dialled time.Time
	var took time.Duration
	locked := func(do func()) {
		mu.Lock()
		defer mu.Unlock()
		do()
	}
	f.showRequest = func() { locked(func() { sent.show(f) }) }
	return &httptrace.ClientTrace{
		ConnectStart: func(string, string) {
			locked(func() {
				if dialled.IsZero() {
					dialled = time.Now()
				}
			})
		},
		GotConn: func(info httptrace.GotConnInfo) {
			locked(func() {
				if f.gotConn(info); f.conn == nil {
					f.report.Handshake = ms(took)
				}
				sent = sentRequest{proto: f.proto, method: f.request.Method, path: f.url.RequestURI(), authority: f.url.Host}
			})
		},
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			locked(func() {
				if !dialled.IsZero() {
					took = time.Since(dialled)
				}
			})
		},
		Got1xxResponse: func(status int, h textproto.MIMEHeader) (err error) {
			locked(func() {
				sent.show(f)
				err = f.gotInterim(status, http.Header(h))
			})
			return err
		},
		WroteHeaderField:     func(name string, values []string) { locked(func() { sent.add(name, values) }) },
		WroteHeaders:         f.showRequest,
		GotFirstResponseByte: func() { locked(func() { f.report.FirstByte = ms(time.Since(f.began)) }) },
	}
}

// sentRequest is the request as it goes out on one connection.
type sentRequest struct {
	proto, method, path, authority string
	fields                         []string
	shown                          bool
}

func (r *sentRequest) add(name string, values []string) {
	switch name = strings.ToLower(name); name {
	case ":method":
		r.method = values[0]
	case ":path":
		r.path = values[0]
	case ":authority", "host":
		r.authority = values[0]
	default:
		if strings.HasPrefix(name, ":") {
			return
		}
		for _, v := range values {
			r.fields = append(r.fields, name+": "+v)
		}
	}
}

// show shows it once.
func (r *sentRequest) show(f *fetch) {
	if r.shown {
		return
	}
	r.shown = true
	f.verbosef("> %s %s %s", r.method, r.path, r.proto)
	f.verbosef("> host: %s", r.authority)
	for _, field := range r.fields {
		f.verbosef("> %s", field)
	}
	f.verbosef(">")
}

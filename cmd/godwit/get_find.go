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

// trace shows the request as it is sent, and notes when the answer begins.
func (f *fetch) trace() *httptrace.ClientTrace {
	pseudo, fields := map[string]string{}, []string(nil)
	var mu sync.Mutex // TCP is dialled beside QUIC
	var dialled time.Time
	var took time.Duration
	return &httptrace.ClientTrace{
		ConnectStart: func(string, string) {
			mu.Lock()
			defer mu.Unlock()
			if dialled.IsZero() {
				dialled = time.Now()
			}
		},
		GotConn: func(info httptrace.GotConnInfo) {
			pseudo, fields = map[string]string{":method": f.request.Method, ":path": f.url.RequestURI(), ":authority": f.url.Host}, nil
			f.gotConn(info)
			mu.Lock()
			defer mu.Unlock()
			if f.conn == nil {
				f.report.Handshake = ms(took)
			}
		},
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			mu.Lock()
			defer mu.Unlock()
			if !dialled.IsZero() {
				took = time.Since(dialled)
			}
		},
		Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
			mu.Lock()
			defer mu.Unlock()
			return f.gotInterim(status, http.Header(h))
		},
		WroteHeaderField: func(name string, values []string) {
			if name = strings.ToLower(name); name == "host" {
				name = ":authority"
			}
			if strings.HasPrefix(name, ":") {
				pseudo[name] = values[0]
				return
			}
			for _, v := range values {
				fields = append(fields, name+": "+v)
			}
		},
		WroteHeaders: func() {
			f.verbosef("> %s %s %s", pseudo[":method"], pseudo[":path"], f.proto)
			f.verbosef("> host: %s", pseudo[":authority"])
			for _, field := range fields {
				f.verbosef("> %s", field)
			}
			f.verbosef(">")
		},
		GotFirstResponseByte: func() { f.report.FirstByte = ms(time.Since(f.began)) },
	}
}

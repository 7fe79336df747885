package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// ticketTimeout is how long --resume waits for the server's ticket after the handshake. Servers send it with the last
// datagram of the handshake, or never.
const ticketTimeout = 2 * time.Second

// fetch is one run of get.
type fetch struct {
	*getOptions
	p      process
	tls    *tls.Config
	quic   *quic.Config
	keyLog *os.File   // nil: none
	conn   *quic.Conn // nil: it went by TCP
	report report
	proto  string // "HTTP/3"
	stood  stood

	began       time.Time
	showRequest func() // once it is sent
}

// newFetch opens the files of the log options.
func newFetch(p process, o *getOptions) (*fetch, error) {
	f := &fetch{getOptions: o, p: p, quic: &quic.Config{Protocol: quic.Protocol{Versions: o.versions}}}
	if o.qlogDir != "" {
		if err := os.MkdirAll(o.qlogDir, 0o777); err != nil {
			return nil, fmt.Errorf("--qlog %s: %w", o.qlogDir, withoutPath(err))
		}
		f.quic.QLog = quic.QLogDir(o.qlogDir, func(err error) { fmt.Fprintln(p.stderr, "godwit: no qlog:", err) })
	}
	var keys io.Writer
	if o.keyLog != "" {
		file, err := os.OpenFile(o.keyLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("--keylog %s: %w", o.keyLog, withoutPath(err))
		}
		f.keyLog, keys = file, file
	}
	f.tls = o.tlsConfig(keys)
	return f, nil
}

func (f *fetch) close() {
	if f.conn != nil {
		f.conn.CloseWithError(uint64(http3.NoError), "")
	}
	if f.keyLog != nil {
		f.keyLog.Close()
	}
}

// errSlow ends a fetch whose response does not begin in time.
type errSlow struct{ after time.Duration }

func (e errSlow) Error() string { return fmt.Sprintf("no response within %v (--timeout)", e.after) }
func (e errSlow) Unwrap() error { return context.DeadlineExceeded }

// run fetches the URL and writes what came.
func (f *fetch) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begun := func() bool { return true }
	if f.timeout > 0 {
		begun = time.AfterFunc(f.timeout, func() { cancel(errSlow{f.timeout}) }).Stop
	}
	if f.resume {
		if err := f.getTicket(ctx); err != nil {
			return f.explain(err)
		}
	}
	f.began = time.Now()
	send, end, err := f.way(ctx)
	if err != nil {
		return f.explain(err)
	}
	defer end()
	body, length, err := f.content(f.p.stdin)
	if err != nil {
		return err
	}
	req := f.request.WithContext(httptrace.WithClientTrace(ctx, f.trace()))
	req.Body, req.ContentLength = body, length
	if f.data != "" && f.data[0] != '@' {
		req.GetBody = func() (io.ReadCloser, error) { body, _, err := f.content(nil); return body, err }
	}
	res, err := send(req)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // net/http does not always tell it
	}
	if err != nil {
		return f.explain(err)
	}
	defer res.Body.Close()
	begun() // from here on only an interrupt ends it
	return f.receive(res)
}

// way returns what sends the request: one HTTP/3 connection with --http3-only, which stands then, or whatever turns out to be
// the best.
func (f *fetch) way(ctx context.Context) (send func(*http.Request) (*http.Response, error), end func(), err error) {
	if !f.http3Only {
		t := f.finder()
		return t.RoundTrip, func() { t.Close() }, nil
	}
	if err := f.connect(ctx); err != nil {
		return nil, nil, err
	}
	t := &http3.Transport{TLSClientConfig: f.tls, DisableCompression: true}
	f.proto = "HTTP/3"
	return t.NewClientConn(f.conn).RoundTrip, func() {}, nil
}

// getTicket opens a connection and closes it when the server has sent a ticket for the next one.
func (f *fetch) getTicket(ctx context.Context) error {
	tickets := &ticketCache{ClientSessionCache: f.tls.ClientSessionCache, put: make(chan struct{}, 1)}
	f.tls.ClientSessionCache = tickets
	if err := f.connect(ctx); err != nil {
		return err
	}
	defer f.conn.CloseWithError(uint64(http3.NoError), "")
	select {
	case <-tickets.put:
		f.verbosef("* a ticket has come: closing, and connecting again")
	case <-time.After(ticketTimeout):
		f.verbosef("* no ticket has come within %v: the server does not resume sessions", ticketTimeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// ticketCache tells when a ticket is put into it.
type ticketCache struct {
	tls.ClientSessionCache
	put chan struct{}
}

func (c *ticketCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	select {
	case c.put <- struct{}{}:
	default:
	}
}

// connect dials and tells what came of it.
func (f *fetch) connect(ctx context.Context) error {
	f.verbosef("* connecting to %s over UDP", f.addr())
	conn, err := quic.Dial(ctx, f.addr(), http3.ConfigureTLS(f.tls), f.quic)
	if err != nil {
		return err
	}
	f.conn = conn
	f.describeConn()
	return nil
}

// receive writes the response where it belongs, and then the report.
func (f *fetch) receive(res *http.Response) (err error) {
	f.showRequest()
	f.report.Status = res.StatusCode
	f.proto = protocolName(res)
	f.verbosef("< %s %s", f.proto, strings.TrimSpace(res.Status))
	f.verbosef("%s<", fieldLines(res.Header, "< "))
	if f.fail && res.StatusCode >= 400 {
		return fmt.Errorf("%s: status %s", f.url.Redacted(), res.Status)
	}
	out := f.p.stdout
	if f.output != "" && f.output != "-" {
		file, err := os.Create(f.output)
		if err != nil {
			return fmt.Errorf("-o %s: %w", f.output, withoutPath(err))
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
		if f.p.terminal {
			meter := &meter{w: f.p.stderr, total: res.ContentLength, began: time.Now()}
			defer meter.end()
			out = io.MultiWriter(file, meter)
		}
	}
	if f.include {
		fmt.Fprintf(out, "%s %s\r\n%s\r\n", f.proto, strings.TrimSpace(res.Status), strings.ReplaceAll(fieldLines(res.Header, ""), "\n", "\r\n"))
	}
	f.report.Bytes, err = io.Copy(out, res.Body)
	if err != nil {
		return f.explain(fmt.Errorf("after %d bytes: %w", f.report.Bytes, err))
	}
	f.report.Total = ms(time.Since(f.began))
	if f.report.Trailers = res.Trailer; len(res.Trailer) > 0 {
		f.verbosef("%s< (trailers)", fieldLines(res.Trailer, "< "))
	}
	f.finish()
	return nil
}

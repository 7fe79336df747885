package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// fail answers a request that could not be passed on. Clients that went away are not errors of anybody.
func (p *proxy) fail(w http.ResponseWriter, out *http.Request, err error) {
	body, _ := out.Body.(*requestBody)
	if out.Context().Err() != nil || body != nil && body.broke() {
		// Nobody reads an answer; an empty 200, which is what returning would send, must not be mistaken for one.
		panic(http.ErrAbortHandler)
	}
	status := http.StatusBadGateway
	if timedOut(err) {
		status = http.StatusGatewayTimeout
	}
	line := p.failure(err)
	p.log.Warn(line, "method", out.Method, "path", out.URL.Path)
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, "godwit: "+line+"\n")
}

// failure says what was tried and what went wrong: with the upstream as it was configured, and the address that was
// dialled where the name does not say it.
func (p *proxy) failure(err error) string {
	place := p.target.Scheme + "://" + p.target.Host
	op, dialling := errors.AsType[*net.OpError](err)
	if dialling = dialling && op.Op == "dial"; dialling && op.Addr != nil {
		if host, _, err := net.SplitHostPort(op.Addr.String()); err == nil && host != p.target.Hostname() {
			place += " (" + op.Addr.String() + ")"
		}
	}
	if !dialling && !timedOut(err) {
		return "no usable answer from " + place + ": " + reason(err)
	}
	return "cannot reach " + place + ": " + reason(err) + p.hint(err)
}

// hint is what most people who see this in a container have overlooked.
func (p *proxy) hint(err error) string {
	if !p.container || !loopback(p.target.Hostname()) || !errors.Is(err, syscall.ECONNREFUSED) {
		return ""
	}
	return fmt.Sprintf(" (godwit runs in a container, where %s is the container itself: "+
		"give the upstream's own address, or host.docker.internal for the host)", p.target.Hostname())
}

func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// reason says in a few words, on one line, what went wrong.
func reason(err error) string {
	var (
		dns   *net.DNSError
		errno syscall.Errno
		cert  *tls.CertificateVerificationError
		plain tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &dns):
		return dns.Err
	case timedOut(err):
		return "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &cert):
		return "its certificate is not trusted: " + cert.Err.Error()
	case errors.As(err, &plain):
		return "it does not speak TLS: http:// is meant, not https://"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection before it had answered"
	}
	text := strings.TrimPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: ")
	return strings.Join(strings.Fields(text), " ")
}

package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// trouble is an answer of the tunnel's own.
type trouble struct {
	status int
	kind   string // the error type of RFC 9209, section 2.3; "" for none
	text   string // one line
}

// How the two ends call themselves in Proxy-Status.
const (
	exitName  = "godwit-exit"
	entryName = "godwit-entry"
)

// answer sends t. Proxy-Status tells it from an answer of the platform (RFC 9209).
func answer(w http.ResponseWriter, name string, t trouble) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	status := name
	if t.kind != "" {
		status += "; error=" + t.kind
	}
	h.Set("Proxy-Status", status)
	line := "godwit tunnel: " + t.text + "\n"
	h.Set("Content-Length", strconv.Itoa(len(line)))
	w.WriteHeader(t.status)
	io.WriteString(w, line)
}

// retryAfter announces when to come again, in whole seconds, one at the least.
func retryAfter(w http.ResponseWriter, d time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int((d+time.Second-1)/time.Second))))
}

// explain says what is wrong with the platform when a request to it failed before there was a response.
func (x *Exit) explain(err error) trouble {
	platform := x.to.String()
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return trouble{http.StatusBadGateway, "dns_error", fmt.Sprintf("the name %s of the platform cannot be resolved (%s)", dns.Name, dns.Err)}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return x.explainDial(op)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return trouble{http.StatusGatewayTimeout, "http_response_timeout", "the platform " + platform + " did not answer in time; the request may have been processed"}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return trouble{http.StatusBadGateway, "connection_terminated", "the platform " + platform + " closed the connection without an answer; the request may have been processed"}
	}
	return trouble{http.StatusBadGateway, "http_protocol_error", fmt.Sprintf("the platform %s: %s", platform, oneLine(err.Error()))}
}

// oneLine makes one line of the text of an error.
func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }

// explainDial is explain for a platform that could not be connected to. The request was not processed.
func (x *Exit) explainDial(op *net.OpError) trouble {
	where := x.to.String()
	if op.Addr != nil && op.Addr.String() != x.to.Host {
		where += " (" + op.Addr.String() + ")"
	}
	if op.Timeout() || errors.Is(op.Err, context.DeadlineExceeded) {
		return trouble{http.StatusGatewayTimeout, "connection_timeout", fmt.Sprintf("the platform %s did not accept a connection within %v%s", where, platformDialTimeout, x.hint(op.Addr))}
	}
	if errors.Is(op, errRefused) {
		return trouble{http.StatusBadGateway, "connection_refused", fmt.Sprintf("the platform %s refused the connection: nothing listens there%s", where, x.hint(op.Addr))}
	}
	return trouble{http.StatusBadGateway, "destination_ip_unroutable", fmt.Sprintf("the platform %s cannot be reached: %v%s", where, op.Err, x.hint(op.Addr))}
}

// hint says what is wrong with a loopback address in a container, as most people meet it once.
func (x *Exit) hint(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !x.container || !loopback(tcp.AddrPort().Addr()) {
		return ""
	}
	return fmt.Sprintf(" (the exit runs in a container, and %s is the container itself: name the platform's container or host in --to)", tcp.IP)
}

func loopback(ip netip.Addr) bool { return ip.Unmap().IsLoopback() }

package tunnel

import (
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
)

// serve answers one request of a client.
func (e *Entry) serve(w http.ResponseWriter, r *http.Request) {
	switch upgrade := upgradeTo(r); {
	case r.Method == http.MethodConnect:
		answer(w, entryName, trouble{http.StatusNotImplemented, "", "the tunnel does not carry CONNECT yet"})
		return
	case upgrade == "":
	case strings.EqualFold(upgrade, "h2c"):
		// RFC 9110, section 7.8: "A server MAY ignore a received Upgrade header field if it wishes to continue using the
		// current protocol on that connection." Who offers HTTP/2 goes on with HTTP/1.1.
		r.Header.Del("Upgrade")
	default:
		answer(w, entryName, trouble{http.StatusNotImplemented, "", "the tunnel does not carry Upgrade (WebSocket) yet"})
		return
	}
	// A response may begin, and end, while its request is still coming.
	http.NewResponseController(w).EnableFullDuplex()
	// A response without a type stays one: the key keeps net/http from guessing.
	w.Header()["Content-Type"] = nil
	if r.Body != http.NoBody {
		body := &requestBody{ReadCloser: r.Body}
		defer body.end(w)
		r = r.WithContext(r.Context()) // net/http keeps looking at the body of its own
		r.Body = body
	}
	e.proxy.ServeHTTP(w, r)
}

// upgradeTo returns the protocol that a client wants to switch to, "" for none.
func upgradeTo(r *http.Request) string {
	for _, field := range r.Header["Connection"] {
		for token := range strings.SplitSeq(field, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return r.Header.Get("Upgrade")
			}
		}
	}
	return ""
}

// newProxy makes what talks to the exit.
func (e *Entry) newProxy(quiet *log.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       rewriteForExit,
		Transport:     e.link,
		FlushInterval: flushDelay,
		ErrorLog:      quiet,
		BufferPool:    copyBuffers,
		ErrorHandler:  e.failed,
	}
}

// rewriteForExit makes of a client's request the one for the exit. Host stays the client's; where the URL leads is of no
// account, as there is only one exit.
func rewriteForExit(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.Host = "https", serverName
	passUnchanged(p)
	if p.Out.Host == "" {
		// HTTP/1.0 has requests without Host, HTTP/3 none without :authority.
		if local, ok := p.In.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			p.Out.Host = local.String()
		}
	}
	p.Out.Header.Del(hello)
	// ReverseProxy has taken out what the client claimed about where it comes from.
	p.SetXForwarded()
}

// failed answers a request for which there is no response.
func (e *Entry) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client is gone, or this entry's time is up
	}
	t := trouble{http.StatusBadGateway, "proxy_internal_error", "the request cannot be carried: " + oneLine(err.Error())}
	if away, ok := errors.AsType[*awayError](err); ok {
		retryAfter(w, away.retry)
		t = trouble{http.StatusServiceUnavailable, "destination_unavailable", away.Error()}
	} else if broken, ok := errors.AsType[*brokenError](err); ok {
		t = trouble{http.StatusBadGateway, "connection_terminated", broken.Error()}
	}
	e.log.Debug(t.text, "method", r.Method, "status", t.status)
	answer(w, entryName, t)
}

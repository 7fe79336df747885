package tunnel

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

// hello is the field of a request that is for the exit itself. The entry takes it out of what its clients send.
const hello = "Godwit-Tunnel"

// forwarding are the fields in which the entry says who its client is. They pass the exit unchanged: nobody but an entry
// can have written them.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// serve answers one request of an entry.
func (x *Exit) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case len(r.Header[hello]) > 0:
		// "Are you there?" The TLS handshake does not tell an entry whether its certificate was accepted.
		w.Header().Set(hello, protocol)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodConnect:
		answer(w, exitName, trouble{http.StatusNotImplemented, "", "the tunnel does not carry CONNECT yet"})
	default:
		// A response without a type stays one: the key keeps http3 from guessing.
		w.Header()["Content-Type"] = nil
		x.proxy.ServeHTTP(w, r)
	}
}

// newProxy makes what talks to the platform.
func (x *Exit) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       x.rewrite,
		Transport:     x.upstream,
		FlushInterval: flushDelay,
		ErrorLog:      slog.NewLogLogger(x.log.Handler(), slog.LevelDebug),
		BufferPool:    copyBuffers,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				// The entry gave it up. There is nobody to tell, and nothing was wrong with the platform.
				panic(http.ErrAbortHandler)
			}
			t := x.explain(err)
			x.log.Warn("platform: "+t.text, "method", r.Method, "status", t.status)
			answer(w, exitName, t)
		},
	}
}

// rewrite makes of the entry's request the one for the platform. Host stays the client's.
func (x *Exit) rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.Host = x.to.Scheme, x.to.Host
	passUnchanged(p)
	for _, name := range forwarding {
		if v := p.In.Header[name]; len(v) > 0 {
			p.Out.Header[name] = v
		}
	}
}

// passUnchanged undoes what ReverseProxy does to a request beyond its hop-by-hop fields: it drops query parameters that Go
// cannot parse, and trailers, for which the outgoing request has to share the map that the end of the body fills.
func passUnchanged(p *httputil.ProxyRequest) {
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Trailer = p.In.Trailer
}

// platformTransport speaks HTTP/1.1 to the platform: no proxy of the environment, no compression of its own, and no limit
// on how long an answer may take, as there are event streams and long polls.
func platformTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: platformDialTimeout}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:           dialer.DialContext,
		Protocols:             protocols,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   64, // all connections are to one host
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   platformDialTimeout,
		ExpectContinueTimeout: time.Second,
		ReadBufferSize:        copyBufferSize,
		WriteBufferSize:       copyBufferSize,
	}
}

// copyBuffers lends the buffers through which bodies pass.
var copyBuffers = new(bufferPool)

const copyBufferSize = 32 << 10

type bufferPool struct{ pool sync.Pool }

// Get and Put make it a httputil.BufferPool.
func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[copyBufferSize]byte); ok {
		return b[:]
	}
	return make([]byte, copyBufferSize)
}

// Put takes a buffer back.
func (p *bufferPool) Put(b []byte) { p.pool.Put((*[copyBufferSize]byte)(b)) }

package gateway

import (
	"crypto/tls"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// proxy passes requests on to the upstream.
type proxy struct {
	target    *url.URL
	log       *slog.Logger
	transport *http.Transport
	reverse   httputil.ReverseProxy
	container bool // we run in one
}

// newProxy makes the proxy for target. root is the root folder of the system.
func newProxy(target *url.URL, log *slog.Logger, root fs.FS) *proxy {
	p := &proxy{target: target, log: log, transport: newTransport(target), container: inContainer(root)}
	p.reverse = httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      p.transport,
		BufferPool:     &copyBuffers,
		ModifyResponse: modifyResponse,
		ErrorHandler:   p.fail,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return p
}

// newTransport makes the connections to the upstream. It ignores the proxies of the environment, which are for clients,
// and leaves encodings as they are.
func newTransport(target *url.URL) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: loopback(target.Hostname())}, // see Config.To
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdleUpstream,
		IdleConnTimeout:        idleUpstreamTimeout,
		MaxResponseHeaderBytes: maxUpstreamHeader,
		ReadBufferSize:         copyBuffer,
		WriteBufferSize:        copyBuffer,
		Protocols:              &protocols,
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		// It asks for a tunnel to a host that the client chooses.
		http.Error(w, "godwit: CONNECT is not served here", http.StatusNotImplemented)
		return
	}
	p.reverse.ServeHTTP(w, r)
}

// rewrite turns the client's request into the one for the upstream.
func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.target)
	r.Out.Host = r.In.Host // SetURL asks for the upstream's own; sites that know their name want the client's
	forward(r.Out, r.In)
	if r.Out.Body != nil && r.Out.Body != http.NoBody {
		announceTrailers(r.Out, r.In)
		r.Out.Body = &requestBody{ReadCloser: r.Out.Body, in: r.In, out: r.Out}
	}
}

// modifyResponse removes what the upstream says about itself.
func modifyResponse(res *http.Response) error {
	res.Header.Del("Alt-Svc")
	return nil
}

// announceTrailers promises the trailers of the client's request to the upstream, apart from those in which only we
// may speak.
func announceTrailers(out, in *http.Request) {
	out.Trailer = nil
	for key := range in.Trailer {
		if !forwarding(key) {
			if out.Trailer == nil {
				out.Trailer = make(http.Header)
			}
			out.Trailer[key] = nil
		}
	}
}

// requestBody is the client's body on its way to the upstream.
type requestBody struct {
	io.ReadCloser
	in, out *http.Request

	mu     sync.Mutex
	failed bool // the client did not send all of it
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch err {
	case nil:
	case io.EOF:
		for key := range b.out.Trailer {
			b.out.Trailer[key] = b.in.Trailer[key]
		}
	default:
		b.mu.Lock()
		b.failed = true
		b.mu.Unlock()
	}
	return n, err
}

// broke reports whether it was the client that failed.
func (b *requestBody) broke() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// copyBuffers is the pool of buffers that answers go through.
var copyBuffers bufferPool

type bufferPool struct{ pool sync.Pool }

// Get serves httputil.BufferPool.
func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[copyBuffer]byte); ok {
		return b[:]
	}
	return make([]byte, copyBuffer)
}

// Put serves httputil.BufferPool.
func (p *bufferPool) Put(b []byte) { p.pool.Put((*[copyBuffer]byte)(b)) }

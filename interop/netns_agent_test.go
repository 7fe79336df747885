package interop

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// agent is this test binary as a process in a namespace, with a server or a client in it that is told what the command has no
// flags for. It takes orders on its standard input, a line of JSON each, and answers each with a line on its output.
type agent struct {
	*process
	t   *testing.T
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// agentVar is the environment variable that makes the test binary an agent; its value is where the certificates are.
const agentVar = "GODWIT_INTEROP_AGENT"

// order is what an agent is asked to do.
type order struct {
	Do     string // listen, origin, dial, get, put, progress, wait, migrate, stats
	Addr   string
	Size   int      // MaxDatagramSize
	NoECN  bool     // listen, dial
	Shared bool     // dial: from an Endpoint, which is then in the stats
	Secret [32]byte // listen
	Idle   time.Duration
	Bytes  int64 // get, put
}

// reply is an agent's answer. What does not belong to the order is empty.
type reply struct {
	Error    string
	Lost     bool // the error is quic.ErrStatelessReset
	Idle     bool // the error is quic.ErrIdleTimeout
	Addr     string
	Bytes    int64  // that a transfer has received
	Sum      string // of them
	Ended    bool
	Endpoint quic.EndpointStats
	Features string
	Conns    []connReport // newest last
}

// connReport is a connection of an agent's.
type connReport struct {
	quic.ConnStats
	Local, Remote string
	Open          bool
}

// startAgent starts an agent in the host.
func (h *host) startAgent() *agent {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := h.command(self)
	cmd.Env = append(os.Environ(), agentVar+"="+ca.host)
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{w}
	a := &agent{t: h.t, in: in, out: bufio.NewReader(r)}
	a.process = start(h.t, cmd)
	w.Close()
	h.t.Cleanup(func() { r.Close() })
	return a
}

// try gives an order and returns the answer.
func (a *agent) try(o order) reply {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	line, err := json.Marshal(o)
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.in.Write(append(line, '\n')); err != nil {
		a.t.Fatalf("the agent takes no orders: %v", err)
	}
	var r reply
	if line, err = a.out.ReadBytes('\n'); err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		a.t.Fatalf("no answer to %q: %v", o.Do, err)
	}
	return r
}

// do is try for an order that must not fail.
func (a *agent) do(o order) reply {
	a.t.Helper()
	r := a.try(o)
	if r.Error != "" {
		a.t.Fatalf("%s %s: %s", o.Do, o.Addr, r.Error)
	}
	return r
}

// stats is the order that asks for counters.
func (a *agent) stats() reply { a.t.Helper(); return a.do(order{Do: "stats"}) }

// conn is the newest connection of the agent.
func (a *agent) conn() connReport {
	a.t.Helper()
	conns := a.stats().Conns
	if len(conns) == 0 {
		a.t.Fatal("the agent has no connection")
	}
	return conns[len(conns)-1]
}

// passed waits until a transfer has brought n bytes.
func (a *agent) passed(n int64) {
	a.t.Helper()
	eventually(a.t, fmt.Sprintf("%d bytes of the transfer", n), func() bool {
		r := a.do(order{Do: "progress"})
		if r.Ended {
			a.t.Fatalf("the transfer ended with %d bytes, before %d were waited for", r.Bytes, n)
		}
		return r.Bytes >= n
	})
}

// wantWhole waits for the end of a transfer, which must be blob(n).
func (a *agent) wantWhole(n int64) {
	a.t.Helper()
	if r := a.do(order{Do: "wait"}); r.Bytes != n || r.Sum != blobSum(n) {
		a.t.Fatalf("%d bytes with sum %.16s, want %d with %.16s", r.Bytes, r.Sum, n, blobSum(n))
	}
}

// wantSum waits for the end of an upload, of which the server must have read blob(n).
func (a *agent) wantSum(n int64) {
	a.t.Helper()
	if r := a.do(order{Do: "wait"}); r.Sum != blobSum(n) {
		a.t.Fatalf("the server has read other bytes, with sum %.16s, want %.16s", r.Sum, blobSum(n))
	}
}

// fetch is a transfer from beginning to end.
func (a *agent) fetch(n int64) {
	a.t.Helper()
	a.do(order{Do: "get", Bytes: n})
	a.wantWhole(n)
}

// serveHere starts an agent that serves at an address.
func (h *host) serveHere(o order) *agent {
	h.t.Helper()
	a := h.startAgent()
	o.Do = "listen"
	a.do(o)
	return a
}

// dialFrom starts an agent that has a connection to an address.
func (h *host) dialFrom(o order) *agent {
	h.t.Helper()
	a := h.startAgent()
	o.Do = "dial"
	a.do(o)
	return a
}

// worker is what runs in an agent's process.
type worker struct {
	dir      string
	endpoint *quic.Endpoint
	mu       sync.Mutex
	conns    []*quic.Conn
	http     *http3.ClientConn // of the newest
	transfer *transfer
}

// transfer is a download or an upload in an agent.
type transfer struct {
	n    atomic.Int64
	sum  string
	err  error
	done chan struct{}
}

// runAgent is the main function of an agent.
func runAgent(dir string) int {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	w, out := &worker{dir: dir}, json.NewEncoder(os.NewFile(3, "answers"))
	for in := json.NewDecoder(os.Stdin); ; {
		var o order
		if in.Decode(&o) != nil {
			return 0
		}
		var r reply
		if err := w.obey(o, &r); err != nil {
			r.Error = err.Error()
			r.Lost, r.Idle = errors.Is(err, quic.ErrStatelessReset), errors.Is(err, quic.ErrIdleTimeout)
		}
		if out.Encode(r) != nil {
			return 1
		}
	}
}

func (w *worker) obey(o order, r *reply) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch o.Do {
	case "listen":
		return w.listen(o, r)
	case "origin":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		r.Addr = l.Addr().String()
		go http.Serve(l, new(origin).handler())
		return nil
	case "dial":
		return w.dial(ctx, o)
	case "get", "put":
		return w.begin(o)
	case "progress":
		r.Bytes = w.transfer.n.Load()
		select {
		case <-w.transfer.done:
			r.Ended = true
		default:
		}
		return nil
	case "wait":
		select {
		case <-w.transfer.done:
		case <-ctx.Done():
			return fmt.Errorf("the transfer is not done, %d bytes have come", w.transfer.n.Load())
		}
		r.Bytes, r.Sum, r.Ended = w.transfer.n.Load(), w.transfer.sum, true
		return w.transfer.err
	case "migrate":
		local, err := netip.ParseAddrPort(o.Addr)
		if err != nil {
			return err
		}
		return w.newest().Migrate(ctx, local)
	case "stats":
		w.report(r)
		return nil
	}
	return errors.New("no such order")
}

func (w *worker) newest() *quic.Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conns[len(w.conns)-1]
}

func (o order) config() *quic.Config {
	c := &quic.Config{MaxDatagramSize: o.Size, Secret: o.Secret, MaxIdleTimeout: o.Idle}
	if o.NoECN {
		c.ECN = quic.NoECN
	}
	return c
}

// listen serves the origin's site.
func (w *worker) listen(o order, r *reply) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(w.dir, certFile), filepath.Join(w.dir, keyFile))
	if err != nil {
		return err
	}
	conf := http3.ConfigureTLS(&tls.Config{Certificates: []tls.Certificate{cert}})
	if w.endpoint, err = quic.Listen(o.Addr, conf, o.config()); err != nil {
		return err
	}
	r.Addr = w.endpoint.Addr().String()
	server := &http3.Server{Handler: new(origin).handler()}
	go func() {
		for {
			c, err := w.endpoint.Accept(context.Background())
			if err != nil {
				return
			}
			w.mu.Lock()
			w.conns = append(w.conns, c)
			w.mu.Unlock()
			go server.ServeConn(c)
		}
	}()
	return nil
}

func (w *worker) dial(ctx context.Context, o order) error {
	text, err := os.ReadFile(filepath.Join(w.dir, caFile))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	conf := http3.ConfigureTLS(&tls.Config{RootCAs: roots, ServerName: "localhost"})
	dial := quic.Dial
	if o.Shared {
		if w.endpoint, err = quic.NewEndpoint(":0", o.config()); err != nil {
			return err
		}
		dial = w.endpoint.Dial
	}
	c, err := dial(ctx, o.Addr, conf, o.config())
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns, w.http = append(w.conns, c), http3.NewClientConn(c)
	return nil
}

// begin starts a transfer on the newest connection.
func (w *worker) begin(o order) error {
	t := &transfer{done: make(chan struct{})}
	w.transfer = t
	req, err := http.NewRequest("GET", fmt.Sprintf("https://localhost/blob?n=%d", o.Bytes), nil)
	if o.Do == "put" {
		req, err = http.NewRequest("PUT", "https://localhost/sum", io.TeeReader(blob(o.Bytes), countWriter{&t.n}))
	}
	if err != nil {
		return err
	}
	go func() {
		defer close(t.done)
		res, err := w.http.RoundTrip(req)
		if err != nil {
			t.err = err
			return
		}
		defer res.Body.Close()
		if o.Do == "put" {
			_, t.err = fmt.Fscan(res.Body, &t.sum)
			return
		}
		t.sum, _, t.err = sumOf(io.TeeReader(res.Body, countWriter{&t.n}))
	}()
	return nil
}

// countWriter counts what is written.
type countWriter struct{ n *atomic.Int64 }

func (w countWriter) Write(p []byte) (int, error) {
	w.n.Add(int64(len(p)))
	return len(p), nil
}

func (w *worker) report(r *reply) {
	if w.endpoint != nil {
		r.Endpoint, r.Features = w.endpoint.Stats(), w.endpoint.Features()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		r.Conns = append(r.Conns, connReport{c.Stats(), c.LocalAddr().String(), c.RemoteAddr().String(), c.Err() == nil})
	}
}

// kill ends an agent as a crash would.
func (a *agent) kill() { a.end(syscall.SIGKILL) }

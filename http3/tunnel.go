package http3

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
)

// Tunnel is what a CONNECT request becomes when it is answered with success: the
// bytes of its DATA frames in both directions, as a [net.Conn]. On a server
// TakeTunnel makes it, on a client Transport.OpenTunnel.
//
// With plain CONNECT (RFC 9114, section 4.4) it leads to the host and port that
// the request names, with extended CONNECT (RFC 9220) it carries the protocol
// that the request names: WebSocket frames, or capsules (RFC 9297).
//
// One goroutine may read while another writes; Close and the deadlines may be
// called at any time. A Read or Write that failed at its deadline may be repeated.
type Tunnel struct {
	conn     *conn
	s        stream
	protocol string      // of extended CONNECT; "": plain
	status   int         // of the response
	header   http.Header // of the peer's message
	body     *body
	closed   atomic.Bool // by Close or Abort; the body may be closed without

	datagrams *datagramQueue // nil: there is no use for any

	wmu   sync.Mutex  // a Write that waits holds it
	head  []byte      // of a frame, not written yet
	owed  int         // bytes that the frame still has room for
	ended atomic.Bool // our direction has ended; set under wmu

	// Called when a direction is over; nil on a server.
	sent, received func()
}

// errNoTunnel is for requests that cannot become one.
var errNoTunnel = errors.New("http3: only a CONNECT request that is answered with 2xx becomes a tunnel")

// TakeTunnel turns the CONNECT request that w answers into a Tunnel. It sends the
// header as it is, with status 200 unless WriteHeader was called with another
// 2xx, and removes the request's deadlines, as a Hijack of net/http does. From then on
// w and the request's Body cannot be used any more.
//
// The tunnel lasts until the handler returns, at the latest: a handler that is
// done with its request stays until the tunnel is. The request's context ends when
// the client gives the tunnel up.
//
// w may be wrapped, if the wrapper has a method Unwrap as http.ResponseController
// needs it. When w is not of this package's Server the error matches
// http.ErrNotSupported.
func TakeTunnel(w http.ResponseWriter) (*Tunnel, error) {
	for {
		switch v := w.(type) {
		case interface{ Tunnel() (*Tunnel, error) }:
			return v.Tunnel()
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil, fmt.Errorf("http3: %T cannot become a tunnel: %w", w, http.ErrNotSupported)
		}
	}
}

// Tunnel is TakeTunnel.
func (w *response) Tunnel() (*Tunnel, error) {
	if w.tunnel.Load() != nil {
		return nil, http.ErrHijacked
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.finished:
		return nil, errHandlerReturned
	case w.req.Method != http.MethodConnect:
		return nil, errNoTunnel
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	if !w.isTunnel() || w.written > 0 {
		return nil, errNoTunnel
	}
	w.commit(nil, false)
	if err := w.w.flush(); err != nil {
		return nil, err
	}
	w.w.s.SetReadDeadline(time.Time{})
	w.w.s.SetWriteDeadline(time.Time{})
	protocol := w.req.Header.Get(":protocol")
	t := newTunnel(&w.conn.conn, w.w.s, protocol)
	t.status, t.header, t.body = w.status, w.req.Header, w.body
	w.tunnel.Store(t)
	return t, nil
}

func newTunnel(c *conn, s stream, protocol string) *Tunnel {
	t := &Tunnel{conn: c, s: s, protocol: protocol}
	if c.takesDatagrams() && hasDatagrams(protocol) {
		t.datagrams = c.router.open(s.ID())
	}
	return t
}

// isTunnel reports whether the response makes a tunnel of its request.
func (w *response) isTunnel() bool {
	return w.req.Method == http.MethodConnect && w.status >= 200 && w.status < 300
}

// Protocol returns what the tunnel carries: the :protocol of extended CONNECT, such as
// "websocket", or "" for plain CONNECT.
func (t *Tunnel) Protocol() string { return t.protocol }

// Read reads what the peer has written, at least one byte, and waits while there is
// none. It returns io.EOF when the peer has ended its direction, net.ErrClosed after
// Close, os.ErrDeadlineExceeded after the read deadline, and an *Error when the
// peer gave the tunnel up.
func (t *Tunnel) Read(p []byte) (int, error) {
	n, err := t.body.readTunnel(p)
	if err == io.EOF && t.received != nil {
		t.received()
	}
	return n, err
}

// readTunnel is Read for a tunnel: an expired deadline is not the end.
func (b *body) readTunnel(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.guard(&err)
	switch {
	case b.closed.Load():
		return 0, net.ErrClosed
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	n, err = b.read(p)
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return n, err
	case b.closed.Load():
		err = net.ErrClosed
	case err != io.EOF:
		err = b.owner.readFailed(err)
	}
	b.r.free()
	b.err = err
	return n, err
}

// Write sends p as one DATA frame, and waits for room where flow control leaves
// none. It returns os.ErrDeadlineExceeded after the write deadline, with what was written
// until then, an *Error when the peer stopped reading, and net.ErrClosed after Close or CloseWrite.
func (t *Tunnel) Write(p []byte) (n int, err error) {
	t.wmu.Lock()
	defer t.wmu.Unlock()
	if t.ended.Load() {
		return 0, net.ErrClosed
	}
	for n < len(p) {
		k, err := t.write(p[n:])
		n += k
		if err != nil {
			return n, t.writeFailed(err)
		}
	}
	return n, nil
}

// write writes the beginning of p, in a frame that has room for it or a new one of
// p's size. wmu is held.
func (t *Tunnel) write(p []byte) (int, error) {
	if t.owed == 0 {
		t.owed = len(p)
		t.head = appendFrameHeader(t.head[:0], h3.FrameData, len(p))
		t.conn.trace.dataCreated(t.s.ID(), len(p))
	}
	p = p[:min(len(p), t.owed)]
	if len(t.head) == 0 {
		n, err := t.s.Write(p)
		t.owed -= n
		return n, err
	}
	out := getBuffer(&copyBuffers)
	defer freeBuffer(&copyBuffers, &out)
	out.b = append(append(out.b, t.head...), p[:min(len(p), copyBufferSize)]...)
	n, err := t.s.Write(out.b)
	if n < len(t.head) {
		t.head = t.head[:copy(t.head, t.head[n:])]
		return 0, err
	}
	n -= len(t.head)
	t.owed -= n
	t.head = t.head[:0]
	return n, err
}

// writeFailed names the failure that our own Close brings about.
func (t *Tunnel) writeFailed(err error) error {
	err = publicError(err)
	if e, ok := err.(*Error); err != nil && !(ok && e.Remote) && t.closed.Load() {
		return net.ErrClosed
	}
	return err
}

// ReadFrom writes what r has. It saves a copy where io.Copy uses it.
func (t *Tunnel) ReadFrom(r io.Reader) (n int64, err error) {
	out := getBuffer(&copyBuffers)
	defer freeBuffer(&copyBuffers, &out)
	room := out.b[:frameRoom+copyBufferSize]
	for {
		k, rerr := r.Read(room[frameRoom:])
		if k > 0 {
			k, err := t.writePlaced(room[:frameRoom+k])
			n += int64(k)
			if err != nil {
				return n, err
			}
		}
		switch {
		case rerr == io.EOF:
			return n, nil
		case rerr != nil:
			return n, rerr
		}
	}
}

// writePlaced is Write for content with frameRoom free bytes in front.
func (t *Tunnel) writePlaced(b []byte) (int, error) {
	t.wmu.Lock()
	if t.ended.Load() || t.owed > 0 {
		t.wmu.Unlock()
		return t.Write(b[frameRoom:])
	}
	defer t.wmu.Unlock()
	length := len(b) - frameRoom
	t.conn.trace.dataCreated(t.s.ID(), length)
	b = placeDataHeader(b)
	n, err := t.s.Write(b)
	if n == len(b) {
		return length, nil
	}
	if n == 0 {
		return 0, t.writeFailed(err)
	}
	head := b[:len(b)-length]
	t.head = append(t.head[:0], head[min(n, len(head)):]...)
	n = max(0, n-len(head))
	t.owed = length - n
	return n, t.writeFailed(err)
}

// CloseWrite ends our direction: the peer reads io.EOF. "When the client ends the
// request stream (that is, the receive stream at the proxy enters the "Data Recvd"
// state), the proxy will set the FIN bit on its connection to the TCP server"
// (RFC 9114, section 4.4).
func (t *Tunnel) CloseWrite() error {
	t.wmu.Lock()
	defer t.wmu.Unlock()
	return t.finish()
}

// finish ends our direction. wmu is held.
func (t *Tunnel) finish() (err error) {
	if t.ended.Swap(true) {
		return nil
	}
	if t.owed > 0 {
		// A Write failed in the middle of a frame, and has told so.
		t.s.Reset(uint64(h3.H3RequestCancelled))
	} else {
		err = publicError(t.s.Close())
	}
	if t.sent != nil {
		t.sent()
	}
	return err
}

// Close ends the tunnel in peace: what was written is delivered, with the end behind
// it, and what the peer still sends is not wanted. Read and Write that wait return
// net.ErrClosed; when a Write is cut short like that, our direction is reset.
func (t *Tunnel) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	t.body.closed.Store(true)
	t.s.SetWriteDeadline(time.Unix(1, 0)) // who writes has the lock
	t.wmu.Lock()
	err := t.finish()
	t.wmu.Unlock()
	if !t.body.atEnd() {
		t.s.StopReading(uint64(h3.H3NoError))
	}
	t.freeReader()
	t.endDatagrams()
	return err
}

func (t *Tunnel) endDatagrams() {
	if t.datagrams != nil {
		t.datagrams.end(net.ErrClosed)
		t.conn.router.close(t.s.ID())
	}
}

// sendingOver reports whether our direction has ended.
func (t *Tunnel) sendingOver() bool { return t.closed.Load() || t.ended.Load() }

func (t *Tunnel) freeReader() {
	t.body.mu.Lock()
	t.body.r.free()
	t.body.mu.Unlock()
	if t.received != nil {
		t.received()
	}
}

// Abort ends the tunnel as a broken TCP connection would: both directions are reset, and what
// was not delivered need not be. "A proxy treats any error in the TCP connection
// [...] as a stream error of type H3_CONNECT_ERROR" (RFC 9114, section 4.4), and
// with extended CONNECT "RST exceptions are represented with a stream error [...] of type
// H3_REQUEST_CANCELLED" (RFC 9220, section 3).
func (t *Tunnel) Abort() {
	code := h3.H3ConnectError
	if t.protocol != "" {
		code = h3.H3RequestCancelled
	}
	t.abort(code)
}

func (t *Tunnel) abort(code h3.ErrorCode) {
	t.closed.Store(true)
	t.body.closed.Store(true)
	t.s.Reset(uint64(code))
	t.s.StopReading(uint64(code))
	t.wmu.Lock()
	t.finish()
	t.wmu.Unlock()
	t.freeReader()
	t.endDatagrams()
}

// LocalAddr returns our address on the QUIC connection, a *net.UDPAddr.
func (t *Tunnel) LocalAddr() net.Addr { return t.conn.q.LocalAddr() }

// RemoteAddr returns the peer's address on the QUIC connection, a *net.UDPAddr: not that of a
// host behind a proxy.
func (t *Tunnel) RemoteAddr() net.Addr { return t.conn.q.RemoteAddr() }

// SetDeadline sets both deadlines.
func (t *Tunnel) SetDeadline(d time.Time) error {
	t.s.SetReadDeadline(d)
	return t.s.SetWriteDeadline(d)
}

// SetReadDeadline makes Read fail with os.ErrDeadlineExceeded from d on; the zero time means never.
func (t *Tunnel) SetReadDeadline(d time.Time) error { return t.s.SetReadDeadline(d) }

// SetWriteDeadline makes Write fail with os.ErrDeadlineExceeded from d on; the zero time means never.
func (t *Tunnel) SetWriteDeadline(d time.Time) error { return t.s.SetWriteDeadline(d) }

package http3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/quic"
)

// Capsules is a tunnel that speaks the Capsule Protocol (RFC 9297, section 3), as
// CONNECT-UDP does (RFC 9298): HTTP datagrams, and capsules of other kinds.
//
// Datagrams travel in QUIC's (RFC 9221) when both ends have quic.Config.Datagrams, and
// in DATAGRAM capsules on the stream otherwise. Its methods may be called from any goroutine.
type Capsules struct {
	t      *Tunnel
	queue  *datagramQueue
	handle func(typ uint64, value io.Reader) error
}

// errNotCapsules is for messages that the Capsule Protocol cannot be used with.
var errNotCapsules = &h3.Error{Code: h3.H3MessageError, Stream: true,
	Reason: "the Capsule Protocol with a Content-Length, Content-Type or Transfer-Encoding, or a status that has none"}

// Capsules speaks the Capsule Protocol on the tunnel from now on; Read and Write of
// the tunnel are not to be used any more. Both sides of a protocol that is defined
// so do it, and say so in their headers with "Capsule-Protocol: ?1".
//
// handle, if it is not nil, is called for each capsule that is no DATAGRAM, one after
// the other in a goroutine of the tunnel's, and reads as much of its value as it wants; its
// error aborts the tunnel as malformed. Where it is nil, and for types that it does not know
// and returns nil for, "Endpoints which receive a Capsule with an unknown Capsule Type MUST
// silently drop that Capsule and skip over it to parse the next Capsule" (RFC 9297, section 3.2).
//
// It fails, and aborts the tunnel, when the peer's header has fields that the protocol forbids:
// Content-Length, Content-Type, Transfer-Encoding; and where the response's status is 204, 205 or 206, which at a server is its own fault.
func (t *Tunnel) Capsules(handle func(typ uint64, value io.Reader) error) (*Capsules, error) {
	for _, key := range []string{"Content-Length", "Content-Type", "Transfer-Encoding"} {
		if _, ok := t.header[key]; ok {
			// "A receiver that observes a violation of these requirements MUST treat the HTTP
			// message as malformed" (RFC 9297, section 3.2).
			return nil, t.malformed(errNotCapsules)
		}
	}
	switch t.status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent:
		// "HTTP status codes 204 (No Content), 205 (Reset Content), and 206 (Partial Content) MUST NOT be sent on responses
		// that use the Capsule Protocol" (RFC 9297, section 3.2).
		if t.conn.server {
			return nil, fmt.Errorf("http3: capsules cannot follow status %d", t.status)
		}
		return nil, t.malformed(errNotCapsules)
	}
	if t.datagrams == nil {
		t.datagrams = &datagramQueue{} // for capsules alone
	}
	c := &Capsules{t: t, queue: t.datagrams, handle: handle}
	go c.run()
	return c, nil
}

// malformed ends the tunnel because the peer broke a rule.
func (t *Tunnel) malformed(err error) error {
	err = t.conn.streamFailed(t.s, err)
	t.abort(h3.H3MessageError)
	return err
}

// MaxSize returns the largest datagram that Send takes at present, in bytes: what
// one packet holds where they travel in QUIC's, 65535 in capsules.
func (c *Capsules) MaxSize() int {
	if !c.unreliable() {
		return h3.MaxDatagramCapsule
	}
	return max(0, c.t.conn.q.MaxDatagramSize()-varint.Len(uint64(c.t.s.ID())/4))
}

// unreliable reports whether datagrams travel in QUIC's.
func (c *Capsules) unreliable() bool {
	return c.t.conn.sendsDatagrams() && c.t.conn.q.MaxDatagramSize() > 0
}

// Send sends a datagram. In QUIC's it does not wait, may be lost, and is refused with
// quic.ErrDatagramTooLarge above MaxSize; in a capsule it waits for flow control, and arrives.
func (c *Capsules) Send(p []byte) error {
	if !c.unreliable() {
		if len(p) > h3.MaxDatagramCapsule {
			return quic.ErrDatagramTooLarge
		}
		return c.WriteCapsule(uint64(h3.CapsuleDatagram), p)
	}
	// "HTTP/3 Datagrams MUST NOT be sent unless the corresponding stream's send side is
	// open" (RFC 9297, section 2.1).
	if c.t.sendingOver() {
		return net.ErrClosed
	}
	out := getBuffer(&readBuffers)
	defer freeBuffer(&readBuffers, &out)
	out.b = append(h3.AppendDatagramHeader(out.b, c.t.s.ID()), p...)
	c.t.conn.trace.datagramCreated(c.t.s.ID(), len(p))
	return publicError(c.t.conn.q.SendDatagram(out.b))
}

// Receive waits for the peer's next datagram, however it travels. When more than 64 of them, or
// 64 KiB, wait to be received, the oldest is dropped. It returns io.EOF after
// the peer has ended its direction and what came before was received.
func (c *Capsules) Receive(ctx context.Context) ([]byte, error) { return c.queue.receive(ctx) }

// Dropped returns how many datagrams gave way to newer ones before they were received.
func (c *Capsules) Dropped() int64 {
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	return c.queue.dropped
}

// WriteCapsule sends a capsule of any type and waits for flow control. Type 0 is a DATAGRAM.
func (c *Capsules) WriteCapsule(typ uint64, value []byte) error {
	b := h3.AppendCapsuleHeader(nil, h3.CapsuleHeader{Type: h3.CapsuleType(typ), Length: int64(len(value))})
	_, err := c.t.Write(append(b, value...))
	return err
}

// Close ends the tunnel, as its own Close does.
func (c *Capsules) Close() error { return c.t.Close() }

// run reads capsules until the tunnel ends.
func (c *Capsules) run() {
	defer c.guard()
	r := bufio.NewReaderSize(c.t, readBufferSize)
	for {
		h, err := readCapsuleHeader(r)
		if err == nil {
			err = c.receive(h, r)
		}
		if err != nil {
			var bad *h3.Error
			if errors.As(err, &bad) {
				err = c.t.malformed(bad)
			}
			c.queue.end(err)
			return
		}
	}
}

// guard is deferred by run: a panic, of handle for one, ends the tunnel. The
// connection goes on.
func (c *Capsules) guard() {
	if r := recover(); r != nil {
		defer c.t.conn.q.Contain(uint64(h3.H3InternalError))
		c.t.conn.q.Panicked(r)
		c.t.abort(h3.H3InternalError)
		c.queue.end(&panicError{r})
	}
}

// readCapsuleHeader returns io.EOF at the end between two capsules.
func readCapsuleHeader(r *bufio.Reader) (h h3.CapsuleHeader, err error) {
	for size := 2; ; size++ {
		b, err := r.Peek(size)
		if h, n := h3.ConsumeCapsuleHeader(b); n > 0 {
			r.Discard(n)
			return h, nil
		}
		if err == io.EOF && len(b) > 0 {
			err = h3.ErrTruncatedCapsule
		}
		if err != nil {
			return h, err
		}
	}
}

// receive takes one capsule's value.
func (c *Capsules) receive(h h3.CapsuleHeader, r io.Reader) (err error) {
	value := &io.LimitedReader{R: r, N: h.Length}
	switch {
	case h.Oversized():
		// "the implementation SHOULD discard the capsule without buffering its contents
		// into memory" (RFC 9297, section 3.5).
	case h.Type == h3.CapsuleDatagram:
		// As the bytes come: what the peer announces costs nothing.
		var p bytes.Buffer
		if _, err = p.ReadFrom(value); err == nil && value.N == 0 {
			c.queue.put(p.Bytes())
		}
	case c.handle != nil:
		if herr := c.handle(uint64(h.Type), value); herr != nil && herr != io.EOF && herr != io.ErrUnexpectedEOF {
			return &h3.Error{Code: h3.H3MessageError, Reason: herr.Error(), Stream: true}
		}
	}
	if err == nil {
		_, err = io.Copy(io.Discard, value)
	}
	if err == nil && value.N > 0 {
		err = h3.ErrTruncatedCapsule
	}
	return err
}

// UsesCapsules reports whether a header says, by Capsule-Protocol, that the data
// of a tunnel are capsules (RFC 9297, section 3.4).
func UsesCapsules(h http.Header) bool {
	values := h["Capsule-Protocol"]
	return len(values) == 1 && h3.CapsuleProtocol(values[0])
}

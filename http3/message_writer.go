package http3

import (
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
)

// messageWriter is the sending half of a message (RFC 9114, section 4.1): it
// frames field sections and content, and joins what it can into one write.
// Its caller serialises the calls.
type messageWriter struct {
	s      stream
	trace  *tracer
	queued *buffer // whole frames that wait for company; nil: none
	body   *buffer // content that has no frame yet, behind frameRoom free bytes
	sent   int64   // bytes that the stream took
	err    error   // the first error of the stream: nothing is written after it
}

// openSection begins a field section behind what is queued. The caller
// appends fields with qpack.AppendField and hands the slice to closeSection.
func (w *messageWriter) openSection() []byte {
	if w.queued == nil {
		w.queued = getBuffer(&frameBuffers)
	}
	b := w.queued.b
	return qpack.AppendPrefix(append(b, make([]byte, frameRoom)...))
}

// closeSection frames the section and leaves it queued.
func (w *messageWriter) closeSection(b []byte) {
	start := len(w.queued.b)
	section := b[start+frameRoom:]
	w.trace.headersCreated(w.s.ID(), section)
	// The header is as short as it can be: the section moves up to it.
	h := h3.FrameHeader{Type: h3.FrameHeaders, Length: int64(len(section))}
	n := h.Len()
	copy(b[start+n:], section)
	h3.AppendFrameHeader(b[:start], h)
	w.queued.b = b[:start+n+len(section)]
}

// dropSection forgets a section that was opened.
func (w *messageWriter) dropSection() {
	if len(w.queued.b) == 0 {
		freeBuffer(&frameBuffers, &w.queued)
	}
}

// pending is the content that is held back.
func (w *messageWriter) pending() []byte {
	if w.body == nil {
		return nil
	}
	return w.body.b[frameRoom:]
}

// hold keeps p back when it fits into the room for held content.
func hold[T []byte | string](w *messageWriter, p T) bool {
	if len(w.pending())+len(p) > responseBufferSize {
		return false
	}
	if w.body == nil {
		w.body = getBuffer(&frameBuffers)
		w.body.b = w.body.b[:frameRoom]
	}
	w.body.b = append(w.body.b, p...)
	return true
}

// flush writes what is queued and what is held back.
func (w *messageWriter) flush() error {
	w.frameBody()
	if w.queued == nil {
		return w.err
	}
	w.write(w.queued.b)
	freeBuffer(&frameBuffers, &w.queued)
	return w.err
}

// frameBody turns the content held back into a queued DATA frame.
func (w *messageWriter) frameBody() {
	n := len(w.pending())
	if n == 0 {
		freeBuffer(&frameBuffers, &w.body)
		return
	}
	w.trace.dataCreated(w.s.ID(), n)
	if w.queued == nil {
		// Nothing in front of it: the header goes into the room kept free, and
		// the buffer is the queue.
		w.queued, w.body = w.body, nil
		w.queued.b = placeDataHeader(w.queued.b)
		return
	}
	w.queued.b = appendFrameHeader(w.queued.b, h3.FrameData, n)
	w.queued.b = append(w.queued.b, w.pending()...)
	freeBuffer(&frameBuffers, &w.body)
}

// writeData writes everything before it and p as one DATA frame. What is in
// front of p and its first copyBufferSize bytes are joined; the rest is not
// copied.
func (w *messageWriter) writeData(p []byte) error {
	if w.err != nil {
		return w.err
	}
	out := getBuffer(&copyBuffers)
	defer freeBuffer(&copyBuffers, &out)
	if w.queued != nil {
		out.b = append(out.b, w.queued.b...)
		freeBuffer(&frameBuffers, &w.queued)
	}
	held := w.pending()
	out.b = appendFrameHeader(out.b, h3.FrameData, len(held)+len(p))
	w.trace.dataCreated(w.s.ID(), len(held)+len(p))
	out.b = append(out.b, held...)
	freeBuffer(&frameBuffers, &w.body)
	n := min(len(p), max(0, copyBufferSize-len(out.b)))
	out.b = append(out.b, p[:n]...)
	if w.write(out.b); n < len(p) {
		w.write(p[n:])
	}
	return w.err
}

// writePlaced is writeData for content with frameRoom free bytes in front: when
// nothing else waits it needs no copy.
func (w *messageWriter) writePlaced(b []byte) error {
	if w.queued != nil || len(w.pending()) > 0 {
		return w.writeData(b[frameRoom:])
	}
	w.trace.dataCreated(w.s.ID(), len(b)-frameRoom)
	w.write(placeDataHeader(b))
	return w.err
}

// finish writes everything with the end of the stream behind it.
func (w *messageWriter) finish() error {
	w.frameBody()
	switch {
	case w.err != nil:
	case w.queued == nil:
		w.err = publicError(w.s.Close())
	default:
		n, err := w.s.WriteFinal(w.queued.b)
		w.sent += int64(n)
		w.err = publicError(err)
	}
	w.drop()
	return w.err
}

// drop frees what was not written.
func (w *messageWriter) drop() {
	freeBuffer(&frameBuffers, &w.queued)
	freeBuffer(&frameBuffers, &w.body)
}

func (w *messageWriter) write(p []byte) {
	if w.err == nil {
		n, err := w.s.Write(p)
		w.sent += int64(n)
		w.err = publicError(err)
	}
}

func appendFrameHeader(b []byte, t h3.FrameType, length int) []byte {
	return h3.AppendFrameHeader(b, h3.FrameHeader{Type: t, Length: int64(length)})
}

// placeDataHeader puts a DATA frame's header in front of the payload
// b[frameRoom:] and returns the frame.
func placeDataHeader(b []byte) []byte {
	h := h3.FrameHeader{Type: h3.FrameData, Length: int64(len(b) - frameRoom)}
	start := frameRoom - h.Len()
	h3.AppendFrameHeader(b[start:start], h)
	return b[start:]
}

package http3

import "github.com/godwit-net/godwit/internal/h3"

// messageWriter is the sending half of a message (RFC 9114, section 4.1): it
// frames field sections and content, and joins what it can into one write.
// Its caller serialises the calls.
type messageWriter struct {
	s      stream
	conn   *conn   // whose tables and qlog are used; nil: none
	queued *buffer // whole frames that wait for company; nil: none
	body   *buffer // content that has no frame yet, behind frameRoom free bytes
	sent   int64   // bytes that the stream took
	err    error   // the first error of the stream: nothing is written after it
}

// openSection begins a field section behind what is queued. Fields are added,
// and closeSection or dropSection ends it.
func (w *messageWriter) openSection() {
	if w.queued == nil {
		w.queued = getBuffer(&frameBuffers)
	}
	w.queued.section.begin(w.queued.b, w.conn)
}

// add adds a field to the open section.
func (w *messageWriter) add(name, value string) { w.queued.section.add(name, value) }

// empty reports whether nothing was added to the open section.
func (w *messageWriter) empty() bool {
	return len(w.queued.section.b) == len(w.queued.b)+sectionRoom
}

// closeSection frames the section and leaves it queued.
func (w *messageWriter) closeSection() {
	q := w.queued
	var room [sectionRoom]byte
	prefix := q.section.appendPrefix(room[:0], w.s.ID())
	lines := q.section.b[len(q.b)+sectionRoom:]
	h := h3.FrameHeader{Type: h3.FrameHeaders, Length: int64(len(prefix) + len(lines))}
	w.trace().headersCreated(w.s.ID(), h.Length, q.section.log)
	// Header and prefix are as short as they can be: the lines move up to them.
	b := h3.AppendFrameHeader(q.section.b[:len(q.b)], h)
	b = append(b, prefix...)
	q.b = append(b, lines...)
	q.section = fieldSection{}
}

// dropSection forgets the section that was opened.
func (w *messageWriter) dropSection() {
	w.queued.section.drop()
	w.queued.section = fieldSection{}
	if len(w.queued.b) == 0 {
		freeBuffer(&frameBuffers, &w.queued)
	}
}

func (w *messageWriter) trace() *tracer {
	if w.conn == nil {
		return nil
	}
	return w.conn.trace
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
	w.trace().dataCreated(w.s.ID(), n)
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
	w.trace().dataCreated(w.s.ID(), len(held)+len(p))
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
	w.trace().dataCreated(w.s.ID(), len(b)-frameRoom)
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
	if w.queued != nil && w.queued.section.b != nil {
		w.dropSection()
	}
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

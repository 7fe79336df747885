package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
)

// The functions in this file are the application's. None blocks; each says how much it could do.

// Open opens a stream and returns its ID; false: the peer allows no more now, and EventStreamsAvailable will tell.
func (c *Conn) Open(now instant.Time, uniStream bool) (id int64, ok bool) {
	c.advance(now)
	dir := bidi
	if uniStream {
		dir, id = uni, unidirectional
	}
	if c.server {
		id |= serverInitiated
	}
	l := &c.streams.local[dir]
	if c.life.state != lifeOpen || l.opened >= l.max {
		l.wanted = true
		if !(l.blocked.isSet() && l.blockedAt == l.max) && c.shake.done {
			l.blockedAt = l.max
			l.blocked.set()
		}
		return 0, false
	}
	id |= l.opened << 2
	l.opened++
	c.newStream(id)
	c.stats.StreamsOpened++
	return id, true
}

// Write buffers bytes of p to be sent on a stream and returns how many there was room for. When it was not all,
// EventWritable tells that there is room again.
func (c *Conn) Write(now instant.Time, id int64, p []byte) (int, error) {
	c.advance(now)
	s, err := c.sending(id)
	if err != nil {
		return 0, err
	}
	s.told &^= toldWritable
	n := s.send.write(&c.pool, p, c.sendBuffer())
	c.touch(s)
	return n, nil
}

// Finish ends a stream's sending part after what was written.
func (c *Conn) Finish(now instant.Time, id int64) error {
	c.advance(now)
	s, err := c.sending(id)
	if err != nil {
		return err
	}
	s.send.state.on(inFinish)
	s.send.short = false
	s.send.fin.set()
	c.touch(s)
	return nil
}

// sending finds a stream that can be written to, or says why it cannot.
func (c *Conn) sending(id int64) (*stream, error) {
	if c.life.err != nil {
		return nil, c.life.err
	}
	s := c.streams.byID[id]
	if s == nil {
		return nil, ErrUnknownStream
	}
	switch s.send.state {
	case sendReady:
		return s, nil
	case sendNone:
		return nil, ErrWrongDirection
	case sendResetSent, sendResetRecvd:
		return nil, &StreamError{Stream: id, Code: s.send.code, Remote: s.send.stopped}
	}
	if s.send.reset.isSet() {
		return nil, &StreamError{Stream: id, Code: s.send.code}
	}
	return nil, ErrStreamFinished
}

// sendBuffer is how many bytes a stream may buffer until they are acknowledged.
func (c *Conn) sendBuffer() int {
	return min(max(2*c.ledger.Window(), minSendBuffer), maxSendBuffer)
}

// Read copies received bytes to p. fin: these were the last. n == 0 without fin and error: there are none now, and
// EventReadable will tell. Once fin or an error was returned the stream's receiving part is over. Bytes that had arrived when
// the peer closed the connection can still be read.
func (c *Conn) Read(now instant.Time, id int64, p []byte) (n int, fin bool, err error) {
	now = c.advance(now)
	s := c.streams.byID[id]
	switch {
	case c.life.err != nil:
		return c.readLeft(s, p)
	case s == nil:
		return 0, false, ErrUnknownStream
	case s.recv.state == recvNone:
		return 0, false, ErrWrongDirection
	}
	s.told &^= toldReadable
	if s.recv.unread {
		return 0, false, &StreamError{Stream: id, Code: s.recv.stopFor}
	}
	switch s.recv.state {
	case recvResetRecvd, recvResetRead:
		s.recv.state.on(inAppSawReset)
		err = &StreamError{Stream: id, Code: s.recv.code, Remote: true}
		c.finishIfOver(s)
		return 0, false, err
	case recvDataRead:
		return 0, true, nil
	}
	before, was := s.recv.read, s.recv.state
	if n, fin = s.recv.take(&c.pool, p); n > 0 {
		c.tellReset(s, was)
		c.flow.consume(now, s.recv.read-before, c.rtt())
		if s.recv.state == recvRecv && s.recv.window.consumed(now, s.recv.read, c.rtt()) {
			c.flow.keepAhead(s.recv.window.size)
			c.touch(s)
		}
	}
	if fin {
		c.finishIfOver(s)
	}
	return n, fin, nil
}

// readLeft copies bytes that had arrived before the peer closed the connection; then, unless these were all of the stream,
// it says why there are no more.
func (c *Conn) readLeft(s *stream, p []byte) (n int, fin bool, err error) {
	if s != nil {
		n, fin = s.recv.take(&c.pool, p)
	}
	if n == 0 && !fin {
		err = c.life.err
	}
	return n, fin, err
}

// Readable reports whether Read would return something: bytes, the end, or an error.
func (c *Conn) Readable(id int64) bool {
	s := c.streams.byID[id]
	return c.life.err != nil || s == nil || s.recv.unread || s.recv.readable() || s.recv.state.terminal()
}

// PeerStreams returns how many bidirectional streams the peer was allowed to open, since the connection began.
func (c *Conn) PeerStreams() int64 { return c.streams.remote[bidi].max }

// Reset abandons a stream's sending part: bytes that did not arrive yet may never, but for those that SetBoundary promised.
func (c *Conn) Reset(now instant.Time, id int64, code uint64) {
	c.advance(now)
	s := c.streams.byID[id]
	if s == nil || c.life.err != nil {
		return
	}
	if s.send.reliable > 0 && c.peer.ResetStreamAt {
		if !s.send.resetAt(code) {
			return
		}
	} else if !s.send.abandon(&c.pool, code) {
		return
	}
	c.touch(s)
	c.tellWritable(s)
}

// Stop gives up a stream's receiving part and asks the peer to send no more.
func (c *Conn) Stop(now instant.Time, id int64, code uint64) {
	now = c.advance(now)
	s := c.streams.byID[id]
	if s == nil || c.life.err != nil {
		return
	}
	before := s.recv.read
	if s.recv.refuse(&c.pool, code) {
		c.touch(s)
		c.afterReceive(now, s, before)
	}
}

// tellWritable reports that a blocked writer should look again.
func (c *Conn) tellWritable(s *stream) {
	if s.told&toldWritable == 0 {
		s.told |= toldWritable
		c.events.push(Event{Kind: EventWritable, Stream: s.id})
	}
}

// tellWritableWhenRoomy wakes a writer once a good part of the buffer is free, and not for every packet acknowledged.
func (c *Conn) tellWritableWhenRoomy(s *stream) {
	limit := c.sendBuffer()
	if used := int(s.send.end - s.send.buf.start); used <= limit-limit/4 {
		s.send.short = false
		c.tellWritable(s)
	}
}

// keepAhead lets the connection's window grow with its largest stream's, so that it is never the narrower one.
func (f *connFlow) keepAhead(streamWindow int64) {
	f.window.size = min(max(f.window.size, streamWindow+streamWindow/2), f.window.max)
}

package http3

import (
	"sync"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
)

// fieldEncoder is our encoder with the peer's dynamic table, and our encoder
// stream. A connection has one once the peer has announced a capacity.
type fieldEncoder struct {
	c *conn

	mu           sync.Mutex
	enc          *qpack.Encoder
	counted      uint64 // insertions in the statistics
	sent         uint64 // insertions that the first sentAt bytes of the stream hold
	sentAt       int64
	instructions instructionStream
}

// startEncoder makes the connection's encoder for what the peer has announced. With
// a capacity of 0 there is none: "When the maximum table capacity is zero, the
// encoder MUST NOT insert entries into the dynamic table and MUST NOT send any
// encoder instructions on the encoder stream" (RFC 9204, section 3.2.3).
//
// A client that uses 0-RTT could begin with the capacity that it remembers. It
// does not: were 0-RTT rejected, what it has sent would be sent again, to a
// server that may have changed its mind. So there is no encoder before SETTINGS
// has come.
func (c *conn) startEncoder(peer *h3.Settings) {
	if peer.QPACKMaxTableCapacity == 0 {
		return
	}
	e := &fieldEncoder{c: c, enc: qpack.NewEncoder(peer.QPACKMaxTableCapacity, peer.QPACKBlockedStreams)}
	e.instructions = instructionStream{c: c, typ: h3.StreamQPACKEncoder, mu: &e.mu}
	c.enc.Store(e)
}

// receiveReplies takes bytes of the peer's decoder stream.
func (c *conn) receiveReplies(s *qpack.DecoderStream, b []byte) error {
	e := c.enc.Load()
	if e == nil {
		return s.Receive(nil, b)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.Receive(e.enc, b)
}

// fieldSection is a field section being encoded.
type fieldSection struct {
	b    []byte        // what is queued in front, sectionRoom free bytes, and the field lines
	enc  *fieldEncoder // nil: the static table only
	refs qpack.Section
	used bool // refs has begun
	held bool // enc.mu is held

	logging bool
	log     [][2]string
}

// sectionRoom is what is kept free in front of the field lines of a section:
// its prefix is known at its end.
const sectionRoom = frameRoom + qpack.MaxPrefixLen

// begin begins a section behind b; c is nil without a connection.
func (s *fieldSection) begin(b []byte, c *conn) {
	s.b = append(b, make([]byte, sectionRoom)...)
	if c == nil {
		return
	}
	s.enc, s.logging = c.enc.Load(), c.trace != nil
}

func (s *fieldSection) add(name, value string) {
	sensitive := qpack.Sensitive(name, value)
	if s.logging {
		s.log = append(s.log, loggedField(name, value))
	}
	if s.enc == nil {
		s.b = qpack.AppendField(s.b, name, value, sensitive)
		return
	}
	if !s.held {
		s.enc.mu.Lock()
		defer s.enc.mu.Unlock()
	}
	if !s.used {
		s.refs, s.used = s.enc.begin(), true
	}
	s.b = s.enc.enc.AppendField(s.b, &s.refs, name, value, sensitive)
}

// hold takes the encoder's lock for many fields, until release or the end of
// the section. Nothing that is not ours may be called meanwhile.
func (s *fieldSection) hold() {
	if s.enc != nil && !s.held {
		s.enc.mu.Lock()
		s.held = true
	}
}

func (s *fieldSection) release() {
	if s.held {
		s.held = false
		s.enc.mu.Unlock()
	}
}

// begin begins a section. mu is held.
func (e *fieldEncoder) begin() qpack.Section {
	i := &e.instructions
	if !e.enc.Settled() && i.s != nil && (e.sentAt == 0 || i.s.Delivered() >= e.sentAt) {
		e.enc.Arrived(e.sent)
		if len(i.waiting) == 0 { // the next to be followed
			e.sent, e.sentAt = e.counted, i.written
		}
	}
	return e.enc.Begin()
}

// appendPrefix ends the section, which is the next one on a stream, and appends
// its prefix to b. What the encoder has to say leaves with it.
func (s *fieldSection) appendPrefix(b []byte, stream int64) []byte {
	e := s.enc
	if e == nil {
		return qpack.AppendPrefix(b)
	}
	s.hold()
	defer s.release()
	b = e.enc.AppendPrefix(b, &s.refs)
	if s.refs.Uses() {
		e.c.counters.sections.Add(1)
	}
	e.enc.Close(&s.refs, stream)
	if out := e.enc.Instructions(); len(out) > 0 && len(e.instructions.waiting) < maxUnsentInstructions {
		// A peer that has no room for instructions gets no more of them: the
		// encoder inserts nothing while they wait.
		e.instructions.waiting = append(e.instructions.waiting, out...)
		e.enc.Took()
		e.c.counters.inserted.Add(int64(e.enc.Inserted() - e.counted))
		e.counted = e.enc.Inserted()
	}
	e.instructions.flush(true)
	return b
}

// drop forgets the section.
func (s *fieldSection) drop() {
	if s.enc != nil {
		s.hold()
		defer s.release()
		s.enc.enc.Drop(&s.refs)
	}
}

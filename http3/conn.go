package http3

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/quic"
)

// conn is what both roles have: our control stream, the peer's unidirectional
// streams, and what was said on them.
type conn struct {
	q      *quic.Conn
	server bool
	limit  int // of a field section that we accept, in bytes as decoded
	trace  *tracer
	log    *slog.Logger // nil: slog.Default()

	// goAway is told of the peer's GOAWAY, heard of its ORIGIN; nil: it does not
	// matter.
	goAway func(id int64)
	heard  func(origins []string)

	announce h3.Settings // ours
	names    []string    // the origins that a server names in an ORIGIN frame

	// reprioritize is told of the peer's PRIORITY_UPDATE; nil at a client.
	reprioritize func(id int64, p h3.Priority)

	// QPACK's dynamic tables (RFC 9204). nil: not in use.
	enc      atomic.Pointer[fieldEncoder]
	dec      atomic.Pointer[fieldDecoder]
	counters *compressionCounters

	router        datagramRouter
	judgeDatagram func(stream int64) datagramFate // what becomes of one whose stream is no tunnel

	mu       sync.Mutex
	control  *quic.Stream
	unsaid   []byte // frames that wait for it
	uni      h3.UniStreams
	sent     h3.GoAway
	settings h3.Settings // the peer's
	recalled bool        // settings are those of the connection before
	settled  signal      // settings are what the peer has said
	begun    signal      // control is open
}

func (c *conn) init(q *quic.Conn, server bool, limit int, log *slog.Logger, counters *compressionCounters) {
	c.q, c.server, c.limit, c.log, c.counters = q, server, limit, log, counters
	c.uni.Server = server
	c.settings = h3.DefaultSettings()
	c.announce = announced(limit)
	c.announce.Datagram = q.TakesDatagrams()
	c.trace = newTracer(q)
}

// start opens our control stream. "Each side MUST initiate a single control
// stream at the beginning of the connection and send its SETTINGS frame as the
// first frame on this stream" (RFC 9114, section 6.2.1). QPACK's two streams are
// opened when there is something to say on them.
func (c *conn) start() error {
	ctx, cancel := context.WithTimeout(c.q.Context(), openTimeout)
	defer cancel()
	s, err := c.q.OpenUniStream(ctx)
	if err != nil {
		if c.q.Err() == nil {
			c.fail(&h3.Error{Code: h3.H3GeneralProtocolError, Reason: "no unidirectional stream for our control stream"})
		}
		return publicError(err)
	}
	c.putFirst(s)
	settings := c.announce
	// "Endpoints SHOULD include at least one such setting in their SETTINGS
	// frame" (RFC 9114, section 7.2.4.1): a reserved one.
	settings.Other = []h3.Setting{{ID: h3.SettingID(h3.Grease(rand.Uint64())), Value: rand.Uint64N(1 << 30)}}
	context.AfterFunc(s.Context(), func() {
		defer c.q.Contain(uint64(h3.H3InternalError))
		if c.q.Err() == nil { // the peer stopped it
			c.fail(violation(h3.StreamControl.Closed()))
		}
	})
	c.trace.streamType(s.ID(), "local", h3.StreamControl)
	c.trace.parameters("local", settings)
	b := h3.AppendSettings(h3.AppendStreamType(nil, h3.StreamControl), settings)
	if len(c.names) > 0 {
		c.trace.frameCreated(s.ID(), h3.FrameOrigin, int64(h3.FrameOrigin))
		b = h3.AppendOrigin(b, c.names)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control = s
	c.begun.give()
	// A shutdown may have come first.
	if id, ok := c.sent.ID(); ok {
		b = c.sent.AppendFrame(b, id)
	}
	b, c.unsaid = append(b, c.unsaid...), nil
	_, err = s.Write(b)
	return publicError(err)
}

// announced is what both roles say about themselves; limit is of a field
// section.
func announced(limit int) h3.Settings {
	return h3.Settings{
		MaxFieldSectionSize:   uint64(limit),
		QPACKMaxTableCapacity: tableCapacity,
		QPACKBlockedStreams:   maxBlockedSections,
	}
}

// sendGoAway announces id on the control stream, or leaves it to start. mu is
// held.
func (c *conn) sendGoAway(id int64) {
	if last, ok := c.sent.ID(); ok && last <= id {
		return
	}
	frame := c.sent.AppendFrame(nil, id)
	if c.control == nil {
		return
	}
	c.trace.frameCreated(c.control.ID(), h3.FrameGoAway, id)
	// A peer that lets our control stream run into flow control would hold us
	// here: GOAWAY is a courtesy, so it is then not sent.
	c.control.SetWriteDeadline(soon())
	c.control.Write(frame)
}

// receive acts on a frame of the peer's control stream.
func (c *conn) receive(stream int64, f h3.ControlFrame) {
	c.trace.controlParsed(stream, f)
	switch f.Type {
	case h3.FrameSettings:
		c.mu.Lock()
		before, recalled := c.settings, c.recalled
		c.settings, c.recalled = f.Settings, false
		c.settled.give()
		c.mu.Unlock()
		if recalled && c.q.EarlyData() {
			if err := shrunk(&before, &f.Settings); err != nil {
				c.fail(err)
				return
			}
		}
		c.startEncoder(&f.Settings)
		if !c.server {
			c.remember(f.Settings)
		}
	case h3.FrameOrigin:
		if c.heard != nil {
			c.heard(f.Origins)
		}
	case h3.FrameGoAway:
		if c.goAway != nil {
			c.goAway(f.ID)
		}
	case h3.FramePriorityUpdateRequest:
		c.reprioritize(f.ID, f.Priority)
	}
}

// peerLimit is the largest field section that the peer takes, decoded.
func (c *conn) peerLimit() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings.MaxFieldSectionSize
}

// fail closes the connection because the peer broke a rule.
func (c *conn) fail(e *h3.Error) {
	log := c.log
	if log == nil {
		log = slog.Default()
	}
	log.Debug("http3: the peer broke a rule", "remote", c.q.RemoteAddr(), "code", e.Code.String(), "reason", e.Reason)
	c.q.CloseWithError(uint64(e.Code), e.Reason)
}

// close closes the connection in peace. RFC 9114, section 5.2: "An endpoint that
// completes a graceful shutdown SHOULD use the H3_NO_ERROR error code".
func (c *conn) close() { c.q.CloseWithError(uint64(h3.H3NoError), "") }

// streamFailed ends what err, found while reading or writing s, has to end: the
// stream or the whole connection when the peer broke a rule, nothing
// otherwise. It returns err for the public.
func (c *conn) streamFailed(s stream, err error) error {
	e := violation(err)
	switch {
	case e == nil:
		return publicError(err)
	case e.Stream:
		s.StopReading(uint64(e.Code))
		s.Reset(uint64(e.Code))
		return &Error{Code: e.Code, Stream: s.ID(), Reason: e.Reason, cause: err}
	}
	c.fail(e)
	return &Error{Code: e.Code, Stream: -1, Reason: e.Reason, cause: err}
}

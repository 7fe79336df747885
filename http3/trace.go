package http3

import (
	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
	"github.com/godwit-net/godwit/qlog"
	"github.com/godwit-net/godwit/quic"
)

// tracer writes HTTP/3's part of a connection's qlog. A nil *tracer is
// silence, so that a connection without a qlog pays one branch.
type tracer struct{ q *quic.Conn }

func newTracer(q *quic.Conn) *tracer {
	var on bool
	q.Trace(func(_ congestion.Time, t *qlog.Trace) { on = t.On() })
	if !on {
		return nil
	}
	return &tracer{q}
}

func (t *tracer) frameParsed(stream int64, h h3.FrameHeader) {
	if t != nil {
		f := qlog.H3Frame{Type: h.Type.String(), Length: h.Length, ID: int64(h.Type)}
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3FrameParsed(now, stream, f) })
	}
}

func (t *tracer) controlParsed(stream int64, c h3.ControlFrame) {
	if t == nil {
		return
	}
	if c.Type == h3.FrameSettings {
		t.parameters("remote", c.Settings)
	}
	f := qlog.H3Frame{Type: c.Type.String(), Length: c.Length, ID: c.ID, Settings: settingsList(c.Settings)}
	t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3FrameParsed(now, stream, f) })
}

func (t *tracer) frameCreated(stream int64, typ h3.FrameType, id int64) {
	if t != nil {
		f := qlog.H3Frame{Type: typ.String(), ID: id}
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3FrameCreated(now, stream, f) })
	}
}

func (t *tracer) dataCreated(stream int64, n int) {
	if t != nil {
		f := qlog.H3Frame{Type: h3.FrameData.String(), Length: int64(n)}
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3FrameCreated(now, stream, f) })
	}
}

func (t *tracer) datagramCreated(stream int64, n int) {
	if t != nil {
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3DatagramCreated(now, stream, n) })
	}
}

func (t *tracer) datagramParsed(stream int64, n int) {
	if t != nil {
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3DatagramParsed(now, stream, n) })
	}
}

func (t *tracer) headersCreated(stream, length int64, fields [][2]string) {
	if t != nil {
		f := qlog.H3Frame{Type: h3.FrameHeaders.String(), Length: length, Fields: fields}
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3FrameCreated(now, stream, f) })
	}
}

func (t *tracer) headersParsed(stream, length int64, fields [][2]string) {
	if t != nil {
		f := qlog.H3Frame{Type: h3.FrameHeaders.String(), Length: length, Fields: fields}
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3FrameParsed(now, stream, f) })
	}
}

func (t *tracer) streamType(stream int64, owner string, typ h3.StreamType) {
	if t != nil {
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3StreamType(now, stream, owner, typ.String()) })
	}
}

func (t *tracer) parameters(owner string, s h3.Settings) {
	if t != nil {
		list := settingsList(s)
		t.q.Trace(func(now congestion.Time, q *qlog.Trace) { q.H3Parameters(now, owner, list) })
	}
}

// loggedField is a field as the log shows it: values that must not be repeated
// on later hops are not repeated there either.
func loggedField(name, value string) [2]string {
	if qpack.Sensitive(name, value) {
		value = "(sensitive)"
	}
	return [2]string{name, value}
}

func settingsList(s h3.Settings) (list [][2]uint64) {
	for _, x := range s.List() {
		list = append(list, [2]uint64{uint64(x.ID), x.Value})
	}
	return list
}

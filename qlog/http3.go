package qlog

import "github.com/godwit-net/godwit/internal/instant"

// H3Frame is an HTTP/3 frame as a trace shows it. Type is the draft's name, and only the fields that matter for it are
// read:
//
//	data                             Length
//	headers                          Fields, Length
//	cancel_push, max_push_id         ID (the push ID)
//	settings                         Settings
//	push_promise                     ID, Fields, Length
//	goaway                           ID
//	priority_update                  ID (the request stream), Priority
//	reserved, unknown                ID (the frame type), Length
//
// Lengths are of the frame's payload, in bytes.
type H3Frame struct {
	Type     string
	Length   int64
	Fields   [][2]string // name, value; not kept
	ID       int64
	Settings [][2]uint64 // identifier, value; not kept
	Priority string      // the Structured Field of RFC 9218
}

// H3FrameCreated records an HTTP/3 frame handed to QUIC: http3:frame_created.
func (t *Trace) H3FrameCreated(now instant.Time, stream int64, f H3Frame) {
	if t != nil {
		t.h3Frame(now, "http3:frame_created", stream, &f)
	}
}

// H3FrameParsed records an HTTP/3 frame that was read: http3:frame_parsed.
func (t *Trace) H3FrameParsed(now instant.Time, stream int64, f H3Frame) {
	if t != nil {
		t.h3Frame(now, "http3:frame_parsed", stream, &f)
	}
}

func (t *Trace) h3Frame(now instant.Time, name string, stream int64, f *H3Frame) {
	e := t.begin(now, name)
	e.int("stream_id", stream)
	e.open("frame")
	e.text("frame_type", f.Type)
	switch f.Type {
	case "data":
		e.payload(f.Length)
	case "headers":
		e.fields(f.Fields)
		e.payload(f.Length)
	case "cancel_push", "max_push_id":
		e.int("push_id", f.ID)
	case "settings":
		e.settings(f.Settings)
	case "push_promise":
		e.int("push_id", f.ID)
		e.fields(f.Fields)
		e.payload(f.Length)
	case "goaway":
		e.int("id", f.ID)
	case "priority_update":
		e.int("stream_id", f.ID)
		e.text("priority_field_value", f.Priority)
	case "reserved", "unknown":
		e.int("frame_type_bytes", f.ID)
		e.payload(f.Length)
	}
	e.close()
	t.end()
}

// H3DatagramCreated records an HTTP datagram (RFC 9297) handed to QUIC, for a request stream: http3:datagram_created. The length
// is of its payload, in bytes.
func (t *Trace) H3DatagramCreated(now instant.Time, stream int64, length int) {
	if t != nil {
		t.h3Datagram(now, "http3:datagram_created", stream, length)
	}
}

// H3DatagramParsed records an HTTP datagram that came: http3:datagram_parsed.
func (t *Trace) H3DatagramParsed(now instant.Time, stream int64, length int) {
	if t != nil {
		t.h3Datagram(now, "http3:datagram_parsed", stream, length)
	}
}

func (t *Trace) h3Datagram(now instant.Time, name string, stream int64, length int) {
	e := t.begin(now, name)
	e.int("quarter_stream_id", stream/4)
	e.payload(int64(length))
	t.end()
}

func (e *encoder) fields(fields [][2]string) {
	e.list("headers")
	for _, f := range fields {
		e.open("")
		e.text("name", f[0])
		e.text("value", f[1])
		e.close()
	}
	e.endList()
}

// setting pairs an HTTP/3 setting's identifier with its two names: the one in a SETTINGS frame and the one in
// parameters_set.
type setting struct {
	id           uint64
	frame, param string
}

var settings = [...]setting{
	{0x01, "settings_qpack_max_table_capacity", "max_table_capacity"}, // RFC 9204, section 5
	{0x06, "settings_max_field_section_size", "max_field_section_size"},
	{0x07, "settings_qpack_blocked_streams", "blocked_streams_count"},
	{0x08, "settings_enable_connect_protocol", "extended_connect"}, // RFC 9220, section 3
	{0x33, "settings_h3_datagram", "h3_datagram"},                  // RFC 9297, section 2.1.1
}

// lookupSetting finds what is known about a setting; a zero setting if nothing is.
func lookupSetting(id uint64) setting {
	for _, s := range settings {
		if s.id == id {
			return s
		}
	}
	return setting{}
}

func (e *encoder) settings(list [][2]uint64) {
	e.list("settings")
	for _, s := range list {
		e.open("")
		switch known := lookupSetting(s[0]); {
		case known.id != 0:
			e.text("name", known.frame)
		case s[0] >= 0x21 && (s[0]-0x21)%0x1f == 0: // RFC 9114, section 7.2.4.1
			e.text("name", "reserved")
		default:
			e.text("name", "unknown")
			e.uint("name_bytes", s[0])
		}
		e.uint("value", s[1])
		e.close()
	}
	e.endList()
}

// H3Parameters records the HTTP/3 settings of one end, "local" or "remote": http3:parameters_set. Settings that the
// draft has no name for are left to the SETTINGS frame's own event.
func (t *Trace) H3Parameters(now instant.Time, owner string, list [][2]uint64) {
	if t == nil {
		return
	}
	e := t.begin(now, "http3:parameters_set")
	e.text("initiator", owner)
	for _, s := range list {
		if known := lookupSetting(s[0]); known.id != 0 {
			e.uint(known.param, s[1])
		}
	}
	t.end()
}

// H3StreamType records what a stream is for: http3:stream_type_set. The owner is who opened it, "local" or "remote"; the
// type is "request", "control", "push", "reserved", "unknown", "qpack_encode" or "qpack_decode".
func (t *Trace) H3StreamType(now instant.Time, stream int64, owner, typ string) {
	if t == nil {
		return
	}
	e := t.begin(now, "http3:stream_type_set")
	e.text("initiator", owner)
	e.int("stream_id", stream)
	e.text("stream_type", typ)
	t.end()
}

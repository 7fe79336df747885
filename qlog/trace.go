// Package qlog writes what a QUIC connection does, as JSON text sequences that qlog tools read.
//
// A [Trace] belongs to one connection. The connection tells it events, each with the instant at which it happened;
// whoever owns the connection calls [Trace.Take] now and then and puts the bytes into a file. The trace does no I/O,
// reads no clock and takes no lock: it is used under whatever protects its connection.
//
// A nil *Trace is silence. Every method of a nil trace returns at once, so code that is traced needs no condition around
// its events, unless building an event's arguments costs something (a list of frames); then it asks [Trace.On] first.
//
// The vocabulary is that of draft-ietf-quic-qlog-main-schema, draft-ietf-quic-qlog-quic-events and
// draft-ietf-quic-qlog-h3-events, all at revision 13. Everything is written by hand, append upon append: no reflection
// and no map, so that the same events give the same bytes.
package qlog

import (
	"strconv"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

// Config says whose trace it is.
type Config struct {
	// Server tells the vantage point: false is the client, which initiates the connection.
	Server bool
	// ODCID is the original destination connection ID, the one value that both ends share and that never changes. It
	// becomes the trace's group_id.
	ODCID []byte
	// Title is free text for the reader of the file. Empty: none.
	Title string
	// Reference is the wall time of instant 0, approximately. The zero Time: unknown.
	Reference time.Time
}

// Trace buffers the records of one connection. The nil Trace records nothing. A Trace must not be used by two
// goroutines at once.
type Trace struct {
	e       encoder
	last    instant.Time // of the newest event, for the note about dropped records
	start   int          // where in e.b the record being written begins
	dropped int64        // records that did not fit since the last Take
	h3      bool         // ALPN chose HTTP/3: application error codes have names
	path    int          // tuple ID of the path in use; 0 is the default tuple, ""
	metrics Metrics      // as last written
	state   string       // congestion state as last written
}

// New returns a trace whose first record, the header, is already buffered.
func New(c Config) *Trace {
	t := new(Trace)
	e := &t.e
	e.b = append(e.b, recordSeparator)
	e.open("")
	// "their values SHOULD be in the first 256 characters/bytes of the resulting log file": main schema, section 5.
	e.text("file_schema", "urn:ietf:params:qlog:file:sequential")
	e.text("serialization_format", "application/qlog+json-seq")
	if c.Title != "" {
		e.text("title", c.Title)
	}
	e.open("trace")
	e.open("vantage_point")
	vantage := "client"
	if c.Server {
		vantage = "server"
	}
	e.text("type", vantage)
	e.close()
	e.open("common_fields")
	if len(c.ODCID) > 0 {
		e.hex("group_id", c.ODCID)
	}
	e.text("time_format", "relative_to_epoch")
	e.open("reference_time")
	// "When using the "monotonic" clock type, the epoch field MUST have the value "unknown"": main schema, section 7.1.
	e.text("clock_type", "monotonic")
	e.text("epoch", "unknown")
	if !c.Reference.IsZero() {
		e.key("wall_clock_time")
		e.b = c.Reference.UTC().AppendFormat(e.b, `"2006-01-02T15:04:05.000Z"`)
	}
	e.close()
	e.close()
	e.list("event_schemas")
	for _, uri := range [...]string{
		// "Implementations of draft versions of the event schema MUST append the string "-" and the corresponding draft
		// number to the URI": QUIC events, section 2.1.
		"urn:ietf:params:qlog:events:quic-13",
		"urn:ietf:params:qlog:events:http3-13",
		"urn:ietf:params:qlog:events:loglevel-13",
	} {
		e.text("", uri)
	}
	e.endList()
	e.close()
	e.close()
	e.b = append(e.b, '\n')
	return t
}

// recordSeparator begins every record of a JSON text sequence (RFC 7464, section 2.2); a line feed ends it.
const recordSeparator = 0x1e

// On reports whether events are recorded: false for a nil trace. Ask it before building arguments that cost something.
func (t *Trace) On() bool { return t != nil }

// Take returns the records buffered since the last Take, nil if there are none. They are whole records, each begun by
// 0x1e and ended by a line feed; the bytes of all calls, one after another, are the file. The slice is the caller's.
func (t *Trace) Take() []byte {
	if t == nil {
		return nil
	}
	if t.dropped > 0 {
		n := t.dropped
		t.dropped = 0
		out := t.e.b
		t.e.b = nil
		e := t.begin(t.last, "loglevel:warning")
		e.text("message", "records dropped, the buffer was full: "+strconv.FormatInt(n, 10))
		t.end()
		out = append(out, t.e.b...)
		t.e.b = nil
		return out
	}
	out := t.e.b
	t.e.b = nil
	return out
}

// Dropped returns how many records did not fit into the buffer since the last Take.
func (t *Trace) Dropped() int64 {
	if t == nil {
		return 0
	}
	return t.dropped
}

// begin opens the record of an event up to and including the brace of its data. Its end is t.end.
func (t *Trace) begin(now instant.Time, name string) *encoder {
	t.last = now
	t.start = len(t.e.b)
	e := &t.e
	e.b = append(e.b, recordSeparator)
	e.open("")
	e.millis("time", int64(now))
	e.text("name", name)
	if t.path != 0 {
		e.key("tuple")
		e.b = append(e.b, '"')
		e.b = strconv.AppendInt(e.b, int64(t.path), 10)
		e.b = append(e.b, '"')
	}
	e.open("data")
	return e
}

// end closes the record that begin opened, and takes it back if the buffer is over its limit with it.
func (t *Trace) end() {
	t.e.close()
	t.e.close()
	t.e.b = append(t.e.b, '\n')
	if len(t.e.b) > MaxBuffered {
		t.e.b = t.e.b[:t.start]
		t.dropped++
	}
}

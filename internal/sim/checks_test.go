package sim

import (
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
)

// A checker that never fails proves nothing: these are worlds that have to fail, and how.
func TestBadWorldsAreFound(t *testing.T) {
	// Rules: 9000:14/1
	forever := simnet.LinkConfig{Delay: 20 * ms, Outages: []simnet.Outage{Outage(200*ms, 24*time.Hour)}}
	work := Workload{Flows: []Flow{{Request: 1_000_000}}}
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"nothing arrives", both(Config{Work: work}, simnet.LinkConfig{Loss: 1}), engine.ErrHandshakeTimeout.Error()},
		{"nothing comes back", Config{Work: work, Down: simnet.LinkConfig{Loss: 1}}, engine.ErrHandshakeTimeout.Error()},
		{"the path breaks for good", both(Config{Work: work}, forever), engine.ErrIdleTimeout.Error()},
		{"too little time", both(Config{Work: work, Limit: time.Second}, simnet.LinkConfig{Rate: 100_000}), "time is up"},
		{"datagrams do not fit", both(Config{Work: work}, simnet.LinkConfig{MTU: 1199}), engine.ErrHandshakeTimeout.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 1)
			_, err := Run(c.config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}

// The judges of one stream, told of things that a correct engine does not do.
func TestBadStreamsAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(c *conn, f *flow, w *way)
		want string
	}{
		{"a wrong byte", func(c *conn, f *flow, w *way) { b := w.bytes(0, 10); b[7]++; f.compare(c, w, b) }, "a wrong byte on stream 4 at offset 7"},
		{"bytes out of order", func(c *conn, f *flow, w *way) { f.compare(c, w, w.bytes(10, 10)) }, "a wrong byte"},
		{"bytes nobody wrote", func(c *conn, f *flow, w *way) { f.compare(c, w, w.bytes(0, 51)) }, "read 51 bytes on stream 4, but only 50 were written"},
		{"an end nobody wrote", func(c *conn, f *flow, w *way) { f.compare(c, w, w.bytes(0, 50)); f.end(c, w) }, "the end of stream 4 after 50 bytes of 100"},
		{"an end before the last byte", func(c *conn, f *flow, w *way) {
			w.written, w.finished = 100, true
			f.compare(c, w, w.bytes(0, 99))
			f.end(c, w)
		}, "the end of stream 4 after 99 bytes of 100"},
		{"a reset nobody sent", func(c *conn, f *flow, w *way) {
			f.readFailed(c, w, &engine.StreamError{Stream: 4, Code: resetCode, Remote: true})
		}, "cannot read stream 4"},
		{"a reset before what was promised", func(c *conn, f *flow, w *way) {
			w.reset, w.read, w.promised = true, 20, 21
			f.readFailed(c, w, &engine.StreamError{Stream: 4, Code: resetCode, Remote: true})
		}, "read 20 bytes on stream 4 before its reset, and 21 were promised"},
		{"a reset with another code", func(c *conn, f *flow, w *way) {
			w.reset = true
			f.readFailed(c, w, &engine.StreamError{Stream: 4, Code: 1, Remote: true})
		}, "cannot read stream 4"},
		{"a refusal nobody asked for", func(c *conn, f *flow, w *way) {
			f.writeFailed(c, w, &engine.StreamError{Stream: 4, Code: stopCode, Remote: true})
		}, "cannot write to stream 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(Config{Work: Workload{Flows: []Flow{{Request: 100}}}})
			f := w.pairs[0].flows[0]
			f.id, f.ways[request].written = 4, 50
			c.do(w.pairs[0].ends[client], f, &f.ways[request])
			if w.err == nil || !strings.Contains(w.err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", w.err, c.want)
			}
		})
	}
}

// bytes returns what is written to a stream in one direction.
func (w *way) bytes(offset int64, n int) []byte {
	b := make([]byte, n)
	w.content.fill(b, offset)
	return b
}

package sim

import (
	"encoding/binary"
	"strings"
	"testing"
)

// The judge of datagrams, told of things that a correct engine does not do.
func TestBadDatagramsAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *World, c *conn, good []byte)
		want string
	}{
		{"a datagram twice", func(w *World, c *conn, good []byte) { c.heardOf(good); c.heardOf(good) }, "received datagram 3 twice"},
		{"one that nobody sent", func(w *World, c *conn, good []byte) { good[7] = 10; c.heardOf(good) }, "received datagram 10, which was not sent"},
		{"a wrong byte", func(w *World, c *conn, good []byte) { good[20]++; c.heardOf(good) }, "received datagram 3 with other content"},
		{"half of one", func(w *World, c *conn, good []byte) { c.heardOf(good[:20]) }, "received datagram 3 with other content"},
		{"less than a number", func(w *World, c *conn, good []byte) { c.heardOf(good[:7]) }, "received a datagram of 7 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(Config{Work: Workload{Datagrams: 10}})
			p := w.pairs[0]
			p.speeches[server].sent = 10
			good := make([]byte, 8+3*37)
			binary.BigEndian.PutUint64(good, 3)
			p.speeches[server].content.fill(good[8:], 3*1500)
			c.do(w, p.ends[client], good)
			if w.err == nil || !strings.Contains(w.err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", w.err, c.want)
			}
		})
	}
}

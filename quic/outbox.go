package quic

import (
	"net/netip"
	"sync"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/udp"
)

// outbox gathers composed datagrams, of one connection or of many, until one system call sends them. Its 64 KiB come
// from a pool shared by the process and go back as soon as they are sent: a connection holds none when it is idle.
type outbox struct {
	buf  []byte
	used int
	msgs []udp.Message
	via  []netip.AddrPort // the local address of each message
	from []*Conn          // whose each message is; nil: nobody's
}

var outboxes = sync.Pool{New: func() any {
	return &outbox{
		buf: make([]byte, slabSize), msgs: make([]udp.Message, 0, maxMessages),
		via: make([]netip.AddrPort, 0, maxMessages), from: make([]*Conn, 0, maxMessages),
	}
}}

func newOutbox() *outbox { return outboxes.Get().(*outbox) }

// free gives the outbox back to the pool.
func (o *outbox) free() {
	o.reset()
	outboxes.Put(o)
}

func (o *outbox) reset() {
	clear(o.msgs)
	clear(o.from)
	o.used, o.msgs, o.via, o.from = 0, o.msgs[:0], o.via[:0], o.from[:0]
}

// room reports whether there is room for another run of datagrams.
func (o *outbox) room() bool { return len(o.buf)-o.used >= minRoom && len(o.msgs) < cap(o.msgs) }

// space is where the next datagrams are composed.
func (o *outbox) space() []byte { return o.buf[o.used:] }

// add takes t, whose bytes are at the front of space, as one message of c's, or of nobody's.
func (o *outbox) add(c *Conn, t engine.Transmit) {
	o.from = append(o.from, c)
	payload := o.buf[o.used : o.used+t.Size : o.used+t.Size]
	o.used += t.Size
	o.via = append(o.via, t.Path.Local)
	o.msgs = append(o.msgs, udp.Message{
		Payload: payload,
		Segment: t.Segment,
		Remote:  t.Path.Remote,
		Local:   t.Path.Local.Addr(),
		ECN:     t.ECN,
	})
}

// send sends what was gathered and empties the outbox. It is called without any lock: the socket may have to wait.
func (e *Endpoint) send(o *outbox) {
	if len(o.msgs) == 0 {
		return
	}
	bytes, count := 0, 0
	for i := range o.msgs {
		bytes += len(o.msgs[i].Payload)
		count += o.msgs[i].Datagrams()
	}
	e.count.bytesOut.Add(int64(bytes))
	e.count.datagramsOut.Add(int64(count))
	e.count.messages.Add(int64(len(o.msgs)))
	e.write(o)
	for i := range o.msgs {
		if m := &o.msgs[i]; m.TooLong && o.from[i] != nil {
			o.from[i].tooLong(m.Segment)
		}
	}
	o.reset()
}

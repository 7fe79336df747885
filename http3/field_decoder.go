package http3

import (
	"sync"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
)

// fieldDecoder is the dynamic table that the peer's encoder fills, and our
// decoder stream. A connection makes it when the peer first makes use of it.
type fieldDecoder struct {
	c *conn

	mu      sync.Mutex
	table   *qpack.Table
	used    bool   // the peer makes use of it, and so must be told what we abandon
	counted uint64 // insertions in the statistics
	blocked []blockedSection
	acks    int // acknowledgments that wait
	replies instructionStream
}

// blockedSection is a section that refers to entries that have not arrived.
type blockedSection struct {
	required uint64
	ready    chan struct{} // closed when they have
}

// decoder returns the connection's, which it makes if there is none.
func (c *conn) decoder() *fieldDecoder {
	if d := c.dec.Load(); d != nil {
		return d
	}
	d := &fieldDecoder{c: c, table: qpack.NewTable(tableCapacity)}
	d.replies = instructionStream{c: c, typ: h3.StreamQPACKDecoder, mu: &d.mu}
	if !c.dec.CompareAndSwap(nil, d) {
		return c.dec.Load()
	}
	return d
}

// receive takes bytes of the peer's encoder stream.
func (d *fieldDecoder) receive(b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.table.Receive(b)
	count := d.table.InsertCount()
	if count == d.counted {
		return err
	}
	d.c.counters.peerInserted.Add(int64(count - d.counted))
	d.used, d.counted = true, count
	kept := d.blocked[:0]
	for _, x := range d.blocked {
		if x.required <= count {
			close(x.ready)
		} else {
			kept = append(kept, x)
		}
	}
	clear(d.blocked[len(kept):])
	d.blocked = kept
	// "Emitting this instruction after adding each new dynamic table entry will
	// provide the timeliest feedback to the encoder" (RFC 9204, section
	// 2.2.2.3): it is once for what arrived together.
	d.replies.waiting = d.table.AppendIncrement(d.replies.waiting)
	d.flush(false)
	d.limit()
	return err
}

// begin finds out what a section needs, of which start are the first bytes. ok
// is false when they are not enough. ready is nil, or what to wait for before
// the section can be decoded. mu is held.
func (d *fieldDecoder) begin(start []byte) (ready chan struct{}, required uint64, ok bool, err error) {
	required, ok, err = d.table.RequiredInsertCount(start)
	if !d.used && required > 0 {
		d.used = true
		d.replies.flushSoon()
	}
	switch {
	case required <= d.table.InsertCount():
		return nil, required, ok, err
	case len(d.blocked) == maxBlockedSections:
		// "If a decoder encounters more blocked streams than it promised to
		// support, it MUST treat this as a connection error of type
		// QPACK_DECOMPRESSION_FAILED" (RFC 9204, section 2.1.2).
		return nil, required, ok, errManyBlocked
	}
	d.c.counters.blocked.Add(1)
	ready = make(chan struct{})
	d.blocked = append(d.blocked, blockedSection{required, ready})
	return ready, required, ok, nil
}

// await waits until a section on s, of which start are the first bytes, can be
// decoded. ok is false when they are not enough to tell.
func (d *fieldDecoder) await(s stream, start []byte) (ok bool, err error) {
	d.mu.Lock()
	ready, _, ok, err := d.begin(start)
	d.mu.Unlock()
	if ready == nil {
		return ok, err
	}
	return true, d.wait(s, ready)
}

func (d *fieldDecoder) wait(s stream, ready chan struct{}) error {
	err := s.Await(ready)
	if err != nil {
		d.forget(ready)
	}
	return err
}

// forget takes a section off the list that is not waited for any more.
func (d *fieldDecoder) forget(ready chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.blocked {
		if d.blocked[i].ready == ready {
			last := len(d.blocked) - 1
			d.blocked[i] = d.blocked[last]
			d.blocked[last] = blockedSection{}
			d.blocked = d.blocked[:last]
			return
		}
	}
}

// decode decodes a section on s that refers to the table, when that is possible.
func (d *fieldDecoder) decode(s stream, section []byte, limit int, f func(qpack.Field) error) error {
	for {
		ready, err := d.tryDecode(s.ID(), section, limit, f)
		if ready == nil {
			return err
		}
		if err := d.wait(s, ready); err != nil {
			return err
		}
	}
}

// tryDecode is decode without waiting.
func (d *fieldDecoder) tryDecode(stream int64, section []byte, limit int, f func(qpack.Field) error) (chan struct{}, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ready, required, _, err := d.begin(section)
	if ready != nil || err != nil {
		return ready, err
	}
	q := qpack.Decoder{MaxSize: limit, Table: d.table}
	if err := q.DecodeFields(section, f); err != nil {
		return nil, err
	}
	d.c.counters.peerSections.Add(1)
	// Acknowledgments are not urgent: what the peer may refer to it has learnt
	// from increments. So they are sent some at a time.
	d.replies.waiting = d.table.AppendAcknowledgment(d.replies.waiting, stream, required)
	if d.acks++; d.acks >= maxHeldAcks {
		d.flush(true)
	}
	if len(d.replies.waiting) > 0 {
		d.replies.flushSoon()
	}
	d.limit()
	return nil, nil
}

// abandoned tells the peer that nothing more of a stream will be decoded. As
// long as it makes no use of the table that can wait.
func (d *fieldDecoder) abandoned(stream int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replies.waiting = qpack.AppendCancellation(d.replies.waiting, stream)
	if d.used || len(d.replies.waiting) > maxIdleReplies {
		d.replies.flushSoon()
	}
	d.limit()
}

// flush writes replies. mu is held.
func (d *fieldDecoder) flush(later bool) {
	d.replies.flush(later)
	d.acks = 0
}

// limit ends a connection whose peer has us reply and does not take the
// replies. mu is held.
func (d *fieldDecoder) limit() {
	if len(d.replies.waiting) > maxReplies {
		d.c.fail(&h3.Error{Code: h3.H3ExcessiveLoad, Reason: "the decoder stream is not read"})
	}
}

var errManyBlocked = &h3.Error{Code: h3.QPACKDecompressionFailed, Reason: "more blocked streams than allowed"}

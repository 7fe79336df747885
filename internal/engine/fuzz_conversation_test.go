package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// FuzzConversation lets bytes choose what two real ends do, and what the path does to their datagrams. What is read must be
// what was written, in order; and once the path behaves, everything must come to its end.
func FuzzConversation(f *testing.F) {
	f.Add([]byte{0x06, 0x00, 0x10, 0x0d, 0x03, 0x0d, 0x12, 0x0d})
	f.Add([]byte{0x06, 0xf0, 0xf0, 0x08, 0x0d, 0x2b, 0x0a, 0x0a, 0x09, 0x0d, 0xf2, 0x04, 0x0d})
	f.Add([]byte{0x16, 0x06, 0x26, 0x50, 0x51, 0x0d, 0x05, 0x15, 0x0d, 0xfb, 0xfb, 0x08, 0x08, 0x0d})
	f.Add([]byte{0x06, 0xf0, 0xf0, 0xf0, 0xf0, 0x07, 0x08, 0x0a, 0x04, 0x0d, 0x0c, 0xfc, 0x0d})
	f.Add(bytes.Repeat([]byte{0x06, 0xf0, 0x0d, 0xf2, 0x0b, 0x08, 0x03, 0x07}, 20))
	f.Add([]byte{0x06, 0x01, 0x0d, 0x01, 0x08, 0x84, 0x0d, 0x12, 0x3f, 0x0d, 0x0b})       // a reset with a promise, and loss
	f.Add([]byte{0x06, 0x0e, 0x84, 0x07, 0x15, 0x0d, 0x26, 0x82, 0x84, 0x08, 0x08, 0x0d}) // and with a reader who stops
	f.Add(bytes.Repeat([]byte{0x8c, 0x9c, 0x07, 0x08, 0x09, 0xec, 0x0d, 0xdc}, 8))        // datagrams, some lost, some twice
	f.Add(append(bytes.Repeat([]byte{0x9c, 0xac}, 140), 0x0d, 0x8c, 0x0d))                // more of them than are kept
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 300 {
			return
		}
		w := newConversation(t)
		for _, b := range script {
			w.do(b&15, int(b>>4))
		}
		w.end()
	})
}

// conversation is two ends, the datagrams between them, and what was said on each stream by each end.
type conversation struct {
	*pair
	ends   [2]*Conn // client, server
	ids    []int64
	voices [2]map[int64]*voice
	spoken [2]int          // datagrams sent
	heard  [2]map[int]bool // and received
}

// voice is one end's part in one stream.
type voice struct {
	written  int
	finished bool
	reset    bool
	promised int // bytes that are delivered although it was reset
	read     int // of what the other end wrote
	fin      bool
	deaf     bool // it stopped reading, or was told of a reset
}

func newConversation(t *testing.T) *conversation {
	config := func() *Config {
		return &Config{MaxIdleTimeout: -1, StreamWindow: 20000, MaxStreamWindow: 40000, ConnWindow: 30000, MaxConnWindow: 60000, StreamConfig: StreamConfig{MaxStreamsBidi: 5, MaxStreamsUni: 3},
			MaxDatagramFrame: 1 << 16}
	}
	p := newPair(t, config(), config())
	p.handshake()
	p.inFlight = nil
	return &conversation{pair: p, ends: [2]*Conn{p.client, p.server}, voices: [2]map[int64]*voice{{}, {}}, heard: [2]map[int]bool{{}, {}}}
}

// said is byte i of what an end says on a stream.
func said(end int, id int64, i int) byte { return byte(i*7 + i>>8 + int(id)*13 + end*101) }

func (w *conversation) voice(end int, id int64) *voice {
	v := w.voices[end][id]
	if v == nil {
		v = new(voice)
		w.voices[end][id] = v
	}
	return v
}

// do is one step; which is its operation, n the choice of its details.
func (w *conversation) do(which byte, n int) {
	end := n & 1
	c := w.ends[end]
	var id int64
	if len(w.ids) > 0 {
		id = w.ids[n>>1%len(w.ids)]
	}
	switch which {
	case 0:
		w.write(end, id, 1)
	case 1:
		w.write(end, id, 3000)
	case 2:
		w.read(end, id, 700)
	case 3:
		w.finish(end, id)
	case 4:
		if c.streams.byID[id] != nil && c.streams.byID[id].send.state != sendNone {
			if v := w.voice(end, id); n&8 != 0 && !v.reset {
				c.SetBoundary(id)
				v.promised = v.written
			}
			w.voice(end, id).reset = true
			c.Reset(w.now, id, 4)
		}
	case 5:
		if c.streams.byID[id] != nil && c.streams.byID[id].recv.state != recvNone {
			w.voice(end, id).deaf = true
			c.Stop(w.now, id, 5)
		}
	case 6:
		if id, ok := c.Open(w.now, n&2 != 0); ok {
			w.ids = append(w.ids, id)
		}
	case 7:
		w.take(0, true, false)
	case 8:
		w.take(0, false, false)
	case 9:
		w.take(n%max(1, len(w.inFlight)), true, true)
	case 10:
		w.take(len(w.inFlight)-1, true, false)
	case 11:
		w.advance(time.Duration(1+n*n) * time.Millisecond)
	case 12:
		switch {
		case n == 15:
			c.Close(w.now, 9, "enough")
		case n&8 != 0:
			w.speak(end, n*n*5)
		default:
			w.hear(end)
		}
	case 13:
		for len(w.inFlight) > 0 {
			w.take(0, true, false)
		}
	case 14:
		w.write(end, id, 20000)
	case 15:
		w.read(end, id, 50000)
	}
	w.settle()
}

// take takes a datagram from the path, and delivers it or not; again: it stays on the path too.
func (w *conversation) take(i int, deliver, again bool) {
	if i < 0 || i >= len(w.inFlight) {
		return
	}
	f := w.inFlight[i]
	if again {
		f.d.Payload = bytes.Clone(f.d.Payload)
	} else {
		w.inFlight = append(w.inFlight[:i:i], w.inFlight[i+1:]...)
	}
	if deliver {
		w.deliver(f)
	}
}

// settle collects what both ends have to say.
func (w *conversation) settle() {
	for _, c := range w.ends {
		w.drain(c)
		(&exchange{t: w.t.(*testing.T), conn: c}).checkInvariants()
	}
}

func (w *conversation) advance(d time.Duration) {
	w.now = w.now.Add(d)
	for _, c := range w.ends {
		if c.Deadline().Reached(w.now) {
			c.Expire(w.now)
		}
	}
}

func (w *conversation) write(end int, id int64, size int) {
	v := w.voice(end, id)
	b := make([]byte, size)
	for i := range b {
		b[i] = said(end, id, v.written+i)
	}
	n, err := w.ends[end].Write(w.now, id, b)
	if err == nil && v.finished {
		w.t.Fatal("a write after the end is accepted")
	}
	v.written += n
}

func (w *conversation) finish(end int, id int64) {
	if w.ends[end].Finish(w.now, id) == nil {
		w.voice(end, id).finished = true
	}
}

func (w *conversation) read(end int, id int64, size int) {
	b := make([]byte, size)
	n, fin, err := w.ends[end].Read(w.now, id, b)
	v, other := w.voice(end, id), w.voice(1-end, id)
	for i, got := range b[:n] {
		if got != said(1-end, id, v.read+i) {
			w.t.Fatalf("byte %d of stream %d is not the one that was written", v.read+i, id)
		}
	}
	v.read += n
	if v.read > other.written {
		w.t.Fatalf("%d bytes of stream %d were read, %d written", v.read, id, other.written)
	}
	if fin && (v.read != other.written || !other.finished) {
		w.t.Fatalf("stream %d ends after %d bytes of %d", id, v.read, other.written)
	}
	v.fin = v.fin || fin
	var reset *StreamError
	if errors.As(err, &reset) {
		if reset.Remote && !other.reset && !v.deaf {
			w.t.Fatalf("stream %d was reset by nobody", id)
		}
		if reset.Remote && !v.deaf && v.read < other.promised {
			w.t.Fatalf("%d bytes of stream %d were read before its reset, %d promised", v.read, id, other.promised)
		}
		v.deaf = true
	}
}

// speak sends a datagram of some size at least, which begins with its number.
func (w *conversation) speak(end, size int) {
	b := make([]byte, max(size, 4))
	binary.BigEndian.PutUint32(b, uint32(w.spoken[end]))
	for i := 4; i < len(b); i++ {
		b[i] = said(end, 0, w.spoken[end]+i)
	}
	if err := w.ends[end].SendDatagram(w.now, b); err == nil {
		w.spoken[end]++
	}
}

// hear takes the datagrams that an end has received: any of those that were sent, in any order, none twice.
func (w *conversation) hear(end int) {
	b := make([]byte, 1<<16)
	for {
		n, ok := w.ends[end].ReceiveDatagram(b)
		if !ok {
			return
		}
		number := int(binary.BigEndian.Uint32(b))
		if number >= w.spoken[1-end] || w.heard[end][number] {
			w.t.Fatalf("datagram %d of %d was received; before: %v", number, w.spoken[1-end], w.heard[end][number])
		}
		w.heard[end][number] = true
		for i, got := range b[4:n] {
			if got != said(1-end, 0, number+4+i) {
				w.t.Fatalf("byte %d of datagram %d is not the one that was sent", 4+i, number)
			}
		}
	}
}

// end lets the path behave and both ends say their last, and expects that all of it arrives.
func (w *conversation) end() {
	for range 3000 {
		for _, id := range w.ids {
			for end := range w.ends {
				w.finish(end, id)
				w.read(end, id, 50000)
			}
			w.hear(0)
			w.hear(1)
		}
		w.settle()
		if len(w.inFlight) > 0 {
			w.take(0, true, false)
			w.now = w.now.Add(100 * time.Microsecond)
			continue
		}
		if len(w.client.streams.byID)+len(w.server.streams.byID) == 0 {
			break
		}
		next := w.client.Deadline()
		if d := w.server.Deadline(); next == 0 || d != 0 && d < next {
			next = d
		}
		if next == 0 {
			break
		}
		w.advance(max(next.Sub(w.now), 0))
	}
	if w.client.Err() != nil || w.server.Err() != nil {
		for _, c := range w.ends {
			if e, ok := c.Err().(*ApplicationError); c.Err() != nil && (!ok || e.Code != 9) {
				w.t.Fatalf("closed: %v", c.Err())
			}
		}
		return
	}
	if a, b := len(w.client.streams.byID), len(w.server.streams.byID); a+b > 0 {
		w.t.Fatalf("the client still has %d streams, the server %d", a, b)
	}
	for _, id := range w.ids {
		for end := range w.ends {
			v, other := w.voice(end, id), w.voice(1-end, id)
			if other.finished && !other.reset && !v.deaf && !v.fin {
				w.t.Errorf("stream %d: %d bytes of %d were read and no end", id, v.read, other.written)
			}
		}
	}
}

package link

import (
	"net/netip"
	"sync"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/udp"
)

// direction is one way through the link: readers let datagrams enter, and one goroutine delivers them when it is time.
type direction struct {
	l  *Link
	up bool

	mu      sync.Mutex
	rule    *simnet.Link // the queue and the counters, which the clients' lanes share
	flights flights
	bytes   int // of the buffers of what is under way
	seq     uint64
	free    [][]byte     // buffers to use again
	until   instant.Time // the deliverer sleeps until then; Never: it is awake, or sleeps for good
	asleep  bool
	last    instant.Time // when the last datagram entered: readers side by side must not turn time back

	wake, done chan struct{}

	// The deliverer's own.
	ready []flight
	slab  []byte
	msgs  []udp.Message
}

func newDirection(l *Link, c simnet.LinkConfig, up bool) *direction {
	if c.Reorder > 0 && c.ReorderDelay == 0 {
		c.ReorderDelay = heldBack
	}
	return &direction{
		l: l, up: up, rule: simnet.NewLink(l.conf.Seed, 0, c), wake: make(chan struct{}, 1), done: make(chan struct{}),
		ready: make([]flight, 0, maxDelivery), slab: make([]byte, 0, maxDeliveryBytes),
	}
}

func (d *direction) lane(index int) *simnet.Link {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rule.Lane(d.l.conf.Seed, index)
}

func (d *direction) stats() simnet.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *d.rule.Stats
}

// of returns a client's lane.
func (d *direction) of(c *client) *simnet.Link {
	if d.up {
		return c.up
	}
	return c.down
}

// enter lets the datagrams of a message enter.
func (d *direction) enter(w way, m *udp.Message) {
	segment := m.Segment
	if segment <= 0 {
		segment = len(m.Payload)
	}
	d.mu.Lock()
	d.last = max(d.last, d.l.now())
	for rest := m.Payload; ; {
		one := rest[:min(segment, len(rest))]
		rest = rest[len(one):]
		d.enterOne(w, one, m.ECN)
		if len(rest) == 0 {
			break
		}
	}
	rouse := false
	if next := d.flights.next(); next != nil && d.asleep && (d.until.IsNever() || next.at < d.until) {
		d.asleep, rouse = false, true
	}
	d.mu.Unlock()
	if rouse {
		d.wake <- struct{}{} // there is room: it is sent once a sleep
	}
}

func (d *direction) enterOne(w way, payload []byte, ecn uint8) {
	lane := d.of(w.client)
	number := lane.Entered()
	first, second := lane.Carry(d.last, simnet.Packet{Payload: payload, ECN: ecn})
	full := first.Drop == simnet.NotDropped && d.bytes+2*max(len(payload), smallBuffer) > maxInFlight
	if full {
		lane.Overflow(&first, &second)
	}
	if d.l.conf.Tap != nil {
		d.l.conf.Tap(Passing{
			Up: d.up, Client: w.client.addr, Number: number, Payload: payload, ECN: ecn,
			Drop: first.Drop, Corrupted: first.Flip != 0, Late: first.Late, Duplicated: !second.At.IsNever(),
		})
	}
	if d.up {
		d.l.captures[1].write(w.client.addr, w.frontAddr(), payload, ecn)
	} else {
		d.l.captures[0].write(w.target, w.mapping.addr, payload, ecn)
	}
	for _, fate := range [...]simnet.Fate{first, second} {
		if fate.At.IsNever() {
			continue
		}
		b := append(d.buffer(len(payload)), payload...)
		if fate.Flip != 0 {
			b[fate.FlipAt] ^= fate.Flip
		}
		d.seq++
		d.flights.push(flight{at: fate.At, seq: d.seq, payload: b, ecn: fate.ECN, way: w})
	}
}

// frontAddr is the address that the client of the way sends to.
func (w *way) frontAddr() netip.AddrPort {
	a := w.front.socket.LocalAddr()
	if local := w.client.local.Load(); local != nil && a.Addr().IsUnspecified() {
		return netip.AddrPortFrom(*local, a.Port())
	}
	return a
}

// buffer returns room for n bytes, and counts it.
func (d *direction) buffer(n int) []byte {
	if n > smallBuffer {
		d.bytes += n
		return make([]byte, 0, n)
	}
	d.bytes += smallBuffer
	if i := len(d.free) - 1; i >= 0 {
		b := d.free[i]
		d.free[i] = nil
		d.free = d.free[:i]
		return b
	}
	return make([]byte, 0, smallBuffer)
}

// release takes a buffer back.
func (d *direction) release(b []byte) {
	d.bytes -= max(len(b), smallBuffer)
	if cap(b) == smallBuffer && len(d.free) < maxFree {
		d.free = append(d.free, b[:0])
	}
}

// run delivers until the link ends.
func (d *direction) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := d.collect()
		if len(d.ready) > 0 {
			d.deliver()
			continue
		}
		timer.Reset(wait)
		select {
		case <-d.done:
			return
		case <-d.wake:
			continue
		case <-timer.C:
		}
		d.mu.Lock()
		roused := !d.asleep
		d.asleep = false
		d.mu.Unlock()
		if roused {
			<-d.wake
		}
	}
}

// collect moves what has arrived into ready. When nothing has it returns how long that will stay so, and the deliverer is
// as good as asleep.
func (d *direction) collect() (wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.ready {
		d.release(d.ready[i].payload)
	}
	clear(d.ready)
	d.ready = d.ready[:0]
	now, bytes := d.l.now(), 0
	for len(d.ready) < maxDelivery {
		next := d.flights.next()
		if next == nil || next.at > now || bytes+len(next.payload) > maxDeliveryBytes {
			break
		}
		f := d.flights.pop()
		if d.stale(&f) {
			d.rule.Stale++
			d.release(f.payload)
			continue
		}
		bytes += len(f.payload)
		d.rule.Delivered++
		d.rule.DeliveredBytes += int64(len(f.payload))
		d.ready = append(d.ready, f)
	}
	if len(d.ready) > 0 {
		return 0
	}
	d.asleep, d.until = true, instant.Never
	if next := d.flights.next(); next != nil {
		d.until = next.at
		return next.at.Sub(now)
	}
	return time.Hour
}

// stale reports whether the mapping by which a datagram goes is gone.
func (d *direction) stale(f *flight) bool {
	if f.mapping.gone.Load() {
		return true
	}
	return !d.up && !d.l.conf.Rebind.Keep && f.mapping != f.client.current.Load()
}

// deliver sends what is ready, in order: runs of equal datagrams for one address as one message.
func (d *direction) deliver() {
	d.slab, d.msgs = d.slab[:0], d.msgs[:0]
	var socket *udp.Socket
	run := 0 // datagrams in the last message
	for i := range d.ready {
		f := &d.ready[i]
		to, m := d.send(f)
		if to != socket && socket != nil {
			socket.Send(d.msgs) // an error is a socket that has been closed meanwhile
			d.msgs = d.msgs[:0]
		}
		socket = to
		begin := len(d.slab)
		d.slab = append(d.slab, f.payload...)
		if n := len(d.msgs); n > 0 && run < maxRun && joins(&d.msgs[n-1], &m, len(f.payload)) {
			last := &d.msgs[n-1]
			last.Payload = d.slab[begin-len(last.Payload) : len(d.slab)]
			run++
			continue
		}
		m.Payload, m.Segment = d.slab[begin:], len(f.payload)
		d.msgs = append(d.msgs, m)
		run = 1
	}
	socket.Send(d.msgs)
}

// send returns the socket that a datagram leaves by and a message with its addresses, and captures it.
func (d *direction) send(f *flight) (*udp.Socket, udp.Message) {
	if d.up {
		d.l.captures[0].write(f.mapping.addr, f.target, f.payload, f.ecn)
		return f.mapping.socket, udp.Message{Remote: f.target, ECN: f.ecn}
	}
	from := f.frontAddr()
	d.l.captures[1].write(from, f.client.addr, f.payload, f.ecn)
	return f.front.socket, udp.Message{Remote: f.client.addr, Local: from.Addr(), ECN: f.ecn}
}

// joins reports whether a datagram of a size can be one more of a message.
func joins(last, m *udp.Message, size int) bool {
	full := len(last.Payload)%max(last.Segment, 1) == 0
	return full && 0 < size && size <= last.Segment && len(last.Payload)+size <= maxRunBytes &&
		last.Remote == m.Remote && last.Local == m.Local && last.ECN == m.ECN
}

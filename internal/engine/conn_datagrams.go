package engine

import (
	"errors"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// Faults of who sends a datagram.
var (
	ErrNoDatagrams      = errors.New("quic: the peer takes no datagrams")
	ErrDatagramTooLarge = errors.New("quic: the datagram is larger than the peer or the path takes")
)

// datagramState is unreliable datagrams (RFC 9221), both ways.
type datagramState struct {
	out, in datagramQueue
	count   DatagramStats
	told    bool // EventDatagramReady is out and nothing was taken since
	yielded bool // the packet before carried a datagram: this one begins with streams
}

// DatagramStats counts datagrams (RFC 9221).
type DatagramStats struct {
	Sent, Received int64

	// DroppedSending and DroppedReceiving gave way to newer ones in a full queue: before they were sent, or taken. TooLarge
	// were refused for their size, or did not fit a path that had become narrower by their turn.
	DroppedSending, DroppedReceiving, TooLarge int64
}

// datagramQueue holds datagrams until they are sent or taken. When it is full the oldest goes: for what is sent like this the
// newest is worth most. Slots keep their memory, so that a queue in use does not allocate.
type datagramQueue struct {
	slots   [][]byte // a ring
	head, n int
	bytes   int
	dropped int64
}

func (q *datagramQueue) push(p []byte) {
	for q.n == maxDatagrams || q.n > 0 && q.bytes+len(p) > maxDatagramBytes {
		q.pop()
		q.dropped++
	}
	if q.n == len(q.slots) {
		q.grow()
	}
	s := &q.slots[(q.head+q.n)%len(q.slots)]
	*s = append((*s)[:0], p...)
	q.n++
	q.bytes += len(p)
}

func (q *datagramQueue) grow() {
	slots := make([][]byte, max(8, 2*len(q.slots)))
	for i := range q.slots {
		slots[i] = q.slots[(q.head+i)%len(q.slots)]
	}
	q.slots, q.head = slots, 0
}

func (q *datagramQueue) front() []byte { return q.slots[q.head] }

func (q *datagramQueue) pop() {
	q.bytes -= len(q.slots[q.head])
	q.head = (q.head + 1) % len(q.slots)
	q.n--
}

// rest gives the memory of an empty queue back.
func (q *datagramQueue) rest() {
	if q.n == 0 {
		*q = datagramQueue{dropped: q.dropped}
	}
}

// MaxDatagramSize returns how many bytes a datagram may have now, 0 when the peer takes none. It changes with the path.
func (c *Conn) MaxDatagramSize() int {
	frame := int64(c.path.mtu.size - 1 - c.ids.remoteID().Len() - 4 - seal.Overhead)
	frame = min(frame, c.peer.MaxDatagramFrameSize)
	return int(max(frame-3, 0)) // type and a length of two bytes
}

// TakesDatagrams reports whether we have told the peer that it may send datagrams.
func (c *Conn) TakesDatagrams() bool { return c.params.MaxDatagramFrameSize > 0 }

// DatagramStats returns what became of datagrams so far.
func (c *Conn) DatagramStats() DatagramStats {
	g := &c.streams.datagrams
	g.count.DroppedSending, g.count.DroppedReceiving = g.out.dropped, g.in.dropped
	return g.count
}

// SendDatagram queues a datagram, which may be lost, and in favour of newer ones never be sent.
func (c *Conn) SendDatagram(now instant.Time, p []byte) error {
	c.advance(now)
	switch {
	case c.life.state != lifeOpen:
		return c.life.err
	case c.peer.MaxDatagramFrameSize == 0:
		// RFC 9221, section 3: "An endpoint MUST NOT send DATAGRAM frames until it has received the max_datagram_frame_size
		// transport parameter with a non-zero value during the handshake".
		return ErrNoDatagrams
	case len(p) > c.MaxDatagramSize():
		c.streams.datagrams.count.TooLarge++
		return ErrDatagramTooLarge
	}
	c.streams.datagrams.out.push(p)
	return nil
}

// ReceiveDatagram moves the oldest datagram that came to p, which keeps as much of it as it has room for; false: none waits.
func (c *Conn) ReceiveDatagram(p []byte) (n int, ok bool) {
	g := &c.streams.datagrams
	g.told = false
	if g.in.n == 0 {
		return 0, false
	}
	n = copy(p, g.in.front())
	g.in.pop()
	return n, true
}

// NextDatagramSize returns the size of the datagram that ReceiveDatagram would return; false: none waits.
func (c *Conn) NextDatagramSize() (n int, ok bool) {
	g := &c.streams.datagrams
	if g.in.n == 0 {
		g.told = false
		return 0, false
	}
	return len(g.in.front()), true
}

// appendTo appends datagrams, oldest first. It is called before streams and after them: where they have something to say too,
// they go first in every second packet.
//
// RFC 9221, section 5.2: "DATAGRAM frames are not retransmitted upon loss detection": no fact remembers them.
func (g *datagramState) appendTo(c *Conn, d *datagram) {
	if g.out.n == 0 || g.yielded && c.streams.data.n > 0 {
		g.yielded = false
		return
	}
	for g.out.n > 0 {
		p := g.out.front()
		if wire.DatagramLen(len(p)) > d.room() {
			if len(p) > c.MaxDatagramSize() {
				g.out.pop() // the path has become narrower
				g.count.TooLarge++
				continue
			}
			break
		}
		d.appendFrame(wire.AppendDatagram(d.scratch(), p))
		g.out.pop()
		g.count.Sent++
		g.yielded = true
	}
}

// handleDatagram takes a DATAGRAM frame of size bytes.
func (c *Conn) handleDatagram(p []byte, size int) *TransportError {
	if int64(size) > c.params.MaxDatagramFrameSize {
		// RFC 9221, section 3: "An endpoint that receives a DATAGRAM frame when it has not indicated support via the transport
		// parameter MUST terminate the connection with an error of type PROTOCOL_VIOLATION. Similarly, an endpoint that
		// receives a DATAGRAM frame that is larger than the value it sent in its max_datagram_frame_size transport parameter
		// MUST terminate the connection with an error of type PROTOCOL_VIOLATION."
		return violation(wire.ProtocolViolation, wire.FrameDatagram, "a DATAGRAM frame that we do not take")
	}
	g := &c.streams.datagrams
	g.count.Received++
	g.in.push(p)
	if !g.told {
		g.told = true
		c.events.push(Event{Kind: EventDatagramReady})
	}
	return nil
}

package engine

import (
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// direction indexes what there is one of for bidirectional and one of for unidirectional streams.
type direction uint8

const (
	bidi direction = iota
	uni
)

func directionOf(id int64) direction {
	if isUni(id) {
		return uni
	}
	return bidi
}

// streamSet holds a connection's streams, the limits on their number, and the queues of those with something to send.
type streamSet struct {
	byID   map[int64]*stream
	local  [2]localStreams
	remote [2]remoteStreams

	control streamQueue // streams that owe frames other than STREAM
	data    schedule    // streams that owe STREAM frames
	starved streamQueue // streams with bytes that wait for the connection's flow control

	datagrams datagramState // beside the streams

	free []*stream
}

// localStreams counts the streams we open in one direction.
type localStreams struct {
	opened    int64
	max       int64 // the peer's limit (MAX_STREAMS)
	blocked   sentVal
	blockedAt int64
	wanted    bool // Open was refused
}

// remoteStreams counts the streams the peer opens in one direction.
type remoteStreams struct {
	opened   int64
	ended    int64
	max      int64 // our limit, as the peer knows it
	allowed  int64 // how many may be open at once
	announce sentVal
}

// streamQueue is a first-in, first-out queue of streams in a ring that is reused.
type streamQueue struct {
	ring []*stream
	head int
	n    int
}

func (q *streamQueue) push(s *stream) {
	if q.n == len(q.ring) {
		ring := make([]*stream, max(8, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = s
	q.n++
}

func (q *streamQueue) pop() *stream {
	s := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return s
}

// new makes the record of stream id, with the windows that apply to it.
func (c *Conn) newStream(id int64) *stream {
	set := &c.streams
	var s *stream
	if n := len(set.free); n > 0 {
		s, set.free = set.free[n-1], set.free[:n-1]
	} else {
		s = new(stream)
	}
	s.reset(id)
	ours := c.isLocal(id)
	if isUni(id) && !ours {
		s.send.state = sendNone
	}
	if isUni(id) && ours {
		s.recv.state = recvNone
	}
	s.send.max = c.peerStreamLimit(id)
	w := &s.recv.window
	w.size, w.max, w.limit = c.config.StreamWindow, c.config.MaxStreamWindow, c.config.StreamWindow
	if set.byID == nil {
		set.byID = make(map[int64]*stream)
	}
	set.byID[id] = s
	return s
}

// reset makes a used record new; what its sets and pipes have allocated stays.
func (s *stream) reset(id int64) {
	send := sendPart{toSend: s.send.toSend[:0], acked: s.send.acked[:0], buf: s.send.buf}
	recv := recvPart{got: s.recv.got[:0], buf: s.recv.buf, final: -1}
	*s = stream{id: id, send: send, recv: recv, prio: priority{urgency: DefaultUrgency}}
}

// isLocal reports whether we are the one who opens streams like id.
func (c *Conn) isLocal(id int64) bool { return (id&serverInitiated != 0) == c.server }

// peerStreamLimit returns how much the peer lets us send on stream id at first (RFC 9000, section 18.2).
func (c *Conn) peerStreamLimit(id int64) int64 {
	switch {
	case isUni(id):
		return c.peer.InitialMaxStreamDataUni
	case c.isLocal(id):
		return c.peer.InitialMaxStreamDataBidiRemote
	}
	return c.peer.InitialMaxStreamDataBidiLocal
}

// touch puts a stream into the queues it belongs in after anything about it changed.
func (c *Conn) touch(s *stream) {
	set := &c.streams
	if c.isHeld(s.id) {
		return
	}
	if s.queued&inControlQueue == 0 && (s.send.hasControl() || s.recv.hasControl()) {
		s.queued |= inControlQueue
		set.control.push(s)
	}
	credit := c.flow.credit()
	if s.send.hasData(credit) {
		set.data.add(s)
		return
	}
	set.data.remove(s)
	if credit == 0 && s.queued&inStarvedQueue == 0 && s.send.hasData(1) {
		s.queued |= inStarvedQueue
		set.starved.push(s)
		c.flow.noteBlocked()
	}
}

// feed returns the streams that waited for the connection's flow control to the queue.
func (c *Conn) feed() {
	for n := c.streams.starved.n; n > 0; n-- {
		s := c.streams.starved.pop()
		s.queued &^= inStarvedQueue
		if !c.recycled(s) {
			c.touch(s)
		}
	}
}

// finishIfOver forgets a stream when both its parts have ended, and lets the peer open another unless the application is still
// busy with it.
func (c *Conn) finishIfOver(s *stream) {
	if s.forgotten || !s.send.state.terminal() || !s.recv.state.terminal() {
		return
	}
	s.forgotten = true
	c.streams.data.remove(s)
	delete(c.streams.byID, s.id)
	s.send.buf.release(&c.pool)
	s.recv.buf.release(&c.pool)
	c.stats.StreamsClosed++
	c.events.push(Event{Kind: EventStreamDone, Stream: s.id})
	if !c.isLocal(s.id) && !s.held {
		c.streams.remote[directionOf(s.id)].streamEnded()
	}
	c.recycled(s)
}

// recycled keeps the record of a forgotten stream for reuse once no queue holds it, and reports whether it is forgotten.
func (c *Conn) recycled(s *stream) bool {
	if s.forgotten && s.queued == 0 && len(c.streams.free) < maxFreeStreams {
		c.streams.free = append(c.streams.free, s)
	}
	return s.forgotten
}

// streamEnded makes room for one more stream.
func (r *remoteStreams) streamEnded() {
	r.ended++
	r.raise()
}

// raise tells the peer of the room that ended streams have left: when it is at least as much as the peer knows of, so that
// one frame serves many streams but no peer waits while there is room, only because streams that last hold the rest; and,
// for the next burst, when no stream is left and the room is an eighth of all.
func (r *remoteStreams) raise() {
	room := r.ended + r.allowed - r.max
	if room > 0 && (room >= r.max-r.opened || r.opened == r.ended && 8*room >= r.allowed) {
		r.max += room
		r.announce.set()
	}
}

// accept finds the stream of a frame the peer sent on it, opening it, and all below it, when it is the peer's to open.
// It returns nil for a stream that has ended.
func (c *Conn) accept(id int64, frame uint64, receives bool) (*stream, *TransportError) {
	if isUni(id) && c.isLocal(id) == receives {
		// RFC 9000, section 19.8: "An endpoint MUST terminate the connection with error STREAM_STATE_ERROR if it receives
		// a STREAM frame for a locally initiated stream that has not yet been created, or for a send-only stream."
		return nil, violation(wire.StreamStateError, frame, "frame for a stream that does not go in that direction")
	}
	if s := c.streams.byID[id]; s != nil {
		return s, nil
	}
	number, dir := id>>2, directionOf(id)
	if c.isLocal(id) {
		if number >= c.streams.local[dir].opened {
			return nil, violation(wire.StreamStateError, frame, "frame for a stream that we have not opened")
		}
		return nil, nil
	}
	r := &c.streams.remote[dir]
	if number >= r.max {
		return nil, violation(wire.StreamLimitError, frame, "more streams than the limit")
	}
	if number < r.opened {
		return nil, nil
	}
	// RFC 9000, section 3.2: "Before a stream is created, all streams of the same type with lower-numbered stream IDs
	// MUST be created."
	var s *stream
	for ; r.opened <= number; r.opened++ {
		s = c.newStream(r.opened<<2 | id&3)
		s.held = c.config.HoldStreams
		c.stats.StreamsOpened++
		c.events.push(Event{Kind: EventStreamOpened, Stream: s.id})
	}
	r.raise()
	c.idle.effort.gain()
	return s, nil
}

// appendTo appends the limits on the number of streams, and our wish for more; false: it did not all fit.
func (set *streamSet) appendTo(d *datagram) bool {
	for dir := bidi; dir <= uni; dir++ {
		if r := &set.remote[dir]; r.announce.isUnsent() {
			if !d.appendFrame(wire.AppendMaxStreams(d.scratch(), wire.MaxStreams{Uni: dir == uni, Max: r.max})) {
				return false
			}
			r.announce.sentIn(d.number())
			d.addFact(recovery.Fact{Kind: factMaxStreams, ID: int64(dir)})
		}
		if l := &set.local[dir]; l.blocked.isUnsent() {
			if !d.appendFrame(wire.AppendStreamsBlocked(d.scratch(), wire.StreamsBlocked{Uni: dir == uni, Limit: l.blockedAt})) {
				return false
			}
			l.blocked.sentIn(d.number())
			d.addFact(recovery.Fact{Kind: factStreamsBlocked, ID: int64(dir)})
		}
	}
	return true
}

// appendControl appends what single streams owe besides data.
func (c *Conn) appendStreamControl(d *datagram) bool {
	for q := &c.streams.control; q.n > 0; {
		s := q.ring[q.head]
		if !s.forgotten && !(s.appendSendControl(d) && s.appendRecvControl(d)) {
			return false
		}
		q.pop()
		s.queued &^= inControlQueue
		c.recycled(s)
	}
	return true
}

// minStreamRoom is the room a STREAM frame needs to make progress: the longest header and a byte.
const minStreamRoom = 32

// appendStreamData fills the packet with STREAM frames.
func (c *Conn) appendStreamData(d *datagram) {
	for q := &c.streams.data; q.n > 0 && d.room() >= minStreamRoom; {
		s, room := q.next(), d.room()
		if !s.send.hasData(c.flow.credit()) || s.prio.again != s.send.repeats() {
			q.remove(s) // it was acknowledged after all, or the connection's flow control is spent
		} else if s.appendData(c, d) {
			q.served(s, room-d.room())
		} else {
			return
		}
		c.touch(s)
	}
}

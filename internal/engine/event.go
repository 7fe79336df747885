package engine

import "github.com/godwit-net/godwit/internal/wire"

// EventKind says what happened.
type EventKind uint8

const (
	EventNone EventKind = iota

	// EventHandshakeDone: the TLS handshake is complete; streams can be opened, TLS state read.
	EventHandshakeDone
	// EventEarlyData: 0-RTT is on: a client may open streams and write, a server may hear of streams before the handshake is
	// done.
	EventEarlyData
	// EventEarlyRejected: the server took none of a client's 0-RTT; what was written is sent once more. The server says so of itself
	// when there was 0-RTT to reject.
	EventEarlyRejected
	// EventAnswered: a server has answered the client's first flight: what TLS knows of the client, but for its certificate, can be
	// read, and streams can be opened and written (0.5-RTT).
	EventAnswered
	// EventHandshakeConfirmed: the peer is known to have completed it too (RFC 9001, section 4.1.2).
	EventHandshakeConfirmed

	// EventStreamOpened: the peer opened Stream. Lower-numbered streams of its kind came before it.
	EventStreamOpened
	// EventReadable: Read on Stream would return something new: bytes, the end, or a reset.
	EventReadable
	// EventWritable: Write on Stream, which was short before, has room again or an error.
	EventWritable
	// EventStreamStopped: the peer asked us to stop sending on Stream, with Code.
	EventStreamStopped
	// EventStreamReset: the peer abandoned its part of Stream, with Code.
	EventStreamReset
	// EventStreamDone: both parts of Stream have ended and the engine has forgotten it.
	EventStreamDone
	// EventStreamsAvailable: Open, which was refused before, may succeed now; Uni says for which direction.
	EventStreamsAvailable

	// EventIDIssued and EventIDRetired: datagrams to ID belong to this connection from now on, or no longer.
	EventIDIssued
	EventIDRetired
	// EventTokenAdded and EventTokenRemoved: a datagram ending in Token is the peer's stateless reset of this connection.
	EventTokenAdded
	EventTokenRemoved

	// EventNewToken: the server gave a token for the next connection to it; see Conn.TakeToken.
	EventNewToken

	// EventDatagramReady: ReceiveDatagram would return something; it is told again only after a call of that.
	EventDatagramReady

	// EventPathChanged: the connection uses other addresses now; see Conn.Path.
	EventPathChanged
	// EventMigrationFailed: the path that Migrate asked for does not answer.
	EventMigrationFailed
	// EventIDToSpare: a client has got another connection ID, which Migrate may have wanted.
	EventIDToSpare

	// EventClosed: the connection is over for the application; Conn.Err says why. Datagrams may still have to be sent.
	EventClosed
	// EventDrained: nothing more will come of the connection; forget it.
	EventDrained
)

// Event is one thing that happened. Only the fields that EventKind names are set.
type Event struct {
	Kind   EventKind
	Uni    bool
	Stream int64
	Code   uint64
	ID     wire.ConnID
	Token  [16]byte
}

// eventQueue holds events until the caller takes them. It is drained after every input, so it stays as short as one
// input's consequences, and its array is reused.
type eventQueue struct {
	list []Event
	head int
}

func (q *eventQueue) push(e Event) { q.list = append(q.list, e) }

func (q *eventQueue) pop() (Event, bool) {
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
		return Event{}, false
	}
	e := q.list[q.head]
	q.head++
	return e, true
}

// trim gives the array back when nothing waits in it.
func (q *eventQueue) trim() {
	if q.head == len(q.list) {
		*q = eventQueue{}
	}
}

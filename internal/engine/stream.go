package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
)

// Stream IDs carry their kind in the two lowest bits (RFC 9000, section 2.1).
const (
	serverInitiated = 0x1
	unidirectional  = 0x2
)

func isUni(id int64) bool { return id&unidirectional != 0 }

// A stream is one QUIC stream: a sending and a receiving part, either of which may be absent.
type stream struct {
	id   int64
	send sendPart
	recv recvPart
	prio priority

	// queued holds the connection's queues the stream stands in, told the events that wait to be taken already: neither
	// is entered twice. forgotten streams stay in their queues until these come past them.
	queued    queueSet
	told      toldSet
	forgotten bool
	held      bool // opened by the peer, and the application has not released it
}

// queueSet is a set of the queues of streamSet.
type queueSet uint8

const (
	inControlQueue queueSet = 1 << iota
	inDataQueue
	inStarvedQueue
)

// toldSet is a set of events that are queued for a stream.
type toldSet uint8

const (
	toldReadable toldSet = 1 << iota
	toldWritable
)

// sendPart is what we send on a stream (RFC 9000, section 3.1).
type sendPart struct {
	state  sendState
	buf    pipe
	end    int64        // bytes the application has written
	toSend rangeset.Set // byte ranges to be sent, for the first time or again
	acked  rangeset.Set // byte ranges that have arrived
	next   int64        // highest offset ever sent, exclusive: new bytes count against flow control, old ones do not
	max    int64        // the peer's limit (MAX_STREAM_DATA)

	fin      sentVal
	reset    sentVal // RESET_STREAM; in Data Sent, RESET_STREAM_AT
	code     uint64  // of the reset
	reliable int64   // bytes that a reset delivers all the same
	blocked  sentVal // STREAM_DATA_BLOCKED at blockedAt
	stopped  bool    // the peer sent STOP_SENDING
	short    bool    // the application's last Write was short: it waits for room

	blockedAt int64
}

// recvPart is what we receive on a stream (RFC 9000, section 3.2).
type recvPart struct {
	state recvState
	buf   pipe
	got   rangeset.Set // byte ranges received, from offset 0 on
	read  int64        // bytes the application has taken
	end   int64        // highest offset seen, exclusive
	final int64        // the final size; -1: unknown
	code  uint64       // of the peer's reset

	partial  bool  // the peer reset the stream with a promise to deliver its beginning
	reliable int64 // how much that is

	window  recvWindow
	stop    sentVal // STOP_SENDING
	stopFor uint64  // its code
	unread  bool    // the application wants nothing more
}

// contiguous returns how many bytes from the start are all here, as far as they will be read.
func (r *recvPart) contiguous() int64 {
	if len(r.got) == 0 || r.got[0].Start > r.read {
		return r.read
	}
	end := r.got[0].End
	if r.partial {
		end = min(end, r.reliable)
	}
	return max(end, r.read) // less is here where a reset made the rest of no interest
}

// readable reports whether Read has something to say.
func (r *recvPart) readable() bool {
	switch r.state {
	case recvRecv, recvSizeKnown:
		return r.contiguous() > r.read
	case recvDataRecvd, recvResetRecvd:
		return true
	}
	return false
}

// A recvWindow is a flow-control window we grant: the limit told to the peer, and how it grows (RFC 9000, section 4.1).
type recvWindow struct {
	limit     int64 // what the peer was told
	size      int64 // how far ahead of what was consumed the limit is kept
	max       int64 // size never grows beyond
	ceiling   int64 // nor the limit ahead of what was consumed; 0: no such bound
	announce  sentVal
	epoch     instant.Time // since when the consumption below is counted
	epochFrom int64        // consumed at epoch
}

// consumed moves the limit after the application took bytes up to offset n, and reports whether the peer has to be told.
//
// The window doubles when half of it was consumed within two round trips: then it, and not the application or the path,
// may be what holds the sender back.
func (w *recvWindow) consumed(now instant.Time, n int64, rtt int64) bool {
	if w.epoch == instant.Never {
		w.epoch, w.epochFrom = now, n
	}
	if size := w.effective(); w.limit-n > size-size/4 {
		return false
	}
	if taken := n - w.epochFrom; taken >= w.size/2 {
		if int64(now-w.epoch) < 2*rtt {
			w.size = min(2*w.size, w.max)
		}
		w.epoch, w.epochFrom = now, n
	}
	return w.ceiling == 0 && w.renew(n)
}

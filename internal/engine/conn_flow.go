package engine

import (
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// connFlow is flow control of the connection as a whole, both ways (RFC 9000, section 4.1).
type connFlow struct {
	max       int64 // the peer's limit (MAX_DATA)
	sent      int64 // new stream bytes sent: the sum over streams of the highest offsets
	blocked   sentVal
	blockedAt int64

	window   recvWindow
	received int64 // the sum over the peer's streams of the highest offsets
	consumed int64 // of these, bytes that the application took or does not want
}

// credit returns how many new bytes may be sent.
func (f *connFlow) credit() int64 { return f.max - f.sent }

func (f *connFlow) spend(n int64) { f.sent += n }

func (f *connFlow) noteBlocked() {
	if f.blocked.isSet() && f.blockedAt == f.max {
		return
	}
	f.blockedAt = f.max
	f.blocked.set()
}

// grow takes account of n bytes more that the peer's streams reach.
func (f *connFlow) grow(n int64, frame uint64) *TransportError {
	f.received += n
	if f.received > f.window.limit {
		return violation(wire.FlowControlError, frame, "more data than the connection's limit")
	}
	return nil
}

// consume takes account of n bytes that the application took or gave up.
func (f *connFlow) consume(now instant.Time, n int64, rtt int64) {
	f.consumed += n
	f.window.consumed(now, f.consumed, rtt)
}

// appendTo appends MAX_DATA and DATA_BLOCKED when they are owed; false: it did not all fit.
func (f *connFlow) appendTo(d *datagram) bool {
	if f.window.announce.isUnsent() {
		if !d.appendFrame(wire.AppendMaxData(d.scratch(), f.window.limit)) {
			return false
		}
		f.window.announce.sentIn(d.number())
		d.addFact(recovery.Fact{Kind: factMaxData})
	}
	if f.blocked.isUnsent() {
		if !d.appendFrame(wire.AppendDataBlocked(d.scratch(), f.blockedAt)) {
			return false
		}
		f.blocked.sentIn(d.number())
		d.addFact(recovery.Fact{Kind: factDataBlocked})
	}
	return true
}

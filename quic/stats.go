package quic

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/engine"
)

// ConnStats is what a connection has measured and counted.
type ConnStats struct {
	Version    uint32        // the QUIC version
	ALPN       string        // the protocol TLS agreed on
	Resumed    bool          // the TLS session was resumed
	Early      string        // 0-RTT: "tried", "accepted", "rejected"; empty: not tried
	Handshake  time.Duration // what the handshake took; 0: it is not done
	Controller string        // the congestion controller's name

	RTT      congestion.RTT
	Window   int   // congestion window in bytes
	InFlight int   // bytes sent that are neither acknowledged nor lost
	Unsent   int64 // bytes written to streams and not sent yet: the peer's flow control or the window holds them back

	PacketsSent, PacketsReceived, PacketsLost int64
	BytesSent, BytesReceived                  int64 // UDP payload
	PathChanges                               int64
	Unread                                    int64 // bytes of streams that were received, or lie before what was, and were not read
	Promised                                  int64 // Unread, and what the peer may send beyond it

	DatagramSize int    // largest UDP payload in use: 1200, or what path MTU discovery found
	BlackHoles   int64  // times that the path ceased to carry datagrams of that size
	ECN          string // of the path: "testing", "unknown", "capable" or "failed"; empty: we do not mark
	CE           int64  // packets that the peer reported as marked "congestion experienced"

	Datagrams DatagramStats
}

// DatagramStats counts datagrams of RFC 9221, those of Conn.SendDatagram.
type DatagramStats = engine.DatagramStats

// EndpointStats counts what happened on a socket since it was opened.
type EndpointStats struct {
	DatagramsIn, DatagramsOut int64
	BytesIn, BytesOut         int64 // UDP payload

	// ReadCalls and SendCalls are the system calls that moved them: with batches and offloads one moves many datagrams. DatagramsRefused
	// counts those that the system did not send: too large for the interface, no route, a firewall.
	ReadCalls, SendCalls, DatagramsRefused int64

	// Dropped counts datagrams that reached no connection, by reason: a word such as "malformed" or "half_open_limit". Those
	// that got a stateless answer are among them, such as "retry", whose sender has to prove its address.
	Dropped map[string]int64

	Accepted         int64 // connections that Accept returned
	Dialled          int64 // handshakes started by Dial
	Refused          int64 // connections closed with CONNECTION_REFUSED
	HandshakesFailed int64 // connections that ended before their handshake was done
	Closed           int64 // connections that ended after it
	Panicked         int64 // connections closed because the code that drives them, or a callback of theirs, panicked; calls of Conn.Panicked
	QLogsFailed      int64 // qlogs that ended because their writer failed or panicked
	Open             int64 // connections at this moment, handshaking ones among them

	// EarlyAccepted and EarlyRejected are connections, of servers and of clients, whose 0-RTT was taken or was not. EarlyReplayed are
	// tickets that the StrikeRegister of a server said no to: they were used before, or it was full.
	EarlyAccepted, EarlyRejected, EarlyReplayed int64

	Datagrams DatagramStats // of RFC 9221, on all connections

	ReceiveBudget int64 // Config.ReceiveBudget in bytes; 0: no bound
	ReceiveUsed   int64 // how much of it connections have promised to their peers, unread bytes included
}

// dropReason says why a datagram reached no connection. The engine's Acceptor has more of them.
type dropReason string

const (
	dropMalformed dropReason = "malformed"       // not a QUIC packet
	dropShutdown  dropReason = "shutting_down"   // would have begun a connection
	dropHalfOpen  dropReason = "half_open_limit" // maxHalfOpen
	dropCrowd     dropReason = "crowd"           // maxCrowd
	dropInbox     dropReason = "inbox_full"      // maxInbox
	dropFlood     dropReason = "reply_limit"     // maxReplies
	dropPanicked  dropReason = "panicked"        // a bug, in a ConnIDGenerator perhaps
)

// counters is what EndpointStats is made from. They are always on.
type counters struct {
	datagramsIn, datagramsOut, bytesIn, bytesOut, messages         atomic.Int64
	accepted, dialled, refused, handshakesFailed, closed, panicked atomic.Int64

	earlyAccepted, earlyRejected, earlyReplayed, qlogsFailed atomic.Int64

	mu        sync.Mutex // a leaf: nothing is taken under it
	datagrams DatagramStats
	dropped   map[dropReason]int64
}

func (c *counters) drop(r dropReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped == nil {
		c.dropped = make(map[dropReason]int64)
	}
	c.dropped[r]++
}

// addDatagrams counts what became of datagrams from before to after.
func (c *counters) addDatagrams(before, after DatagramStats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.datagrams.Sent += after.Sent - before.Sent
	c.datagrams.Received += after.Received - before.Received
	c.datagrams.DroppedSending += after.DroppedSending - before.DroppedSending
	c.datagrams.DroppedReceiving += after.DroppedReceiving - before.DroppedReceiving
	c.datagrams.TooLarge += after.TooLarge - before.TooLarge
}

// Stats returns the endpoint's counters.
func (e *Endpoint) Stats() EndpointStats {
	n := &e.count
	s := EndpointStats{
		DatagramsIn:      n.datagramsIn.Load(),
		DatagramsOut:     n.datagramsOut.Load(),
		BytesIn:          n.bytesIn.Load(),
		BytesOut:         n.bytesOut.Load(),
		Accepted:         n.accepted.Load(),
		Dialled:          n.dialled.Load(),
		Refused:          n.refused.Load(),
		HandshakesFailed: n.handshakesFailed.Load(),
		Closed:           n.closed.Load(),
		Panicked:         n.panicked.Load(),
		QLogsFailed:      n.qlogsFailed.Load(),
		Dropped:          make(map[string]int64),
		EarlyAccepted:    n.earlyAccepted.Load(),
		EarlyRejected:    n.earlyRejected.Load(),
		EarlyReplayed:    n.earlyReplayed.Load(),
		ReceiveBudget:    e.budget.size,
		ReceiveUsed:      e.budget.used.Load(),
	}
	for _, sock := range append([]*socket{e.sock}, e.others()...) {
		calls := sock.Stats()
		s.ReadCalls += calls.ReadCalls
		s.SendCalls += calls.SendCalls
		s.DatagramsRefused += calls.Dropped
	}
	n.mu.Lock()
	s.Datagrams = n.datagrams
	for reason, count := range n.dropped {
		s.Dropped[string(reason)] = count
	}
	n.mu.Unlock()
	e.mu.Lock()
	s.Open = int64(e.live)
	e.mu.Unlock()
	return s
}

// Stats returns what the connection has measured and counted so far.
func (c *Conn) Stats() ConnStats {
	c.mu.Lock()
	defer c.leave(nil)
	out := ConnStats{
		ALPN:      c.tlsState.NegotiatedProtocol,
		Resumed:   c.tlsState.DidResume,
		Handshake: c.took,
	}
	if c.core != nil && !c.broken {
		c.coreStats(&out)
	}
	return out
}

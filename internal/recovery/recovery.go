// Package recovery is RFC 9002: the ledger of what was sent, and what became of it.
//
// A Ledger keeps the sent packets of the three packet number spaces until each has met its fate, acknowledged or lost;
// measures the round-trip time; owns the loss timer and the probe timeout (PTO); counts the bytes in flight; feeds a
// congestion.Controller; and paces. It does not know what packets carry: each fact that a packet carried is handed back
// with the packet's fate, and it is the caller who sends information again, in new packets.
//
// The cost of an ACK frame is proportional to what it newly acknowledges and what is thereby lost, never to what is
// outstanding, and no packet costs an allocation once the ring of its space has grown to the window. This rests on a
// property of RFC 9002's thresholds: after an ACK has been processed, at most the last three numbers up to the largest
// acknowledged one can still be in doubt, so that everything tracked below them is settled and retired.
//
// Like everything in the core it reads no clock and takes no lock: the present is the first argument.
package recovery

import (
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
	"github.com/godwit-net/godwit/qlog"
)

// The constants of RFC 9002, appendix A.2, and section 7.6.1.
const (
	packetThreshold     = 3
	granularity         = time.Millisecond
	initialRTT          = 333 * time.Millisecond
	persistentThreshold = 3
	// defaultMaxAckDelay holds until the peer's transport parameters are known (RFC 9000, section 18.2).
	defaultMaxAckDelay = 25 * time.Millisecond
)

// Config says how a Ledger works. Controller, DatagramSize and Fate are required.
type Config struct {
	Server       bool
	Controller   congestion.Controller
	InitialRTT   time.Duration // guess before the first sample; 0: 333 ms
	DatagramSize int           // bytes of the datagrams sent, without UDP and IP headers
	// Fate is told what became of each packet: of those acknowledged together first, in ascending order, then of those
	// lost. A packet is Acked or Lost exactly once, unless its space is dropped, and may be Probed before that any number
	// of times. Fate must not call the ledger.
	Fate  func(wire.Space, *Packet, Fate)
	Trace *qlog.Trace // nil: silence
}

// Stats counts packets and bytes since the ledger began, whatever the path.
type Stats struct {
	Sent, SentBytes   int64
	Acked, AckedBytes int64
	Lost, LostBytes   int64
	SpuriousLost      int64 // acknowledged after having been declared lost
	PTOs              int64 // probe timeouts that fired
	Persistent        int64 // times that persistent congestion was established
	Undone            int64 // reductions of the window taken back, as all losses behind them were spurious
	CE                int64 // congestion marks reported by the peer
	GivenUp           int64 // of Lost: forgotten because too many newer packets had to be remembered
}

// A Ledger is the loss recovery of one connection.
type Ledger struct {
	server    bool
	ctl       congestion.Controller
	fate      func(wire.Space, *Packet, Fate)
	trace     *qlog.Trace
	datagram  int
	spaces    [wire.NumSpaces]space
	inFlight  int // bytes, on the current path
	rtt       rtt
	pacer     pacer
	rate      rate
	ecnFailed bool
	ecnProved bool // a packet with a mark was acknowledged on this path
	stats     Stats

	maxAckDelay   time.Duration
	confirmed     bool // the handshake is confirmed
	peerValidated bool // the peer is known to have validated our address
	handshakeKeys bool
	amplification bool // server: nothing may be sent until the client sends more
	ptoCount      int
	armedAt       instant.Time // when the timer was last set: from there the anti-deadlock PTO counts

	fullAt    instant.Time // when the window was last found to be the limit
	refusedAt instant.Time // when window or pacer last had nothing to give
	lastSent  instant.Time // when a packet in flight was last sent

	pending losses // of the pass under way
	lateness
}

// New returns a Ledger on which nothing has been sent.
func New(cfg Config) *Ledger {
	if cfg.Controller == nil || cfg.Fate == nil || cfg.DatagramSize <= 0 {
		panic("BUG: recovery.New needs a controller, a datagram size and a fate")
	}
	if cfg.InitialRTT <= 0 {
		cfg.InitialRTT = initialRTT
	}
	l := &Ledger{
		server:      cfg.Server,
		ctl:         cfg.Controller,
		fate:        cfg.Fate,
		trace:       cfg.Trace,
		datagram:    cfg.DatagramSize,
		rtt:         newRTT(cfg.InitialRTT),
		maxAckDelay: defaultMaxAckDelay,
		// RFC 9002, appendix A.8: "Assume clients validate the server's address implicitly."
		peerValidated: cfg.Server,
	}
	for i := range l.spaces {
		l.spaces[i].largestAcked = -1
	}
	return l
}

// Next returns the number that the next packet in s will carry.
func (l *Ledger) Next(s wire.Space) int64 { return l.spaces[s].ring.next }

// LargestAcked returns the largest number that the peer has acknowledged in s; -1: none.
func (l *Ledger) LargestAcked(s wire.Space) int64 { return l.spaces[s].largestAcked }

// Skip leaves the next number in s unused. An acknowledgment of it exposes a peer that acknowledges what it has not
// received (RFC 9000, section 21.4). The last 16 skipped numbers of a space are remembered.
func (l *Ledger) Skip(s wire.Space) {
	sp := &l.spaces[s]
	sp.skipped[sp.skips%maxSkipped] = sp.ring.next
	sp.skips++
	sp.ring.skip()
}

// RTT returns the state of the round-trip time estimator.
func (l *Ledger) RTT() congestion.RTT { return l.rtt.RTT }

// Window returns the congestion window in bytes.
func (l *Ledger) Window() int { return l.ctl.Window() }

// InFlight returns the bytes in flight on the current path.
func (l *Ledger) InFlight() int { return l.inFlight }

// Stats returns the counts so far.
func (l *Ledger) Stats() Stats { return l.stats }

// Controller returns the congestion controller.
func (l *Ledger) Controller() congestion.Controller { return l.ctl }

// ECNFailed reports whether the peer's ECN counts have failed validation on this path; packets should then be sent
// without ECT marks (RFC 9000, section 13.4.2).
func (l *Ledger) ECNFailed() bool { return l.ecnFailed }

// ECNProved reports whether a packet that was sent with a mark has been acknowledged on this path, with counts that pass.
func (l *Ledger) ECNProved() bool { return l.ecnProved && !l.ecnFailed }

// Trim gives back the memory of spaces in which nothing is outstanding. It is for connections that have come to rest: a
// busy one empties its ring with every round trip and needs it again at once.
func (l *Ledger) Trim() {
	for i := range l.spaces {
		l.spaces[i].ring.shrink()
	}
}

// SetMaxAckDelay takes the peer's max_ack_delay; 25 ms until then.
func (l *Ledger) SetMaxAckDelay(d time.Duration) { l.maxAckDelay = d }

// SetDatagramSize changes the size of the datagrams sent, in bytes without UDP and IP headers.
func (l *Ledger) SetDatagramSize(n int) {
	l.datagram = n
	if r, ok := l.ctl.(congestion.Resizer); ok {
		r.SetDatagramSize(n)
	}
}

// Migrated begins a new path. With keepState, which is for a path that differs only in a port, everything is kept, and
// the packets that are in flight stay there, but the controller does not hear of their loss: they may have gone to a port that
// nobody listens on any more. Otherwise ctl becomes the controller, and the round-trip time, ECN validation and pacing begin anew.
//
// Packets sent on the old path stay tracked, so that their facts are settled, but leave the flight: RFC 9000, section
// 9.4: "Packets sent on the old path MUST NOT contribute to congestion control or RTT estimation for the new path."
func (l *Ledger) Migrated(now instant.Time, keepState bool, ctl congestion.Controller) {
	if keepState {
		for i := range l.spaces {
			l.spaces[i].portFirst = l.spaces[i].ring.next
		}
		return
	}
	l.ctl = ctl
	l.rtt = newRTT(l.rtt.initial)
	l.pacer = pacer{}
	l.rate = rate{}
	l.ecnFailed, l.ecnProved = false, false
	l.inFlight = 0
	l.ptoCount = 0
	l.fullAt, l.refusedAt, l.lastSent = 0, 0, 0
	l.lateness = lateness{}
	for i := range l.spaces {
		sp := &l.spaces[i]
		sp.pathFirst = sp.ring.next
		sp.run, sp.ackedSentAt = 0, 0
	}
	l.armedAt = now
}

package engine

import (
	"time"

	"github.com/godwit-net/godwit/congestion"
)

// Stats counts what a connection did. The counters are always on.
type Stats struct {
	DatagramsSent, DatagramsReceived int64
	BytesSent, BytesReceived         int64 // of UDP payload
	PacketsSent, PacketsReceived     int64
	PacketsLost                      int64 // declared lost; some may have arrived late
	PacketsSpurious                  int64 // acknowledged after they had been declared lost, ACK-only packets among them
	PacketsDropped                   int64 // received and not processed: duplicates, garbage, keys not there
	StreamsOpened, StreamsClosed     int64 // by both ends
	PathChanges                      int64
	KeyUpdates                       int64

	// What follows is the present state.
	Version   uint32
	Handshake time.Duration // how long it took; 0 while it lasts
	RTT       congestion.RTT
	Window    int   // congestion window, bytes
	InFlight  int   // bytes
	Unsent    int64 // bytes written to streams that were never sent, mostly for want of the peer's credit
	PTOCount  int

	DatagramSize int    // largest UDP payload in use, bytes
	BlackHoles   int64  // times that the path ceased to carry large datagrams
	ECN          string // of the path: "testing", "unknown", "capable", "failed"; empty: we do not mark
	CE           int64  // packets that the peer reported as marked
	Controller   string
}

// Stats returns the counters and the present state.
func (c *Conn) Stats() Stats {
	s := c.stats
	s.KeyUpdates = int64(c.phase.updates)
	s.Version = c.version.current
	s.Handshake = c.shake.took()
	s.RTT = c.ledger.RTT()
	s.Window, s.InFlight, s.PTOCount = c.ledger.Window(), c.ledger.InFlight(), c.ledger.PTOCount()
	s.PacketsSpurious = c.ledger.Stats().SpuriousLost
	s.DatagramSize, s.BlackHoles = c.path.mtu.size, c.path.mtu.holes
	if c.config.ECN != NoECN {
		s.ECN = c.path.ecn.stage.String()
	}
	s.CE = c.ledger.Stats().CE
	s.Controller = c.ledger.Controller().Name()
	for _, st := range c.streams.byID { // any order: it is a sum
		if st.send.hasBytes() {
			s.Unsent += st.send.end - st.send.next
		}
	}
	return s
}

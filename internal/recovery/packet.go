package recovery

import (
	"github.com/godwit-net/godwit/internal/instant"
)

// A Fact is one piece of information that a packet carried and that may have to be sent again: a range of a stream, a
// control frame. What Kind, ID and the range mean is the business of whoever sends the packets.
type Fact struct {
	Kind       uint8
	Fin        bool
	ID         int64
	Start, End int64
}

// Sent describes a packet that is being sent.
type Sent struct {
	Size         int  // bytes, without UDP and IP headers
	AckEliciting bool // the peer must acknowledge it
	InFlight     bool // it counts against the congestion window: ack-eliciting or padded
	MTUProbe     bool // its loss says nothing about congestion (RFC 9000, section 14.4)
	Bare         bool // nothing in it would have to be sent again, as in a PING: a probe timeout passes it over
	ECN          uint8
	Facts        []Fact // copied
}

// A Packet is a packet that was sent and whose fate is being told. It, and its Facts, may be used only until the Fate
// callback returns.
type Packet struct {
	Number       int64
	SentAt       instant.Time
	Size         int
	AckEliciting bool
	InFlight     bool
	MTUProbe     bool
	Bare         bool
	ECN          uint8
	Facts        []Fact

	state      state
	appLimited bool // sent while the application was the limit

	// The state of delivery when this packet was sent, for the rate sample that its acknowledgment will give.
	delivered   int64
	deliveredAt instant.Time
	firstSentAt instant.Time

	factsEnd uint64 // position in the shelf just after Facts
}

// A Fate is what became of a packet.
type Fate uint8

const (
	Acked  Fate = iota // the peer has it: final
	Lost               // declared lost: final, though an acknowledgment may yet arrive
	Probed             // a probe timeout passed: still outstanding, but its facts should be sent again
)

func (f Fate) String() string {
	switch f {
	case Acked:
		return "acked"
	case Lost:
		return "lost"
	}
	return "probed"
}

// state is what the ledger knows about one packet number.
type state uint8

const (
	unsent      state = iota // a skipped number: there is no such packet
	outstanding              // neither acknowledged nor declared lost
	acked
	lost
)

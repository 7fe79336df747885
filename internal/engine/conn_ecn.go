package engine

// ECN says how the packets of a connection are marked (RFC 9000, section 13.4).
type ECN uint8

const (
	// ECT0 marks packets ECT(0): queues may mark them CE instead of dropping them. The default.
	ECT0 ECN = iota
	// ECT1 marks packets ECT(1), which announces a controller that answers each CE mark in proportion, as L4S (RFC 9330)
	// wants it: congestion.Ack.CE counts the marks. With any other controller it would take more than its share.
	ECT1
	// NoECN marks nothing.
	NoECN
)

// codepoint returns the two bits of the IP header.
func (e ECN) codepoint() uint8 { return [...]uint8{ECT0: 0b10, ECT1: 0b01, NoECN: 0}[e] }

// ecnState is how far the validation of a path has come (RFC 9000, appendix A.4).
type ecnState struct {
	stage  ecnStage
	sent   int  // packets marked while testing
	second bool // the test was cut short, and begun again when the handshake was confirmed
}

type ecnStage uint8

const (
	// ecnTesting: the first packets are marked, to see what comes of it.
	ecnTesting ecnStage = iota
	// ecnUnknown: enough of them; it remains to be seen.
	ecnUnknown
	// ecnCapable: marks arrive, and the peer reports them. All packets are marked.
	ecnCapable
	// ecnFailed: something on the path changes marks, or drops what has one, or the peer does not report them. No packet is
	// marked any more.
	ecnFailed
)

func (s ecnStage) String() string {
	return [...]string{"testing", "unknown", "capable", "failed"}[s]
}

// ecnTestPackets is how many packets are marked before the answer is in: RFC 9000, section 13.4.2: "an ECT codepoint for
// only the first ten outgoing packets on a path".
const ecnTestPackets = 10

// restart begins with another path.
func (e *ecnState) restart() { *e = ecnState{} }

// codepoint returns the mark of the next datagram.
func (e *ecnState) codepoint(c *Conn) uint8 {
	mark := c.config.ECN.codepoint()
	if mark == 0 || !c.path.validated {
		// A path that drops what is marked must not keep the proof of an address from arriving.
		return 0
	}
	switch was := e.stage; {
	case was == ecnFailed:
		return 0
	case c.ledger.ECNFailed():
		e.move(c, ecnFailed)
	case c.ledger.ECNProved():
		e.move(c, ecnCapable)
	case was == ecnTesting && (e.sent >= ecnTestPackets || c.ledger.PTOCount() > 0):
		// Nor must it hold a handshake up: the first probe timeout cuts the test short.
		e.move(c, ecnUnknown)
	case was == ecnUnknown && e.sent < ecnTestPackets && !e.second && c.shake.confirmed:
		// It may have been any loss. There is time for another try now.
		e.second, e.sent = true, 0
		e.move(c, ecnTesting)
	}
	if e.stage == ecnCapable || e.stage == ecnTesting {
		return mark
	}
	return 0
}

func (e *ecnState) move(c *Conn, to ecnStage) {
	if e.stage != to {
		c.trace.ECNState(c.now, e.stage.String(), to.String())
		e.stage = to
	}
}

// marked counts a packet that was sent.
func (e *ecnState) marked(mark uint8) {
	if mark != 0 && e.stage == ecnTesting {
		e.sent++
	}
}

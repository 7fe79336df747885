package engine

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// ackMarked acknowledges all that was sent, with counts.
func (x *exchange) ackMarked(ect0, ect1, ce uint64) {
	x.receive(wire.AppSpace, wire.AppendAck(nil, wire.Ack{ECN: true, ECT0: ect0, ECT1: ect1, CE: ce}, x.seen[wire.AppSpace], 1000))
}

// send writes n bytes on stream id and returns with which marks they went out; they are all in one datagram or all of
// one mark.
func (x *exchange) send(id int64, n int) []uint8 {
	x.t.Helper()
	x.marks = nil
	x.now = x.now.Add(time.Millisecond)
	x.conn.Write(x.now, id, make([]byte, n))
	x.drain()
	if len(x.marks) == 0 {
		x.t.Fatal("nothing was sent")
	}
	return x.marks
}

func TestThePeerThatReportsNoMarksIsSentNone(t *testing.T) {
	// Rules: 9000:13.4.2.2/1, 9000:13.4.2.2/2
	// RFC 9000, section 13.4.2.1: "ECN validation fails if the corresponding ECN counts are not present in the ACK frame."
	x := newExchange(t, false)
	x.drain()
	if x.marks[0] != 0b10 {
		t.Errorf("the first datagram is marked %d", x.marks[0])
	}
	x.handshake()
	id := x.open()
	for range 5 {
		x.send(id, 100)
		x.ack(wire.AppSpace)
	}
	if marks := x.send(id, 100); marks[0] != 0 || x.conn.Stats().ECN != "failed" {
		t.Errorf("later ones are marked %d, the path is %q", marks[0], x.conn.Stats().ECN)
	}
}

func TestOnlyTheFirstTenPacketsAreMarkedUntilMarksAreReported(t *testing.T) {
	for _, c := range []struct {
		ecn  ECN
		mark uint8
	}{{ECT0, 0b10}, {ECT1, 0b01}, {NoECN, 0}} {
		x := newExchange(t, false, withConfig(func(config *Config) { config.ECN = c.ecn })).handshake()
		x.conn.path.ecn.restart() // the peer of the handshake did not report
		x.conn.ledger.Migrated(x.now, false, x.conn.config.Controller(minDatagramSize))
		id := x.open()
		marked := uint64(0)
		for i := range 14 {
			for _, m := range x.send(id, 100) {
				if m != 0 {
					marked++
					if m != c.mark {
						t.Fatalf("packet %d is marked %d, want %d", i, m, c.mark)
					}
				}
			}
		}
		if c.mark == 0 {
			if marked != 0 || x.conn.Stats().ECN != "" {
				t.Errorf("%d packets are marked", marked)
			}
			continue
		}
		if marked != ecnTestPackets || x.conn.Stats().ECN != "unknown" {
			t.Errorf("%d of 14 packets are marked, the path is %q", marked, x.conn.Stats().ECN)
		}
		if c.ecn == ECT0 {
			x.ackMarked(marked, 0, 0)
		} else {
			x.ackMarked(0, marked, 0)
		}
		if marks := x.send(id, 100); marks[0] != c.mark || x.conn.Stats().ECN != "capable" {
			t.Errorf("after a good report packets are marked %d, the path is %q", marks[0], x.conn.Stats().ECN)
		}
	}
}

func TestARunOfDatagramsHasOneMark(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.conn.path.ecn.restart()
	x.conn.ledger.Migrated(x.now, false, x.conn.config.Controller(minDatagramSize))
	x.conn.path.ecn.sent = ecnTestPackets - 4
	x.conn.Write(x.now, x.open(), make([]byte, 50_000))
	first := x.conn.Compose(x.now, x.buf)
	second := x.conn.Compose(x.now, x.buf)
	if first.ECN != 0b10 || first.Size != 4*first.Segment || second.ECN != 0 || second.Size == 0 {
		t.Errorf("%+v, then %+v; want four datagrams with a mark, and others without", first, second)
	}
}

func TestACEMarkReducesTheWindowOnceARoundTrip(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.conn.path.ecn.restart()
	x.conn.ledger.Migrated(x.now, false, x.conn.config.Controller(minDatagramSize))
	id := x.open()
	x.send(id, 5000)
	x.now = x.now.Add(10 * time.Millisecond)
	sent := uint64(len(x.marks))
	before := x.conn.ledger.Window()
	marks := x.send(id, 2000) // before the report, and so of the same round trip
	x.seen[wire.AppSpace].Sub(x.out1RTT()-int64(len(marks)), x.out1RTT())
	x.ackMarked(sent-1, 0, 1)
	once := x.conn.ledger.Window()
	if once >= before {
		t.Fatalf("the window went from %d to %d", before, once)
	}
	x.seen[wire.AppSpace].Add(x.out1RTT()-int64(len(marks)), x.out1RTT())
	x.ackMarked(sent-1, 0, 1+uint64(len(marks)))
	if got := x.conn.ledger.Window(); got != once {
		t.Errorf("a second report of the same round trip took it to %d", got)
	}
	if got := x.conn.Stats().CE; got != int64(1+len(marks)) {
		t.Errorf("%d marks are counted", got)
	}
}

// out1RTT returns the number of the next 1-RTT packet.
func (x *exchange) out1RTT() int64 { return x.conn.ledger.Next(wire.AppSpace) }

func TestAProbeTimeoutCutsTheTestShort(t *testing.T) {
	x := newExchange(t, false)
	x.acking = false
	x.drain()
	if x.marks[0] != 0b10 {
		t.Fatal(x.marks)
	}
	x.marks = nil
	x.advanceToDeadline()
	if len(x.marks) == 0 || x.marks[0] != 0 {
		t.Errorf("what is sent again is marked %v", x.marks)
	}
	if got := x.conn.path.ecn.stage; got != ecnUnknown {
		t.Errorf("the path is %v", got)
	}
	x.conn.path.ecn.sent = 3
	x.conn.shake.confirmed = true
	if x.conn.path.ecn.codepoint(x.conn); x.conn.path.ecn.stage != ecnTesting {
		t.Error("it is not tested again when the handshake is confirmed")
	}
	x.conn.path.ecn.codepoint(x.conn)
	x.conn.path.ecn.codepoint(x.conn)
	if x.conn.path.ecn.stage != ecnUnknown {
		t.Error("a third test")
	}
}

func TestAnAcknowledgmentIsNotMarkedBeforeMarksAreKnownToArrive(t *testing.T) {
	// A path that drops what is marked would swallow the acknowledgments of an end that has nothing else to send, which does
	// not notice.
	x := newExchange(t, false).handshake()
	x.conn.path.ecn.restart()
	x.conn.ledger.Migrated(x.now, false, x.conn.config.Controller(minDatagramSize))
	x.marks = nil
	x.receive(wire.AppSpace, ping)
	x.advance(maxAckDelay)
	if len(x.marks) == 0 || x.marks[0] != 0 {
		t.Errorf("acknowledgments are marked %v", x.marks)
	}
	x.send(x.open(), 10)
	x.ackMarked(1, 0, 0)
	x.marks = nil
	x.receive(wire.AppSpace, ping)
	x.advance(maxAckDelay)
	if len(x.marks) == 0 || x.marks[0] != 0b10 {
		t.Errorf("later they are marked %v", x.marks)
	}
}

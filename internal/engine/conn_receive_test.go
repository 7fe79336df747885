package engine

import (
	"bytes"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/wire"
)

// wantDropped expects that a datagram changes nothing but the count of dropped packets.
func (x *exchange) wantDropped(sentence string, datagram []byte) {
	x.t.Helper()
	before := x.conn.Stats()
	x.receiveDatagram(datagram)
	after := x.conn.Stats()
	if after.PacketsDropped != before.PacketsDropped+1 || after.PacketsReceived != before.PacketsReceived {
		x.t.Fatalf("%s: %d dropped, %d received, %v", sentence, after.PacketsDropped-before.PacketsDropped,
			after.PacketsReceived-before.PacketsReceived, x.conn.Err())
	}
}

func TestInitialPacketOfAServerHasNoToken(t *testing.T) {
	// Rules: 9000:17.2.2/1
	// RFC 9000, section 17.2.2: "clients that receive an Initial packet with a non-zero Token Length field MUST either
	// discard the packet or generate a connection error of type PROTOCOL_VIOLATION."
	x := newExchange(t, false)
	x.drain()
	x.header = func(h *wire.LongHeader) { h.Token = []byte("token") }
	x.wantDropped("an Initial packet with a token", x.packet(wire.InitialSpace, ping))
	x.header = nil
	x.handshake()
}

func TestSourceConnectionIDOfThePeerDoesNotChange(t *testing.T) {
	// Rules: 9000:7.2/3, 9000:7.2/4, 9000:7.2/5, 9000:7.2/6
	// RFC 9000, section 7.2: "if subsequent Initial packets include a different Source Connection ID, they MUST be
	// discarded."
	for _, server := range []bool{false, true} {
		x := newExchange(t, server)
		x.drain()
		x.receive(wire.InitialSpace, ping)
		if x.conn.ids.remoteID() != x.src {
			t.Fatalf("the peer's ID is %v after its first packet", x.conn.ids.remoteID())
		}
		x.header = func(h *wire.LongHeader) { h.SrcID = []byte("other") }
		x.wantDropped("an Initial packet with another source", x.packet(wire.InitialSpace, ping))
		if x.conn.ids.remoteID() != x.src {
			t.Errorf("the peer's ID became %v", x.conn.ids.remoteID())
		}
		x.header = nil
		x.handshake()
	}
}

func TestCoalescedPacketsHaveOneDestination(t *testing.T) {
	// Rules: 9000:12.2/4
	// RFC 9000, section 12.2: "Receivers SHOULD ignore any subsequent packets with a different Destination Connection ID
	// than the first packet in the datagram."
	x := newExchange(t, true)
	x.drain()
	first := x.packet(wire.InitialSpace, ping)
	x.dst = x.conn.ids.local[0].id // ours too, but not the first packet's
	second := x.packet(wire.InitialSpace, ping)
	x.receiveDatagram(append(first, second...))
	if s := x.conn.Stats(); s.PacketsReceived != 1 || s.PacketsDropped != 1 {
		t.Errorf("%d packets received, %d dropped", s.PacketsReceived, s.PacketsDropped)
	}
}

func TestWhatIsNotAPacketOfOursIsDropped(t *testing.T) {
	// Rules: 9000:10.3/6, 9000:12.3/4, 9001:5.4.2/1, 9368:2.1/5
	x := newExchange(t, true).handshake()
	for _, c := range []struct {
		sentence string
		datagram func() []byte
	}{
		{"a damaged packet", func() []byte { b := x.packet(wire.AppSpace, ping); b[len(b)-1] ^= 1; return b }},
		{"a packet too short for a sample", func() []byte { return x.packet(wire.AppSpace, ping)[:1+DefaultIDLen+4+15] }},
		{"a packet to another ID", func() []byte { b := x.packet(wire.AppSpace, ping); b[1] ^= 1; return b }},
		{"a packet that lost its fixed bit on the way", func() []byte { b := x.packet(wire.AppSpace, ping); b[0] &^= wire.FixedBit; return b }},
		{"a header without an ID", func() []byte { return []byte{0x40, 1, 2} }},
		{"a long header that ends", func() []byte { return []byte{0xc0, 0, 0, 0, 1, 8} }},
		{"a packet of another version", func() []byte {
			b := []byte{0xc0, 1, 2, 3, 4, DefaultIDLen}
			return append(x.dst.AppendTo(b), 0)
		}},
		{"Version Negotiation to a server", func() []byte { return x.versionNegotiation(nil, 5) }},
		{"a Retry to a server", func() []byte { return x.retry([]byte("retry"), []byte("token")) }},
		{"a packet of a space that is gone", func() []byte { return x.packet(wire.HandshakeSpace, ping) }},
	} {
		x.wantDropped(c.sentence, c.datagram())
	}
	again := x.packet(wire.AppSpace, ping)
	x.receiveDatagram(bytes.Clone(again))
	x.wantDropped("a packet that came before", again)
}

func TestZeroRTTPacketsAreDroppedAndTheRestOfTheDatagramIsTaken(t *testing.T) {
	// Rules: 9000:12.2/1, 9000:12.2/6
	x := newExchange(t, true)
	b, at := wire.AppendLongHeader(nil, wire.LongHeader{
		Type: wire.Packet0RTT, Version: wire.Version1, DstID: x.dst.Bytes(), SrcID: x.src.Bytes()}, 0, 4)
	b = append(b, make([]byte, 40)...)
	wire.SetLength(b, at, 44)
	x.receiveDatagram(append(b, x.packet(wire.InitialSpace, ping)...))
	if s := x.conn.Stats(); s.PacketsReceived != 1 || s.PacketsDropped != 1 {
		t.Errorf("%d packets received, %d dropped", s.PacketsReceived, s.PacketsDropped)
	}
}

func TestSmallInitialDatagramsAreDroppedByAServer(t *testing.T) {
	// Rules: 9000:14/4, 9000:14.1/3
	// RFC 9000, section 14.1.
	x := newExchange(t, true)
	x.receive(wire.InitialSpace, ping)
	x.server = false // our peer shall not pad
	b := x.packet(wire.InitialSpace, ping)
	x.server = true
	x.wantDropped("an Initial packet in a small datagram", b)
}

func TestAConnectionThatNeverWasLeavesNothing(t *testing.T) {
	x := newExchange(t, true)
	b := x.packet(wire.InitialSpace, ping)
	b[len(b)-1] ^= 1
	x.receiveDatagram(b)
	x.wantEvent("its first datagram being a fake, it is forgotten", EventDrained)
	x.wantNothing("without a word")
	if err := x.conn.shake.tls.Receive(handshake.InitialLevel, []byte{1}); err == nil {
		t.Error("its TLS still waits for input")
	}
	if x.conn.Deadline() != 0 {
		t.Error("a timer is set")
	}
}

// early makes a 1-RTT packet that the connection, a client, gets before the Handshake packets that bring its key.
func (x *exchange) early(frames ...[]byte) []byte {
	x.t.Helper()
	x.drain()
	for len(x.pending[wire.InitialSpace]) > 0 {
		x.receive(wire.InitialSpace, x.crypto(wire.InitialSpace))
	}
	if x.write[wire.AppSpace] == nil {
		x.t.Fatal("the server has no 1-RTT keys yet")
	}
	return x.packet(wire.AppSpace, frames...)
}

func TestPacketsThatOvertookTheirKeysAreTakenLater(t *testing.T) {
	// Rules: 9001:4.1.4/1, 9001:5.7/3
	// RFC 9001, section 5.7.
	x := newExchange(t, false)
	b := x.early(streamFrame(3, 0, "early", true))
	x.receiveDatagram(b)
	x.handshake()
	x.wantRead("they were kept", 3, "early", true)
}

func TestHandshakePacketsThatOvertookTheServerHelloAreTakenLater(t *testing.T) {
	// Rules: 9001:4.1.4/1
	x := newExchange(t, false)
	x.drain()
	b := x.packet(wire.HandshakeSpace, x.crypto(wire.HandshakeSpace))
	x.receiveDatagram(b)
	x.sayCrypto()
	if x.conn.ledger.PTOCount() != 0 || !x.conn.HandshakeDone() {
		t.Error("the first Handshake packet was not kept")
	}
}

func TestAResetThatLooksLikeAPacketIsRecognised(t *testing.T) {
	// Rules: 9000:10.3.1/1, 9000:10.3.1/4
	// RFC 9000, section 10.3.1: also when the datagram "cannot be decrypted".
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.HasResetToken, p.ResetToken = true, resetToken(9) })).handshake()
	b, tok := x.packet(wire.AppSpace, make([]byte, 30)), resetToken(9)
	copy(b[len(b)-16:], tok[:])
	x.receiveDatagram(b)
	if x.conn.Err() != ErrStatelessReset {
		t.Errorf("the error is %v", x.conn.Err())
	}
	x.queue = nil
	x.receive(wire.AppSpace, ping)
	x.wantNothing("and the connection drains in silence")
}

func TestEarlyDatagramsAreBounded(t *testing.T) {
	x := newExchange(t, false)
	x.receiveDatagram(x.early(streamFrame(3, 0, "a", false)))
	for off := int64(1); off < 2*maxUndecrypted; off++ {
		x.receiveDatagram(x.packet(wire.AppSpace, streamFrame(3, off, "a", false)))
	}
	if n := len(x.conn.shake.early); n != maxUndecrypted {
		t.Errorf("%d datagrams are kept, want %d", n, maxUndecrypted)
	}
	x.handshake()
	x.wantRead("those that were kept are read", 3, "aaaaaaaa", false)
	if n := len(x.conn.shake.early); n != 0 {
		t.Errorf("%d datagrams are kept after the handshake", n)
	}
}

func TestAnEarlyPacketCanCloseTheConnection(t *testing.T) {
	// Rules: 9000:10.2.2/1
	// RFC 9000, section 10.2.2: an endpoint in the draining state "MUST NOT send any packets".
	x := newExchange(t, false)
	x.receiveDatagram(x.early(wire.AppendConnectionClose(nil, wire.ConnectionClose{App: true, Code: 4})))
	x.playHandshake()
	if e, ok := x.conn.Err().(*ApplicationError); !ok || e.Code != 4 {
		t.Fatalf("the error is %v", x.conn.Err())
	}
	for _, f := range x.queue {
		if f.space == wire.HandshakeSpace || f.space == wire.AppSpace {
			t.Errorf("after the close it sent %s %s", f.space, f.text)
		}
	}

	x = newExchange(t, false)
	x.receiveDatagram(x.early([]byte{0x21}))
	x.playHandshake()
	x.wantClose("a fault in an early packet", wire.FrameEncodingError)
	for _, f := range x.queue {
		if f.space == wire.AppSpace && f.text != "connection_close code=0x7 app=false" {
			t.Errorf("closing it sent %s", f.text)
		}
	}
}

func TestReservedBitsAreAViolation(t *testing.T) {
	// Rules: 9000:17.2/9, 9000:17.3.1/3
	// RFC 9000, sections 17.2 and 17.3.1.
	for _, c := range []struct {
		space wire.Space
		bit   byte
	}{{wire.AppSpace, 0x08}, {wire.AppSpace, 0x10}, {wire.HandshakeSpace, 0x04}, {wire.HandshakeSpace, 0x08}} {
		x := newExchange(t, false)
		if c.space == wire.AppSpace {
			x.handshake()
		} else {
			x.early(ping)
		}
		x.reserved = c.bit
		x.receive(c.space, ping)
		x.wantClose("a reserved bit", wire.ProtocolViolation)
	}
}

func TestAbsurdAckDelaysDoNotDisturbTheTimers(t *testing.T) {
	// The largest delay times the largest exponent overflows 64 bits of nanoseconds.
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.AckDelayExponent = 20 })).handshake()
	for range 3 {
		x.conn.Write(x.now, x.open(), []byte("x"))
		x.drain()
		x.advance(20 * time.Millisecond)
		x.receive(wire.AppSpace, wire.AppendAck(nil, wire.Ack{Delay: 1<<62 - 1}, x.seen[wire.AppSpace], 100))
	}
	if rtt := x.conn.Stats().RTT; rtt.Smoothed <= 0 || rtt.Smoothed > time.Second || rtt.Var < 0 || rtt.Var > time.Second {
		t.Errorf("the round-trip time is %+v", rtt)
	}
}

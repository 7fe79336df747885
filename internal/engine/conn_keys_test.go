package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// peerPhase is one key phase of the peer's.
type peerPhase struct {
	bit         bool
	write, read *seal.Keys
}

func (x *exchange) keyPhase() peerPhase {
	return peerPhase{x.phase, x.write[wire.AppSpace], x.read[wire.AppSpace]}
}

func (p peerPhase) next() peerPhase { return peerPhase{!p.bit, p.write.Next(), p.read.Next()} }

func (x *exchange) use(p peerPhase) {
	x.phase, x.write[wire.AppSpace], x.read[wire.AppSpace] = p.bit, p.write, p.read
}

// sendIn makes the peer send in the phase p.
func (x *exchange) sendIn(p peerPhase, frames ...[]byte) []byte {
	x.phase, x.write[wire.AppSpace] = p.bit, p.write
	return x.packet(wire.AppSpace, frames...)
}

func TestAKeyUpdateOfThePeersIsFollowed(t *testing.T) {
	// Rules: 9001:6.1/4, 9001:6.2/1, 9001:6.2/2, 9001:6.3/3
	// RFC 9001, section 6.2: "The endpoint MUST update its send keys to the corresponding key phase in response".
	for _, server := range []bool{false, true} {
		peersKeyUpdate(t, server)
	}
}

// peersKeyUpdate is the story of a peer that updates its keys, and then again.
func peersKeyUpdate(t *testing.T, server bool) {
	theirs := int64(1) // first stream
	if server {
		theirs = 0
	}
	x := newExchange(t, server).handshake()
	old := x.keyPhase()
	missing := x.next[wire.AppSpace]
	overtaken := x.packet(wire.AppSpace, streamFrame(theirs, 0, "a", false))
	x.use(old.next()) // to read and write: what comes back must be in the new phase to open
	x.receive(wire.AppSpace, streamFrame(theirs, 1, "b", false))
	x.receive(wire.AppSpace, streamFrame(theirs, 2, "c", false))
	x.wantAck("the packet is acknowledged in the new phase", fmt.Sprintf("ack [%d,%d) [0,%d)", missing+1, missing+2, missing))
	if x.conn.Stats().KeyUpdates != 1 {
		t.Fatalf("%d updates", x.conn.Stats().KeyUpdates)
	}
	x.receiveDatagram(overtaken)
	x.wantRead("a packet of the old phase that was overtaken is read", theirs, "abc", false)
	if x.conn.Stats().KeyUpdates != 1 {
		t.Error("and updates nothing")
	}

	x.ack(wire.AppSpace)
	x.use(x.keyPhase().next())
	x.receive(wire.AppSpace, streamFrame(theirs, 3, "d", false))
	x.receive(wire.AppSpace, ping)
	x.wantRead("a second update follows", theirs, "d", false)
	if x.conn.Stats().KeyUpdates != 2 || x.conn.Err() != nil {
		t.Errorf("%d updates, %v", x.conn.Stats().KeyUpdates, x.conn.Err())
	}
}

func TestOldKeysGoAfterThreeProbeTimeouts(t *testing.T) {
	// Rules: 9001:6.5/2, 9001:6.5/3
	// RFC 9001, section 6.5.
	x := newExchange(t, true).handshake()
	old := x.keyPhase()
	overtaken := x.packet(wire.AppSpace, ping)
	x.use(old.next())
	x.receive(wire.AppSpace, ping)
	x.advance(3*x.conn.ledger.PTO() + time.Millisecond)
	if x.conn.phase.oldRead != nil {
		t.Error("they are still there")
	}
	x.wantDropped("a packet of theirs cannot be opened any more", overtaken)
	if x.conn.Err() != nil {
		t.Error(x.conn.Err())
	}
}

func TestTwoKeyUpdatesWithoutAnAnswerAreAnError(t *testing.T) {
	// RFC 9001, section 6.2: "If an endpoint detects a second update before it has sent any packets with updated keys
	// containing an acknowledgment for the packet that initiated the key update, it indicates that its peer has updated
	// keys twice without awaiting confirmation. An endpoint MAY treat such consecutive key updates as a connection error of
	// type KEY_UPDATE_ERROR."
	x := newExchange(t, true).handshake()
	first := x.keyPhase().next()
	x.use(first)
	b := x.packet(wire.AppSpace, ping)
	second := x.sendIn(first.next(), ping)
	x.conn.Receive(x.now, Datagram{Payload: b, Path: x.path})
	x.conn.Receive(x.now, Datagram{Payload: second, Path: x.path})
	x.use(first)
	x.drain()
	x.wantClose("updates without waiting", wire.KeyUpdateError)
}

func TestOurOwnKeyUpdate(t *testing.T) {
	// Rules: 9001:6.1/2, 9001:6.1/3, 9001:6.4/1, 9001:6.5/1
	for _, server := range []bool{false, true} {
		ownKeyUpdate(t, server, keyUpdateEvery)
	}
}

func TestWornKeysAreUpdatedEarlier(t *testing.T) {
	// Rules: 9001:5.3/3, 9001:6.6/1, 9001:6.6/3
	const limit = keyUpdateEvery / 16
	ownKeyUpdate(t, true, limit/2, func(x *exchange) { x.conn.phase.sealLimit = limit })
}

func TestAKeyUpdateThatTheApplicationWants(t *testing.T) {
	// RFC 9001, section 6.1: "An endpoint MUST NOT initiate a key update prior to having confirmed the handshake"; "An endpoint
	// MUST NOT initiate a subsequent key update unless it has received an acknowledgment for a packet that was sent protected
	// with keys from the current key phase."
	x := newExchange(t, true).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("a"))
	x.drain()
	x.want("before", wire.AppSpace, "stream 1 [0,1)")
	x.conn.UpdateKeys()
	x.read[wire.AppSpace] = x.read[wire.AppSpace].Next()
	x.conn.Write(x.now, id, []byte("b"))
	x.drain()
	x.want("the next packet brings it", wire.AppSpace, "stream 1 [1,2)")
	if x.conn.Stats().KeyUpdates != 1 {
		t.Fatalf("%d updates", x.conn.Stats().KeyUpdates)
	}
	x.conn.UpdateKeys()
	x.conn.Write(x.now, id, []byte("c"))
	x.drain()
	x.want("another waits until the first is acknowledged", wire.AppSpace, "stream 1 [2,3)")
	if x.conn.Stats().KeyUpdates != 1 {
		t.Errorf("%d updates", x.conn.Stats().KeyUpdates)
	}
}

// ownKeyUpdate is the story of a connection that updates its keys after so many packets, and then again.
func ownKeyUpdate(t *testing.T, server bool, after int64, prepare ...func(*exchange)) {
	// RFC 9001, sections 6.1, 6.5 and 6.6.
	x := newExchange(t, server).handshake()
	for _, f := range prepare {
		f(x)
	}
	mine, theirs := int64(0), int64(1) // first streams
	if server {
		mine, theirs = 1, 0
	}
	old := x.keyPhase()
	id := x.open()
	x.conn.phase.sealed = after - 2
	x.conn.Write(x.now, id, []byte("a"))
	x.drain()
	x.want("the last packet of a phase", wire.AppSpace, fmt.Sprintf("stream %d [0,1)", mine))
	if x.conn.Stats().KeyUpdates != 0 {
		t.Fatal("it was too early")
	}
	x.conn.phase.sealed = after
	x.read[wire.AppSpace] = old.read.Next()
	x.conn.Write(x.now, id, []byte("b"))
	x.drain()
	x.want("worn keys are replaced", wire.AppSpace, fmt.Sprintf("stream %d [1,2)", mine))
	if x.conn.Stats().KeyUpdates != 1 {
		t.Fatalf("%d updates", x.conn.Stats().KeyUpdates)
	}
	x.receiveDatagram(x.sendIn(old, streamFrame(theirs, 0, "b", false)))
	x.wantRead("a peer that does not know yet is understood", theirs, "b", false)

	x.conn.phase.sealed = after
	x.conn.Write(x.now, x.open(), []byte("a"))
	x.drain()
	if x.conn.Stats().KeyUpdates != 1 {
		t.Error("it updates again before the first update was acknowledged")
	}
	x.write[wire.AppSpace], x.phase = old.next().write, old.next().bit
	x.ack(wire.AppSpace)
	x.conn.Write(x.now, x.open(), []byte("a"))
	x.drain()
	if x.conn.Stats().KeyUpdates != 1 {
		t.Error("it updates again while packets of the old phase may come")
	}
	x.ack(wire.AppSpace)
	x.advance(3*x.conn.ledger.PTO() + time.Second)
	x.read[wire.AppSpace] = x.read[wire.AppSpace].Next()
	x.conn.Write(x.now, x.open(), []byte("a"))
	x.drain()
	if x.conn.Stats().KeyUpdates != 2 {
		t.Errorf("%d updates when the time has come", x.conn.Stats().KeyUpdates)
	}
}

func TestNewKeysAreNotAcknowledgedInOldOnes(t *testing.T) {
	// RFC 9001, section 6.2: "An endpoint that receives an acknowledgment that is carried in a packet protected with old keys
	// where any acknowledged packet was protected with newer keys MAY treat that as a connection error of type
	// KEY_UPDATE_ERROR." Were it let through, the peer could have us wear out one key.
	x := newExchange(t, false).handshake()
	old := x.keyPhase()
	x.conn.phase.sealed = x.conn.phase.sealLimit / 2
	x.read[wire.AppSpace] = old.read.Next()
	x.conn.Write(x.now, x.open(), []byte("a"))
	x.drain()
	x.receiveDatagram(x.sendIn(old, wire.AppendAck(nil, wire.Ack{}, x.seen[wire.AppSpace], 100)))
	x.wantClose("the peer has received our update but does not answer it", wire.KeyUpdateError)
}

func TestKeysThatCannotBeUpdatedEndTheConnection(t *testing.T) {
	// Rules: 9001:6.6/2, 9001:6.6/4, 9001:6.6/5
	// RFC 9001, section 6.6: "Endpoints MUST initiate a key update before sending more protected packets than the
	// confidentiality limit for the selected AEAD permits. If a key update is not possible or integrity limits are reached,
	// the endpoint MUST stop using the connection".
	for _, server := range []bool{false, true} {
		x := newExchange(t, server).handshake()
		x.conn.phase.confirmed = false // as if the peer had acknowledged nothing since the last update
		x.conn.phase.sealed = x.conn.phase.sealLimit - 2*maxSegments
		x.drain()
		x.wantClose("the peer acknowledges nothing of this phase", wire.AEADLimitReached)
	}
}

func TestForgeriesAreLimited(t *testing.T) {
	// Rules: 9001:6.6/6, 9001:6.6/7
	// RFC 9001, section 6.6.
	x := newExchange(t, true).handshake()
	x.conn.phase.forgeLimit = 3
	for i := range 4 {
		if x.conn.Err() != nil {
			t.Fatalf("closed after %d forgeries", i)
		}
		b := x.packet(wire.AppSpace, ping)
		b[len(b)-1] ^= 1
		x.receiveDatagram(b)
	}
	x.wantClose("too many packets that are not authentic", wire.AEADLimitReached)
}

func TestAForgedKeyPhaseUpdatesNothing(t *testing.T) {
	// Rules: 9001:5.5/2
	x := newExchange(t, true).handshake()
	b := x.packet(wire.AppSpace, ping)
	b[0] ^= 0x04
	x.wantDropped("a flipped bit", b)
	if x.conn.Stats().KeyUpdates != 0 {
		t.Error("the keys were updated")
	}
}

func TestTLSKeyUpdateIsAnError(t *testing.T) {
	// Rules: 9001:4.8/1, 9001:6/2
	// RFC 9001, section 6: "Endpoints MUST treat the receipt of a TLS KeyUpdate message as a connection error of type
	// 0x010a".
	x := newExchange(t, false).handshake()
	x.receive(wire.AppSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: x.out[wire.AppSpace], Data: []byte{24, 0, 0, 1, 0}}))
	x.wantClose("a TLS KeyUpdate message", 0x10a)
}

func TestCryptoBufferIsBounded(t *testing.T) {
	// Rules: 9000:7.5/2, 9000:19.6/1
	// RFC 9000, section 7.5.
	for _, space := range []wire.Space{wire.InitialSpace, wire.AppSpace} {
		x := newExchange(t, true)
		off := int64(0)
		if space == wire.AppSpace {
			x.handshake()
			off = x.conn.spaces[space].crypto.in.read
		}
		x.receive(space, wire.AppendCrypto(nil, wire.Crypto{Offset: off + maxCryptoBuffer - 1, Data: []byte{1}}))
		if x.conn.Err() != nil {
			t.Fatalf("%s: the last byte that fits: %v", space, x.conn.Err())
		}
		x.receive(space, wire.AppendCrypto(nil, wire.Crypto{Offset: off + maxCryptoBuffer, Data: []byte{1}}))
		x.wantClose("handshake data beyond the buffer", wire.CryptoBufferExceeded)
	}
}

func TestHandshakeDataHasFewGaps(t *testing.T) {
	x := newExchange(t, true).handshake()
	off := x.conn.spaces[wire.AppSpace].crypto.in.read
	for i := int64(0); i <= maxStreamRanges && x.conn.Err() == nil; i++ {
		x.receive(wire.AppSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: off + 1 + 2*i, Data: []byte{1}}))
	}
	x.wantClose("an island in handshake data too many", wire.CryptoBufferExceeded)
}

func TestHandshakeDataOfAPastLevelIsAnError(t *testing.T) {
	// Rules: 9001:4.1.3/1, 9001:4.1.3/2
	// RFC 9001, section 4.1.3.
	x := newExchange(t, false)
	x.early(ping)
	end := x.conn.spaces[wire.InitialSpace].crypto.in.read
	x.receive(wire.InitialSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: end - 1, Data: []byte{1}}))
	if x.conn.Err() != nil {
		t.Fatalf("a repetition: %v", x.conn.Err())
	}
	if x.conn.spaces[wire.InitialSpace].discarded {
		t.Skip("the space is gone")
	}
	x.receive(wire.InitialSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: end, Data: []byte{1}}))
	x.wantClose("new data", wire.ProtocolViolation)
}

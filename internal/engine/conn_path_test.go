package engine

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

var (
	otherPort = netip.MustParseAddrPort("192.0.2.1:50001")
	elsewhere = netip.MustParseAddrPort("198.51.100.7:50000")
)

// receiveFrom hands the connection a packet from another address, and forgets what was sent before.
func (x *exchange) receiveFrom(remote netip.AddrPort, b []byte) {
	x.queue, x.sizes, x.paths, x.dsts = nil, nil, nil, nil
	x.conn.Receive(x.now, Datagram{Payload: b, Path: Path{Local: x.path.Local, Remote: remote}})
	x.drain()
}

// challenge returns the data of the PATH_CHALLENGE that waits.
func (x *exchange) challenge(sentence string) []byte {
	x.t.Helper()
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "path_challenge") {
			return f.raw[1:]
		}
	}
	x.t.Fatalf("%s: no PATH_CHALLENGE was sent", sentence)
	return nil
}

func response(data []byte) []byte { return append([]byte{byte(wire.FramePathResponse)}, data...) }

func challengeFrame() []byte { return wire.AppendPathChallenge(nil, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}) }

func TestAChangedAddressIsFollowedAndValidated(t *testing.T) {
	// Rules: 9000:8.2.1/4, 9000:9/4, 9000:9.3/1
	// RFC 9000, section 9.3.
	x := newExchange(t, true).handshake()
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping, make([]byte, 500)))
	data := x.challenge("the new address is challenged")
	if x.conn.Path().Remote != elsewhere || x.paths[0].Remote != elsewhere {
		t.Errorf("sent to %v", x.paths)
	}
	if x.sizes[0] != minDatagramSize {
		t.Errorf("the challenge is in a datagram of %d bytes, not %d", x.sizes[0], minDatagramSize)
	}
	x.wantEvent("the application may learn of it", EventPathChanged)
	if x.conn.Proved() != clientAddr {
		t.Errorf("the peer is taken for %v, which is not proved", x.conn.Proved())
	}
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, response([]byte("wrong!!!"))))
	if x.conn.path.validated {
		t.Error("a wrong answer validates the path")
	}
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, response(data)))
	if !x.conn.path.validated {
		t.Error("the right answer does not validate the path")
	}
	if x.conn.Proved() != elsewhere {
		t.Errorf("the peer is taken for %v, having proved another address", x.conn.Proved())
	}
	x.advance(10 * time.Second)
	if x.conn.Path().Remote != elsewhere || x.conn.Stats().PathChanges != 1 {
		t.Errorf("later the path is %v", x.conn.Path())
	}
}

func TestWhatDoesNotMoveTheConnection(t *testing.T) {
	x := newExchange(t, true).handshake()
	late := x.packet(wire.AppSpace, ping)
	x.receive(wire.AppSpace, ping)
	x.receiveFrom(elsewhere, late)
	if x.conn.Path().Remote != clientAddr {
		t.Error("a packet that was overtaken moves the connection")
	}
	// RFC 9000, section 9.1: "PATH_CHALLENGE, PATH_RESPONSE, NEW_CONNECTION_ID, and PADDING frames are "probing frames"".
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, challengeFrame(), newID(1, 0), make([]byte, 20)))
	if x.conn.Path().Remote != clientAddr {
		t.Error("a probe moves the connection")
	}
	fake := x.packet(wire.AppSpace, ping)
	fake[len(fake)-1] ^= 1
	x.receiveFrom(elsewhere, fake)
	if x.conn.Path().Remote != clientAddr {
		t.Error("a fake moves the connection")
	}
}

func TestAClientDoesNotFollow(t *testing.T) {
	// Rules: 9000:9/5, 9000:9.6/1
	// RFC 9000, section 9: "If a client receives packets from an unknown server address, the client MUST discard these
	// packets."
	x := newExchange(t, false).handshake()
	before := x.conn.Stats()
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping))
	if after := x.conn.Stats(); after.PacketsReceived != before.PacketsReceived || x.conn.Path().Remote != serverAddr {
		t.Error("it took a packet from elsewhere")
	}
}

func TestAProbeIsAnsweredWhereItCameFrom(t *testing.T) {
	// Rules: 9000:8.2.1/6, 9000:8.2.2/1, 9000:8.2.2/2, 9000:8.2.2/3, 9000:8.2.2/5, 9000:8.2.2/6, 9000:8.2.2/7
	// Rules: 9000:19.17/1
	// RFC 9000, section 8.2.2.
	x := newExchange(t, true).handshake()
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, challengeFrame(), make([]byte, 1150)))
	x.want("a probe is answered", wire.AppSpace, "path_response 0102030405060708")
	if x.paths[0].Remote != elsewhere || x.sizes[0] != minDatagramSize {
		t.Errorf("with %d bytes to %v", x.sizes[0], x.paths[0].Remote)
	}
	// "an endpoint MUST NOT expand the datagram containing the PATH_RESPONSE if the resulting data exceeds the
	// anti-amplification limit."
	b := x.packet(wire.AppSpace, challengeFrame())
	size := len(b)
	x.receiveFrom(elsewhere, b)
	x.want("so is a small one", wire.AppSpace, "path_response 0102030405060708")
	if x.sizes[0] > 3*size {
		t.Errorf("but with %d bytes for %d", x.sizes[0], size)
	}
	x.receiveFrom(clientAddr, x.packet(wire.AppSpace, challengeFrame()))
	x.want("and one on the path in use", wire.AppSpace, "path_response 0102030405060708")
	if x.sizes[0] != minDatagramSize {
		t.Errorf("with %d bytes", x.sizes[0])
	}
	x.advance(10 * time.Second)
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "path_response") {
			t.Error("an answer is sent again; section 13.3 wants it sent once")
		}
	}
}

func TestANewPathIsLimitedUntilItIsValidated(t *testing.T) {
	// Rules: 9000:8/1, 9000:9.3/2
	// RFC 9000, section 9.3: "An endpoint MAY send data to an unvalidated peer address, but it MUST protect against potential
	// attacks as described in Sections 9.3.1 and 9.3.2."
	x := newExchange(t, true).handshake()
	id := x.open()
	x.conn.Write(x.now, id, make([]byte, 30000))
	x.drain()
	b := x.packet(wire.AppSpace, ping, make([]byte, 600))
	received := len(b)
	x.receiveFrom(elsewhere, b)
	data := x.challenge("the new address is challenged")
	sent := 0
	for range 3 {
		x.advance(50 * time.Millisecond)
	}
	for i, n := range x.sizes {
		if x.paths[i].Remote == elsewhere {
			sent += n
		}
	}
	if sent > 3*received || sent < 3*received-1200 {
		t.Errorf("%d bytes were sent for %d received", sent, received)
	}
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, response(data)))
	for range 20 {
		x.advance(50 * time.Millisecond)
		x.path.Remote = elsewhere
		x.ack(wire.AppSpace)
	}
	if end := x.conn.streams.byID[id].send.buf.start; end != 30000 {
		t.Errorf("validated, the path carried %d bytes of 30000", end)
	}
}

func TestASmallDatagramFromANewAddressGetsASmallChallenge(t *testing.T) {
	// Rules: 9000:8.2.1/4, 9000:8.2.1/5, 9000:8.2.3/1
	// RFC 9000, section 8.2.1: padded to 1200 bytes "unless the anti-amplification limit for the path does not permit
	// sending a datagram of this size."
	x := newExchange(t, true).handshake()
	b := x.packet(wire.AppSpace, ping)
	size := len(b)
	x.receiveFrom(otherPort, b)
	data := x.challenge("a quiet client behind a NAT that forgot it")
	if x.sizes[0] > 3*size {
		t.Errorf("the challenge has %d bytes, for %d", x.sizes[0], size)
	}
	x.receiveFrom(otherPort, x.packet(wire.AppSpace, response(data)))
	if !x.conn.path.validated {
		t.Error("the path is not valid")
	}
	// "To ensure that the path MTU is large enough, the endpoint MUST perform a second path validation by sending a
	// PATH_CHALLENGE frame in a datagram of at least 1200 bytes."
	second := x.challenge("the answer lets a whole datagram out")
	if x.sizes[0] != minDatagramSize || string(second) == string(data) {
		t.Errorf("it has %d bytes, with %x after %x", x.sizes[0], second, data)
	}
	x.receiveFrom(otherPort, x.packet(wire.AppSpace, response(second)))
	if x.conn.path.check.active() {
		t.Error("and its answer is not the end of it")
	}
}

func TestAPathThatDoesNotAnswerIsGivenUp(t *testing.T) {
	// Rules: 9000:8.2.4/1, 9000:8.2.4/2, 9000:9.3.2/1
	// RFC 9000, sections 9.3.2 and, for when, section 8.2.4: "A value of three times the larger of the current PTO or the PTO for the new path
	// (using kInitialRtt, as defined in [QUIC-RECOVERY]) is RECOMMENDED."
	for _, to := range []netip.AddrPort{otherPort, elsewhere} {
		x := newExchange(t, true).handshake()
		x.receiveFrom(to, x.packet(wire.AppSpace, ping, make([]byte, 500)))
		x.events = nil
		x.advance(2900 * time.Millisecond)
		if x.conn.Path().Remote != to {
			t.Errorf("%v is given up too early", to)
		}
		x.advance(2 * time.Second)
		if x.conn.Path().Remote != clientAddr || !x.conn.path.validated {
			t.Errorf("the path is %v", x.conn.Path())
		}
		x.wantEvent("the application may learn of it", EventPathChanged)
	}
}

func TestAPacketFromTheOldAddressBringsTheConnectionBack(t *testing.T) {
	// RFC 9000, section 9.3.3.
	x := newExchange(t, true).handshake()
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping, make([]byte, 500)))
	x.receiveFrom(clientAddr, x.packet(wire.AppSpace, ping))
	if x.conn.Path().Remote != clientAddr || !x.conn.path.validated {
		t.Errorf("the path is %v", x.conn.Path())
	}
	x.queue = nil
	x.advance(5 * time.Second)
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "path_challenge") {
			t.Error("the address that is left behind is challenged")
		}
	}
}

func TestThePathThatWasLeftIsChallenged(t *testing.T) {
	// Rules: 9000:9.3.3/1
	// RFC 9000, section 9.3.3: an attacker who forwards packets faster than the path cannot keep a connection from a client
	// that is still where it was.
	x := newExchange(t, true).handshake()
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping, make([]byte, 500)))
	last := len(x.paths) - 1
	if x.paths[last].Remote != clientAddr || x.sizes[last] != minDatagramSize {
		t.Fatalf("sent to %v, the last with %d bytes", x.paths, x.sizes[last])
	}
	if text := x.queue[len(x.queue)-1].text; !strings.HasPrefix(text, "path_challenge") {
		t.Fatalf("the last frame is %s", text)
	}
	x.receive(wire.AppSpace, response(x.queue[len(x.queue)-1].raw[1:]), wire.AppendAck(nil, wire.Ack{}, x.seen[wire.AppSpace], 100))
	if x.conn.Path().Remote != clientAddr {
		t.Error("the client, who answers from there, does not get the connection back")
	}
}

func TestCongestionStateBelongsToThePath(t *testing.T) {
	// Rules: 9000:9.4/2
	// RFC 9000, section 9.4: "[...] unless the only change in the peer's address is its port number."
	for _, c := range []struct {
		to   netip.AddrPort
		kept bool
	}{{otherPort, true}, {elsewhere, false}} {
		x := newExchange(t, true).handshake()
		for range 5 {
			x.conn.idle.pingDue = true
			x.drain()
			x.advance(20 * time.Millisecond)
			x.ack(wire.AppSpace)
		}
		before, rtt := x.conn.ledger.Controller(), x.conn.Stats().RTT
		x.receiveFrom(c.to, x.packet(wire.AppSpace, ping))
		if kept := x.conn.ledger.Controller() == before && x.conn.Stats().RTT == rtt; kept != c.kept {
			t.Errorf("moved to %v: kept is %v", c.to, kept)
		}
		moved := x.conn.ledger.Controller()
		x.advance(10 * time.Second)
		if kept := x.conn.ledger.Controller() == moved; kept != c.kept {
			t.Errorf("moved back from %v: kept is %v", c.to, kept)
		}
	}
}

func TestServersSendThriceWhatTheyReceivedAtMost(t *testing.T) {
	// Rules: 9000:8/1, 9000:8.1/1, 9000:10.2.1/3, 9000:14.1/4
	// RFC 9000, section 8.1, with a client that falls silent after its first flight.
	x := newExchange(t, true)
	x.drain()
	received := 0
	for len(x.pending[wire.InitialSpace]) > 0 {
		b := x.packet(wire.InitialSpace, x.crypto(wire.InitialSpace))
		received += len(b)
		x.receiveDatagram(b)
	}
	for range 9 { // with probes until the limit stops them
		x.advance(time.Second)
		sent := 0
		for _, n := range x.sizes {
			sent += n
		}
		if sent > 3*received {
			t.Fatalf("%d bytes were sent for %d received", sent, received)
		}
	}
	before := len(x.sizes)
	b := x.packet(wire.InitialSpace, ping)
	x.receiveDatagram(b)
	if len(x.sizes) == before {
		t.Error("more from the client does not let the server go on")
	}
	if x.conn.path.validated {
		t.Error("Initial packets validate an address")
	}
	x.queue = nil
	x.conn.Close(x.now, 0, "")
	for range 20 {
		x.receive(wire.InitialSpace, ping)
	}
	sent := 0
	for _, n := range x.sizes {
		sent += n
	}
	if sent > 3*(received+len(b)) {
		t.Errorf("closing, %d bytes were sent for %d", sent, received+len(b))
	}
}

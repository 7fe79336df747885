package engine

import (
	"slices"
	"testing"

	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

const v1, v2, reserved = wire.Version1, wire.Version2, 0x4a5a6a7a

// withInfo has the peer send version_information.
func withInfo(chosen uint32, available ...uint32) option {
	return withParams(func(p *wire.TransportParams) { p.Versions = wire.VersionInfo{Chosen: chosen, Available: available} })
}

func withVersions(v ...uint32) option { return withConfig(func(c *Config) { c.Versions = v }) }

// begunIn makes the peer a client that begins with a version.
func begunIn(version uint32) option {
	return func(x *exchange, _ *Config) { x.version, x.readable = version, version }
}

// wantVersion expects a finished handshake in a version, all Handshake packets among it.
func (x *exchange) wantVersion(sentence string, version uint32) {
	x.t.Helper()
	if got := x.conn.Stats().Version; got != version {
		x.t.Errorf("%s: the version is %#x, want %#x", sentence, got, version)
	}
	for _, h := range x.heard {
		if h.typ == wire.PacketHandshake && h.version != version {
			x.t.Errorf("%s: a Handshake packet in %#x", sentence, h.version)
		}
	}
}

func TestServerTakesTheVersionThatTheClientWantsMost(t *testing.T) {
	// Rules: 9368:2.2/1, 9368:2.3/1, 9369:4/2, 9369:4/3
	for _, c := range []struct {
		sentence string
		opts     []option
		want     uint32
	}{
		{"a client that says nothing keeps its version", nil, v1},
		{"a client of version 2 that says nothing as well", []option{begunIn(v2)}, v2},
		{"version 1 is wanted most", []option{withInfo(v1, v1, v2)}, v1},
		{"version 2 is wanted most", []option{withInfo(v1, reserved, v2, v1)}, v2},
		{"back from version 2 to version 1", []option{begunIn(v2), withInfo(v2, v1, v2)}, v1},
		{"the server does not speak it", []option{withInfo(v1, v2, v1), withVersions(v1)}, v1},
		{"nobody speaks it", []option{withInfo(v1, 0xfaceb00c, v1)}, v1},
	} {
		x := newExchange(t, true, c.opts...).handshake()
		x.wantVersion(c.sentence, c.want)
		info := x.learned.Versions
		if info.Chosen != c.want || !slices.ContainsFunc(info.Available, wire.IsReservedVersion) {
			t.Errorf("%s: the server says %#x", c.sentence, info)
		}
		x.receive(wire.AppSpace, streamFrame(0, 0, "abc", true))
		x.wantEvent(c.sentence+": data arrives", EventStreamOpened)
	}
}

func TestServerUsesTheOriginalVersionUntilItKnowsBetter(t *testing.T) {
	// Rules: 9369:4.1/4, 9369:4.1/6
	// RFC 9369, section 4.1: "Before the server is able to process transport parameters from the client, it might need to
	// respond to Initial packets from the client. For these packets, the server uses the original version."
	x := newExchange(t, true, withInfo(v1, v2, v1))
	x.receive(wire.InitialSpace, x.crypto(wire.InitialSpace))
	if len(x.pending[wire.InitialSpace]) == 0 {
		t.Fatal("the ClientHello fits one packet")
	}
	if !slices.Equal(x.heard, []heardHeader{{wire.PacketInitial, v1}}) {
		t.Fatalf("half a ClientHello is answered by %+v", x.heard)
	}
	x.receive(wire.InitialSpace, x.crypto(wire.InitialSpace))
	for _, h := range x.heard[1:] {
		if h.version != v2 {
			t.Errorf("after all of it, %s in %#x", h.typ, h.version)
		}
	}

	// "The server MUST NOT discard its original version Initial receive keys until it successfully processes a Handshake
	// packet with the negotiated version."
	received := x.conn.Stats().PacketsReceived
	x.speak(v1)
	x.receive(wire.InitialSpace, ping)
	x.speak(v2)
	x.receive(wire.InitialSpace, ping)
	if got := x.conn.Stats().PacketsReceived - received; got != 2 {
		t.Errorf("of one Initial packet of each version %d were taken", got)
	}
	x.handshake()
	x.wantVersion("and it ends", v2)
	if x.conn.version.other.read != nil {
		t.Error("the keys of the original version are kept for ever")
	}
}

func TestHandshakePacketsOfAnotherVersionAreDropped(t *testing.T) {
	// Rules: 9000:5.2.1/1, 9369:4.1/8
	// RFC 9369, section 4.1: "An endpoint MUST drop packets using any other version."
	x := newExchange(t, true, withInfo(v1, v1, v2))
	x.drain()
	x.sayInitial()
	dropped := x.conn.Stats().PacketsDropped
	x.version = v2
	x.receive(wire.HandshakeSpace, ping)
	if x.conn.Stats().PacketsDropped != dropped+1 {
		t.Error("one was not")
	}
	x.version = v1
	x.handshake()
}

func TestServerHoldsTheClientsChoiceAgainstItsPackets(t *testing.T) {
	// Rules: 9000:7.4/1, 9368:4/3, 9368:4/4, 9368:4/5, 9368:4/6, 9368:4/8, 9368:4/9, 9368:4/10
	for _, c := range []struct {
		sentence string
		opts     []option
		want     wire.ErrorCode
	}{
		{"it chose another version than it uses", []option{withInfo(v2, v1, v2)}, wire.VersionNegotiationError},
		{"the same from version 2", []option{begunIn(v2), withInfo(v1, v1, v2)}, wire.VersionNegotiationError},
		{"it does not list its choice", []option{withInfo(v1, v2)}, wire.TransportParameterError},
		{"it lists version 0", []option{withInfo(v1, v1, 0)}, wire.TransportParameterError},
	} {
		x := newExchange(t, true, c.opts...)
		x.drain()
		x.sayInitial()
		x.wantClose(c.sentence, c.want)
	}
}

func TestClientFollowsTheServersVersion(t *testing.T) {
	// Rules: 9368:3/2, 9369:4/2, 9369:4.1/5, 9369:4.1/7
	for _, c := range []struct {
		sentence     string
		opts         []option
		first, speak uint32
	}{
		{"a server that says nothing", nil, v1, v1},
		{"the original version", []option{withInfo(v1, v1, v2, reserved)}, v1, v1},
		{"version 2", []option{withInfo(v2, v1, v2)}, v1, v2},
		{"version 2, which the server is about to give up", []option{withInfo(v2)}, v1, v2},
		{"version 2 alone", []option{withVersions(v2), withInfo(v2, v2)}, v2, v2},
		{"version 2 is wanted and version 1 begins", []option{withVersions(v2, v1), withInfo(v2, v2, v1)}, v1, v2},
	} {
		x := newExchange(t, false, c.opts...)
		x.speak(c.speak)
		x.drain()
		if x.heard[0].version != c.first {
			t.Errorf("%s: the first packet is in %#x", c.sentence, x.heard[0].version)
		}
		info, wanted := x.learned.Versions, x.conn.config.Versions
		if n := len(wanted); info.Chosen != c.first || len(info.Available) != n+1 || !slices.Equal(info.Available[:n], wanted) || !wire.IsReservedVersion(info.Available[n]) {
			t.Errorf("%s: the client says %#x", c.sentence, info)
		}
		x.handshake()
		x.wantVersion(c.sentence, c.speak)
		for _, h := range x.heard[2:] {
			// "Once the client has learned the negotiated version, it SHOULD send subsequent Initial packets using that version."
			if h.version != c.speak {
				t.Errorf("%s: later, %s in %#x", c.sentence, h.typ, h.version)
			}
		}
	}
}

func TestClientChecksTheServersVersionInformation(t *testing.T) {
	// Rules: 9368:4/11, 9368:4/12, 9368:4/13, 9368:4/14, 9368:4/15, 9368:4/17, 9368:8/1
	after := func(ours []uint32, common uint32) option {
		return withConfig(func(c *Config) { c.Versions, c.After = ours, &VersionError{Ours: ours, Common: common} })
	}
	for _, c := range []struct {
		sentence string
		opts     []option
		speak    uint32
		ok       bool
	}{
		{"it changed the version and does not say so", nil, v2, false},
		{"it says another version than it speaks", []option{withInfo(v1, v1, v2)}, v2, false},
		{"the same the other way", []option{withInfo(v2, v1, v2)}, v1, false},
		{"it chose what was not offered", []option{withVersions(v1), withInfo(v2, v1, v2)}, v1, false},
		{"a Version Negotiation packet hid our first choice", []option{after([]uint32{v1, v2}, v2), withInfo(v2, v1, v2)}, v2, false},
		{"it was genuine", []option{after([]uint32{v1, v2}, v2), withInfo(v2, v2)}, v2, true},
		{"it was genuine and the server is about to give version 2 up", []option{after([]uint32{v1, v2}, v2), withInfo(v2, 0xfaceb00c)}, v2, true},
		// Rules: 9368:4/16
		{"it may have been genuine, but the server names no version that it offers", []option{after([]uint32{v1, v2}, v2), withInfo(v2)}, v2, false},
		{"after a Version Negotiation packet nothing is said", []option{after([]uint32{v1, v2}, v2)}, v2, false},
		// RFC 9368, section 8.
		{"but version 1 needs to say nothing", []option{after([]uint32{v2, v1}, v1)}, v1, true},
	} {
		x := newExchange(t, false, c.opts...)
		x.speak(c.speak)
		x.tolerant = true
		x.playHandshake()
		if c.ok {
			if x.conn.Err() != nil || !x.conn.HandshakeDone() {
				t.Errorf("%s: %v", c.sentence, x.conn.Err())
			}
			continue
		}
		x.wantClose(c.sentence, wire.VersionNegotiationError)
	}
}

func TestForgedVersionsMoveNobody(t *testing.T) {
	// Rules: 9000:5.2.1/1
	// A packet that only claims another version does not open, and is not believed.
	x := newExchange(t, false, withInfo(v1, v1, v2))
	x.drain()
	forged := x.packet(wire.InitialSpace, ping)
	copy(forged[1:5], []byte{0x6b, 0x33, 0x43, 0xcf})
	forged[0] = forged[0]&^0x30 | 0x10
	x.receiveDatagram(forged)
	if x.conn.Stats().Version != v1 || x.conn.Stats().PacketsReceived != 0 {
		t.Fatal("it was believed")
	}
	// Anyone can seal an Initial packet: once the server's handshake data came, no other version is followed.
	x.handshakeInitial()
	x.speak(v2)
	received := x.conn.Stats().PacketsReceived
	x.receive(wire.InitialSpace, ping)
	if x.conn.Stats().Version != v1 || x.conn.Stats().PacketsReceived != received {
		t.Error("the client followed a version after the server had shown another")
	}
}

// handshakeInitial says the peer's Initial flight.
func (x *exchange) handshakeInitial() {
	for len(x.pending[wire.InitialSpace]) > 0 {
		x.receive(wire.InitialSpace, x.crypto(wire.InitialSpace))
	}
}

func TestVersionNegotiationNamesTheVersionToTryNext(t *testing.T) {
	// Rules: 9368:2.1/2, 9368:4/2
	for _, c := range []struct {
		sentence string
		ours     []uint32
		theirs   []uint32
		want     uint32
	}{
		{"version 2 is left", []uint32{v1, v2}, []uint32{reserved, v2}, v2},
		{"nothing is left", []uint32{v1, v2}, []uint32{reserved, 0xfaceb00c}, 0},
		{"version 2 is not spoken", []uint32{v1}, []uint32{v2}, 0},
	} {
		x := newExchange(t, false, withVersions(c.ours...))
		x.drain()
		x.receiveDatagram(x.versionNegotiation(x.conn.ids.original.Bytes(), c.theirs...))
		if e, ok := x.conn.Err().(*VersionError); !ok || e.Common != c.want {
			t.Errorf("%s: %v", c.sentence, x.conn.Err())
		}
	}
	x := newExchange(t, false, withConfig(func(c *Config) { c.After = &VersionError{Common: v2} }))
	x.drain()
	x.receiveDatagram(x.versionNegotiation(x.conn.ids.original.Bytes(), v1))
	if x.conn.Err() != nil {
		t.Errorf("the second attempt is negotiated away: %v", x.conn.Err())
	}
}

func TestRetryIsOfTheOriginalVersion(t *testing.T) {
	// Rules: 9369:4.1/1, 9369:4.1/2
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.RetrySrcID = []byte("retry") }), withInfo(v2, v2, v1))
	x.version = v2
	x.drain()
	b := wire.AppendRetryOf(nil, v2, x.conn.ids.local[0].id.Bytes(), []byte("retry"), []byte("token"))
	tag := x.conn.retryTag(v2, b)
	x.queue = nil
	x.receiveDatagram(append(b, tag[:]...))
	x.wantNothing("a Retry of another version is ignored")
	x.retried()
	x.original = wire.MakeConnID([]byte("retry"))
	x.speak(v2)
	x.handshake()
	x.wantVersion("and after one of the original version another is negotiated all the same", v2)
}

func TestEveryPairOfVersionsConnects(t *testing.T) {
	// Rules: 9368:8/2, 9369:3/1
	lists := [][]uint32{nil, {v1}, {v2}, {v1, v2}, {v2, v1}}
	for _, ours := range lists {
		for _, theirs := range lists {
			client, server := &Config{Versions: ours}, &Config{Versions: theirs}
			common := selectVersion(versionsOrDefault(ours), versionsOrDefault(theirs))
			if !slices.Contains(versionsOrDefault(theirs), client.FirstVersion()) {
				continue // not by compatible negotiation
			}
			p := newPair(t, client, server)
			p.acceptor.Versions = theirs
			p.handshake()
			if a, b := p.client.Stats().Version, p.server.Stats().Version; a != common || b != common {
				t.Errorf("%#x meets %#x: %#x and %#x, want %#x", ours, theirs, a, b, common)
			}
		}
	}
}

func (c *Conn) retryTag(version uint32, b []byte) [16]byte {
	return seal.Of(version).RetryTag(c.ids.original.Bytes(), b)
}

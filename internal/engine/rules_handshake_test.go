package engine

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/internal/wire"
)

// What RFC 9000, sections 6 to 8, 17.2 and 18, and RFC 9001 demand of the handshake, as far as no other test says it.

func TestTheFirstDestinationIsLongAndStays(t *testing.T) {
	// Rules: 9000:7.2/1, 9000:7.2/2
	x := newExchange(t, false)
	var all []flown
	for range 5 {
		all = append(all, x.datagrams()...)
		x.now = max(x.now, x.conn.Deadline())
		x.conn.Expire(x.now)
	}
	if len(all) < 4 {
		t.Fatalf("%d datagrams", len(all))
	}
	for _, d := range all {
		for _, h := range longHeaders(d.raw) {
			if len(h.DstID) < 8 || !bytes.Equal(h.DstID, x.conn.ids.original.Bytes()) {
				t.Errorf("a packet to %x", h.DstID)
			}
		}
	}
}

func TestConnectionIDsOfTheHandshakeAreAuthenticated(t *testing.T) {
	// Rules: 9000:7.3/1, 9000:7.3/2, 9000:7.3/3, 9000:7.3/4
	for _, c := range []struct {
		sentence string
		server   bool // we are
		spoil    func(p *wire.TransportParams)
	}{
		{"a client says nothing of its ID", true, func(p *wire.TransportParams) { p.InitialSrcID = nil }},
		{"a client says another ID", true, func(p *wire.TransportParams) { p.InitialSrcID = []byte("other") }},
		{"a client says an empty ID", true, func(p *wire.TransportParams) { p.InitialSrcID = []byte{} }},
		{"a server says nothing of its ID", false, func(p *wire.TransportParams) { p.InitialSrcID = nil }},
		{"a server says another ID", false, func(p *wire.TransportParams) { p.InitialSrcID = []byte("other") }},
		{"a server says nothing of the original ID", false, func(p *wire.TransportParams) { p.OriginalDstID = nil }},
		{"a server says another original ID", false, func(p *wire.TransportParams) { p.OriginalDstID = []byte("original") }},
		{"a server says that it retried, and did not", false, func(p *wire.TransportParams) { p.RetrySrcID = []byte{} }},
	} {
		x := newSpoiled(t, c.server, c.spoil)
		x.tolerant = true
		x.playHandshake()
		x.wantClose(c.sentence, wire.TransportParameterError)
	}
}

// newSpoiled returns an exchange whose peer sends spoiled transport parameters, the last word being the test's.
func newSpoiled(t *testing.T, server bool, spoil func(p *wire.TransportParams)) *exchange {
	x := newExchange(t, server)
	spoil(&x.params)
	x.retell(x.params.AppendTo(nil, 1))
	return x
}

// retell has the peer begin anew, with these transport parameters.
func (x *exchange) retell(params []byte) {
	x.t.Helper()
	x.peer.Close()
	if x.peer = handshake.NewServer(serverTLS(), params); x.server {
		x.peer = handshake.NewClient(clientTLS(), params)
	}
	x.pending = [wire.NumSpaces][]byte{}
	if err := x.peer.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.pump()
}

func TestParametersThatCannotBeCloseTheConnection(t *testing.T) {
	// Rules: 9000:7.4/1, 9000:7.4/3, 9000:4.6/1, 9000:18.2/6, 9000:18.2/8, 9000:18.2/10, 9287:3/1
	for _, c := range []struct {
		sentence string
		server   bool // we are
		bytes    string
	}{
		{"a duplicate", true, "\x04\x01\x05\x04\x01\x05"},
		{"active_connection_id_limit 1", true, "\x0e\x01\x01"},
		{"active_connection_id_limit 1 of a server", false, "\x0e\x01\x01"},
		{"more than 2^60 streams", true, "\x08\x08\xd0\x00\x00\x00\x00\x00\x00\x01"},
		{"a client's original_destination_connection_id", true, "\x00\x01x"},
		{"a client's stateless_reset_token", true, "\x02\x100123456789abcdef"},
		{"a client's retry_source_connection_id", true, "\x10\x01x"},
		{"a small max_udp_payload_size", false, "\x03\x02\x44\xaf"},
		{"a grease_quic_bit with a value", true, "\x6a\xb2\x01x"},
		{"a preferred_address cut off", false, "\x0d\x01x"},
		{"half a parameter", false, "\x04\x08\x00"},
	} {
		x := newExchange(t, c.server)
		x.retell(append(x.params.AppendTo(nil, 1), c.bytes...))
		x.tolerant = true
		x.playHandshake()
		x.wantClose(c.sentence, wire.TransportParameterError)
	}
	// Rules: 9000:7.4.2/1
	x := newExchange(t, true)
	x.retell(append(x.params.AppendTo(nil, 1), "\x73\x27\x04what\x3f\x00"...))
	x.handshake()
}

func TestAClientSendsNoParametersOfAServers(t *testing.T) {
	// Rules: 9000:18.2/1, 9000:18.2/9, 9000:7.4/2, 9000:18.2/7
	x := newExchange(t, false, withConfig(func(c *Config) { c.ResetKey = seal.ResetKey{1} })).handshake()
	p := &x.learned // it was read as a client's: one of a server's would have been an error
	if p.InitialSrcID == nil || p.OriginalDstID != nil || p.RetrySrcID != nil || p.HasResetToken || p.PreferredAddress != nil {
		t.Errorf("it sends %+v", p)
	}
	if p.ActiveConnIDLimit < 2 {
		t.Errorf("active_connection_id_limit is %d", p.ActiveConnIDLimit)
	}
}

func TestWhatARetryLeavesAsItWas(t *testing.T) {
	// Rules: 9000:8.1.2/1, 9000:17.2.5.2/5, 9000:17.2.5.3/1, 9000:17.2.5.3/2, 9000:17.2.5.1/3
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.RetrySrcID = []byte("retry") }))
	before := x.datagrams()
	numbers := x.conn.ledger.Next(wire.InitialSpace)
	hello := cryptoBytes(x.queue)
	x.queue = nil
	b := x.retry([]byte("retry"), []byte("token"))
	x.read[0], x.write[0] = seal.Initial([]byte("retry"))
	x.original = wire.MakeConnID([]byte("retry"))
	x.give(b)
	after := x.datagrams()
	for _, f := range x.queue {
		if f.number < numbers {
			t.Errorf("number %d is used after the Retry, and %d before", f.number, numbers-1)
		}
	}
	if again := cryptoBytes(x.queue); !bytes.Equal(again, hello) || len(hello) < 100 {
		t.Errorf("a ClientHello of %d bytes is now one of %d", len(hello), len(again))
	}
	src := longHeaders(before[0].raw)[0].SrcID
	x.now = max(x.now, x.conn.Deadline())
	x.conn.Expire(x.now)
	for i, d := range append(after, x.datagrams()...) {
		for _, h := range longHeaders(d.raw) {
			if string(h.Token) != "token" || !bytes.Equal(h.SrcID, src) || string(h.DstID) != "retry" {
				t.Errorf("datagram %d: token %q, from %x to %x", i, h.Token, h.SrcID, h.DstID)
			}
		}
	}
	x.handshake()
	// Rules: 9000:8.1.3/2, 9000:8.1.3/8
	if token := x.conn.TakeToken(); token != nil {
		t.Errorf("the token %q would be shown again", token)
	}
}

// cryptoBytes puts CRYPTO frames together.
func cryptoBytes(frames []sentFrame) (b []byte) {
	for _, s := range frames {
		if !strings.HasPrefix(s.text, "crypto") {
			continue
		}
		f, _ := wire.ConsumeCrypto(s.raw)
		b = append(b, make([]byte, max(0, int(f.Offset)+len(f.Data)-len(b)))...)
		copy(b[f.Offset:], f.Data)
	}
	return b
}

func TestRetryBitsThatAreNotUsedAreIgnored(t *testing.T) {
	// Rules: 9000:17.2.5/1
	for unused := range byte(16) {
		x := newExchange(t, false)
		x.drain()
		b := x.retry([]byte("retry"), []byte("token"))
		b[0] = b[0]&0xf0 | unused
		tag := seal.RetryTag(x.conn.ids.original.Bytes(), b[:len(b)-16])
		x.read[0], x.write[0] = seal.Initial([]byte("retry"))
		x.receiveDatagram(append(b[:len(b)-16], tag[:]...))
		if string(x.conn.shake.token) != "token" {
			t.Errorf("a Retry packet whose unused bits are %x is dropped", unused)
		}
	}
}

func TestARetryWithoutATokenIsDropped(t *testing.T) {
	// Rules: 9000:17.2.5.2/4
	x := newExchange(t, false)
	x.drain()
	b := x.retry([]byte("retry"), []byte("t"))
	b = b[:len(b)-17] // without the token and the tag
	tag := seal.RetryTag(x.conn.ids.original.Bytes(), b)
	x.wantDropped("it is genuine, and asks for nothing", append(b, tag[:]...))
	if x.conn.ids.wasRetry {
		t.Error("the client follows")
	}
}

func TestVersionNegotiationBitsThatAreNotUsedAreIgnored(t *testing.T) {
	// Rules: 9000:17.2.1/1
	for _, first := range []byte{0x80, 0xbf, 0xc0, 0xff, 0xd5} {
		x := newExchange(t, false)
		x.drain()
		b := x.versionNegotiation(x.conn.ids.original.Bytes(), 0xfaceb00c)
		b[0] = first
		x.receiveDatagram(b)
		if _, ok := x.conn.Err().(*VersionError); !ok {
			t.Errorf("one that begins with %#x: %v", first, x.conn.Err())
		}
	}
}

func TestVersionNegotiationIsForIDsOfAnyLength(t *testing.T) {
	// Rules: 9000:17.2.1/4, 9000:17.2.1/5, 9000:17.2.1/6, 9000:17.2.1/7, 9000:17.2/4, 9000:17.2/7
	for _, n := range []int{0, 1, 7, 20, 21, 255} {
		b := append([]byte{0x80, 0xfa, 0xce, 0xb0, 0x0c, byte(n)}, bytes.Repeat([]byte{1}, n)...)
		b = append(append(b, byte(n)), bytes.Repeat([]byte{2}, n)...)
		b = append(b, make([]byte, wire.MinInitialSize)...)
		a := Acceptor{Server: true}
		reply := make([]byte, 1200)
		v := a.Receive(0, Datagram{Payload: b}, reply, 3)
		h, _ := wire.ConsumeLongHeader(reply[:v.Size])
		if v.Kind != Reply || h.Type != wire.PacketVersionNegotiation || !bytes.Equal(h.DstID, bytes.Repeat([]byte{2}, n)) ||
			!bytes.Equal(h.SrcID, bytes.Repeat([]byte{1}, n)) || h.Size != v.Size {
			t.Errorf("IDs of %d bytes: %+v, %+v", n, v, h)
		}
	}
}

func TestCRYPTOFramesOutOfOrderAreBuffered(t *testing.T) {
	// Rules: 9000:7.5/1
	x := newExchange(t, true)
	x.drain()
	for off := int64(4096); off > 1000; off -= 1000 {
		x.receive(wire.InitialSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: off, Data: make([]byte, 1000)}))
		if x.conn.Err() != nil {
			t.Fatalf("at %d of at most 4096 bytes: %v", off, x.conn.Err())
		}
	}
	x = newExchange(t, true)
	x.drain()
	hello := x.pending[wire.InitialSpace]
	x.receive(wire.InitialSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: 500, Data: hello[500:]}))
	x.receive(wire.InitialSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: 0, Data: hello[:500]}))
	if x.conn.spaces[wire.HandshakeSpace].write == nil {
		t.Error("a ClientHello whose parts come in the wrong order is not read")
	}
}

func TestEveryByteThatCameCountsAgainstAmplification(t *testing.T) {
	// Rules: 9000:8.1/2, 9000:8.1/1
	x := newExchange(t, true)
	b := x.packet(wire.InitialSpace, ping)
	b = append(b, make([]byte, 300)...) // not a packet, but part of the datagram
	x.give(b)
	junk := x.packet(wire.InitialSpace, ping)
	junk[len(junk)-1] ^= 1
	x.give(junk)
	if got, want := x.conn.path.received, int64(len(b)+len(junk)); got != want {
		t.Errorf("%d bytes are counted of %d", got, want)
	}
}

func TestHANDSHAKEDONEIsSentWhenTheHandshakeIs(t *testing.T) {
	// Rules: 9000:19.20/1, 9001:4.1.2/1, 9000:13.3/3
	x := newExchange(t, true)
	x.sayInitial()
	x.receive(wire.HandshakeSpace, ping)
	x.advance(500 * time.Millisecond)
	if texts := x.texts(); slices.Contains(texts, "handshake_done") || x.conn.HandshakeDone() {
		t.Fatalf("before the client's Finished it sent %q", texts)
	}
	x.sayCrypto()
	x.wantAmong("with it", "handshake_done")
	x.advance(2 * time.Second)
	x.wantAmong("and again as long as it is not acknowledged", "handshake_done")
	x.ack(wire.AppSpace)
	x.queue = nil
	x.advance(5 * time.Second)
	if texts := x.texts(); slices.Contains(texts, "handshake_done") {
		t.Errorf("when it is, it sent %q", texts)
	}
}

func TestAClientGivesNoTokens(t *testing.T) {
	// Rules: 9000:19.7/3
	x := newExchange(t, false, withTokens)
	x.playHandshake()
	x.advance(time.Second)
	if texts := x.texts(); slices.Contains(texts, "new_token") {
		t.Errorf("it sent %q", texts)
	}
}

func TestLostHandshakeDataIsSentAgainAtItsLevel(t *testing.T) {
	// Rules: 9001:4/1, 9001:4.9/1
	x := newExchange(t, true)
	x.sayInitial()
	for range 2 {
		x.queue = nil
		x.receive(wire.InitialSpace, ping) // lets the server send, who has sent thrice as much as it was given
		for n := x.conn.ledger.PTOCount(); x.conn.ledger.PTOCount() == n; {
			x.advanceToDeadline()
		}
		spaces := map[wire.Space]bool{}
		for _, f := range x.queue {
			if strings.HasPrefix(f.text, "crypto") {
				spaces[f.space] = true
			}
		}
		if !spaces[wire.InitialSpace] && !spaces[wire.HandshakeSpace] || spaces[wire.AppSpace] {
			t.Errorf("sent again in %v", spaces)
		}
	}
	x.handshake()
}

func TestNoKeyUpdateBeforeTheHandshakeIsConfirmed(t *testing.T) {
	// Rules: 9001:6.1/1
	x := newExchange(t, false)
	x.drain()
	x.sayCrypto()
	if !x.conn.HandshakeDone() || x.conn.shake.confirmed {
		t.Fatal("the story needs a client that waits for HANDSHAKE_DONE")
	}
	x.conn.phase.confirmed, x.conn.phase.sealed = true, keyUpdateEvery
	x.conn.Write(x.now, x.open(), []byte("abc"))
	x.drain()
	if n := x.conn.Stats().KeyUpdates; n != 0 {
		t.Errorf("%d updates", n)
	}
}

func TestOldKeysDoNotOpenNewPackets(t *testing.T) {
	// Rules: 9001:5.5/1, 9001:6.4/2
	x := newExchange(t, true).handshake()
	old := x.keyPhase()
	x.use(old.next())
	x.receive(wire.AppSpace, ping)
	x.receive(wire.AppSpace, ping)
	if x.conn.Stats().KeyUpdates != 1 {
		t.Fatal("the update is not followed")
	}
	late := x.sendIn(old, ping)
	x.use(old.next())
	x.wantDropped("a packet of the old phase with a higher number than one of the new", late)
	if x.conn.Stats().KeyUpdates != 1 {
		t.Error("it updates the keys")
	}
}

func TestEarlyPacketsEndWithTheHandshake(t *testing.T) {
	// Rules: 9000:17.2.3/3, 9001:4.9.3/1, 9001:5.6/4, 9001:5.6/6
	w := newEarlyWorld(t)
	w.visit()
	p := w.dial()
	early := 0
	p.rewrite = func(d *Datagram) bool {
		fromClient := d.Path.Local == serverAddr
		for _, h := range longHeaders(d.Payload) {
			if h.Type != wire.Packet0RTT {
				continue
			}
			early++
			if !fromClient {
				t.Error("a server sends a 0-RTT packet")
			} else if p.client.HandshakeDone() {
				t.Error("a 0-RTT packet after the handshake")
			}
		}
		return p.now > 1e9 || early != 1 // the first is lost, so that something is to be sent again
	}
	id := say(p, strings.Repeat("early ", 1000))
	hear(p, id)
	p.handshake()
	say(p, "late")
	for range 50 {
		p.step()
	}
	if early < 2 || !p.client.Early() {
		t.Errorf("%d 0-RTT packets", early)
	}
}

func TestAClientOpensNo0RTTPackets(t *testing.T) {
	// Rules: 9001:5.6/5
	x := newExchange(t, false).handshake()
	h := wire.LongHeader{Type: wire.Packet0RTT, Version: wire.Version1, DstID: x.dst.Bytes(), SrcID: x.src.Bytes()}
	b, at := wire.AppendLongHeader(nil, h, 900, 4)
	off := len(b) - 4
	b = append(b, append(bytes.Clone(ping), make([]byte, 10)...)...)
	wire.SetLength(b, at, len(b)-off+seal.Overhead)
	b = x.write[wire.AppSpace].Seal(append(b, make([]byte, 16)...)[:len(b)], off, 4, 900)
	x.wantDropped("one that its 1-RTT keys would open", b)
}

func TestTheClientHelloIsOfTLS13Alone(t *testing.T) {
	// Rules: 9001:8.4/1, 9001:4.2/1
	x := newExchange(t, false)
	x.datagrams()
	hello := cryptoBytes(x.queue)
	if n := hello[4+2+32]; n != 0 {
		t.Errorf("a session ID of %d bytes asks for the compatibility mode", n)
	}
	versions := []byte{0, 43, 0, 3, 2, 3, 4} // supported_versions: TLS 1.3 alone
	if !bytes.Contains(hello, versions) {
		t.Error("other versions of TLS are offered")
	}
}

func TestTheFixedBitIsSetUntilThePeerHasSpoken(t *testing.T) {
	// Rules: 9287:3.1/2, 9287:3.1/3, 9287:3.1/4, 9287:3.1/5
	for seed := range byte(8) {
		for _, server := range []bool{false, true} {
			x := newExchange(t, server, withConfig(func(c *Config) { c.Seed[1] = seed }),
				withParams(func(p *wire.TransportParams) { p.GreaseQUICBit = true }))
			if server { // the ClientHello comes in parts: the first says nothing
				x.give(x.packet(wire.InitialSpace, x.crypto(wire.InitialSpace)))
			}
			for range 3 {
				for _, d := range x.datagrams() {
					if d.raw[0]&wire.FixedBit == 0 {
						t.Fatalf("server %v: a packet without it, and nothing is known of the peer", server)
					}
				}
				x.now = max(x.now, x.conn.Deadline())
				x.conn.Expire(x.now)
			}
		}
	}
}

func TestWhatIsNotRememberedForEarlyData(t *testing.T) {
	// Rules: 9000:7.4.1/2, 9000:7.4.1/3, 9000:7.4.1/4, 9000:7.4.1/7
	w := newEarlyWorld(t)
	w.visit()
	p := w.dial()
	p.client.peer.AckDelayExponent, p.client.peer.MaxAckDelay = 10, time.Second
	p.client.peer.HasResetToken, p.client.peer.InitialSrcID = true, []byte("server")
	p.client.peer.InitialMaxData, p.client.peer.InitialMaxStreamDataUni = 12345, 678
	stored, _ := p.client.storeEarly()
	_, n := varint.Consume(stored) // the version
	encoded, _, _ := consumeBlock(stored[n:])
	got, err := wire.ConsumeTransportParams(encoded, true)
	d := wire.DefaultTransportParams()
	if err != nil || got.AckDelayExponent != d.AckDelayExponent || got.MaxAckDelay != d.MaxAckDelay || got.HasResetToken ||
		got.InitialSrcID != nil || got.OriginalDstID != nil || got.RetrySrcID != nil || got.PreferredAddress != nil {
		t.Errorf("remembered is %+v, %v", got, err)
	}
	if got.InitialMaxData != 12345 || got.InitialMaxStreamDataUni != 678 {
		t.Errorf("the limits are not: %+v", got)
	}
}

func TestEarlyDataKeepsToTheLimitsOfBefore(t *testing.T) {
	// Rules: 9000:7.4.1/9, 9000:17.2.3/5
	w := newEarlyWorld(t)
	w.server.StreamWindow, w.server.ConnWindow = 5000, 6000
	w.visit()
	w.server.StreamWindow, w.server.ConnWindow = 1<<20, 1<<20
	p := w.dial()
	id, _ := p.client.Open(p.now, false)
	p.client.Write(p.now, id, make([]byte, 20_000))
	steps := 0
	for p.client.early.sending {
		if s := p.client.streams.byID[id]; s.send.next > 5000 || s.send.max > 5000 || p.client.flow.max > 6000 {
			t.Fatalf("%d bytes are sent, %d allowed", s.send.next, s.send.max)
		}
		steps++
		if !p.step() {
			t.Fatal("nothing happens any more")
		}
	}
	if p.client.streams.byID[id].send.max != 1<<20 || steps == 0 {
		t.Errorf("afterwards %d are allowed", p.client.streams.byID[id].send.max)
	}
}

func TestKeysThatThePeerUpdatedAreNotUpdatedBeforeItHasSeenOurs(t *testing.T) {
	// Rules: 9001:6.1/2
	x := newExchange(t, true).handshake()
	id := x.open()
	x.use(x.keyPhase().next())
	x.receive(wire.AppSpace, ping)
	x.receive(wire.AppSpace, ping)
	x.advance(3*x.conn.ledger.PTO() + time.Second)
	if x.conn.Stats().KeyUpdates != 1 || x.conn.phase.oldRead != nil {
		t.Fatal("the story needs a connection that has followed an update")
	}
	x.conn.phase.sealed = keyUpdateEvery
	x.conn.Write(x.now, id, []byte("a"))
	x.drain()
	if n := x.conn.Stats().KeyUpdates; n != 1 {
		t.Errorf("nothing of this phase is acknowledged, and there were %d updates", n)
	}
	x.ack(wire.AppSpace)
	x.read[wire.AppSpace] = x.read[wire.AppSpace].Next()
	x.conn.Write(x.now, id, []byte("b"))
	x.drain()
	if n := x.conn.Stats().KeyUpdates; n != 2 {
		t.Errorf("when it is, there were %d updates", n)
	}
}

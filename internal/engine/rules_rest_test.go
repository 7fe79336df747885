package engine

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// What remained of the rules when those of each section had their tests.

func TestNoTwoConnectionsHaveAnIDInCommon(t *testing.T) {
	// Rules: 9000:10.3.2/3, 9000:10.3.2/4
	// RFC 9000, section 10.3.2: "This method for choosing the stateless reset token means that the combination of connection ID and
	// static key MUST NOT be used for another connection." Connections of one endpoint have one key, and a seed each.
	key := seal.ResetKey{5}
	ids, tokens := map[wire.ConnID]bool{}, map[[16]byte]bool{}
	for n := range 200 {
		x := newExchange(t, true, withConfig(func(c *Config) { c.Seed, c.ResetKey = [32]byte{byte(n), 9}, key }))
		if n%50 == 0 {
			x.handshake() // which issues more of them
		}
		for _, l := range x.conn.ids.local {
			if ids[l.id] || tokens[key.Token(l.id.Bytes())] {
				t.Fatalf("connection %d has the ID %v, which another has", n, l.id)
			}
			ids[l.id], tokens[key.Token(l.id.Bytes())] = true, true
		}
	}
	if len(ids) < 204 {
		t.Errorf("%d IDs", len(ids))
	}
}

func TestTheLargestNumberOutlivesTheRangesThatAreForgotten(t *testing.T) {
	// Rules: 9000:13.2.3/4
	// RFC 9000, section 13.2.3: "Receivers can discard all ACK Ranges, but they MUST retain the largest packet number that has been
	// successfully processed, as that is used to recover packet numbers from subsequent packets".
	x := newExchange(t, true).handshake()
	for range 50 {
		x.next[wire.AppSpace] += 500
		x.receive(wire.AppSpace, ping)
		x.ack(wire.AppSpace)
	}
	s := &x.conn.spaces[wire.AppSpace].acks
	s.seen = s.seen[len(s.seen)-1:] // as a receiver may that is short of memory
	s.seen.Sub(s.seen.Min(), s.seen.End())
	number := x.next[wire.AppSpace]
	b := wire.AppendShortHeader(nil, x.dst.Bytes(), x.phase, number, 1)
	b = append(append(b, ping...), make([]byte, 20)...)
	b = x.write[wire.AppSpace].Seal(append(b, make([]byte, 16)...)[:len(b)], 1+x.dst.Len(), 1, number)
	before := x.conn.Stats().PacketsReceived
	if x.receiveDatagram(b); x.conn.Stats().PacketsReceived != before+1 {
		t.Errorf("packet %d, sent with the last byte of its number, is not understood", number)
	}
}

func TestOnlyTheApplicationResetsAStream(t *testing.T) {
	// Rules: 9000:11.2/1
	// RFC 9000, section 11.2: "RESET_STREAM MUST only be instigated by the application protocol that uses QUIC." The one exception is in
	// section 3.5, the answer to STOP_SENDING.
	for _, server := range []bool{true, false} {
		x := newExchange(t, server).handshake()
		theirs := int64(0)
		if !server {
			theirs = 1
		}
		ours := x.open()
		x.conn.Write(x.now, ours, make([]byte, 5000))
		x.drain()
		x.receive(wire.AppSpace, streamFrame(theirs, 0, "abc", false))
		x.conn.Write(x.now, theirs, []byte("an answer"))
		x.drain()
		x.receive(wire.AppSpace, wire.AppendResetStream(nil, wire.ResetStream{ID: theirs, Code: 7, FinalSize: 3}))
		x.receive(wire.AppSpace, wire.AppendResetStream(nil, wire.ResetStream{ID: ours, Code: 7}))
		x.receive(wire.AppSpace, streamFrame(theirs+4, 0, "abc", true))
		x.receive(wire.AppSpace, wire.AppendStreamDataBlocked(nil, wire.StreamDataBlocked{ID: theirs + 8, Limit: 0}))
		x.conn.Read(x.now, theirs, make([]byte, 10))
		x.conn.Read(x.now, ours, make([]byte, 10))
		x.conn.Stop(x.now, theirs+8, 1)
		x.advance(5 * time.Second)
		if i := slices.IndexFunc(x.queue, func(f sentFrame) bool { return strings.HasPrefix(f.text, "reset_stream") }); i >= 0 {
			t.Errorf("server %v: %s was sent", server, x.queue[i].text)
		}
		x.ack(wire.AppSpace)
		x.conn.Reset(x.now, ours, 9)
		x.drain()
		x.wantAmong("and when the application wants it", "reset_stream "+itoa(ours)+" code=0x9 size=5000")
	}
}

func TestOneDatagramIsAnsweredByOneRetry(t *testing.T) {
	// Rules: 9000:17.2.5.1/4
	// RFC 9000, section 17.2.5.1: "A server MUST NOT send more than one Retry packet in response to a single UDP datagram."
	a := &Acceptor{Server: true, Tokens: testTokens, Validation: ValidateAlways}
	one := firstInitial("original", "", true)
	reply := make([]byte, 4000)
	v := a.Receive(5e9, Datagram{Payload: slices.Concat(one, one, one), Path: Path{Local: serverAddr, Remote: clientAddr}}, reply, 3)
	h, _ := wire.ConsumeLongHeader(reply[:v.Size])
	tag := seal.RetryTag([]byte("original"), reply[:v.Size-16])
	if v.Kind != Reply || h.Type != wire.PacketRetry || !bytes.Equal(tag[:], reply[v.Size-16:v.Size]) {
		t.Errorf("three Initial packets are answered with %+v", v)
	}
}

func TestThePreferredAddressIsOfOneConnection(t *testing.T) {
	// Rules: 9000:9.6.2/5
	// RFC 9000, section 9.6.2: "A client MUST NOT use these for other connections, including connections that are resumed from the
	// current connection."
	w := newEarlyWorld(t)
	preferred := netip.MustParseAddrPort("192.0.2.3:444")
	w.server.PreferredV4 = preferred
	w.visit()
	w.server.PreferredV4 = netip.AddrPort{}
	p := w.dial()
	if !p.client.Early() || p.client.preferred().IsValid() || p.client.peer.PreferredAddress != nil {
		t.Errorf("early %v, and it remembers %v", p.client.Early(), p.client.peer.PreferredAddress)
	}
	p.rewrite = func(d *Datagram) bool {
		if d.Path.Local == preferred {
			t.Error("a datagram to the address that was preferred once")
		}
		return true
	}
	hear(p, say(p, "early"))
	p.handshake()
	for range 20 {
		p.step()
	}
}

func TestATokenIsOfOneVersion(t *testing.T) {
	// Rules: 9369:5/2
	// RFC 9369, section 5: "Servers MUST validate the originating version of any session ticket or token and not accept one issued from
	// a different version."
	from := Path{Local: serverAddr, Remote: clientAddr}
	const now = instant.Time(5e9)
	for _, version := range []uint32{v1, v2} {
		a := &Acceptor{Server: true, Tokens: testTokens}
		token := string(a.Tokens.key(v1).NewToken(a.Tokens.time(now), clientAddr.Addr(), 1))
		v := a.Receive(now, Datagram{Payload: firstInitialOf(version, "original", token, true), Path: from}, make([]byte, 1200), 3)
		if v.Kind != Accept || v.Incoming.Validated != (version == v1) {
			t.Errorf("a token of version 1 in a packet of version %#x: %+v", version, v)
		}
	}
}

func TestARetryIsProvedAfterTheVersionHasChanged(t *testing.T) {
	// Rules: 9369:4.1/3
	// RFC 9369, section 4.1: "After switching to a negotiated version after a Retry, the server MUST include the relevant transport
	// parameters to validate that the server sent the Retry and the connection IDs used in the exchange".
	p := newPair(t, &Config{Versions: []uint32{v2, v1}}, nil)
	p.retries, p.acceptor.Validation, p.acceptor.Tokens = true, ValidateAlways, testTokens
	p.handshake() // the client holds what the server says against what it saw: TestConnectionIDsOfTheHandshakeAreAuthenticated
	if !p.client.ids.wasRetry || p.client.Stats().Version != v2 || p.client.version.original != v1 {
		t.Fatalf("a Retry: %v, from version %#x to %#x", p.client.ids.wasRetry, p.client.version.original, p.client.Stats().Version)
	}
}

func TestEarlyDataIsOfTheOriginalVersion(t *testing.T) {
	// Rules: 9369:4.1/9
	// RFC 9369, section 4.1: "The client MUST NOT send 0-RTT packets using the negotiated version, even after processing a packet of
	// that version from the server."
	w := newEarlyWorld(t)
	w.client.Versions, w.server.Versions = []uint32{v1}, []uint32{v2, v1}
	w.visit()
	w.client.Versions = []uint32{v2, v1}
	p := w.dial()
	later := 0
	p.rewrite = func(d *Datagram) bool {
		for b := d.Payload; len(b) > 0 && wire.IsLong(b[0]); {
			h, n := wire.ConsumeLongHeader(b)
			if d.Path.Remote != clientAddr && h.Type == wire.PacketInitial { // the rest of the server's flight is lost
				d.Payload = b[:n]
				return p.now < 1e9+3e8
			}
			if h.Type == wire.Packet0RTT && d.Path.Remote == clientAddr {
				if h.Version != v1 {
					t.Errorf("a 0-RTT packet of version %#x", h.Version)
				}
				if p.client.version.current == v2 {
					later++
				}
			}
			b = b[n:]
		}
		return d.Path.Remote == clientAddr
	}
	say(p, "early")
	p.until("the client knows the negotiated version", func() bool { return p.client.version.current == v2 })
	say(p, "early, and later")
	for range 5 {
		p.step()
	}
	if later == 0 {
		t.Error("no 0-RTT packet was sent after the version was known")
	}
}

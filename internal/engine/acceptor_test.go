package engine

import (
	"bytes"
	"testing"

	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// stranger makes a datagram of size bytes that begins with a long header.
func stranger(typ wire.PacketType, version uint32, dst string, size int) []byte {
	b, at := wire.AppendLongHeader(nil, wire.LongHeader{Type: typ, Version: version, DstID: []byte(dst), SrcID: []byte("source")}, 0, 1)
	rest := size - len(b)
	b = append(b, make([]byte, max(rest, 20))...)
	wire.SetLength(b, at, max(rest, 20)+1)
	return b
}

func TestWhoMayConnect(t *testing.T) {
	// Rules: 9000:5.2.2/1, 9000:5.2.2/2, 9000:5.2.2/3, 9000:5.2.2/5, 9000:5.2.2/6, 9000:6.1/1, 9000:10.3/6, 9000:14.1/3
	short := append([]byte{0x40}, make([]byte, 60)...)
	for _, c := range []struct {
		sentence string
		client   bool // the acceptor takes no connections
		datagram []byte
		want     VerdictKind
		reason   string
	}{
		{"an Initial packet", false, firstInitial("original", "", true), Accept, ""},
		{"one that is not authentic", false, stranger(wire.PacketInitial, wire.Version1, "original", 1200), Drop, DropForged},
		{"in a small datagram", false, stranger(wire.PacketInitial, wire.Version1, "original", 1199), Drop, DropSmall},
		{"to a short ID", false, stranger(wire.PacketInitial, wire.Version1, "origina", 1200), Drop, DropSmall},
		{"without the fixed bit", false, firstInitial("original", "", false), Accept, ""},
		{"to one who only calls", true, stranger(wire.PacketInitial, wire.Version1, "original", 1200), Drop, DropStranger},
		{"a Handshake packet", false, stranger(wire.PacketHandshake, wire.Version1, "original", 1200), Drop, DropStranger},
		{"a 0-RTT packet", false, stranger(wire.Packet0RTT, wire.Version1, "original", 1200), Drop, DropStranger},
		{"another version", false, stranger(wire.PacketInitial, 0x1a2a3a4a, "original", 1200), Reply, AnswerVersions},
		{"another version in a small datagram", false, stranger(wire.PacketInitial, 0x1a2a3a4a, "original", 1199), Drop, DropSmall},
		{"Version Negotiation", false, stranger(wire.PacketInitial, 0, "original", 1200), Drop, DropGarbage},
		{"a short header", false, short, Reply, AnswerReset},
		{"a short header to one who only calls", true, short, Reply, AnswerReset},
		{"too little for a reset", false, short[:minStatelessReset], Drop, DropStranger},
		{"next to nothing", false, short[:5], Drop, DropGarbage},
		{"nothing", false, nil, Drop, DropGarbage},
	} {
		a := Acceptor{Server: !c.client}
		v := a.Receive(0, Datagram{Payload: c.datagram}, make([]byte, 1200), 99)
		if v.Kind != c.want || v.Reason != c.reason {
			t.Errorf("%s: %+v, want kind %d %s", c.sentence, v, c.want, c.reason)
		}
	}
}

func TestVersionNegotiationSaysWhatWeSpeak(t *testing.T) {
	// Rules: 9000:17.2.1/4, 9000:17.2.1/5, 9368:2.1/1
	// RFC 9000, section 17.2.1.
	reply := make([]byte, 1200)
	v := new(Acceptor)
	v.Server = true
	got := v.Receive(0, Datagram{Payload: stranger(wire.PacketInitial, 0x1a2a3a4a, "original", 1200)}, reply, 1<<40)
	h, n := wire.ConsumeLongHeader(reply[:got.Size])
	if n < 0 || h.Type != wire.PacketVersionNegotiation || string(h.DstID) != "source" || string(h.SrcID) != "original" {
		t.Fatalf("the answer is %+v", h)
	}
	versions, ok := wire.ConsumeVersions(reply[:got.Size])
	if !ok || len(versions) != 3 || versions[0] != wire.Version1 || versions[1] != wire.Version2 || !wire.IsReservedVersion(versions[2]) {
		t.Errorf("it lists %#x", versions)
	}
	v.Versions = []uint32{wire.Version2}
	got = v.Receive(1e9, Datagram{Payload: stranger(wire.PacketInitial, wire.Version1, "original", 1200)}, reply, 1<<40|0x40)
	if versions, _ = wire.ConsumeVersions(reply[:got.Size]); len(versions) != 2 || versions[1] != wire.Version2 {
		t.Errorf("a server of version 2 alone lists %#x", versions)
	}
	got = v.Receive(1e9, Datagram{Payload: firstInitialOf(wire.Version2, "original", "", true)}, reply, 1<<40)
	if got.Kind != Accept || got.Incoming.Version != wire.Version2 {
		t.Errorf("and does with version 2 %+v", got)
	}
}

func TestStatelessResetsDoNotLoop(t *testing.T) {
	// Rules: 9000:10.3/5, 9000:10.3/7, 9000:10.3.3/1
	// RFC 9000, section 10.3.3: two endpoints that have both lost their state must fall silent.
	key := seal.ResetKey{1}
	a, b := Acceptor{Server: true, ResetKey: key}, Acceptor{ResetKey: seal.ResetKey{2}}
	payload := append([]byte{0x40, 1, 2, 3, 4, 5, 6, 7, 8}, make([]byte, 1191)...)
	first := true
	for n := uint64(0); ; n++ {
		reply := make([]byte, 1200)
		v := a.Receive(0, Datagram{Payload: payload}, reply, n*0x9e3779b97f4a7c15)
		if v.Kind != Reply {
			break
		}
		reset := reply[:v.Size]
		if v.Size >= len(payload) || v.Size < minStatelessReset || reset[0]&0xc0 != 0x40 {
			t.Fatalf("%d bytes %x in answer to %d", v.Size, reset[:1], len(payload))
		}
		if token := key.Token([]byte{1, 2, 3, 4, 5, 6, 7, 8}); first && !bytes.Equal(reset[v.Size-16:], token[:]) {
			t.Error("it does not end in the token of the ID")
		}
		if n > 1200 {
			t.Fatal("they go on for ever")
		}
		first, payload, a, b = false, reset, b, a
	}
}

func TestDemuxFindsWhomADatagramIsFor(t *testing.T) {
	var m Demux[string]
	if _, ok := m.Find([]byte{0x40, 1, 2, 3, 4, 5, 6, 7, 8}); ok {
		t.Error("something is found in nothing")
	}
	id := wire.MakeConnID([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	m.Add(id, "short")
	m.Add(wire.MakeConnID([]byte("original")), "long")
	m.AddToken(resetToken(7), "reset")
	if h, ok := m.Find([]byte{0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9}); !ok || h != "short" {
		t.Errorf("a short header leads to %q", h)
	}
	if h, ok := m.Find(stranger(wire.PacketInitial, 5, "original", 100)); !ok || h != "long" {
		t.Errorf("a long header leads to %q", h)
	}
	if _, ok := m.Find(append([]byte{0xc0, 0, 0, 0, 9, 21}, make([]byte, 30)...)); ok {
		t.Error("an ID of another version's length is found")
	}
	tok := resetToken(7)
	reset := append(make([]byte, 20), tok[:]...)
	if h, ok := m.FindReset(reset); !ok || h != "reset" {
		t.Errorf("a stateless reset leads to %q", h)
	}
	if _, ok := m.FindReset(reset[16:]); ok {
		t.Error("a reset of 20 bytes is believed")
	}
	m.Remove(id)
	m.RemoveToken(resetToken(7))
	if _, ok := m.Find([]byte{0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9}); ok || m.Len() != 1 {
		t.Error("what was removed is found")
	}
}

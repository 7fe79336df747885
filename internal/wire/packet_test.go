package wire

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

func TestHeaderOfTheClientInitialExample(t *testing.T) {
	// RFC 9001, section A.2: the unprotected header.
	want := unhex(t, "c300000001088394c8f03e5157080000449e00000002")
	dst := unhex(t, "8394c8f03e515708")
	b, at := AppendLongHeader(nil, LongHeader{Type: PacketInitial, Version: Version1, DstID: dst}, 2, 4)
	SetLength(b, at, 1182)
	if !bytes.Equal(b, want) {
		t.Errorf("got  %x\nwant %x", b, want)
	}

	h, n := ConsumeLongHeader(append(want, make([]byte, 1178+50)...)) // and a coalesced packet
	if n != 1200 || h.Size != 1200 || h.PNOffset != 18 || h.Type != PacketInitial || !h.Fixed ||
		h.Version != Version1 || !bytes.Equal(h.DstID, dst) || len(h.SrcID) != 0 || len(h.Token) != 0 {
		t.Errorf("consumed as %+v, %d", h, n)
	}
}

func TestRetryOfTheExample(t *testing.T) {
	// Rules: 9000:17.2.5.2/4
	// RFC 9001, section A.4, but for the four unused bits, which are arbitrary.
	tag := unhex(t, "04a265ba2eff4d829058fb3f0f2496ba")
	src := unhex(t, "f067a5502a4262b5")
	b := AppendRetry(nil, nil, src, []byte("token"))
	if want := unhex(t, "f0000000010008f067a5502a4262b5746f6b656e"); !bytes.Equal(b, want) {
		t.Errorf("got  %x\nwant %x", b, want)
	}
	b[0] |= 0x0f
	b = append(b, tag...)
	h, n := ConsumeLongHeader(b)
	if n != len(b) || h.Type != PacketRetry || string(h.Token) != "token" || !bytes.Equal(h.SrcID, src) || h.PNOffset != 0 {
		t.Errorf("consumed as %+v, %d", h, n)
	}
	if _, n := ConsumeLongHeader(append(unhex(t, "f0000000010008f067a5502a4262b5"), tag...)); n != -1 {
		t.Error("a Retry packet without a token is accepted")
	}
	mustPanic(t, "a Retry packet without a token", func() { AppendRetry(nil, nil, src, nil) })
}

func TestLongHeadersComeBack(t *testing.T) {
	// Rules: 9000:17.2/8
	for _, h := range []LongHeader{
		{Type: PacketInitial, Version: Version1, DstID: []byte("abcdefgh"), SrcID: []byte("xyz"), Token: bytes.Repeat([]byte{7}, 100)},
		{Type: PacketInitial, Version: Version1, DstID: bytes.Repeat([]byte{1}, 20), SrcID: bytes.Repeat([]byte{2}, 20), Token: []byte{}},
		{Type: Packet0RTT, Version: Version1, DstID: []byte("abcdefgh"), SrcID: []byte{}},
		{Type: PacketHandshake, Version: Version1, DstID: []byte{}, SrcID: []byte("s")},
		{Type: PacketInitial, Version: Version2, DstID: []byte("abcdefgh"), SrcID: []byte("xyz"), Token: []byte("token")},
		{Type: Packet0RTT, Version: Version2, DstID: []byte("abcdefgh"), SrcID: []byte{}},
		{Type: PacketHandshake, Version: Version2, DstID: []byte{}, SrcID: []byte("s")},
	} {
		for pnLen := 1; pnLen <= 4; pnLen++ {
			b, at := AppendLongHeader([]byte("before"), h, 0x01020304, pnLen)
			SetLength(b, at, pnLen+20)
			packet := append(b, make([]byte, 20)...)[len("before"):]
			got, n := ConsumeLongHeader(append(packet, "next"...))
			if n != len(packet) || got.Type != h.Type || got.Version != h.Version || !bytes.Equal(got.DstID, h.DstID) || !bytes.Equal(got.SrcID, h.SrcID) ||
				!bytes.Equal(got.Token, h.Token) || got.PNOffset != len(packet)-20-pnLen {
				t.Errorf("%+v comes back as %+v, %d", h, got, n)
			}
			if int(packet[0]&3)+1 != pnLen || packet[got.PNOffset+pnLen-1] != 4 || packet[0]&ReservedLong != 0 {
				t.Errorf("packet number of %d bytes in %x", pnLen, packet)
			}
			if id, ok := DstID(packet, 99); !ok || !bytes.Equal(id, h.DstID) {
				t.Errorf("DstID = %x, %v", id, ok)
			}
			for short := range packet {
				if _, n := ConsumeLongHeader(packet[:short]); n != -1 {
					t.Fatalf("%d of %d bytes are accepted", short, len(packet))
				}
			}
		}
	}
	mustPanic(t, "a 1-RTT packet with a long header", func() { AppendLongHeader(nil, LongHeader{Type: Packet1RTT}, 0, 1) })
	mustPanic(t, "a packet number of 5 bytes", func() { AppendLongHeader(nil, LongHeader{Type: PacketInitial}, 0, 5) })
}

func TestTypesOfLongHeadersAreThoseOfTheirVersion(t *testing.T) {
	// RFC 9000, table 5; RFC 9369, section 3.2.
	for _, c := range []struct {
		version uint32
		first   byte
		want    PacketType
	}{
		{Version1, 0xc0, PacketInitial}, {Version1, 0xd0, Packet0RTT}, {Version1, 0xe0, PacketHandshake}, {Version1, 0xf0, PacketRetry},
		{Version2, 0xd0, PacketInitial}, {Version2, 0xe0, Packet0RTT}, {Version2, 0xf0, PacketHandshake}, {Version2, 0xc0, PacketRetry},
	} {
		if got := longPacketType(c.version, c.first); got != c.want || longTypeBits(c.version, got) != c.first&0x30 {
			t.Errorf("version %#x: %#x is %s, want %s", c.version, c.first, got, c.want)
		}
	}
}

func TestReservedVersionsFollowTheirPattern(t *testing.T) {
	for _, v := range []uint32{0x0a0a0a0a, 0xfafafafa, ReservedVersion(0x12345678)} {
		if !IsReservedVersion(v) || IsKnownVersion(v) {
			t.Errorf("%#x is not reserved", v)
		}
	}
	for _, v := range []uint32{0, Version1, Version2} {
		if IsReservedVersion(v) || IsKnownVersion(v) != (v != 0) {
			t.Errorf("%#x", v)
		}
	}
}

func TestConnectionIDsOfVersion1EndAt20Bytes(t *testing.T) {
	// Rules: 9000:17.2/2, 9000:17.2/3, 9000:17.2/5, 9000:17.2/6
	long := append(unhex(t, "c000000001"), 21)
	long = append(long, make([]byte, 21+40)...)
	if _, n := ConsumeLongHeader(long); n != -1 {
		t.Error("a destination connection ID of 21 bytes is accepted")
	}
	long = append(unhex(t, "c00000000100"), 21)
	long = append(long, make([]byte, 21+40)...)
	if _, n := ConsumeLongHeader(long); n != -1 {
		t.Error("a source connection ID of 21 bytes is accepted")
	}
	mustPanic(t, "a ConnID of 21 bytes", func() { MakeConnID(make([]byte, 21)) })
}

func TestOtherVersionsShowTheirInvariants(t *testing.T) {
	// Rules: 9000:17.2/4, 9000:17.2/7, 9000:17.2.1/2, 9000:17.2.1/3
	b := append(unhex(t, "80faceb00c"), 255)
	b = append(b, bytes.Repeat([]byte{1}, 255)...)
	b = append(b, 200)
	b = append(b, bytes.Repeat([]byte{2}, 200)...)
	b = append(b, "whatever"...)
	h, n := ConsumeLongHeader(b)
	if n != len(b) || h.Type != PacketInvalid || h.Version != 0xfaceb00c || len(h.DstID) != 255 || len(h.SrcID) != 200 || h.Fixed {
		t.Errorf("consumed as %+v, %d", h, n)
	}

	vn := AppendVersionNegotiation(nil, 0x2a, h.SrcID, h.DstID, []uint32{Version1, 0x1a2a3a4a})
	if vn[0] != 0xea {
		t.Errorf("the first byte is %#x", vn[0])
	}
	back, n := ConsumeLongHeader(vn)
	if n != len(vn) || back.Type != PacketVersionNegotiation || !bytes.Equal(back.DstID, h.SrcID) || !bytes.Equal(back.SrcID, h.DstID) {
		t.Errorf("the answer is consumed as %+v, %d", back, n)
	}
	if v, ok := ConsumeVersions(vn); !ok || !slices.Equal(v, []uint32{Version1, 0x1a2a3a4a}) {
		t.Errorf("versions %x, %v", v, ok)
	}
	for cut := 1; cut <= 8; cut++ {
		if v, ok := ConsumeVersions(vn[:len(vn)-cut]); ok != (cut == 4) {
			t.Errorf("without its last %d bytes the list is %x, %v", cut, v, ok)
		}
	}
	if _, ok := ConsumeVersions(b); ok {
		t.Error("a packet of another version is a Version Negotiation packet")
	}
}

func TestShortHeaderAndItsDestination(t *testing.T) {
	// Rules: 9000:17.3.1/2
	id := []byte("abcd")
	b := AppendShortHeader(nil, id, true, 0x1234, 2)
	if want := append([]byte{0x45}, "abcd\x12\x34"...); !bytes.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
	if IsLong(b[0]) || b[0]&ReservedShort != 0 {
		t.Errorf("first byte %#x", b[0])
	}
	if got, ok := DstID(b, 4); !ok || !bytes.Equal(got, id) {
		t.Errorf("DstID = %x, %v", got, ok)
	}
	if got, ok := DstID(b[:1], 0); !ok || len(got) != 0 {
		t.Errorf("a zero-length DstID = %x, %v", got, ok)
	}
	for _, short := range [][]byte{nil, b[:4], {0xc0}, unhex(t, "c00000000104010203")} {
		if _, ok := DstID(short, 4); ok {
			t.Errorf("%x has a connection ID", short)
		}
	}
}

func TestConnIDIsAValue(t *testing.T) {
	a, b := MakeConnID([]byte{0xab, 0xcd}), MakeConnID([]byte{0xab, 0xcd})
	if a != b || a.String() != "abcd" || a.Len() != 2 || !bytes.Equal(a.Bytes(), []byte{0xab, 0xcd}) {
		t.Errorf("%v and %v", a, b)
	}
	if MakeConnID([]byte{0}) == (ConnID{}) {
		t.Error("a zero byte is no byte")
	}
	if got := a.AppendTo([]byte{1}); !bytes.Equal(got, []byte{1, 0xab, 0xcd}) {
		t.Errorf("appended: %x", got)
	}
}

func TestHeadersDoNotAllocate(t *testing.T) {
	b := make([]byte, 0, 100)
	id, h := []byte("abcdefgh"), LongHeader{Type: PacketHandshake, Version: Version1, DstID: []byte("12345678")}
	if n := testing.AllocsPerRun(100, func() {
		var at int
		b, at = AppendLongHeader(b[:0], h, 77, 2)
		SetLength(b, at, 2)
		if _, n := ConsumeLongHeader(b); n != len(b) {
			t.Fatal("not consumed")
		}
		b = AppendShortHeader(b[:0], id, false, 77, PacketNumberLen(77, 70))
		key, _ := DstID(b, 8)
		c := MakeConnID(key)
		if !bytes.Equal(c.Bytes(), id) {
			t.Fatal("not the ID")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzPackets(f *testing.F) {
	f.Add(unhex(f, "c300000001088394c8f03e5157080000449e00000002"))
	f.Add(unhex(f, "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba"))
	f.Add(unhex(f, "e5000000010008f067a5502a4262b54075000000"))
	f.Add(unhex(f, "d36b3343cf088394c8f03e5157080000449e00000002"))
	f.Add(unhex(f, "cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6"))
	f.Add(AppendVersionNegotiation(nil, 0, []byte("a"), []byte("b"), []uint32{1, 2}))
	f.Add(AppendShortHeader(nil, []byte("12345678"), true, 1, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, ok := DstID(b, 8)
		h, n := ConsumeLongHeader(b)
		if n < 0 {
			return
		}
		if !ok || !bytes.Equal(id, h.DstID) {
			t.Fatalf("DstID %x, header %+v", id, h)
		}
		if n != h.Size || n > len(b) || n < h.PNOffset || n == 0 {
			t.Fatalf("%d bytes of %d: %+v", n, len(b), h)
		}
		switch h.Type {
		case PacketVersionNegotiation:
			if v, ok := ConsumeVersions(b); ok && !bytes.Equal(AppendVersionNegotiation(nil, b[0], h.DstID, h.SrcID, v)[1:], b[1:]) {
				t.Fatalf("%x offers %x", b, v)
			}
		case PacketRetry:
			if again := AppendRetryOf(nil, h.Version, h.DstID, h.SrcID, h.Token); !bytes.Equal(again[1:], b[1:len(b)-RetryTagLen]) {
				t.Fatalf("%x is appended as %x", b, again)
			}
		case PacketInitial, Packet0RTT, PacketHandshake:
			again, at := AppendLongHeader(nil, h, 0, 1)
			SetLength(again, at, 1)
			h2, n2 := ConsumeLongHeader(again)
			if n2 != len(again) || h2.Type != h.Type || !bytes.Equal(h2.SrcID, h.SrcID) || !bytes.Equal(h2.Token, h.Token) {
				t.Fatalf("%+v comes back as %+v", h, h2)
			}
		}
	})
}

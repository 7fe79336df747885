package wire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/varint"
)

// consumeFrame consumes the frame at the start of b, of any type but PADDING, PING and HANDSHAKE_DONE, which have nothing
// to consume. again appends what was consumed.
func consumeFrame(b []byte) (frame any, n int, again func() []byte) {
	switch t := uint64(b[0]); t {
	case FrameAck, FrameAckECN:
		return consumeAckFrame(b)
	case FrameResetStream:
		v, n := ConsumeResetStream(b)
		return v, n, func() []byte { return AppendResetStream(nil, v) }
	case FrameStopSending:
		v, n := ConsumeStopSending(b)
		return v, n, func() []byte { return AppendStopSending(nil, v) }
	case FrameCrypto:
		v, n := ConsumeCrypto(b)
		return v, n, func() []byte { return AppendCrypto(nil, v) }
	case FrameNewToken:
		v, n := ConsumeNewToken(b)
		return v, n, func() []byte { return AppendNewToken(nil, v) }
	case 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f:
		v, n := ConsumeStream(b)
		return v, n, func() []byte { return AppendStream(nil, v) }
	case FrameMaxData:
		v, n := ConsumeMaxData(b)
		return v, n, func() []byte { return AppendMaxData(nil, v) }
	case FrameMaxStreamData:
		v, n := ConsumeMaxStreamData(b)
		return v, n, func() []byte { return AppendMaxStreamData(nil, v) }
	case FrameMaxStreamsBidi, FrameMaxStreamsUni:
		v, n := ConsumeMaxStreams(b)
		return v, n, func() []byte { return AppendMaxStreams(nil, v) }
	case FrameDataBlocked:
		v, n := ConsumeDataBlocked(b)
		return v, n, func() []byte { return AppendDataBlocked(nil, v) }
	case FrameStreamDataBlocked:
		v, n := ConsumeStreamDataBlocked(b)
		return v, n, func() []byte { return AppendStreamDataBlocked(nil, v) }
	case FrameStreamsBlockedBidi, FrameStreamsBlockedUni:
		v, n := ConsumeStreamsBlocked(b)
		return v, n, func() []byte { return AppendStreamsBlocked(nil, v) }
	case FrameNewConnectionID:
		v, n := ConsumeNewConnectionID(b)
		return v, n, func() []byte { return AppendNewConnectionID(nil, v) }
	case FrameRetireConnectionID:
		v, n := ConsumeRetireConnectionID(b)
		return v, n, func() []byte { return AppendRetireConnectionID(nil, v) }
	case FramePathChallenge:
		v, n := ConsumePathChallenge(b)
		return v, n, func() []byte { return AppendPathChallenge(nil, v) }
	case FramePathResponse:
		v, n := ConsumePathResponse(b)
		return v, n, func() []byte { return AppendPathResponse(nil, v) }
	case FrameConnectionClose, FrameConnectionCloseApp:
		v, n := ConsumeConnectionClose(b)
		return v, n, func() []byte { return AppendConnectionClose(nil, v) }
	case 0x40:
		v, n := ConsumeAckFrequency(b)
		return v, n, func() []byte { return AppendAckFrequency(nil, v) }
	case FrameResetStreamAt:
		v, n := ConsumeResetStreamAt(b)
		return v, n, func() []byte { return AppendResetStreamAt(nil, v) }
	case FrameDatagram, FrameDatagramLen:
		v, n := ConsumeDatagram(b)
		return v, n, func() []byte { return AppendDatagram(nil, v) }
	}
	return nil, -1, nil
}

func consumeAckFrame(b []byte) (frame any, n int, again func() []byte) {
	type whole struct {
		Ack
		ranges []rangeset.Range
	}
	a, ranges, n := ConsumeAck(b, nil)
	return whole{a, ranges}, n, func() []byte {
		var seen rangeset.Set
		for _, r := range ranges {
			seen.Add(r.Start, r.End)
		}
		return AppendAck(nil, a, seen, noLimit)
	}
}

// frames are in their shortest form and end by themselves, so that each comes back byte for byte.
var frames = []struct{ name, bytes string }{
	{"ack", "\x02\x05\x00\x01\x02\x01\x00"},
	{"ack", "\x03\x05\x01\x00\x02\x01\x02\x03"},
	{"reset_stream", "\x04\x04\x41\x00\x3f"},
	{"stop_sending", "\x05\x04\x0c"},
	{"crypto", "\x06\x00\x05hello"},
	{"crypto", "\x06\x00\x00"},
	{"new_token", "\x07\x05token"},
	{"stream", "\x0a\x04\x00"},
	{"stream", "\x0b\x04\x05hello"},
	{"stream", "\x0e\x40\x40\x80\x00\x40\x00\x05hello"},
	{"stream", "\x0f\x04\x01\x00"},
	{"max_data", "\x10\x7f\xff"},
	{"max_stream_data", "\x11\x04\x7f\xff"},
	{"max_streams", "\x12\x3f"},
	{"max_streams", "\x13\xd0\x00\x00\x00\x00\x00\x00\x00"}, // 2^60
	{"data_blocked", "\x14\x00"},
	{"stream_data_blocked", "\x15\x04\x07"},
	{"streams_blocked", "\x16\x00"},
	{"streams_blocked", "\x17\xd0\x00\x00\x00\x00\x00\x00\x00"},
	{"new_connection_id", "\x18\x02\x02\x04abcd0123456789abcdef"},
	{"new_connection_id", "\x18\x02\x00\x14abcdefghijklmnopqrst0123456789abcdef"},
	{"retire_connection_id", "\x19\x02"},
	{"path_challenge", "\x1a12345678"},
	{"path_response", "\x1b12345678"},
	{"connection_close", "\x1c\x0a\x08\x05sorry"},
	{"connection_close", "\x1d\x41\x00\x00"},
	{"reset_stream_at", "\x24\x04\x41\x00\x3f\x07"},
	{"reset_stream_at", "\x24\x04\x41\x00\x3f\x3f"}, // all of it
	{"datagram", "\x31\x05hello"},
	{"ack_frequency", "\x40\xaf\x01\x09\x67\x10\x03"}, // 9 packets, 10 ms, 3 packets
}

func TestFramesComeBackByteForByte(t *testing.T) {
	for _, c := range frames {
		b := []byte(c.bytes)
		if typ, _ := ConsumeFrameType(b); FrameName(typ) != c.name {
			t.Errorf("%#x is called %s, want %s", typ, FrameName(typ), c.name)
		}
		frame, n, again := consumeFrame(append(b[:len(b):len(b)], "rest"...))
		if n != len(b) {
			t.Errorf("%s %x: %d of %d bytes", c.name, b, n, len(b))
			continue
		}
		if got := again(); !bytes.Equal(got, b) {
			t.Errorf("%s %x: %+v is appended as %x", c.name, b, frame, got)
		}
		for short := 1; short < len(b); short++ {
			if frame, n, _ := consumeFrame(b[:short]); n >= 0 {
				t.Errorf("%s: %d of %d bytes are accepted as %+v", c.name, short, len(b), frame)
			}
		}
	}
}

func TestFieldsGoWhereTheyBelong(t *testing.T) {
	id := MakeConnID([]byte("abcd"))
	token := [16]byte([]byte("0123456789abcdef"))
	for _, c := range []struct {
		bytes string
		want  any
	}{
		{"\x04\x04\x41\x00\x3f", ResetStream{ID: 4, Code: 256, FinalSize: 63}},
		{"\x05\x04\x0c", StopSending{ID: 4, Code: 12}},
		{"\x06\x09\x02hi", Crypto{Offset: 9, Data: []byte("hi")}},
		{"\x08\x04to the end", Stream{ID: 4, Data: []byte("to the end")}},
		{"\x0d\x04\x09to the end", Stream{ID: 4, Offset: 9, Data: []byte("to the end"), Fin: true}},
		{"\x0e\x04\x09\x02hi", Stream{ID: 4, Offset: 9, Data: []byte("hi")}},
		{"\x11\x04\x07", MaxStreamData{ID: 4, Max: 7}},
		{"\x12\x07", MaxStreams{Max: 7}},
		{"\x13\x07", MaxStreams{Uni: true, Max: 7}},
		{"\x15\x04\x07", StreamDataBlocked{ID: 4, Limit: 7}},
		{"\x16\x07", StreamsBlocked{Limit: 7}},
		{"\x17\x07", StreamsBlocked{Uni: true, Limit: 7}},
		{"\x18\x02\x01\x04abcd0123456789abcdef", NewConnectionID{Seq: 2, RetirePriorTo: 1, ID: id, ResetToken: token}},
		{"\x1c\x0a\x08\x02no", ConnectionClose{Code: 10, FrameType: 8, Reason: []byte("no")}},
		{"\x1d\x0a\x02no", ConnectionClose{App: true, Code: 10, Reason: []byte("no")}},
		{"\x24\x04\x41\x00\x3f\x07", ResetStreamAt{ResetStream: ResetStream{ID: 4, Code: 256, FinalSize: 63}, ReliableSize: 7}},
		{"\x30to the end", []byte("to the end")},
	} {
		got, n, _ := consumeFrame([]byte(c.bytes))
		if n != len(c.bytes) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%x is %+v (%d bytes), want %+v", c.bytes, got, n, c.want)
		}
	}
}

func TestMalformedFrames(t *testing.T) {
	// Rules: 9000:4.6/1, 9000:19.6/1, 9000:19.8/2, 9000:19.11/1, 9000:19.14/2, 9000:19.15/1, 9000:19.15/6
	max62 := "\xff\xff\xff\xff\xff\xff\xff\xff"
	for _, c := range []struct{ name, bytes string }{
		{"CRYPTO beyond 2^62-1", "\x06" + max62 + "\x01x"},
		{"CRYPTO longer than its packet", "\x06\x00\x05hell"},
		{"an empty NEW_TOKEN", "\x07\x00"},
		{"STREAM beyond 2^62-1", "\x0e\x04" + max62 + "\x01x"},
		{"STREAM to the packet's end beyond 2^62-1", "\x0c\x04" + max62 + "x"},
		{"STREAM longer than its packet", "\x0a\x04" + max62 + "x"},
		{"MAX_STREAMS above 2^60", "\x12\xd0\x00\x00\x00\x00\x00\x00\x01"},
		{"STREAMS_BLOCKED above 2^60", "\x17\xd0\x00\x00\x00\x00\x00\x00\x01"},
		{"NEW_CONNECTION_ID of no bytes", "\x18\x02\x01\x000123456789abcdef"},
		{"NEW_CONNECTION_ID of 21 bytes", "\x18\x02\x01\x15abcdefghijklmnopqrstu0123456789abcdef"},
		{"NEW_CONNECTION_ID that retires itself", "\x18\x02\x03\x04abcd0123456789abcdef"},
		{"CONNECTION_CLOSE whose reason is longer than its packet", "\x1c\x00\x00\x05sorr"},
		{"DATAGRAM longer than its packet", "\x31\x05hell"},
		{"RESET_STREAM_AT that promises more than there is", "\x24\x04\x00\x07\x08"},
		{"an unknown type", "\x1f\x00"},
	} {
		if frame, n, _ := consumeFrame([]byte(c.bytes)); n >= 0 {
			t.Errorf("%s is accepted: %+v", c.name, frame)
		}
	}
	if s, n := ConsumeStream([]byte("\x0c\x04" + max62)); n != 10 || s.Offset != varint.Max {
		t.Errorf("an empty STREAM frame at 2^62-1 is %+v, %d", s, n)
	}
}

func TestNothingIsAFrame(t *testing.T) {
	for kind := range 256 {
		if frame, n, _ := consumeFrame([]byte{byte(kind)}); n == 0 || n > 1 {
			t.Errorf("a lone %#x is %+v, %d bytes", kind, frame, n)
		}
	}
	_, _, n1 := ConsumeAck(nil, nil)
	_, n2 := ConsumeStream(nil)
	_, n3 := ConsumeMaxStreams(nil)
	_, n4 := ConsumeConnectionClose(nil)
	_, n5 := ConsumeDatagram(nil)
	_, n6 := ConsumeNewConnectionID(nil)
	_, n7 := ConsumeCrypto(nil)
	if max(n1, n2, n3, n4, n5, n6, n7) >= 0 {
		t.Error("no bytes are a frame")
	}
}

func TestStreamHeaderMeasuresWhatItAppends(t *testing.T) {
	for _, id := range []int64{0, 63, 64, 1 << 20} {
		for _, offset := range []int64{0, 1, 1 << 14, 1 << 40} {
			for flags := range 4 {
				h := StreamHeader{ID: id, Offset: offset, Length: 70, Fin: flags&1 != 0, LastInPacket: flags&2 != 0}
				b := AppendStreamHeader(nil, h)
				if len(b) != h.Len() {
					t.Errorf("%+v: %d bytes, Len says %d", h, len(b), h.Len())
				}
				b = append(b, make([]byte, 70)...)
				s, n := ConsumeStream(b)
				if n != len(b) || s.ID != id || s.Offset != offset || len(s.Data) != 70 || s.Fin != h.Fin {
					t.Errorf("%+v comes back as %+v", h, s)
				}
			}
		}
	}
	if n := len(AppendCryptoHeader(nil, 1<<20, 70)); n != CryptoHeaderLen(1<<20, 70) {
		t.Errorf("CRYPTO header: %d bytes", n)
	}
	if n := len(AppendDatagram(nil, make([]byte, 70))); n != DatagramLen(70) {
		t.Errorf("DATAGRAM: %d bytes", n)
	}
}

func TestFrameTypesAreShort(t *testing.T) {
	// Rules: 9000:12.4/5
	for _, c := range []struct {
		bytes string
		want  uint64
		n     int
	}{
		{"\x01", 1, 1}, {"\x40\x40", 0x40, 2}, {"\x40\x01", 1, -1}, {"\x80\x00\x00\x01", 1, -1}, {"\x40", 0, -1}, {"", 0, -1},
	} {
		if got, n := ConsumeFrameType([]byte(c.bytes)); got != c.want || n != c.n {
			t.Errorf("the type %x is %#x, %d", c.bytes, got, n)
		}
	}
	if FrameName(0x1f) != "immediate_ack" || FrameName(0x20) != "unknown" || FrameName(1<<40) != "unknown" || FrameName(FrameDatagram) != "datagram" {
		t.Error("names of types beyond the table")
	}
}

func TestUnsendableFramesPanic(t *testing.T) {
	// Rules: 9000:19.7/1
	mustPanic(t, "an empty NEW_TOKEN", func() { AppendNewToken(nil, nil) })
	mustPanic(t, "a zero-length new connection ID", func() { AppendNewConnectionID(nil, NewConnectionID{}) })
	mustPanic(t, "a negative limit", func() { AppendMaxData(nil, -1) })
	mustPanic(t, "a promise beyond the end", func() { AppendResetStreamAt(nil, ResetStreamAt{ReliableSize: 1}) })
}

func TestFramesDoNotAllocate(t *testing.T) {
	b := make([]byte, 0, 4096)
	data := make([]byte, 1000)
	header := StreamHeader{ID: 4, Offset: 1 << 20, Length: len(data)}
	closing := ConnectionClose{Code: uint64(ProtocolViolation), FrameType: FrameStream, Reason: []byte("no")}
	var into []rangeset.Range
	seen := rangeset.Set{{Start: 1, End: 5}, {Start: 7, End: 100}}
	_, into, _ = ConsumeAck(AppendAck(nil, Ack{}, seen, noLimit), into)
	if n := testing.AllocsPerRun(100, func() {
		b = append(AppendStreamHeader(b[:0], header), data...)
		s, n := ConsumeStream(b)
		if n != len(b) || len(s.Data) != len(data) {
			t.Fatal("STREAM")
		}
		b = AppendAck(b[:0], Ack{Delay: 3, ECN: true}, seen, 1200)
		if _, into, n = ConsumeAck(b, into); n != len(b) {
			t.Fatal("ACK")
		}
		b = AppendNewConnectionID(b[:0], NewConnectionID{Seq: 1, ID: MakeConnID(data[:8])})
		ConsumeNewConnectionID(b)
		b = AppendConnectionClose(b[:0], closing)
		ConsumeConnectionClose(b)
		b = AppendMaxStreamData(b[:0], MaxStreamData{ID: 4, Max: 1 << 30})
		ConsumeMaxStreamData(b)
		b = AppendCrypto(b[:0], Crypto{Data: data})
		ConsumeCrypto(b)
		b = AppendDatagram(b[:0], data)
		ConsumeDatagram(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzFrames(f *testing.F) {
	for _, c := range frames {
		f.Add([]byte(c.bytes))
	}
	f.Add([]byte("\x08\x04to the end"))
	f.Add([]byte("\x30to the end"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		frame, n, again := consumeFrame(b)
		if n < 0 {
			return
		}
		if n == 0 || n > len(b) {
			t.Fatalf("%+v from %d of %d bytes", frame, n, len(b))
		}
		b2 := again()
		frame2, n2, _ := consumeFrame(b2)
		if n2 != len(b2) || !reflect.DeepEqual(frame, frame2) {
			t.Fatalf("%x: %+v comes back as %+v", b[:n], frame, frame2)
		}
	})
}

func BenchmarkConsumeStream(b *testing.B) {
	frame := AppendStream(nil, Stream{ID: 4, Offset: 1 << 20, Data: make([]byte, 1200)})
	b.ReportAllocs()
	for b.Loop() {
		if _, n := ConsumeStream(frame); n < 0 {
			b.Fatal("malformed")
		}
	}
}

package h3

import "testing"

func TestUnidirectionalStreamsAreOnePerKind(t *testing.T) {
	for _, c := range []struct {
		name   string
		server bool
		open   []StreamType
		code   ErrorCode // of the last one
		stream bool
	}{
		{"the three critical ones", true, []StreamType{StreamControl, StreamQPACKEncoder, StreamQPACKDecoder}, 0, false},
		{"in another order", false, []StreamType{StreamQPACKDecoder, StreamControl, StreamQPACKEncoder}, 0, false},
		{"second control stream", true, []StreamType{StreamControl, StreamControl}, H3StreamCreationError, false},
		{"second encoder stream", false, []StreamType{StreamQPACKEncoder, StreamQPACKEncoder}, H3StreamCreationError, false},
		{"second decoder stream", true, []StreamType{StreamQPACKDecoder, StreamQPACKDecoder}, H3StreamCreationError, false},
		{"push from a client", true, []StreamType{StreamPush}, H3StreamCreationError, false},
		{"push from a server", false, []StreamType{StreamPush}, H3IDError, false},
		{"reserved type", true, []StreamType{0x21}, H3StreamCreationError, true},
		{"unknown type", false, []StreamType{0x54}, H3StreamCreationError, true},
		{"unknown type again", false, []StreamType{0x04, 0x04}, H3StreamCreationError, true},
	} {
		u := UniStreams{Server: c.server}
		var err error
		for i, s := range c.open {
			if err = u.Open(s); err != nil && i < len(c.open)-1 {
				if e := err.(*Error); !e.Stream {
					t.Fatalf("%s: %v", c.name, err)
				}
			}
		}
		wantError(t, c.name, err, c.code, c.stream)
	}
}

func TestCriticalStreamsMustNotClose(t *testing.T) {
	for s, code := range map[StreamType]ErrorCode{
		StreamControl: H3ClosedCriticalStream, StreamQPACKEncoder: H3ClosedCriticalStream,
		StreamQPACKDecoder: H3ClosedCriticalStream, StreamPush: 0, 0x21: 0,
	} {
		wantError(t, s.String(), s.Closed(), code, false)
	}
}

func TestStreamTypesNeedAllTheirBytes(t *testing.T) {
	b := AppendStreamType(nil, StreamType(Grease(999)))
	if got, n := ConsumeStreamType(b); got != StreamType(Grease(999)) || n != len(b) {
		t.Errorf("%v, %d", got, n)
	}
	if _, n := ConsumeStreamType(b[:1]); n != 0 {
		t.Errorf("truncated: %d", n)
	}
}

func FuzzStreamType(f *testing.F) {
	f.Add(AppendStreamType(nil, StreamControl))
	f.Add(AppendStreamType(nil, StreamType(Grease(999))))
	f.Add([]byte{0xc0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, n := ConsumeStreamType(b)
		if n < 0 || n > len(b) || n > MaxStreamTypeLen {
			t.Fatalf("%x: %v, %d", b, typ, n)
		}
		if n == 0 {
			if len(b) >= MaxStreamTypeLen {
				t.Fatalf("%x has room for every type", b)
			}
			return
		}
		if again, _ := ConsumeStreamType(AppendStreamType(nil, typ)); again != typ {
			t.Fatalf("%v became %v", typ, again)
		}
		for _, server := range []bool{false, true} {
			u := UniStreams{Server: server}
			if u.Open(typ) == nil && typ.Critical() && u.Open(typ) == nil {
				t.Fatalf("two %v streams", typ)
			}
		}
	})
}

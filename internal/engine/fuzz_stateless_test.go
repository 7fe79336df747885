package engine

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// FuzzStateless hands a client what a server without state for it may answer: Retry packets with a good tag, Version Negotiation
// packets, and stateless resets, in whatever order and with whatever in them. Whatever comes of it comes to an end.
func FuzzStateless(f *testing.F) {
	f.Add([]byte("retry"), []byte("a token"), uint8(0), uint8(1))
	f.Add([]byte{}, []byte{0x6b, 0x33, 0x43, 0xcf, 0xa, 0xa, 0xa, 0xa}, uint8(1), uint8(0))
	f.Add([]byte{}, []byte{0, 0, 0, 1}, uint8(1), uint8(2))
	f.Add([]byte("retry"), bytes.Repeat([]byte{7}, 600), uint8(0), uint8(4))
	f.Add([]byte("an ID that is much too long"), []byte("token"), uint8(3), uint8(7))
	f.Fuzz(func(t *testing.T, src, data []byte, first, second uint8) {
		if len(data) > 1200 || len(src) > wire.MaxConnIDLen {
			return
		}
		x := newExchange(t, false)
		x.drain()
		receive := func(b []byte) {
			x.conn.Receive(x.now, Datagram{Payload: b, Path: x.path})
			for tr := x.conn.Compose(x.now, x.buf); tr.Size > 0; tr = x.conn.Compose(x.now, x.buf) {
			}
			for _, ok := x.conn.Event(); ok; _, ok = x.conn.Event() {
			}
		}
		for _, how := range [...]uint8{first, second} {
			before := x.conn.Err()
			switch how % 4 {
			case 0:
				receive(x.retry(src, append([]byte("t"), data...)))
			case 1:
				versions := make([]uint32, len(data)/4)
				for i := range versions {
					versions[i] = binary.BigEndian.Uint32(data[4*i:])
				}
				receive(x.versionNegotiation(x.conn.ids.original.Bytes(), versions...))
			case 2:
				receive(x.versionNegotiation(src, wire.Version2))
				if x.conn.Err() != before {
					t.Fatalf("answered from an ID that is not the server's: %v", x.conn.Err())
				}
			case 3:
				receive(append(bytes.Clone(data), src...))
			}
			if e, ok := x.conn.Err().(*VersionError); before == nil && x.conn.Err() != nil && (!ok || e.Common == x.conn.version.original) {
				t.Fatalf("the client ended with %v", x.conn.Err())
			}
			x.checkInvariants()
		}
		if len(x.conn.shake.token) > 0 && !x.conn.ids.wasRetry {
			t.Fatal("a token without a Retry packet")
		}
		x.conn.Expire(x.now.Add(time.Minute))
		if x.conn.Err() == nil {
			t.Fatal("a minute later it still waits")
		}
	})
}

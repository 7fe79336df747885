package engine

import (
	"testing"

	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// retry makes the Retry packet of a server that wants to see token, and calls itself src.
func (x *exchange) retry(src, token []byte) []byte {
	b := wire.AppendRetry(nil, x.conn.ids.local[0].id.Bytes(), src, token)
	tag := seal.RetryTag(x.conn.ids.original.Bytes(), b)
	return append(b, tag[:]...)
}

func TestRetryRepeatsTheFirstFlightWithTheToken(t *testing.T) {
	src := []byte("retry source")
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.RetrySrcID = src }))
	x.drain()
	x.queue = nil
	x.receiveDatagram(x.retry(src, []byte("a token"))[:20])
	x.wantNothing("a Retry with a broken tag is not believed")

	client, server := seal.Initial(src) // the keys follow the new ID
	x.read[0], x.write[0] = client, server
	x.receiveDatagram(x.retry(src, []byte("a token")))
	x.want("the first flight goes out again, cut by the token's length", wire.InitialSpace, "crypto [0,1133)")
	if string(x.conn.shake.token) != "a token" || string(x.conn.ids.remoteID().AppendTo(nil)) != string(src) {
		t.Error("without the token, or to the old ID")
	}
	x.queue = nil
	x.receiveDatagram(x.retry([]byte("another"), []byte("another token")))
	x.wantNothing("a second Retry is ignored")
	x.handshake()
}

func TestRetryParametersAreAuthenticated(t *testing.T) {
	for _, c := range []struct {
		sentence string
		params   []byte
		retried  bool
	}{
		{"a server that retried must say so", nil, true},
		{"and name the right ID", []byte("wrong"), true},
		{"one that did not must not", []byte("retry source"), false},
	} {
		x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.RetrySrcID = c.params }))
		x.drain()
		if c.retried {
			src := []byte("retry source")
			client, server := seal.Initial(src)
			x.read[0], x.write[0] = client, server
			x.receiveDatagram(x.retry(src, []byte("a token")))
		}
		for i := 0; i < 10 && x.conn.Err() == nil; i++ {
			for space := range x.pending {
				if b := x.pending[space]; len(b) > 0 && x.write[space] != nil {
					x.pending[space] = nil
					for off := 0; off < len(b); off += 1000 {
						part := b[off:min(off+1000, len(b))]
						f := append(wire.AppendCryptoHeader(nil, x.out[space], len(part)), part...)
						x.out[space] += int64(len(part))
						x.receive(wire.Space(space), f)
					}
				}
			}
		}
		x.wantClose(c.sentence, wire.TransportParameterError)
	}
}

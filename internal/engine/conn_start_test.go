package engine

import (
	"testing"
	"time"

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
	// Rules: 9000:7.2/4, 9000:17.2.5.1/3
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
	// Rules: 9000:7.3/1, 9000:7.3/2, 9000:7.3/4
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

// retried hands the client a Retry packet, after which both ends use other Initial keys.
func (x *exchange) retried() {
	src := []byte("retry")
	b := x.retry(src, []byte("token"))
	x.read[0], x.write[0] = seal.Initial(src)
	x.receiveDatagram(b)
}

func TestRetryIsTakenOnceAndOnlyWhenItIsGenuine(t *testing.T) {
	// Rules: 9000:17.2.5.1/2, 9000:17.2.5.2/1, 9000:17.2.5.2/2, 9000:17.2.5.2/3
	for _, c := range []struct {
		sentence string
		retry    func(x *exchange) []byte
	}{
		// "Clients MUST discard Retry packets that have a Retry Integrity Tag that cannot be validated"
		{"a wrong tag", func(x *exchange) []byte { b := x.retry([]byte("retry"), []byte("token")); b[len(b)-1] ^= 1; return b }},
		// "A client MUST discard a Retry packet that contains a Source Connection ID field that is identical to the
		// Destination Connection ID field of its Initial packet."
		{"our own ID", func(x *exchange) []byte { return x.retry(x.conn.ids.original.Bytes(), []byte("token")) }},
		{"a second Retry", func(x *exchange) []byte {
			x.retried()
			x.queue = nil
			return x.retry([]byte("second"), []byte("other"))
		}},
	} {
		x := newExchange(t, false)
		x.drain()
		x.queue = nil
		b := c.retry(x)
		before := x.conn.ids.remoteID()
		x.receiveDatagram(b)
		x.wantNothing(c.sentence + " changes nothing")
		if string(x.conn.shake.token) == "other" || x.conn.ids.remoteID() != before {
			t.Errorf("%s: the client follows", c.sentence)
		}
	}
}

func TestRetryAfterTheServersInitialIsIgnored(t *testing.T) {
	// Rules: 9000:17.2.5.2/2
	x := newExchange(t, false)
	x.drain()
	x.receive(wire.InitialSpace, ping)
	x.receiveDatagram(x.retry([]byte("retry"), []byte("token")))
	if x.conn.shake.token != nil {
		t.Error("it was taken")
	}
}

func (x *exchange) versionNegotiation(src []byte, versions ...uint32) []byte {
	return wire.AppendVersionNegotiation(nil, 0x80, x.dst.Bytes(), src, versions)
}

func TestVersionNegotiationEndsTheAttempt(t *testing.T) {
	// Rules: 9000:6.2/1, 9368:2.1/3
	x := newExchange(t, false)
	x.drain()
	x.receiveDatagram(x.versionNegotiation(x.conn.ids.original.Bytes(), 0x6b3343cf, 0x0a0a0a0a))
	e, ok := x.conn.Err().(*VersionError)
	if !ok || len(e.Theirs) != 2 {
		t.Fatalf("the error is %v", x.conn.Err())
	}
	x.queue = nil
	x.advance(time.Minute)
	x.wantNothing("the client is silent")
	x.wantEvent("and forgets", EventDrained)
}

func TestVersionNegotiationIsIgnoredWhenItCannotBeTrue(t *testing.T) {
	// Rules: 9000:6.2/2, 9000:6.2/3, 9368:4/1
	// RFC 9000, section 6.2.
	for _, c := range []struct {
		sentence string
		packet   func(x *exchange) []byte
	}{
		{"our version is listed", func(x *exchange) []byte {
			return x.versionNegotiation(x.conn.ids.original.Bytes(), 0x6b3343cf, wire.Version1)
		}},
		{"it answers another connection", func(x *exchange) []byte {
			return x.versionNegotiation([]byte("whose?"), 0x6b3343cf)
		}},
		{"a packet was processed before", func(x *exchange) []byte {
			x.receive(wire.InitialSpace, ping)
			return x.versionNegotiation(x.conn.ids.original.Bytes(), 0x6b3343cf)
		}},
		{"a Retry packet was processed before", func(x *exchange) []byte {
			x.retried()
			return x.versionNegotiation(x.conn.ids.original.Bytes(), 0x6b3343cf)
		}},
		{"it lists nothing", func(x *exchange) []byte { return x.versionNegotiation(x.conn.ids.original.Bytes()) }},
	} {
		x := newExchange(t, false)
		x.drain()
		x.receiveDatagram(c.packet(x))
		if x.conn.Err() != nil {
			t.Errorf("%s: %v", c.sentence, x.conn.Err())
		}
	}
}

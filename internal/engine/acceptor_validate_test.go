package engine

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

var testTokens = Tokens{Key: seal.TokenKey{7}, Unix: 1_700_000_000}

// firstInitial makes the datagram of a client at its very beginning, properly sealed.
func firstInitial(dst, token string, fixed bool) []byte {
	return firstInitialOf(wire.Version1, dst, token, fixed)
}

func firstInitialOf(version uint32, dst, token string, fixed bool) []byte {
	b, at := wire.AppendLongHeader(nil, wire.LongHeader{
		Type: wire.PacketInitial, Version: version, DstID: []byte(dst), SrcID: []byte("source"), Token: []byte(token),
	}, 0, 1)
	if !fixed {
		b[0] &^= wire.FixedBit
	}
	off := len(b) - 1
	b = append(b, make([]byte, wire.MinInitialSize-len(b)-seal.Overhead)...)
	wire.SetLength(b, at, len(b)-off+seal.Overhead)
	client := seal.Of(version).ClientInitial([]byte(dst))
	return client.Seal(append(b, make([]byte, 16)...)[:len(b)], off, 1, 0)
}

// retried sends a first Initial packet to an acceptor that wants proof, and returns what the Retry packet says.
func retried(t *testing.T, a *Acceptor, now instant.Time, from Path) (src, token string) {
	t.Helper()
	reply := make([]byte, 1200)
	before := *a
	a.Validation = ValidateAlways
	v := a.Receive(now, Datagram{Payload: firstInitial("original", "", true), Path: from}, reply, uint64(now)+7)
	a.Validation = before.Validation
	h, n := wire.ConsumeLongHeader(reply[:v.Size])
	if v.Kind != Reply || v.Reason != AnswerRetry || n < 0 || h.Type != wire.PacketRetry || string(h.DstID) != "source" {
		t.Fatalf("%+v, %+v", v, h)
	}
	tag := seal.RetryTag([]byte("original"), reply[:v.Size-16])
	if !bytes.Equal(tag[:], reply[v.Size-16:v.Size]) {
		t.Fatal("the Retry packet's tag is wrong")
	}
	return string(h.SrcID), string(h.Token)
}

func TestWhoHasToProveTheirAddress(t *testing.T) {
	// Rules: 9000:8.1.1/1, 9000:8.1.3/10, 9000:8.1.3/11, 9000:8.1.3/12, 9000:8.1.4/3, 9000:8.1.4/5, 9000:8.1.4/6
	// Rules: 9000:8.1.4/7, 9000:8.1.4/8, 9000:21.3/1
	from := Path{Local: serverAddr, Remote: clientAddr}
	elsewhere := Path{Local: serverAddr, Remote: netip.MustParseAddrPort("198.51.100.9:7")}
	otherPort := Path{Local: serverAddr, Remote: netip.AddrPortFrom(clientAddr.Addr(), 9)}
	const now = instant.Time(5e9)
	a := &Acceptor{Server: true, Tokens: testTokens}
	src, token := retried(t, a, now, from)
	again := string(testTokens.Key.NewToken(testTokens.time(now), clientAddr.Addr(), 1))
	foreign := Tokens{Key: seal.TokenKey{8}, Unix: testTokens.Unix}
	_, lost := retried(t, &Acceptor{Server: true, Tokens: foreign}, now, from)
	broken := firstInitial(src, token, true)
	broken[len(broken)-1] ^= 1
	unsealed := firstInitial("original", again, true)
	unsealed[len(unsealed)-1] ^= 1
	const many, few = MaxUnvalidated, MaxUnvalidated - 1
	later := now + instant.Time(seal.RetryTokenLife*1e9)
	for _, c := range []struct {
		sentence   string
		validation Validation
		halfOpen   int
		now        instant.Time
		path       Path
		datagram   []byte
		kind       VerdictKind
		reason     string
		validated  bool
	}{
		{"nobody, while few are in their handshake", ValidateAuto, few, now, from, firstInitial("original", "", true), Accept, "", false},
		{"everybody, when many are", ValidateAuto, many, now, from, firstInitial("original", "", true), Reply, AnswerRetry, false},
		{"nobody, if that is wanted", ValidateNever, many, now, from, firstInitial("original", "", true), Accept, "", false},
		{"everybody, if that is wanted", ValidateAlways, 0, now, from, firstInitial("original", "", true), Reply, AnswerRetry, false},
		{"who has the token of a Retry packet has done so", ValidateAlways, 0, now, from, firstInitial(src, token, true), Accept, "", true},
		{"also without the fixed bit", ValidateAlways, 0, now, from, firstInitial(src, token, false), Accept, "", true},
		{"also if nobody asked", ValidateNever, 0, now, from, firstInitial(src, token, true), Accept, "", true},
		{"not from another address", ValidateAlways, 0, now, elsewhere, firstInitial(src, token, true), Reply, AnswerInvalidToken, false},
		{"not from another port", ValidateAlways, 0, now, otherPort, firstInitial(src, token, true), Reply, AnswerInvalidToken, false},
		{"not for another connection", ValidateAlways, 0, now, from, firstInitial("something", token, true), Reply, AnswerInvalidToken, false},
		{"not when its time is over", ValidateAlways, 0, later, from, firstInitial(src, token, true), Reply, AnswerInvalidToken, false},
		{"nor with one of a key that was lost", ValidateNever, 0, now, from, firstInitial(src, lost, true), Reply, AnswerInvalidToken, false},
		{"a packet that is not authentic is not answered", ValidateAlways, 0, later, from, broken, Drop, DropForged, false},
		{"a packet that is not authentic spends no token", ValidateNever, 0, now, otherPort, unsealed, Drop, DropForged, false},
		{"a token of an earlier connection is good", ValidateAlways, 0, now, otherPort, firstInitial("original", again, true), Accept, "", true},
		{"but once", ValidateAlways, 0, now, from, firstInitial("original", again, true), Reply, AnswerRetry, false},
		{"and nothing worse than none", ValidateNever, 0, now, from, firstInitial("original", again, true), Accept, "", false},
		{"a token of somebody else's is like none", ValidateAlways, 0, now, from, firstInitial("original", "whose is this?", true), Reply, AnswerRetry, false},
		{"in any mood", ValidateNever, 0, now, from, firstInitial("original", "whose is this?", true), Accept, "", false},
	} {
		a.Validation, a.HalfOpen = c.validation, c.halfOpen
		reply := make([]byte, 1200)
		v := a.Receive(c.now, Datagram{Payload: c.datagram, Path: c.path}, reply, 3)
		in := v.Incoming
		if v.Kind != c.kind || v.Reason != c.reason || in.Validated != c.validated {
			t.Errorf("%s: %+v", c.sentence, v)
		}
		if in.Retried && in.Original != wire.MakeConnID([]byte("original")) {
			t.Errorf("%s: it forgot the ID %q", c.sentence, in.Original)
		}
		if v.Kind == Reply && v.Size > 200 {
			t.Errorf("%s: an answer of %d bytes", c.sentence, v.Size)
		}
	}
}

func TestAnInvalidRetryTokenEndsTheAttemptAtOnce(t *testing.T) {
	// Rules: 9000:8.1.2/2
	// RFC 9000, section 8.1.2: "the server SHOULD immediately close (Section 10.2) the connection with an INVALID_TOKEN
	// error."
	p := newPair(t, nil, nil)
	p.retries, p.acceptor.Validation = true, ValidateAlways
	p.rewrite = func(*Datagram) bool {
		p.acceptor.Tokens.Unix += 2 * seal.RetryTokenLife // a long time passes on the way
		return true
	}
	for p.client.Err() == nil && p.step() {
	}
	err, ok := p.client.Err().(*TransportError)
	if !ok || err.Code != wire.InvalidToken || !err.Remote {
		t.Errorf("the client's end: %v", p.client.Err())
	}
}

func TestAConnectionBeginsWithARetry(t *testing.T) {
	// Rules: 9000:7.3/1
	p := newPair(t, nil, nil)
	p.retries, p.acceptor.Validation, p.acceptor.Tokens = true, ValidateAlways, testTokens
	p.until("the server begins", func() bool { return p.server != nil })
	if !p.server.path.validated {
		t.Error("the server counts bytes although the client has proved its address")
	}
	if p.server.ids.original != p.client.ids.original || p.server.ids.first == p.server.ids.original {
		t.Error("the server has the IDs wrong")
	}
	p.handshake() // in which the client compares the IDs with what the server's transport parameters say
	if !p.client.ids.wasRetry || p.server.ids.routed {
		t.Error("there was no Retry, or the ID of it still leads to the connection")
	}
}

func TestSpentTokensAreBounded(t *testing.T) {
	// Rules: 9000:8.1.4/6, 9000:8.1.4/8
	var s spentTokens
	nonce := func(i int) (n [16]byte) { binary.BigEndian.PutUint64(n[:], uint64(i)); return n }
	for i := range 5 * maxSpentTokens {
		if !s.add(nonce(i)) || s.add(nonce(i)) || s.add(nonce(max(0, i-maxSpentTokens+1))) {
			t.Fatalf("token %d was believed twice, or not at all", i)
		}
	}
	if n := len(s.young) + len(s.old); n > 2*maxSpentTokens {
		t.Errorf("%d are remembered", n)
	}
}

// FuzzInitialToken shows an acceptor tokens that it did not make.
func FuzzInitialToken(f *testing.F) {
	f.Add([]byte(nil), "original", uint8(0))
	f.Add(testTokens.Key.NewToken(testTokens.Unix, clientAddr.Addr(), 1), "original", uint8(1))
	f.Add(append([]byte{1, 0, 0, 0x4c, 0xdb}, make([]byte, 50)...), "original", uint8(2))
	f.Fuzz(func(t *testing.T, token []byte, dst string, how uint8) {
		if len(token) > 800 || len(dst) < minClientID || len(dst) > wire.MaxConnIDLen {
			return
		}
		a := Acceptor{Server: true, Tokens: Tokens{Key: seal.TokenKey{9}, Unix: testTokens.Unix}, Validation: Validation(how % 3)}
		d := Datagram{Payload: firstInitial(dst, string(token), how&4 == 0), Path: Path{Remote: clientAddr}}
		v := a.Receive(1, d, make([]byte, 1200), uint64(how))
		if v.Incoming.Validated || v.Kind == Reply && v.Size > 200 {
			t.Errorf("%+v", v)
		}
	})
}

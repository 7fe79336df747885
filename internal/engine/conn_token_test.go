package engine

import (
	"bytes"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

func withTokens(x *exchange, c *Config) { c.Tokens = &testTokens }

// lastToken returns the token of the NEW_TOKEN frame among those that the connection has sent.
func (x *exchange) lastToken(sentence string) []byte {
	x.t.Helper()
	token, _ := wire.ConsumeNewToken(x.wantAmong(sentence, "new_token").raw)
	return token
}

func TestAClientIsGivenOneTokenForItsNextConnection(t *testing.T) {
	x := newExchange(t, true, withTokens)
	x.playHandshake()
	token := x.lastToken("with the end of the handshake")
	if !testTokens.Key.OpenNewToken(testTokens.time(x.now), token, clientAddr.Addr()) {
		t.Error("it proves nothing")
	}
	x.advance(5 * time.Second)
	again := x.lastToken("what is not acknowledged is sent again")
	if !bytes.Equal(token, again) {
		t.Error("as another token")
	}
	x.ack(wire.AppSpace)
	x.queue = nil
	x.advance(5 * time.Second)
	x.wantNothing("and no more when it has arrived")
	if x.conn.path.tokens.token != nil {
		t.Error("it is kept for nothing")
	}
}

func TestAClientThatMovedIsGivenAnotherToken(t *testing.T) {
	// Rules: 9000:9.3/3
	x := newExchange(t, true, withTokens).handshake()
	x.queue = nil
	x.path.Remote = elsewhere
	x.receive(wire.AppSpace, ping)
	for _, f := range x.queue {
		if f.text == "new_token" {
			t.Error("before it has proved its new address")
		}
	}
	challenge := x.challenge("the new address is challenged")
	x.queue = nil
	x.receive(wire.AppSpace, response(challenge))
	token := x.lastToken("when it has")
	now := testTokens.time(x.now)
	if !testTokens.Key.OpenNewToken(now, token, elsewhere.Addr()) || testTokens.Key.OpenNewToken(now, token, clientAddr.Addr()) {
		t.Error("it is for the wrong address")
	}
}

func TestAServerWithoutAKeyGivesNoTokens(t *testing.T) {
	x := newExchange(t, true)
	x.playHandshake()
	for _, f := range x.queue {
		if f.text == "new_token" {
			t.Error("it gives one")
		}
	}
}

func TestTheNewestTokenIsForTheNextConnection(t *testing.T) {
	// Rules: 9000:8.1.3/1, 9001:9.2/2
	x := newExchange(t, false).handshake()
	if x.conn.TakeToken() != nil {
		t.Error("there is one before any was given")
	}
	x.receive(wire.AppSpace, wire.AppendNewToken(nil, []byte("first")), wire.AppendNewToken(nil, []byte("second")))
	x.wantEvent("it is announced", EventNewToken)
	if got := x.conn.TakeToken(); string(got) != "second" {
		t.Errorf("it is %q", got)
	}
	if x.conn.TakeToken() != nil {
		t.Error("it is given out twice")
	}

	// RFC 9000, section 8.1.3: "The client MUST include the token in all Initial packets it sends, unless a Retry replaces
	// the token with a newer one."
	x = newExchange(t, false, func(_ *exchange, c *Config) { c.Token = []byte("second") })
	n := x.conn.Compose(x.now, x.buf).Size
	if h, _ := wire.ConsumeLongHeader(x.buf[:n]); string(h.Token) != "second" {
		t.Errorf("the first packet shows %q", h.Token)
	}
}

func TestLongTokensAreNotKept(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.receive(wire.AppSpace, wire.AppendNewToken(nil, make([]byte, maxToken+1)))
	if x.conn.TakeToken() != nil || x.conn.Err() != nil {
		t.Errorf("one of more than the limit is kept, or ends the connection: %v", x.conn.Err())
	}
	x.receive(wire.AppSpace, wire.AppendNewToken(nil, make([]byte, maxToken)))
	token := x.conn.TakeToken()
	if len(token) != maxToken {
		t.Error("one of the limit is not kept")
	}
	p := newPair(t, &Config{Token: token}, nil)
	p.handshake()
}

func TestAClientsNewTokenIsAnError(t *testing.T) {
	// Rules: 9000:19.7/4
	// RFC 9000, section 19.7.
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, wire.AppendNewToken(nil, []byte("token")))
	x.wantClose("a client gives tokens", wire.ProtocolViolation)
}

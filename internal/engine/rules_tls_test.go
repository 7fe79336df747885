package engine

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/handshake"
	"github.com/godwit-net/godwit/internal/wire"
)

// What RFC 9001 demands of the TLS messages that we send. crypto/tls makes them: these tests tell when another version of it,
// or another use of it, makes others.

const (
	helloOfClient, helloOfServer, ticket, endOfEarly = 1, 2, 4, 5
	extensions, certificate, certRequest, certVerify = 8, 11, 13, 15
	finished                                         = 20
)

// message is a handshake message.
type message struct {
	typ  byte
	body []byte
}

// messages puts together the handshake messages that the connection has sent in a space.
func (x *exchange) messages(space wire.Space) (all []message) {
	x.t.Helper()
	var b []byte
	for _, f := range x.queue {
		if f.space != space || !strings.HasPrefix(f.text, "crypto") {
			continue
		}
		c, _ := wire.ConsumeCrypto(f.raw)
		if end := int(c.Offset) + len(c.Data); end > len(b) {
			b = append(b, make([]byte, end-len(b))...)
		}
		copy(b[c.Offset:], c.Data)
	}
	for len(b) >= 4 {
		n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if len(b) < 4+n {
			x.t.Fatalf("a message of type %d that does not end", b[0])
		}
		all = append(all, message{b[0], b[4 : 4+n]})
		b = b[4+n:]
	}
	return all
}

func types(all []message) (types []byte) {
	for _, m := range all {
		types = append(types, m.typ)
	}
	return types
}

// withTickets is a server that asks for certificates and issues tickets that allow 0-RTT.
func withTickets() option {
	return withConfig(func(c *Config) {
		c.TLS = serverTLS()
		c.TLS.ClientAuth = tls.RequestClientCert
		c.Early = &EarlyConfig{Mark: func() []byte { return []byte{1} }, Admit: func([]byte) bool { return true }}
	})
}

// dialAs has the peer, a client, begin anew with other TLS settings.
func (x *exchange) dialAs(config *tls.Config) {
	x.t.Helper()
	x.peer.Close()
	x.peer, x.pending = handshake.NewClient(config, x.params.AppendTo(nil, 1)), [wire.NumSpaces][]byte{}
	if err := x.peer.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.pump()
}

// updateKeys has the connection update its keys.
func (x *exchange) updateKeys() {
	x.t.Helper()
	x.ack(wire.AppSpace)
	x.advance(100 * time.Millisecond)
	x.conn.UpdateKeys()
	x.read[wire.AppSpace] = x.read[wire.AppSpace].Next()
	x.conn.Ping(x.now)
	x.drain()
	if x.conn.Stats().KeyUpdates != 1 {
		x.t.Fatalf("%d key updates", x.conn.Stats().KeyUpdates)
	}
}

func TestAServersHandshakeMessagesAreWhereTheyBelong(t *testing.T) {
	// Rules: 9001:4.4/2, 9001:4.6.1/1, 9001:4.9/2, 9001:6/1
	x := newExchange(t, true, withTickets())
	config := clientTLS()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	x.dialAs(config)
	x.playHandshake()
	x.updateKeys()
	// RFC 9001, section 4.9: "Though an endpoint might retain older keys, new data MUST be sent at the highest currently available
	// encryption level."
	if got := types(x.messages(wire.InitialSpace)); !slices.Equal(got, []byte{helloOfServer}) {
		t.Errorf("Initial packets have messages of types %d", got)
	}
	got := slices.DeleteFunc(types(x.messages(wire.HandshakeSpace)), func(b byte) bool { return b == certRequest })
	if !slices.Equal(got, []byte{extensions, certificate, certVerify, finished}) {
		t.Errorf("Handshake packets have messages of types %d", got)
	}
	// Section 4.4: "A server MUST NOT use post-handshake client authentication". Section 6: "Endpoints MUST NOT send a TLS
	// KeyUpdate message."
	late := x.messages(wire.AppSpace)
	if len(late) == 0 {
		t.Fatal("no ticket was sent")
	}
	for _, m := range late {
		if m.typ != ticket {
			t.Fatalf("1-RTT packets have a message of type %d", m.typ)
		}
		// Section 4.6.1: "Servers MUST NOT send the early_data extension with a max_early_data_size field set to any value other
		// than 0xffffffff."
		if size, ok := maxEarlyData(m.body); !ok || size != 0xffffffff {
			t.Errorf("a ticket for %#x bytes of 0-RTT, %v", size, ok)
		}
	}
}

// maxEarlyData reads a NewSessionTicket as far as the early_data extension.
func maxEarlyData(b []byte) (size uint32, ok bool) {
	b = b[8:]           // lifetime, age
	b = b[1+int(b[0]):] // nonce
	b = b[2+int(binary.BigEndian.Uint16(b)):]
	for b = b[2:]; len(b) >= 4; b = b[4+int(binary.BigEndian.Uint16(b[2:])):] {
		if binary.BigEndian.Uint16(b) == 42 {
			return binary.BigEndian.Uint32(b[4:]), true
		}
	}
	return 0, false
}

func TestAClientsHandshakeMessagesAreWhereTheyBelong(t *testing.T) {
	// Rules: 9001:4.9/2, 9001:6/1
	x := newExchange(t, false)
	x.playHandshake()
	x.updateKeys()
	for space, want := range [][]byte{{helloOfClient}, {finished}, nil} {
		if got := types(x.messages(wire.Space(space))); !slices.Equal(got, want) {
			t.Errorf("%v: messages of types %d, want %d", wire.Space(space), got, want)
		}
	}
}

func TestAClientDoesNotSayThatItsEarlyDataEnds(t *testing.T) {
	// Rules: 9001:8.3/1
	// RFC 9001, section 8.3: "Clients MUST NOT send the EndOfEarlyData message." One that did would say it in a Handshake packet, in
	// front of its Finished, and its transcript would be another than the server's: the handshake would fail.
	w := newEarlyWorld(t)
	w.visit()
	p := w.dial()
	hear(p, say(p, "early"))
	if !p.client.Early() {
		t.Fatal("no 0-RTT")
	}
	p.handshake()
	if sent := p.client.spaces[wire.HandshakeSpace].crypto; sent != nil && sent.out.end > 4+48 {
		t.Errorf("%d bytes of handshake messages in Handshake packets", sent.out.end)
	}
}

func TestACipherSuiteThatNobodyKnowsIsNoObstacle(t *testing.T) {
	// Rules: 9001:5.3/2
	// RFC 9001, section 5.3: "An endpoint MUST NOT reject a ClientHello that offers a cipher suite that it does not support, or it would
	// be impossible to deploy a new cipher suite."
	x := newExchange(t, true)
	hello := x.pending[wire.InitialSpace]
	at := 4 + 2 + 32 // type and length, version, random
	at += 1 + int(hello[at])
	n := binary.BigEndian.Uint16(hello[at:])
	hello = slices.Insert(slices.Clone(hello), at+2, 0x13, 0x99)
	binary.BigEndian.PutUint16(hello[at:], n+2)
	total := len(hello) - 4
	hello[1], hello[2], hello[3] = byte(total>>16), byte(total>>8), byte(total)
	x.pending[wire.InitialSpace] = hello
	for len(x.pending[wire.InitialSpace]) > 0 {
		x.conn.Receive(x.now, Datagram{Payload: x.packet(wire.InitialSpace, x.crypto(wire.InitialSpace)), Path: x.path})
	}
	if x.conn.Err() != nil || x.conn.spaces[wire.HandshakeSpace].write == nil {
		t.Errorf("it is not answered with a ServerHello: %v", x.conn.Err())
	}
}

func TestAForgedKeyPhaseCostsNoMoreThanAnyForgery(t *testing.T) {
	// Rules: 9001:6.3/1, 9001:6.3/2, 9001:9.5/3
	// RFC 9001, section 6.3: "Endpoints responding to an apparent key update MUST NOT generate a timing side-channel signal that might
	// indicate that the Key Phase bit was invalid". What would take time is the making of keys, which also takes memory.
	x := newExchange(t, true).handshake()
	cost := func(phase bool) float64 {
		x.phase = phase
		b := x.packet(wire.AppSpace, ping, make([]byte, 40))
		x.phase = false
		b[len(b)-1] ^= 1
		buf := make([]byte, len(b))
		d := Datagram{Payload: buf, Path: x.path}
		return testing.AllocsPerRun(100, func() {
			copy(buf, b)
			x.conn.Receive(x.now, d)
		})
	}
	before := x.conn.phase.forgeries
	right, wrong := cost(false), cost(true)
	if got := x.conn.phase.forgeries - before; got != 202 {
		t.Fatalf("%d forgeries", got)
	}
	if right != wrong {
		t.Errorf("a forgery of this phase costs %v allocations, one of the next %v", right, wrong)
	}
	for _, phase := range []bool{false, true} {
		x.advance(5 * time.Second)
		x.receive(wire.AppSpace, ping)
		x.conn.phase.rest(&x.conn.spaces[wire.AppSpace])
		if cost(phase); x.conn.phase.nextRead == nil {
			t.Errorf("after a rest, a forgery with the phase bit %v makes no keys, which the other does", phase)
		}
	}
}

func TestDuplicatesAreLookedForInsideTheProtection(t *testing.T) {
	// Rules: 9000:12.3/5
	// RFC 9000, section 12.3: "Duplicate suppression MUST happen after removing packet protection for the reasons described in Section
	// 9.5 of [QUIC-TLS]."
	x := newExchange(t, true).handshake()
	b := x.packet(wire.AppSpace, ping, make([]byte, 40))
	forged := bytes.Clone(b)
	forged[len(forged)-1] ^= 1
	x.receiveDatagram(bytes.Clone(b))
	before := x.conn.phase.forgeries
	x.receiveDatagram(b)
	if x.conn.phase.forgeries != before {
		t.Error("a duplicate counts as a forgery")
	}
	x.receiveDatagram(forged)
	if x.conn.phase.forgeries != before+1 {
		t.Error("a forgery with the number of a packet that was received is taken for a duplicate")
	}
}

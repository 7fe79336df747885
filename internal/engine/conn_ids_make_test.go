package engine

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// lengthy makes random IDs of a length.
type lengthy int

func (n lengthy) Len() int        { return int(n) }
func (n lengthy) Generate([]byte) {}

// counting makes the IDs 0, 1, 2 and so on, of one byte, in a circle.
type counting struct{ next, circle byte }

func (g *counting) Len() int { return 1 }

func (g *counting) Generate(id []byte) {
	id[0] = g.next
	g.next = (g.next + 1) % g.circle
}

func TestConnectionIDsHaveTheLengthOfTheirGenerator(t *testing.T) {
	// Rules: 9000:19.15/2
	preferred := netip.MustParseAddrPort("192.0.2.3:444")
	for _, client := range []int{0, 1, 4, 20} {
		for _, server := range []int{1, 7, 20} {
			t.Run(fmt.Sprintf("client %d, server %d", client, server), func(t *testing.T) {
				p := newPair(t, &Config{IDConfig: IDConfig{IDs: lengthy(client)}}, &Config{IDConfig: IDConfig{IDs: lengthy(server)}, PreferredV4: preferred})
				p.acceptor.IDs, p.acceptor.Tokens = lengthy(server), testTokens
				p.retries, p.acceptor.Validation = true, ValidateAlways
				p.handshake()
				p.until("the client moves to the preferred address and has IDs to spare", func() bool {
					return p.client.Path().Remote == preferred && p.server.Path().Local == preferred && len(p.client.ids.remote) == maxRemoteIDs
				})
				for _, r := range p.client.ids.remote {
					if r.id.Len() != server {
						t.Errorf("the server gave ID %v", r.id)
					}
				}
				for _, r := range p.server.ids.remote {
					if r.id.Len() != client {
						t.Errorf("the client gave ID %v", r.id)
					}
				}
				if n := len(p.server.ids.remote); client == 0 && n != 1 {
					t.Errorf("the client, whose ID is empty, gave %d", n)
				}
				id, _ := p.client.Open(p.now, false)
				p.client.Write(p.now, id, make([]byte, 5000))
				p.until("bytes arrive", func() bool {
					return p.server.streams.byID[id] != nil && p.server.streams.byID[id].recv.contiguous() == 5000
				})
			})
		}
	}
}

func TestAnEmptyIDIsNotRetired(t *testing.T) {
	// Rules: 9000:19.16/3
	// RFC 9000, section 19.16: "An endpoint that provides a zero-length connection ID MUST treat receipt of a
	// RETIRE_CONNECTION_ID frame as a connection error of type PROTOCOL_VIOLATION."
	x := newExchange(t, false, withConfig(func(c *Config) { c.IDs = lengthy(0) })).handshake()
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 0))
	x.wantClose("the retirement of an empty ID", wire.ProtocolViolation)
}

func TestAnIDThatLeadsElsewhereIsNotTaken(t *testing.T) {
	taken := map[byte]bool{1: true, 2: true}
	claim := func(id wire.ConnID) bool {
		b := id.Bytes()[0]
		ok := !taken[b]
		taken[b] = true
		return ok
	}
	for _, c := range []struct {
		sentence string
		circle   byte
		want     []byte // the IDs that the peer gets, who takes four
	}{
		{"those that are taken are passed over", 200, []byte{0, 3, 4, 5}},
		{"a generator that repeats itself gives fewer", 5, []byte{0, 3, 4}},
		{"one that has nothing new gives no connection", 1, nil},
	} {
		taken = map[byte]bool{1: true, 2: true, 0: c.want == nil}
		config := Config{IDConfig: IDConfig{IDs: &counting{circle: c.circle}, ClaimID: claim}, TLS: serverTLS()}
		in := Incoming{Path: Path{Local: serverAddr, Remote: clientAddr}, DstID: wire.MakeConnID([]byte("original")), SrcID: peerID(0)}
		conn, err := NewServer(1e9, &config, in)
		if c.want == nil {
			if err == nil {
				t.Errorf("%s: %v", c.sentence, conn.ids.local)
			}
			if _, err := NewClient(1e9, &Config{IDConfig: config.IDConfig, TLS: clientTLS()}, in.Path); err == nil {
				t.Errorf("%s, to a client", c.sentence)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		conn.peer.ActiveConnIDLimit = 100
		conn.ids.issue(conn)
		var got []byte
		for _, l := range conn.ids.local {
			got = append(got, l.id.Bytes()...)
		}
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.sentence, got, c.want)
		}
	}
}

func TestTheLastIDIsNotGivenUpWithoutAnother(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.conn.config.ClaimID = func(wire.ConnID) bool { return false }
	ids := &x.conn.ids
	x.dst = ids.local[1].id
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 0))
	x.wantNothing("one is left")
	ids.first, ids.routed = wire.MakeConnID([]byte("original")), true // so that a packet may say so that was not sent to it
	x.dst = ids.first
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 1))
	x.wantClose("when that is given up too", wire.InternalError)
}

func TestARetryAsksForAnotherIDThanTheClients(t *testing.T) {
	// Rules: 9000:17.2.5.1/1
	a := Acceptor{Server: true, Tokens: testTokens, Validation: ValidateAlways, IDs: lengthy(8)}
	reply := make([]byte, 1200)
	ask := func(dst string, random uint64) (string, Verdict) {
		v := a.Receive(5e9, Datagram{Payload: firstInitial(dst, "", true), Path: Path{Remote: clientAddr}}, reply, random)
		h, _ := wire.ConsumeLongHeader(reply[:v.Size])
		return string(h.SrcID), v
	}
	first, _ := ask("original", 5)
	if second, _ := ask(first, 5); second == first || len(second) != 8 {
		t.Errorf("asked for the ID that it has, a client is asked for %x again", second)
	}
	a.IDs = constant("original")
	if _, v := ask("original", 5); v.Kind != Drop || v.Reason != DropNoID {
		t.Errorf("a generator that has only the client's: %+v", v)
	}
}

type constant string

func (c constant) Len() int           { return len(c) }
func (c constant) Generate(id []byte) { copy(id, c) }

func TestResetTokensAreOfTheWholeID(t *testing.T) {
	// Rules: 9000:10.3.2/2
	for _, n := range []int{1, 8, 18, 20} {
		a := Acceptor{Server: true, IDs: lengthy(n), ResetKey: [32]byte{4}}
		payload := append([]byte{0x40}, bytes.Repeat([]byte{9}, 100)...)
		reply := make([]byte, 1200)
		v := a.Receive(0, Datagram{Payload: payload}, reply, 3)
		if token := a.ResetKey.Token(payload[1 : 1+n]); v.Kind != Reply || !bytes.Equal(reply[v.Size-16:v.Size], token[:]) {
			t.Errorf("IDs of %d bytes: %+v", n, v)
		}
	}
	client := Acceptor{IDs: lengthy(0)}
	if v := client.Receive(0, Datagram{Payload: make([]byte, 100)}, make([]byte, 1200), 3); v.Kind != Drop {
		t.Errorf("a client without IDs answers with %+v", v)
	}
}

func TestAStationaryPeerHasOneID(t *testing.T) {
	x := newExchange(t, true, withConfig(func(c *Config) { c.OneID = true })).handshake()
	if n := len(x.conn.ids.local); n != 1 || !x.learned.DisableActiveMigration {
		t.Errorf("it has %d IDs and may migrate: %v", n, !x.learned.DisableActiveMigration)
	}
	x.conn.RenewIDs(x.now)
	x.drain()
	list := x.given()
	if len(list) != 1 || list[0].RetirePriorTo != 1 {
		t.Fatalf("renewed, it is given %+v", list)
	}
	x.dst = list[0].ID
	x.receive(wire.AppSpace, wire.AppendRetireConnectionID(nil, 0))
	x.wantNothing("and no more")
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping, make([]byte, 500)))
	if x.conn.Path().Remote != elsewhere {
		t.Error("it is not followed when a NAT moves it")
	}
}

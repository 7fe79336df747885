package engine

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

var (
	newPort  = Path{Local: netip.MustParseAddrPort("192.0.2.1:50009"), Remote: serverAddr}
	newLocal = Path{Local: netip.MustParseAddrPort("203.0.113.9:50000"), Remote: serverAddr}
)

// withEmptyID gives the peer a zero-length connection ID, as browsers have.
func withEmptyID(x *exchange, _ *Config) {
	x.src, x.params.InitialSrcID = wire.ConnID{}, []byte{}
}

// on hands the connection a packet that came over a path, and forgets what was sent before.
func (x *exchange) on(p Path, frames ...[]byte) {
	x.t.Helper()
	x.queue, x.sizes, x.paths, x.dsts = nil, nil, nil, nil
	x.conn.Receive(x.now, Datagram{Payload: x.packet(wire.AppSpace, frames...), Path: p})
	x.drain()
}

// migrates asks the connection to migrate and returns the data of its challenge.
func (x *exchange) migrates(to Path) []byte {
	x.t.Helper()
	x.queue, x.sizes, x.paths, x.dsts = nil, nil, nil, nil
	if err := x.conn.Migrate(x.now, to); err != nil {
		x.t.Fatal(err)
	}
	x.drain()
	return x.challenge("the new path is probed")
}

// acks makes an ACK frame for all that was heard.
func (x *exchange) acks() []byte { return wire.AppendAck(nil, wire.Ack{}, x.seen[wire.AppSpace], 1000) }

func TestAClientMovesToAPathThatAnswers(t *testing.T) {
	// Rules: 9000:5.1.2/1, 9000:9.5/1
	// RFC 9000, sections 9.1 and 9.2.
	for _, c := range []struct {
		to   Path
		kept bool // section 9.4
	}{{newPort, true}, {newLocal, false}} {
		x := newExchange(t, false).handshake()
		x.receive(wire.AppSpace, newID(1, 0), newID(2, 0))
		x.advance(30 * time.Millisecond)
		before := x.conn.ledger.Controller()
		data := x.migrates(c.to)
		if x.paths[0] != c.to || x.sizes[0] != minDatagramSize || x.dsts[0] != idBytes(peerID(1)) {
			t.Errorf("probed with %d bytes on %v to ID %x", x.sizes[0], x.paths[0], x.dsts[0])
		}
		x.on(x.path, ping, ping, ping)
		x.advance(30 * time.Millisecond)
		if x.conn.Path().Local != clientAddr || x.paths[0].Local != clientAddr || x.dsts[0] != idBytes(x.src) {
			t.Error("before it answers, it is used")
		}
		x.on(c.to, response([]byte("wrong!!!")))
		if x.conn.Path() == c.to {
			t.Fatal("a wrong answer moves the connection")
		}
		x.on(c.to, response(data), x.acks())
		if x.conn.Path() != c.to || x.paths[0] != c.to || x.dsts[0] != idBytes(peerID(1)) {
			t.Fatalf("after the answer the path is %v, and sent is on %v to ID %x", x.conn.Path(), x.paths, x.dsts)
		}
		var said []string
		for _, f := range x.queue {
			said = append(said, f.text)
		}
		if all := strings.Join(said, ", "); !strings.Contains(all, "retire_connection_id 0") {
			t.Errorf("it says %s", all)
		}
		x.wantEvent("the application may learn of it", EventPathChanged)
		if kept := x.conn.ledger.Controller() == before; kept != c.kept || x.conn.Stats().PathChanges != 1 {
			t.Errorf("moved to %v: the congestion state is kept: %v", c.to, kept)
		}
		// The server, which validates the path too, is answered there, and its late packets on the old one are read.
		x.on(c.to, challengeFrame(), make([]byte, 1100))
		x.wantAmong("the server's challenge is answered", "path_response 0102030405060708")
		received := x.conn.Stats().PacketsReceived
		if x.on(x.path, ping); x.conn.Stats().PacketsReceived != received+1 || x.conn.Path() != c.to {
			t.Error("a late packet on the old path")
		}
	}
}

func TestAPathThatDoesNotAnswerIsNotTaken(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.receive(wire.AppSpace, newID(1, 0))
	window := x.conn.Stats().Window
	first := x.migrates(newLocal)
	if err := x.conn.Migrate(x.now, newPort); err != ErrMigrateBusy {
		t.Errorf("a second migration meanwhile: %v", err)
	}
	seen := map[string]bool{string(first): true}
	count := 1
	for range 40 {
		x.queue = nil
		x.advance(100 * time.Millisecond)
		for _, f := range x.queue {
			if strings.HasPrefix(f.text, "path_challenge") {
				seen[f.text] = true
				count++
			}
		}
		x.conn.ids.retire = x.conn.ids.retire[:0]
		x.receive(wire.AppSpace, ping)
	}
	if count < 2 || count > maxChallenges || len(seen) != count {
		t.Errorf("%d challenges were sent, %d different ones", count, len(seen))
	}
	x.wantEvent("the application learns of it", EventMigrationFailed)
	if x.conn.Path().Local != clientAddr || x.conn.Stats().Window < window {
		t.Errorf("the path is %v, the window %d of %d", x.conn.Path(), x.conn.Stats().Window, window)
	}
	if len(x.conn.ids.remote) != 1 || !x.conn.ids.retired.Contains(1) {
		t.Errorf("the ID of the path is kept: %v", x.conn.ids.remote)
	}
}

func TestWhatMigrateRefuses(t *testing.T) {
	// Rules: 9000:9/1, 9000:9/2, 9000:18.2/3
	server := newExchange(t, true).handshake()
	early := newExchange(t, false)
	none := newExchange(t, false).handshake()
	disabled := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.DisableActiveMigration = true })).handshake()
	disabled.receive(wire.AppSpace, newID(1, 0))
	for _, c := range []struct {
		name string
		x    *exchange
		want error
	}{
		{"a server", server, ErrMigrateServer},
		{"a client in its handshake", early, ErrMigrateEarly},
		{"a client without an ID to spare", none, ErrMigrateNoID},
		{"a client whose server forbids it", disabled, ErrMigrateDisabled},
	} {
		if err := c.x.conn.Migrate(c.x.now, newPort); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestAClientMovesThoughTheServersIDIsEmpty(t *testing.T) {
	x := newExchange(t, false, withEmptyID).handshake()
	data := x.migrates(newLocal)
	x.on(newLocal, response(data), x.acks())
	if x.conn.Path() != newLocal || x.conn.Err() != nil {
		t.Errorf("the path is %v: %v", x.conn.Path(), x.conn.Err())
	}
}

func TestAMovedPathHasAConnectionIDOfItsOwn(t *testing.T) {
	// Rules: 9000:5.1.2/1, 9000:9.5/2
	// RFC 9000, section 9.5.
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, newID(1, 0), newID(2, 0))
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping, make([]byte, 500)))
	data := x.challenge("the new address is challenged")
	for i, id := range x.dsts {
		if want := map[bool]string{true: idBytes(peerID(1)), false: idBytes(x.src)}[x.paths[i].Remote == elsewhere]; id != want {
			t.Errorf("sent to ID %x at %v", id, x.paths[i].Remote)
		}
	}
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, response(data), x.acks()))
	x.wantAmong("the ID of the path that was left is given up", "retire_connection_id 0")
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, newID(3, 0), newID(0, 0)[:0], x.acks()))
	x.receiveFrom(otherPort, x.packet(wire.AppSpace, ping, make([]byte, 500)))
	if got := x.conn.ids.remoteID(); got != peerID(2) {
		t.Errorf("moved again, it uses ID %v", got)
	}
	x.advance(5 * time.Second)
	if x.conn.Path().Remote != elsewhere || x.conn.ids.remoteID() != peerID(1) || !x.conn.ids.retired.Contains(2) {
		t.Errorf("back at %v it uses ID %v", x.conn.Path().Remote, x.conn.ids.remoteID())
	}
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, newID(2, 0), x.acks()))
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, newID(2, 0)))
	for _, r := range x.conn.ids.remote {
		if r.id == peerID(2) {
			t.Error("a repetition brings an ID back that was given up")
		}
	}
}

func TestAClientWithAnEmptyIDIsFollowed(t *testing.T) {
	x := newExchange(t, true, withEmptyID).handshake()
	for _, to := range []netip.AddrPort{otherPort, elsewhere} {
		x.receiveFrom(to, x.packet(wire.AppSpace, ping, make([]byte, 500)))
		data := x.challenge("the new address is challenged")
		x.receiveFrom(to, x.packet(wire.AppSpace, response(data), x.acks()))
		if x.conn.Path().Remote != to || !x.conn.path.validated || x.conn.Err() != nil {
			t.Errorf("the path is %v, %v", x.conn.Path(), x.conn.Err())
		}
		x.wantNothing("there is no ID to give up")
	}
}

func TestAClientThatProbedBeforeItMovedWaitsForNothing(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, newID(1, 0), newID(2, 0))
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, challengeFrame(), make([]byte, 1150)))
	x.want("the probe is answered", wire.AppSpace, "path_response 0102030405060708")
	data := x.challenge("and the address challenged along with it")
	if x.paths[0].Remote != elsewhere || x.dsts[0] != idBytes(peerID(1)) {
		t.Errorf("sent to %v, ID %x", x.paths, x.dsts)
	}
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, response(data)))
	if x.conn.Path().Remote != clientAddr {
		t.Fatal("an answer is a probe still")
	}
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping, x.acks()))
	if x.conn.Path().Remote != elsewhere || !x.conn.path.validated || x.conn.ids.remoteID() != peerID(1) {
		t.Errorf("the path is %v, validated: %v", x.conn.Path(), x.conn.path.validated)
	}
	if !slices.ContainsFunc(x.paths, func(p Path) bool { return p.Remote == clientAddr }) {
		t.Error("the path that was left is not challenged", x.paths)
	}
	x.advance(5 * time.Second)
	if x.conn.Path().Remote != elsewhere {
		t.Error("later it is given up")
	}
}

func TestEveryChallengeIsAnother(t *testing.T) {
	// Rules: 9000:8.2.1/2, 9000:8.2.1/3, 9000:9.4/3
	// RFC 9000, section 13.3: they are sent "until a matching PATH_RESPONSE frame is received". Here all arrive, and the
	// answers are lost but for the first, which comes last.
	x := newExchange(t, true).handshake()
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping, make([]byte, 1100)))
	first := x.challenge("the new address is challenged")
	seen := map[string]bool{string(first): true}
	for range 28 {
		x.receiveFrom(elsewhere, x.packet(wire.AppSpace, x.acks()))
		x.advance(100 * time.Millisecond)
		for _, f := range x.queue {
			if strings.HasPrefix(f.text, "path_challenge") {
				seen[string(f.raw[1:])] = true
			}
		}
	}
	if n := len(seen); n < 2 || n > maxChallenges {
		t.Errorf("%d challenges in 2.8 s", n)
	}
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, response(first)))
	if !x.conn.path.validated {
		t.Error("the answer to the first is not taken")
	}
}

func TestARebindingDeclaresNothingLost(t *testing.T) {
	x := newExchange(t, true).handshake()
	id := x.open()
	x.conn.Write(x.now, id, make([]byte, 10000))
	x.drain()
	before, stats := x.conn.ledger.Controller(), x.conn.Stats()
	x.receiveFrom(otherPort, x.packet(wire.AppSpace, ping, make([]byte, 1100)))
	data := x.challenge("the new port is challenged")
	x.advance(40 * time.Millisecond)
	x.receiveFrom(otherPort, x.packet(wire.AppSpace, response(data), x.acks()))
	after := x.conn.Stats()
	if x.conn.ledger.Controller() != before || after.PacketsLost != 0 || after.Window < stats.Window || after.PTOCount != 0 {
		t.Errorf("before %+v\nafter %+v", stats, after)
	}
	if end := x.conn.streams.byID[id].send.buf.start; end != 10000 {
		t.Errorf("%d bytes of 10000 are acknowledged", end)
	}
}

func TestRetiredRangesAreBounded(t *testing.T) {
	x := newExchange(t, true).handshake()
	for i := range int64(100) {
		x.conn.ids.remote = append(x.conn.ids.remote, remoteID{seq: 10 * (i + 1), id: peerID(i), used: true, path: newLocal})
		x.conn.retireIDs()
		x.conn.ids.retire = x.conn.ids.retire[:0]
	}
	if n := len(x.conn.ids.retired); n > maxRetiredRanges || len(x.conn.ids.remote) != 1 {
		t.Errorf("%d ranges, %d IDs", n, len(x.conn.ids.remote))
	}
}

func TestAddressesThatChangeFasterThanTheyAreAcknowledgedCostNoConnection(t *testing.T) {
	x := newExchange(t, true).handshake()
	for i := range 100 {
		from := netip.AddrPortFrom(elsewhere.Addr(), uint16(1000+i))
		x.receiveFrom(from, x.packet(wire.AppSpace, newID(int64(i+1), 0)[:0], ping, make([]byte, 500)))
		if len(x.conn.ids.remote) < maxRemoteIDs {
			x.receiveFrom(from, x.packet(wire.AppSpace, newID(int64(i+1), 0)))
		}
	}
	if x.conn.Err() != nil || len(x.conn.ids.retire) > maxRetiring/2 {
		t.Errorf("%d retirements wait: %v", len(x.conn.ids.retire), x.conn.Err())
	}
}

func TestThePreferredAddressIsFollowed(t *testing.T) {
	// Rules: 9000:9.6.1/1, 9000:9.6.1/2, 9000:9.6.1/3, 9000:9.6.2/1, 9000:21.5.3/1
	// RFC 9000, section 9.6.1.
	preferred := netip.MustParseAddrPort("192.0.2.3:444")
	with := func(v4 netip.AddrPort) option {
		return withParams(func(p *wire.TransportParams) {
			p.DisableActiveMigration = true // "does not prohibit connection migration after a client has acted on a preferred_address"
			p.PreferredAddress = &wire.PreferredAddress{
				V4: v4, V6: netip.MustParseAddrPort("[2001:db8::1]:444"), ID: peerID(1), ResetToken: resetToken(1),
			}
		})
	}
	to := Path{Local: clientAddr, Remote: preferred}
	x := newExchange(t, false, with(preferred))
	x.playHandshake()
	data := x.challenge("it is probed")
	if last := len(x.paths) - 1; x.paths[last] != to && x.paths[last-1] != to {
		t.Errorf("sent on %v", x.paths)
	}
	x.on(to, response(data), x.acks())
	if x.conn.Path() != to || x.conn.ids.remoteID() != peerID(1) {
		t.Fatalf("the path is %v", x.conn.Path())
	}
	x.receive(wire.AppSpace, newID(2, 0))
	if err := x.conn.Migrate(x.now, Path{Local: newLocal.Local, Remote: preferred}); err != nil {
		t.Errorf("a migration from there: %v", err)
	}

	x = newExchange(t, false, with(preferred))
	x.playHandshake()
	x.advance(10 * time.Second)
	if x.conn.Path().Remote != serverAddr || x.conn.Err() != nil {
		t.Errorf("without an answer the path is %v: %v", x.conn.Path(), x.conn.Err())
	}
	x = newExchange(t, false, with(netip.AddrPort{}))
	x.playHandshake()
	x.advance(10 * time.Second)
	for _, p := range x.paths {
		if p.Remote != serverAddr {
			t.Errorf("only one of the other IP version is offered, and %v is sent to", p.Remote)
		}
	}
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "path_challenge") {
			t.Error("a path is probed")
		}
	}
}

func TestWhichPreferredAddressIsFollowed(t *testing.T) {
	// RFC 9000, sections 9.6.1 and 21.5.6.
	for _, c := range []struct{ at, v4, v6, want string }{
		{"192.0.2.2:443", "192.0.2.3:444", "[2001:db8::3]:444", "192.0.2.3:444"},
		{"[2001:db8::2]:443", "192.0.2.3:444", "[2001:db8::3]:444", "[2001:db8::3]:444"},
		{"[::ffff:192.0.2.2]:443", "192.0.2.3:444", "[2001:db8::3]:444", "192.0.2.3:444"},
		{"192.0.2.2:443", "", "[2001:db8::3]:444", ""},
		{"[2001:db8::2]:443", "192.0.2.3:444", "", ""},
		{"192.0.2.2:443", "0.0.0.0:444", "", ""},
		{"192.0.2.2:443", "192.0.2.3:0", "", ""},
		{"192.0.2.2:443", "224.0.0.1:444", "", ""},
		{"192.0.2.2:443", "255.255.255.255:444", "", ""},
		{"192.0.2.2:443", "127.0.0.1:444", "", ""},
		{"[2001:db8::2]:443", "", "[::1]:444", ""},
		{"[2001:db8::2]:443", "", "[fe80::1]:444", ""},
		{"[fe80::2]:443", "", "[fe80::1]:444", ""}, // of which link?
		{"192.0.2.2:443", "169.254.1.2:444", "", ""},
		{"169.254.1.1:443", "169.254.1.2:444", "", "169.254.1.2:444"},
		{"127.0.0.1:443", "127.0.0.2:444", "", "127.0.0.2:444"},
		{"127.0.0.1:443", "192.0.2.3:444", "", "192.0.2.3:444"},
		{"192.0.2.2:443", "10.0.0.1:444", "", "10.0.0.1:444"},
	} {
		parse := func(s string) (a netip.AddrPort) {
			if s != "" {
				a = netip.MustParseAddrPort(s)
			}
			return a
		}
		var conn Conn
		conn.path.Remote = parse(c.at)
		conn.peer.PreferredAddress = &wire.PreferredAddress{V4: parse(c.v4), V6: parse(c.v6)}
		if got := conn.preferred(); got != parse(c.want) {
			t.Errorf("a server at %s prefers %q or %q: followed is %v", c.at, c.v4, c.v6, got)
		}
		conn.server = true
		if got := conn.preferred(); got.IsValid() {
			t.Error("a server follows")
		}
	}
}

func TestAPreferredAddressIsOffered(t *testing.T) {
	// Rules: 9000:9.6.2/3
	preferred := netip.MustParseAddrPort("192.0.2.3:444")
	x := newExchange(t, true, withConfig(func(c *Config) { c.PreferredV4 = preferred })).handshake()
	a := x.learned.PreferredAddress
	if a == nil || a.V4 != preferred || a.V6.IsValid() || a.ID != x.conn.ids.local[1].id {
		t.Fatalf("offered is %+v", a)
	}
	if n := len(x.conn.ids.local); n != 2 {
		t.Errorf("the client, who takes two IDs, has %d", n)
	}
	there := Path{Local: preferred, Remote: clientAddr}
	x.dst = a.ID
	x.receive(wire.AppSpace, newID(1, 0))
	x.on(there, challengeFrame(), make([]byte, 1150))
	x.want("a probe is answered from there", wire.AppSpace, "path_response 0102030405060708")
	if x.paths[0] != there {
		t.Errorf("sent on %v", x.paths)
	}
	data := x.challenge("and challenged from there")
	x.on(there, response(data))
	x.on(there, ping)
	if x.conn.Path() != there || !x.conn.path.validated {
		t.Errorf("the path is %v", x.conn.Path())
	}
}

func idBytes(id wire.ConnID) string { return string(id.Bytes()) }

func TestWhatARebindingLosesIsNoCongestion(t *testing.T) {
	// A NAT that has forgotten the old port drops what is on its way there.
	x := newExchange(t, true).handshake()
	id := x.open()
	x.conn.Write(x.now, id, make([]byte, 10000))
	x.drain()
	window := x.conn.Stats().Window
	moved := x.conn.ledger.Next(wire.AppSpace)
	x.receiveFrom(otherPort, x.packet(wire.AppSpace, ping, make([]byte, 1100)))
	data := x.challenge("the new port is challenged")
	x.seen[wire.AppSpace].Sub(2, moved)
	x.receiveFrom(otherPort, x.packet(wire.AppSpace, response(data), x.acks()))
	x.advance(100 * time.Millisecond)
	if s := x.conn.Stats(); s.PacketsLost < 5 || s.Window < window {
		t.Errorf("%d packets were lost, and of a window of %d is left %d", s.PacketsLost, window, s.Window)
	}
}

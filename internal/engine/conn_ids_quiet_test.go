package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/wire"
)

func TestAfterAQuietPeriodAClientGoesOnWithAnotherID(t *testing.T) {
	// RFC 9000, section 9.5: "A client might wish to reduce linkability by switching to a new connection ID [...] when sending
	// traffic after a period of inactivity."
	empty := withEmptyID
	short := withConfig(func(c *Config) { c.IDs = lengthy(0) })
	alive := withConfig(func(c *Config) { c.KeepAlive = 20 * time.Second })
	for _, c := range []struct {
		sentence string
		options  []option
		given    int // how many IDs the server has given besides the first
		before   func(x *exchange)
		silence  time.Duration
		changes  bool
	}{
		{"it does", nil, 3, nil, quietPeriod, true},
		{"with one left to spare", nil, 2, nil, quietPeriod, true},
		{"not when none would be left for another path", nil, 1, nil, quietPeriod, false},
		{"not with none at all", nil, 0, nil, quietPeriod, false},
		{"not after a shorter silence", nil, 3, nil, quietPeriod - time.Second, false},
		{"not when the server's ID is empty", []option{empty}, 0, nil, quietPeriod, false},
		{"also when its own is", []option{short}, 3, nil, quietPeriod, true},
		{"not when the server spoke first: the path is as it was", nil, 3, func(x *exchange) { x.receive(wire.AppSpace, ping) }, 0, false},
		{"not for what the server has not acknowledged", nil, 3, func(x *exchange) {
			x.acking = false
			x.conn.Write(x.now, x.open(), []byte("lost"))
			x.drain()
		}, quietPeriod, false},
		{"not while it probes another path", nil, 3, func(x *exchange) {
			x.conn.path.move.begin(x.conn, x.now, newLocal)
			x.conn.path.move.check.deadline = x.now.Add(time.Hour)
			x.drain()
			x.ack(wire.AppSpace)
			x.now = x.now.Add(100 * time.Millisecond)
		}, quietPeriod, false},
		{"not when it is kept alive", []option{alive}, 3, nil, quietPeriod, false},
		{"not when the server would be left without one to spare", nil, 3, func(x *exchange) { x.conn.ids.local = x.conn.ids.local[:1] }, quietPeriod, false},
		{"not when the server acknowledges no retirements", nil, 3, func(x *exchange) {
			x.conn.ids.retire = make([]retirement, maxRetiring/2)
		}, quietPeriod, false},
	} {
		x := newExchange(t, false, c.options...).handshake()
		for seq := 1; seq <= c.given; seq++ {
			x.receive(wire.AppSpace, newID(int64(seq), 0))
		}
		x.advance(100 * time.Millisecond)
		if c.silence == 0 {
			x.now = x.now.Add(quietPeriod)
		}
		if c.before != nil {
			c.before(x)
		}
		for end := x.now.Add(c.silence); x.now < end; {
			if x.advance(min(end.Sub(x.now), 7*time.Second)); c.options != nil && x.conn.config.KeepAlive > 0 {
				x.ack(wire.AppSpace) // of the PING
			}
		}
		x.queue, x.dsts = nil, nil
		first := x.conn.ids.remoteID()
		x.conn.Write(x.now, x.open(), []byte("good morning"))
		x.drain()
		if changed := x.conn.ids.remoteID() != first; changed != c.changes || len(x.dsts) == 0 {
			t.Errorf("%s: changed %v", c.sentence, changed)
			continue
		}
		if !c.changes {
			continue
		}
		for _, dst := range x.dsts {
			if dst != idBytes(peerID(1)) {
				t.Errorf("%s: sent to ID %x", c.sentence, dst)
			}
		}
		if x.conn.Err() != nil || x.conn.Stats().PathChanges != 0 || x.conn.path.check.active() {
			t.Errorf("%s: the path is another: %v", c.sentence, x.conn.Err())
		}
		x.wantAmong("the one before is retired in the same packet", "retire_connection_id 0")
	}
}

func TestAServerKeepsTheIDOfItsClient(t *testing.T) {
	x := newExchange(t, true).handshake()
	for seq := int64(1); seq < maxRemoteIDs; seq++ {
		x.receive(wire.AppSpace, newID(seq, 0))
	}
	x.advance(25 * time.Second)
	x.conn.Write(x.now, x.open(), []byte("good morning"))
	if x.drain(); x.conn.ids.remoteID() != x.src {
		t.Errorf("it uses ID %v", x.conn.ids.remoteID())
	}
}

func TestTheResetTokenOfTheOtherIDIsWatchedFor(t *testing.T) {
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.HasResetToken, p.ResetToken = true, resetToken(100) }))
	x.playHandshake()
	x.receive(wire.AppSpace, newID(1, 0), newID(2, 0))
	x.ack(wire.AppSpace)
	x.advance(25 * time.Second)
	x.conn.Write(x.now, x.open(), []byte("good morning"))
	x.drain()
	if got := x.tokens(); len(got) != 1 || got[0] != resetToken(1) {
		t.Errorf("%x is watched for", got)
	}
}

// A client is silent, and its NAT gives it another address meanwhile: nobody who sees all packets finds a connection ID that
// both addresses have in common, in either direction. It goes on so for an hour.
func TestNoConnectionIDLinksTheAddressesBeforeAndAfterASilence(t *testing.T) {
	config := func() *Config { return &Config{MaxIdleTimeout: time.Hour} }
	p := newPair(t, config(), config())
	address := clientAddr
	seen := map[string]netip.AddrPort{} // who an ID was seen with
	rebound := false
	p.rewrite = func(d *Datagram) bool {
		toServer := d.Path.Local == serverAddr
		if toServer {
			d.Path.Remote = address
		} else if d.Path.Local != address && rebound {
			return false // the binding is gone
		} else {
			d.Path.Local = clientAddr
		}
		if d.Payload[0]&0x80 != 0 {
			return true
		}
		id := fmt.Sprintf("%v %x", toServer, d.Payload[1:1+DefaultIDLen])
		if with, ok := seen[id]; ok && with != address {
			t.Errorf("the ID %s is seen with %v and %v", id, with, address)
		}
		seen[id] = address
		return true
	}
	p.handshake()
	id, _ := p.client.Open(p.now, false)
	total := int64(0)
	for i := range 120 {
		if p.settled(); i > 0 {
			rebound = true
			address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), uint16(1000+i))
		}
		p.now = p.now.Add(30 * time.Second)
		total += 100
		p.client.Write(p.now, id, []byte(strings.Repeat("x", 100)))
		p.until("the bytes arrive", func() bool {
			s := p.server.streams.byID[id]
			return s != nil && s.recv.contiguous() == total
		})
	}
	if n := p.server.Stats().PathChanges; n < 119 || len(seen) < 2*120 {
		t.Errorf("%d changes, %d IDs", n, len(seen))
	}
}

// settled lets everything happen that happens by itself within a few seconds.
func (p *pair) settled() {
	for end := p.now.Add(5 * time.Second); ; p.step() {
		p.drain(p.client)
		p.drain(p.server)
		next := instant.Earliest(p.client.Deadline(), p.server.Deadline())
		if len(p.inFlight) > 0 {
			next = instant.Earliest(next, p.inFlight[0].at)
		}
		if next.IsNever() || next > end {
			break
		}
	}
}

package engine

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

var preferredHere = netip.MustParseAddrPort("192.0.2.3:444")

// preferring is a server with a preferred address, and the path to it from the same client.
func preferring(t *testing.T) (*exchange, Path) {
	x := newExchange(t, true, withConfig(func(c *Config) { c.PreferredV4 = preferredHere })).handshake()
	x.receive(wire.AppSpace, newID(1, 0))
	x.advance(100 * time.Millisecond)
	x.dst = x.learned.PreferredAddress.ID
	return x, Path{Local: preferredHere, Remote: clientAddr}
}

// sentOn returns the frames that went over a path since the last datagram was handed in. Each datagram is one packet.
func (x *exchange) sentOn(p Path) (all []string) {
	packet, number := -1, int64(-1)
	for _, f := range x.queue {
		if f.number != number {
			packet, number = packet+1, f.number
		}
		if x.paths[packet] == p {
			all = append(all, strings.Fields(f.text)[0])
		}
	}
	return all
}

func TestAServerStaysAtItsOriginalAddressUntilThePreferredOneIsValidated(t *testing.T) {
	// Rules: 9000:9.6.2/2, 9000:9.6.2/3
	for _, answerOn := range []string{"there", "here"} {
		x, there := preferring(t)
		here := x.conn.Path()
		id := x.open()
		x.conn.Write(x.now, id, make([]byte, 2000))
		x.on(there, ping)
		if got := x.sentOn(there); len(got) != 1 || got[0] != "path_challenge" || x.sizes[0] != minDatagramSize {
			t.Fatalf("from the preferred address it sent %v", got)
		}
		if got := strings.Join(x.sentOn(here), " "); !strings.Contains(got, "stream") || x.conn.Path() != here {
			t.Errorf("from the original address it sent %v; the path is %v", got, x.conn.Path())
		}
		data := x.challenge("the preferred path is challenged")
		if answerOn == "there" {
			x.on(there, response(data))
		} else {
			x.on(here, response(data), x.acks())
		}
		if x.conn.Path() != there || !x.conn.path.validated {
			t.Fatalf("answered %s, it is at %v", answerOn, x.conn.Path())
		}
		x.advance(100 * time.Millisecond)
		x.queue, x.paths = nil, nil
		x.conn.Write(x.now, id, make([]byte, 2000))
		x.drain()
		x.advance(time.Second)
		for _, p := range x.paths {
			if p != there {
				t.Errorf("validated, it sent on %v", p)
			}
		}
	}
}

func TestAPreferredAddressThatDoesNotAnswerIsNotGoneTo(t *testing.T) {
	// Rules: 9000:9.6.2/2
	x, there := preferring(t)
	here := x.conn.Path()
	x.on(there, ping)
	x.advance(time.Second)
	if got := x.sentOn(there); len(got) < 2 {
		t.Errorf("of challenges it sent %v", got)
	}
	for _, text := range x.sentOn(there) {
		if text != "path_challenge" {
			t.Errorf("a %s frame goes there", text)
		}
	}
	x.queue, x.paths = nil, nil
	x.advance(10 * time.Second)
	if x.conn.Path() != here || x.conn.Err() != nil || x.conn.path.ahead.wanted {
		t.Errorf("it is at %v: %v", x.conn.Path(), x.conn.Err())
	}
	x.on(there, ping)
	x.on(there, response(x.challengeOf(x.conn)))
	if x.conn.Path() != there {
		t.Errorf("asked again, it is at %v", x.conn.Path())
	}
}

// challengeOf returns the newest challenge that a server sent to the path ahead.
func (x *exchange) challengeOf(c *Conn) []byte {
	v := &c.path.ahead.check
	return v.sent[(v.count-1)%maxChallenges].data[:]
}

func TestAnAnswerWithoutRoomIsNotEnoughForThePreferredAddress(t *testing.T) {
	// Rules: 9000:9.6.2/2, 9000:8.2.1/5
	x, there := preferring(t)
	there.Remote = elsewhere
	x.on(there, ping)
	if x.sizes[0] >= minDatagramSize {
		t.Fatalf("a challenge to another address has %d bytes", x.sizes[0])
	}
	x.on(there, response(x.challengeOf(x.conn)))
	if x.conn.Path() == there || x.sizes[0] != minDatagramSize {
		t.Fatalf("a small answer, and it is at %v; sent are %v bytes", x.conn.Path(), x.sizes)
	}
	x.on(there, response(x.challengeOf(x.conn)))
	if x.conn.Path() != there || !x.conn.path.validated {
		t.Errorf("it is at %v", x.conn.Path())
	}
}

func TestTheOldAddressIsDeafToNewerPackets(t *testing.T) {
	// Rules: 9000:9.6.2/4
	x, there := preferring(t)
	here := x.conn.Path()
	delayed := x.packet(wire.AppSpace, streamFrame(0, 0, "a", false))
	x.on(there, ping)
	x.on(there, response(x.challengeOf(x.conn)))
	newer := x.packet(wire.AppSpace, streamFrame(0, 1, "b", false))
	for _, b := range [][]byte{newer, delayed} {
		x.conn.Receive(x.now, Datagram{Payload: b, Path: here})
		x.drain()
	}
	x.wantRead("what was delayed is taken, and what is newer is not", 0, "a", false)
	if x.conn.Path() != there {
		t.Errorf("it is at %v", x.conn.Path())
	}
	x.on(there, streamFrame(0, 1, "b", false))
	x.wantRead("it comes again to the preferred address", 0, "b", false)
}

// Seeds 12567 and 18964 of the random worlds: what came from a new address to the preferred one counted for what may be sent there from both.
func TestAnAddressThatComesByTwoPathsCountsOnce(t *testing.T) {
	// Rules: 9000:8/1
	x, there := preferring(t)
	here := x.conn.Path()
	here.Remote, there.Remote = elsewhere, elsewhere
	id := x.open()
	x.conn.Write(x.now, id, make([]byte, 100_000))
	x.drain()
	x.ack(wire.AppSpace)
	x.sizes, x.paths = nil, nil
	received := 0
	from := func(p Path, frames ...[]byte) {
		b := x.packet(wire.AppSpace, frames...)
		received += len(b)
		x.conn.Receive(x.now, Datagram{Payload: b, Path: p})
		x.drain()
	}
	from(here, x.acks())
	from(there, challengeFrame(), make([]byte, 1150))
	sent := 0
	for i, p := range x.paths {
		if p.Remote == elsewhere {
			sent += x.sizes[i]
		}
	}
	if sent > 3*received || sent < minDatagramSize {
		t.Errorf("%d bytes were answered with %d", received, sent)
	}
}

package engine

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// What RFC 9000, sections 8.2 and 9, demand of paths, as far as no other test says it.

func TestAnAnswerMayComeOnAnyPath(t *testing.T) {
	// Rules: 9000:8.2.2/4
	x := newExchange(t, true).handshake()
	x.receiveFrom(elsewhere, x.packet(wire.AppSpace, ping, make([]byte, 1100)))
	data := x.challenge("the new address is challenged")
	x.receiveFrom(otherPort, x.packet(wire.AppSpace, response(data)))
	if x.conn.Path().Remote != elsewhere || !x.conn.path.validated {
		t.Errorf("the path is %v, validated: %v", x.conn.Path(), x.conn.path.validated)
	}
}

func TestAChallengeOnThePathInUseIsAnsweredByMoreThanAProbe(t *testing.T) {
	// Rules: 9000:9.3.3/2
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, challengeFrame())
	var answer int64 = -1
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "path_response") {
			answer = f.number
		}
	}
	more := false
	for _, f := range x.queue {
		more = more || f.number == answer && !strings.HasPrefix(f.text, "path_response")
	}
	if answer < 0 || !more {
		t.Errorf("it sent %q", x.texts())
	}
}

func TestEveryChallengeIsAnswered(t *testing.T) {
	// Rules: 9000:8.2.2/1, 9000:8.2.2/3, 9000:8.2.2/7, 9000:19.17/1
	x := newExchange(t, true).handshake()
	challenge := func(n byte) []byte { return wire.AppendPathChallenge(nil, [8]byte{n}) }
	wide := make([]byte, 1150)
	x.give(x.packet(wire.AppSpace, challenge(1), challenge(2)))
	x.conn.Receive(x.now, Datagram{Payload: x.packet(wire.AppSpace, challenge(3), wide), Path: Path{Local: x.path.Local, Remote: elsewhere}})
	x.conn.Receive(x.now, Datagram{Payload: x.packet(wire.AppSpace, challenge(4), wide), Path: Path{Local: x.path.Local, Remote: otherPort}})
	x.queue, x.paths = nil, nil
	x.drain()
	answered := map[string]int{}
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "path_response") {
			answered[f.text]++
		}
	}
	for _, want := range []string{"01", "02", "03", "04"} {
		if n := answered["path_response "+want+"00000000000000"]; n != 1 {
			t.Errorf("challenge %s is answered %d times", want, n)
		}
	}
	to := map[string]bool{}
	for _, p := range x.paths {
		to[p.Remote.String()] = true
	}
	if !to[elsewhere.String()] || !to[otherPort.String()] || !to[clientAddr.String()] {
		t.Errorf("sent to %v", to)
	}
}

func TestAnswersThatAreOwedAreBounded(t *testing.T) {
	x := newExchange(t, true).handshake()
	var flood []byte
	for n := range 100 {
		flood = append(flood, wire.AppendPathChallenge(nil, [8]byte{byte(n)})...)
	}
	x.receive(wire.AppSpace, flood)
	answers := 0
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "path_response") {
			answers++
		}
	}
	if answers != maxAnswers {
		t.Errorf("100 challenges at once are answered %d times, want %d", answers, maxAnswers)
	}
}

func TestAClientThatComesToThePreferredAddressFromElsewhereIsValidated(t *testing.T) {
	// Rules: 9000:9.6.3/3, 9000:9.6.3/4
	preferred := netip.MustParseAddrPort("192.0.2.3:444")
	x := newExchange(t, true, withConfig(func(c *Config) { c.PreferredV4 = preferred })).handshake()
	x.dst = x.learned.PreferredAddress.ID
	x.receive(wire.AppSpace, newID(1, 0))
	id := x.open()
	x.conn.Write(x.now, id, make([]byte, 30_000))
	there := Path{Local: preferred, Remote: elsewhere}
	probe := x.packet(wire.AppSpace, challengeFrame())
	received, sent := len(probe), 0
	x.paths, x.sizes, x.queue = nil, nil, nil
	x.conn.Receive(x.now, Datagram{Payload: probe, Path: there})
	x.drain()
	x.challenge("a probe from another address is answered with a challenge")
	b := x.packet(wire.AppSpace, ping)
	received += len(b)
	x.conn.Receive(x.now, Datagram{Payload: b, Path: there})
	x.drain()
	x.challenge("and so is a packet that is more than a probe")
	for i, n := range x.sizes {
		if x.paths[i] == there {
			sent += n
		}
	}
	if sent > 3*received || x.conn.Path() == there {
		t.Errorf("%d bytes were sent for %d received", sent, received)
	}
}

package engine

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// narrows has the path carry no datagram of more than size bytes from now on, in the directions that are named.
func (p *pair) narrows(size int, up, down bool) {
	p.rewrite = func(d *Datagram) bool {
		toServer := d.Path.Local == serverAddr
		return len(d.Payload) <= size || toServer && !up || !toServer && !down
	}
}

// ends steps until both ends are over.
func (p *pair) ends() {
	p.t.Helper()
	for range 200000 {
		p.drain(p.client)
		p.drain(p.server)
		if p.client.Err() != nil && p.server.Err() != nil {
			return
		}
		if !p.step() {
			break
		}
	}
	p.t.Fatalf("client: %v, server: %v", p.client.Err(), p.serverErr())
}

func wantNoPath(t *testing.T, sentence string, err error, remote bool) {
	t.Helper()
	if e, ok := err.(*TransportError); !ok || e.Code != wire.NoViablePath || e.Remote != remote {
		t.Errorf("%s: %v", sentence, err)
	}
}

func TestAPathThatBecomesTooNarrowIsNotUsed(t *testing.T) {
	// Rules: 9000:14/1, 9000:14.2/4
	// RFC 9000, section 14.2.
	for _, c := range []struct {
		sentence string
		size     int
		up, down bool
		grown    bool // larger datagrams were in use before
	}{
		{"upwards", 1199, true, false, false},
		{"both ways", 1100, true, true, false},
		{"to hardly anything", 200, true, true, false},
		{"after it was wider", 1199, true, true, true},
	} {
		p := newPair(t, nil, nil)
		p.handshake()
		id, _ := p.client.Open(p.now, false)
		buf := make([]byte, 64<<10)
		if c.grown {
			p.until("datagrams have grown", func() bool {
				p.client.Write(p.now, id, buf[:5000])
				p.server.Read(p.now, id, buf)
				return p.client.path.mtu.size > minDatagramSize
			})
		}
		p.until("it is quiet", func() bool { return p.client.Stats().InFlight == 0 && p.server.Stats().InFlight == 0 })
		p.narrows(c.size, c.up, c.down)
		began := p.now
		p.client.Write(p.now, id, buf)
		p.ends()
		wantNoPath(t, c.sentence+", the client", p.client.Err(), false)
		wantNoPath(t, c.sentence+", the server", p.server.Err(), true)
		if took := p.now.Sub(began); took < (narrowRounds-1)*narrowPause || took > 2*narrowRounds*narrowPause {
			t.Errorf("%s: it took %v", c.sentence, took)
		}
	}
}

func TestAServerDoesNotStayOnAPathThatIsTooNarrow(t *testing.T) {
	// Rules: 9000:14.2/4
	// A client comes from another port, and the path back has become narrow: a small challenge is answered, and no whole one is. The
	// server has nothing to send.
	for _, size := range []int{1199, minDatagramSize} {
		p := newPair(t, nil, nil)
		p.handshake()
		p.until("it is quiet", func() bool { return p.client.Stats().InFlight == 0 && p.server.Stats().InFlight == 0 })
		whole := 0
		p.rewrite = func(d *Datagram) bool {
			toServer := d.Path.Local == serverAddr
			if toServer {
				d.Path.Remote = otherPort
			} else if len(d.Payload) == minDatagramSize {
				whole++
			}
			return toServer || len(d.Payload) <= size
		}
		began := p.now
		p.client.Ping(p.now)
		p.until("the small challenge is answered", func() bool { return p.server.Path().Remote == otherPort && p.server.path.validated })
		if size == minDatagramSize {
			p.until("so is the whole one", func() bool { return !p.server.path.check.active() })
			for p.now.Sub(began) < 20*time.Second && p.step() {
			}
			if err := p.server.Err(); err != nil && err != ErrIdleTimeout {
				t.Errorf("on a path of %d bytes: %v", size, p.server.Err())
			}
			continue
		}
		for range 1000 { // a client that asks for acknowledgments has every loss noticed at once
			p.client.Ping(p.now)
			p.drain(p.client)
			p.step()
		}
		p.ends()
		// RFC 9000, section 8.2.1: "An endpoint SHOULD NOT probe a new path with packets containing a PATH_CHALLENGE frame more frequently
		// than it would send an Initial packet."
		if whole > 2*maxChallenges+narrowRounds {
			t.Errorf("%d whole datagrams were sent to find it out", whole)
		}
		wantNoPath(t, "the server", p.server.Err(), false)
		wantNoPath(t, "the client", p.client.Err(), true)
	}
}

func TestAServerAsksWhenNoWholeChallengeIsAnswered(t *testing.T) {
	// Rules: 9000:14.2/4
	x := newExchange(t, true).handshake()
	x.path.Remote = otherPort
	x.receive(wire.AppSpace, ping)
	x.receive(wire.AppSpace, response(x.challenge("a small one")))
	if !x.conn.path.validated || !x.conn.path.check.active() || x.conn.path.narrow.asking {
		t.Fatal("the small challenge is not answered, or no whole one is sent")
	}
	x.advance(4 * time.Second)
	if x.conn.path.check.active() || !x.conn.path.narrow.asking {
		t.Error("nothing is asked")
	}
}

func TestWhatSpeaksForANarrowPath(t *testing.T) {
	const W, s = minDatagramSize, 60
	for _, c := range []struct {
		name   string
		sizes  []int
		asking bool
	}{
		{"three whole datagrams", []int{-W, -W, -W}, true},
		{"small ones between arrive", []int{-W, s, -W, s, -W}, true},
		{"a whole one arrives", []int{-W, -W, W, -W}, false},
		{"small ones are lost", []int{-s, -s, -s, -s}, false},
		{"larger ones are lost", []int{-1452, -1452, -1452}, false},
		{"a larger one arrives", []int{-W, -W, 1452, -W}, false},
		{"a whole one arrives afterwards", []int{-W, -W, -W, W}, false},
	} {
		var n narrowState
		n.restart(0)
		for i, size := range c.sizes {
			fate := recovery.Acked
			if size < 0 {
				fate, size = recovery.Lost, -size
			}
			n.settle(1e9, &recovery.Packet{Number: int64(i), Size: size}, fate)
		}
		if n.asking != c.asking {
			t.Errorf("%s: asking is %v", c.name, n.asking)
		}
	}
}

func TestWhatTheQuestionsProve(t *testing.T) {
	type round struct{ whole, small recovery.Fate }
	const A, L = recovery.Acked, recovery.Lost
	narrow, silent := round{L, A}, round{L, L}
	times := func(n int, r ...round) (all []round) {
		for range n {
			all = append(all, r...)
		}
		return all
	}
	for _, c := range []struct {
		name   string
		rounds []round
		proved bool
		asking bool
	}{
		{"the small one alone passes, every time", times(narrowRounds, narrow), true, true},
		{"not often enough", times(narrowRounds-1, narrow), false, true},
		{"silence between proves nothing", times(narrowRounds, narrow, silent), true, true},
		{"silence alone is no reason to go on", times(narrowTries, silent), false, false},
		{"the whole one passes in the end", append(times(narrowRounds-1, narrow), round{A, L}), false, false},
	} {
		var n narrowState
		n.restart(0)
		n.ask(0)
		number, now := int64(0), instant.Time(1e9)
		for i, r := range c.rounds {
			if i > 0 {
				if n.at != now.Add(narrowPause) {
					t.Fatalf("%s: round %d begins at %v", c.name, i, n.at)
				}
				now = n.at
				n.expire(now)
			}
			if n.turn != narrowBegins {
				t.Fatalf("%s: round %d does not begin", c.name, i)
			}
			n.whole, n.small, n.turn = question{number, recovery.Probed}, question{number + 1, recovery.Probed}, narrowWaits
			n.settle(now, &recovery.Packet{Number: number + 1, Size: 40}, r.small)
			n.settle(now, &recovery.Packet{Number: number, Size: minDatagramSize, MTUProbe: true}, r.whole)
			number += 2
		}
		if n.isProved() != c.proved || n.asking != c.asking {
			t.Errorf("%s: proved %v, asking %v", c.name, n.isProved(), n.asking)
		}
	}
}

func TestALossyPathIsNotTooNarrow(t *testing.T) {
	// Half of what is sent is lost, whatever its size.
	for seed := range uint64(10) {
		p := newPair(t, &Config{MaxIdleTimeout: time.Hour}, &Config{MaxIdleTimeout: time.Hour})
		p.handshake()
		coin := seed*0x9e3779b97f4a7c15 + 1
		p.rewrite = func(*Datagram) bool {
			coin ^= coin << 13
			coin ^= coin >> 7
			coin ^= coin << 17
			return coin>>33&1 == 0
		}
		id, _ := p.client.Open(p.now, false)
		buf, got := make([]byte, 64<<10), 0
		p.client.Write(p.now, id, buf)
		p.until("all of it arrives", func() bool {
			n, _, _ := p.server.Read(p.now, id, make([]byte, 64<<10))
			got += n
			return got == len(buf)
		})
	}
}

func TestAnInterfaceThatTakesNoWholeDatagramIsAskedAgain(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.conn.DatagramTooLarge(x.now, minDatagramSize)
	x.drain()
	if len(x.sizes) != 2 || x.sizes[0] != minDatagramSize || x.sizes[1] > 60 {
		t.Fatalf("datagrams of %v bytes", x.sizes)
	}
	x.ack(wire.AppSpace)
	if x.conn.path.narrow.asking || x.conn.Err() != nil {
		t.Error("it was taken, and the question stays")
	}
}

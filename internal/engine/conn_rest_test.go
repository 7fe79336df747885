package engine

import (
	"bytes"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// TestAConnectionGoesOnAfterARest writes on one stream between rests, in pieces that end within chunks, and updates keys by either
// side's will.
func TestAConnectionGoesOnAfterARest(t *testing.T) {
	p := newPair(t, &Config{MaxIdleTimeout: time.Hour}, &Config{MaxIdleTimeout: time.Hour})
	p.handshake()
	id, ok := p.client.Open(p.now, false)
	if !ok {
		t.Fatal("no stream to be had")
	}
	rest := func() {
		p.until("both ends rest", func() bool {
			return p.client.idle.restAt.IsNever() && p.server.idle.restAt.IsNever()
		})
		for name, c := range map[string]*Conn{"client": p.client, "server": p.server} {
			s := c.streams.byID[id]
			if c.phase.nextRead != nil || c.pool.small != nil || c.draft.buf != nil || s != nil && (s.send.buf.chunks != nil || s.recv.buf.chunks != nil) {
				t.Fatalf("the %s keeps memory while it rests", name)
			}
			if !c.TLS().HandshakeComplete {
				t.Errorf("the %s forgets what TLS said", name)
			}
		}
	}
	for round := range 12 {
		switch round % 4 {
		case 1:
			p.client.UpdateKeys()
		case 3:
			p.server.UpdateKeys()
		}
		from, to := p.client, p.server
		if round%2 == 1 {
			from, to = to, from
		}
		want := bytes.Repeat([]byte{byte(round)}, 450*(round+1)*(1+round%3*5))
		if n, err := from.Write(p.now, id, want); n != len(want) || err != nil {
			t.Fatal(n, err)
		}
		var got []byte
		buf := make([]byte, 4000)
		p.until("it arrives", func() bool {
			for {
				n, _, err := to.Read(p.now, id, buf)
				if err != nil && err != ErrUnknownStream {
					t.Fatal(err)
				}
				if got = append(got, buf[:n]...); n == 0 {
					return len(got) == len(want)
				}
			}
		})
		if !bytes.Equal(got, want) {
			t.Fatalf("round %d: other bytes arrived", round)
		}
		rest()
	}
	if p.client.phase.updates < 4 || p.client.phase.updates != p.server.phase.updates {
		t.Errorf("%d and %d key updates", p.client.phase.updates, p.server.phase.updates)
	}
}

// TestARestKeepsWhatIsNotReadYet: bytes that came out of order or were not read, and bytes that were not acknowledged, stay.
func TestARestKeepsWhatIsNotReadYet(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "read ", false), streamFrame(0, 10, "later", false))
	if n, _, err := x.conn.Read(x.now, 0, make([]byte, 100)); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	x.drain()
	x.advance(3 * restAfter)
	x.receive(wire.AppSpace, streamFrame(0, 5, "then ", false))
	buf := make([]byte, 100)
	if n, _, err := x.conn.Read(x.now, 0, buf); string(buf[:n]) != "then later" || err != nil {
		t.Fatalf("%q, %v", buf[:n], err)
	}
}

// TestMoreHandshakeDataInTheLastPacket: the handshake's space is gone when the frame behind the one that completes it is looked at.
func TestMoreHandshakeDataInTheLastPacket(t *testing.T) {
	for _, offset := range []int64{0, 1, 10_000} {
		x := newExchange(t, true)
		for range 20 {
			if x.drain(); len(x.pending[wire.HandshakeSpace]) > 0 {
				break
			}
			x.sayCrypto()
		}
		more := wire.AppendCrypto(nil, wire.Crypto{Offset: offset, Data: []byte("behind it")})
		x.receive(wire.HandshakeSpace, x.crypto(wire.HandshakeSpace), more)
		if !x.conn.HandshakeDone() || x.conn.Err() != nil {
			t.Errorf("offset %d: done %v, %v", offset, x.conn.HandshakeDone(), x.conn.Err())
		}
	}
}

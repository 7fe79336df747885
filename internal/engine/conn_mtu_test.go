package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// pour writes to a new stream, with the peer acknowledging all of it, 10 ms after it was sent.
func (x *exchange) pour(size int) {
	x.t.Helper()
	id := x.open()
	for sent := 0; sent < size; {
		n, err := x.conn.Write(x.now, id, make([]byte, min(size-sent, 50_000)))
		if err != nil {
			x.t.Fatal(err)
		}
		sent += n
		x.drain()
		x.now = x.now.Add(10 * time.Millisecond)
		x.ack(wire.AppSpace)
		x.receive(wire.AppSpace, wire.AppendMaxData(nil, 1<<30), wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: id, Max: 1 << 30}))
		if x.conn.Deadline().Reached(x.now) {
			x.advance(0)
		}
	}
}

func TestNothingLargerThanQUICNeedsIsSentBeforeTheHandshakeIsConfirmed(t *testing.T) {
	// Rules: 9000:14.2/2
	p := newPair(t, nil, nil)
	p.rewrite = func(d *Datagram) bool {
		if len(d.Payload) > minDatagramSize {
			t.Errorf("a datagram of %d bytes", len(d.Payload))
		}
		return true
	}
	p.until("the client may write", p.client.HandshakeDone)
	id, _ := p.client.Open(p.now, false)
	p.client.Write(p.now, id, make([]byte, 50_000))
	p.handshake()
}

func TestAShortExchangeSendsNoProbe(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.sizes = nil
	x.conn.Write(x.now, x.open(), []byte("a question"))
	x.drain()
	x.ack(wire.AppSpace)
	x.advance(20 * time.Second)
	if n := slices.Max(x.sizes); n > 100 {
		t.Errorf("a datagram of %d bytes", n)
	}
}

func TestAProbeIsPINGAndPADDINGInADatagramOfItsOwn(t *testing.T) {
	// Rules: 9000:14.2/1, 9000:14.3/1
	x := newExchange(t, false).handshake()
	x.sizes, x.queue = nil, nil
	x.conn.Write(x.now, x.open(), make([]byte, 50_000))
	x.drain()
	x.ack(wire.AppSpace)
	i := slices.Index(x.sizes, defaultMaxDatagramSize)
	if i < 0 {
		t.Fatalf("no probe among datagrams of %v", x.sizes)
	}
	if slices.Max(x.sizes[:i]) > minDatagramSize {
		t.Errorf("larger datagrams before: %v", x.sizes)
	}
	x.wantAmong("a probe carries nothing that could be lost with it", "ping")
	if x.conn.path.mtu.probe != defaultMaxDatagramSize {
		t.Error("it is not outstanding")
	}
	x.ack(wire.AppSpace)
	if got := x.conn.Stats().DatagramSize; got != defaultMaxDatagramSize {
		t.Errorf("an acknowledged probe leaves the size at %d", got)
	}
	if got := x.sizes[len(x.sizes)-2:]; got[0] != defaultMaxDatagramSize {
		t.Errorf("data follows in datagrams of %v", got)
	}
}

func TestRunsOfLargerDatagramsFitAMessage(t *testing.T) {
	for _, size := range []int{1452, 9000} {
		x := newExchange(t, false, withConfig(func(c *Config) { c.MaxDatagramSize = size })).handshake()
		x.pour(2_000_000)
		x.conn.Write(x.now, x.open(), make([]byte, 200_000))
		x.now = x.now.Add(time.Second)
		got := x.conn.Compose(x.now, x.buf)
		if got.Segment != size || got.Size != len(x.buf)/size*size {
			t.Errorf("%d bytes in segments of %d, want segments of %d in %d bytes", got.Size, got.Segment, size, len(x.buf))
		}
	}
}

// play plays a path against an mtuState that fills its datagrams, until the search ends, and returns the sizes probed.
func (m *mtuState) play(now instant.Time, ceiling, path int) (probes []int, end instant.Time) {
	m.filled = true
	for number := int64(0); number < 100; number++ {
		if m.notYet.Sub(now) >= raisePause {
			break
		}
		now = max(now, m.notYet)
		size := m.candidate(now, ceiling)
		if size == 0 {
			break
		}
		probes = append(probes, size)
		m.probe, m.number = size, number
		p := &recovery.Packet{Number: number, Size: size, SentAt: now, MTUProbe: true}
		now = now.Add(50 * time.Millisecond)
		fate := recovery.Acked
		if size > path {
			fate = recovery.Lost
		}
		m.settle(now, p, fate)
	}
	return probes, now
}

func TestTheSearchTakesFewProbes(t *testing.T) {
	for _, c := range []struct {
		name          string
		ceiling, path int
		probes, size  int
	}{
		{"what is hoped for", 1452, 1452, 1, 1452},
		{"nothing to look for", 1200, 9000, 0, 1200},
		{"hardly anything to look for", 1210, 1300, 1, 1210},
		{"the least", 1452, 1200, 15, 1200},
		{"1280", 1452, 1252, 14, 1247},
		{"almost", 1452, 1451, 3 + 4, 1436},
		{"jumbo frames", 8952, 8952, 1, 8952},
		{"jumbo frames that are not", 8952, 1472, 3 + 1 + 25, 1466},
	} {
		m := newMTU()
		probes, end := m.play(1e9, c.ceiling, c.path)
		if len(probes) > c.probes || m.size != c.size {
			t.Errorf("%s: %d probes %v found %d, want %d", c.name, len(probes), probes, m.size, c.size)
		}
		if took := end.Sub(1e9); took > 10*time.Second {
			t.Errorf("%s: it took %v", c.name, took)
		}
	}
}

func TestTheSearchBeginsAgainAfterTenMinutes(t *testing.T) {
	m := newMTU()
	_, end := m.play(1e9, 1452, 1252)
	if m.size > 1252 {
		t.Fatal(m.size)
	}
	if got := m.candidate(end.Add(-time.Second), 1452); got != 0 {
		t.Errorf("a probe of %d bytes after the search has ended", got)
	}
	if got := m.candidate(end.Add(raisePause), 1452); got != 1452 {
		t.Errorf("ten minutes later it probes %d", got)
	}
}

// grown is an mtuState that found size.
func grown(size int) *mtuState {
	m := newMTU()
	m.play(1e9, size, size)
	return &m
}

// fates settles packets in the order given, one a millisecond: positive sizes are acknowledged, negative ones lost.
func (m *mtuState) fates(first int64, sizes ...int) {
	for i, size := range sizes {
		fate := recovery.Acked
		if size < 0 {
			fate, size = recovery.Lost, -size
		}
		number := first + int64(i)
		m.settle(3e9, &recovery.Packet{Number: number, Size: size, SentAt: instant.Time(2e9 + number*1e6)}, fate)
	}
}

func TestLossesThatSpeakForABlackHole(t *testing.T) {
	const L, s = 1452, 900
	for _, c := range []struct {
		name  string
		sizes []int
		count int
	}{
		{"three large ones", []int{-L, -L, -L}, 3},
		{"small ones between arrive", []int{-L, s, -L, s, -L}, 3},
		{"a large one arrives", []int{-L, -L, L, -L}, 1},
		{"small ones are lost", []int{-s, -s, -s}, 0},
		{"half large ones count, as they do not pass either", []int{-1300, -1300, -1300}, 3},
		{"a smaller one that passes says nothing of larger ones", []int{-L, -L, 1300, -L}, 3},
		{"a larger one that passes says all", []int{-1300, -1300, L, -1300}, 1},
	} {
		m := grown(L)
		m.fates(1000, c.sizes...)
		if m.suspect.count != c.count {
			t.Errorf("%s: %d losses count, want %d", c.name, m.suspect.count, c.count)
		}
	}
	m := grown(L)
	m.fates(1003, L)
	m.fates(1000, -L, -L, -L)
	if m.suspect.count != 0 {
		t.Error("losses count although a large packet that was sent later has arrived")
	}
	m.forgive(2000)
	m.fates(1010, -L, -L, -L)
	if m.suspect.count != 0 {
		t.Error("losses on another path count")
	}
}

func TestAFallThatComesBackSoonIsLastingly(t *testing.T) {
	m := grown(1452)
	m.fallBack(5e9)
	if got := m.candidate(5e9, 1452); m.size != minDatagramSize || got != 1452 {
		t.Fatalf("falls to %d and probes %d", m.size, got)
	}
	m.play(5e9, 1452, 1452)
	if m.size != 1452 || m.holes != 0 {
		t.Errorf("a false alarm leaves the size at %d and counts as %d holes", m.size, m.holes)
	}
	m.fallBack(6e9)
	if got := m.candidate(instant.Time(6e9).Add(time.Minute), 1452); got != 0 {
		t.Errorf("the second alarm within a second is followed by a probe of %d a minute later", got)
	}
}

func TestTheLossOfProbesIsNoSignOfCongestion(t *testing.T) {
	// Rules: 9000:14.4/1
	p := newPair(t, nil, nil)
	p.handshake()
	probes := 0
	p.rewrite = func(d *Datagram) bool {
		if len(d.Payload) > minDatagramSize {
			probes++
		}
		return len(d.Payload) <= minDatagramSize
	}
	id, _ := p.client.Open(p.now, false)
	buf, window := make([]byte, 64<<10), 0
	p.until("sizes are given up", func() bool {
		p.client.Write(p.now, id, buf[:5000])
		p.server.Read(p.now, id, buf)
		if now := p.client.ledger.Window(); now < window {
			t.Fatalf("the window went from %d to %d", window, now)
		} else {
			window = now
		}
		return p.client.path.mtu.high == defaultMaxDatagramSize-1
	})
	if probes != maxProbeTries || p.client.Stats().PacketsLost != maxProbeTries {
		t.Errorf("%d probes, %d packets lost, want %d", probes, p.client.Stats().PacketsLost, maxProbeTries)
	}
}

func TestWhatTheInterfaceRefusesIsBelievedAtOnce(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.pour(300_000)
	m := &x.conn.path.mtu
	if m.size != defaultMaxDatagramSize {
		t.Fatal(m.size)
	}
	x.conn.DatagramTooLarge(x.now, minDatagramSize)
	x.conn.DatagramTooLarge(x.now, 2000)
	if m.size != defaultMaxDatagramSize {
		t.Errorf("the size is %d after sizes were refused that are not in use", m.size)
	}
	x.sizes = nil
	x.conn.DatagramTooLarge(x.now, defaultMaxDatagramSize)
	x.conn.DatagramTooLarge(x.now, defaultMaxDatagramSize) // the next of the same batch
	x.pour(50_000)
	if m.size == minDatagramSize || slices.Max(x.sizes) >= defaultMaxDatagramSize {
		t.Errorf("then it finds %d, with datagrams of up to %d", m.size, slices.Max(x.sizes))
	}
	if holes := x.conn.Stats().BlackHoles; holes != 0 {
		t.Errorf("it counts as %d black holes", holes)
	}

	m.restart()
	m.filled = true
	m.probe = m.candidate(x.now, 1452)
	x.conn.DatagramTooLarge(x.now, m.probe)
	if got := m.candidate(x.now, 1452); got >= 1452 || got <= minDatagramSize {
		t.Errorf("a refused probe is followed by one of %d", got)
	}
}

func TestTheSecondPacketOfAProbeTimeoutIsSmallAndGoesAlone(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.pour(300_000)
	x.conn.Write(x.now, x.open(), make([]byte, 50_000))
	x.drain()
	x.sizes, x.runs = nil, nil
	x.advanceToDeadline()
	if want := []int{defaultMaxDatagramSize, minDatagramSize}; len(x.sizes) < 2 || !slices.Equal(x.sizes[:2], want) {
		t.Errorf("datagrams of %v, want %v first", x.sizes, want)
	}
	if len(x.runs) < 2 || x.runs[0] != 1 || x.runs[1] != 1 {
		t.Errorf("they left in runs of %v, want each alone", x.runs)
	}
}

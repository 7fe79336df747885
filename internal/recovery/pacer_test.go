package recovery

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

func TestPaceOfAWindow(t *testing.T) {
	const kib = 1 << 10
	for _, tt := range []struct {
		name           string
		rate           int64
		window         int
		burst, quantum int
	}{
		{"a small window is spread over at least four quanta", 120_000, 12_000, 12_240, 3_000},
		{"a window of two datagrams goes two at a time", 24_000, 2_400, 12_048, 2_400},
		{"ten datagrams are the usual quantum", 1_250_000, 100_000, 14_500, 12_000},
		{"a millisecond of a fast path is more", 100_000_000, 5_000_000, 212_000, 100_000},
		{"a burst has a limit", 1_000_000_000, 5_000_000, 256 * kib, 128 * kib},
		{"no rate is too high", 1 << 60, 1 << 40, 256 * kib, 128 * kib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := newPace(tt.rate, tt.window, 1200)
			if got.burst != tt.burst || got.quantum != tt.quantum {
				t.Errorf("burst %d, quantum %d, want %d, %d", got.burst, got.quantum, tt.burst, tt.quantum)
			}
		})
	}
}

// drain sends all that the ledger allows at now, in datagrams, and returns how many bytes that was and when to return.
func drain(l *Ledger, now instant.Time) (sent int, again instant.Time) {
	for {
		n, again := l.Allowance(now)
		if n == 0 {
			return sent, again
		}
		for ; n >= 1200; n -= 1200 {
			l.OnSent(now, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
			sent += 1200
		}
	}
}

func TestPacerReleasesQuanta(t *testing.T) {
	// Rules: 9002:7.7/1, 9002:7.7/2, 9002:7.7/3
	l := quiet(&spy{window: 1 << 30, pacing: 1_200_000}) // a datagram each millisecond
	now := epoch
	// After idling ten datagrams may go, and what two milliseconds bring on top.
	sent, again := drain(l, now)
	if sent != 12*1200 {
		t.Fatalf("%d bytes at first, want 14400", sent)
	}
	for range 100 {
		if again.Sub(now) < 9*time.Millisecond || again.Sub(now) > 11*time.Millisecond {
			t.Fatalf("come back after %v, want about 10ms", again.Sub(now))
		}
		if n, _ := l.Allowance(again.Add(-time.Microsecond)); n != 0 {
			t.Fatalf("%d bytes before the time", n)
		}
		now = again
		if sent, again = drain(l, now); sent != 10*1200 {
			t.Fatalf("%d bytes, want 12000", sent)
		}
	}
	now = now.Add(time.Hour)
	if sent, _ = drain(l, now); sent != 12*1200 {
		t.Errorf("%d bytes after idling, want 14400", sent)
	}
}

func TestPacerKeepsTheRateWhateverTheTimer(t *testing.T) {
	for _, late := range []time.Duration{0, 50 * time.Microsecond, time.Millisecond} {
		l := quiet(&spy{window: 1 << 40, pacing: 50_000_000})
		start := epoch
		_, again := drain(l, start)
		total := 0
		now := start
		for now.Sub(start) < time.Second {
			now = again.Add(late)
			var sent int
			sent, again = drain(l, now)
			total += sent
		}
		if total < 49_000_000 || total > 51_000_000 {
			t.Errorf("with timers %v late: %d bytes in a second, want 50 million", late, total)
		}
	}
}

func TestPacerIsNoBottleneckOnLoopback(t *testing.T) {
	const roundTrip = 50 * time.Microsecond
	l := quiet(&spy{window: 200 << 10})
	now := epoch
	total := 0
	for range 1000 {
		first := l.Next(wire.AppSpace)
		sent, _ := drain(l, now)
		total += sent
		now = now.Add(roundTrip)
		if next := l.Next(wire.AppSpace); next > first {
			if err := l.OnAck(now, wire.AppSpace, []rangeset.Range{{Start: first, End: next}}, AckInfo{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := 990 * (200 << 10); total < want {
		t.Errorf("%d bytes in a thousand round trips, want the window in nearly each: %d", total, want)
	}
}

func TestWindowFullIsNotThePacersRefusal(t *testing.T) {
	// Rules: 9002:7/2
	l := quiet(&spy{window: 3000})
	if sent, again := drain(l, epoch); sent != 2400 || !again.IsNever() {
		t.Errorf("%d bytes, again at %v; want 2400 and no time, since 600 bytes are less than a datagram", sent, again)
	}
	// A probe goes all the same.
	l.OnSent(epoch, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
	if l.InFlight() != 3600 {
		t.Errorf("%d bytes in flight", l.InFlight())
	}
}

func TestAcknowledgmentsSayWhetherTheWindowWasTheLimit(t *testing.T) {
	ack := func(l *Ledger, now instant.Time, from, to int64) {
		if err := l.OnAck(now, wire.AppSpace, []rangeset.Range{{Start: from, End: to}}, AckInfo{}); err != nil {
			t.Fatal(err)
		}
	}
	s := &spy{window: 12000}
	l := quiet(s)
	now := epoch
	drain(l, now) // ten packets: full
	now = now.Add(40 * time.Millisecond)
	ack(l, now, 0, 10)
	l.OnSent(now, wire.AppSpace, Sent{Size: 1200, AckEliciting: true}) // one packet, and no more to say
	now = now.Add(40 * time.Millisecond)
	ack(l, now, 10, 11)
	drain(l, now)
	now = now.Add(40 * time.Millisecond)
	ack(l, now, 11, 20)
	for i, want := range []bool{true, false, true} {
		if s.acks[i].WindowLimited != want {
			t.Errorf("acknowledgment %d: window limited is %v", i, !want)
		}
	}
}

func TestPacingDelayIsNotApplicationLimit(t *testing.T) {
	// Rules: 9002:7.8/2
	s := &spy{window: 48_000, pacing: 1_200_000}
	l := quiet(s)
	now := epoch
	first, again := drain(l, now)
	for first < 30_000 {
		now = again
		var n int
		n, again = drain(l, now)
		first += n
	}
	if err := l.OnAck(now.Add(time.Millisecond), wire.AppSpace, []rangeset.Range{{Start: 0, End: 4}}, AckInfo{}); err != nil {
		t.Fatal(err)
	}
	if a := s.acks[0]; !a.WindowLimited || a.RateAppLimited {
		t.Errorf("window limited %v, rate application limited %v, want true, false", a.WindowLimited, a.RateAppLimited)
	}
}

func TestDeliveryRate(t *testing.T) {
	s := &spy{window: 1 << 20, pacing: 1 << 30}
	l := quiet(s)
	ack := func(now instant.Time, n int64) {
		if err := l.OnAck(now, wire.AppSpace, []rangeset.Range{{Start: 0, End: n}}, AckInfo{}); err != nil {
			t.Fatal(err)
		}
	}
	send := func(now instant.Time) { l.OnSent(now, wire.AppSpace, Sent{Size: 1200, AckEliciting: true}) }
	// A packet each millisecond, acknowledged 50 ms later: 1.2 MB/s, though a gap between packets is the application's.
	for i := range 200 {
		now := epoch.Add(time.Duration(i) * time.Millisecond)
		if i >= 50 {
			ack(now, int64(i-50)+1)
		}
		send(now)
	}
	last := s.acks[len(s.acks)-1]
	if last.DeliveryRate < 1_190_000 || last.DeliveryRate > 1_250_000 {
		t.Errorf("%d bytes per second, want about 1200000", last.DeliveryRate)
	}
	if !last.RateAppLimited {
		t.Error("nothing held the sender back but the application")
	}
	if last.Delivered != 150*1200 {
		t.Errorf("%d bytes delivered, want %d", last.Delivered, 150*1200)
	}
	// The same with a sender who was refused in between.
	s.acks = nil
	s.pacing = 1
	for i := 200; i < 400; i++ {
		now := epoch.Add(time.Duration(i) * time.Millisecond)
		ack(now, int64(i-50)+1)
		send(now)
		l.Allowance(now)
	}
	if last := s.acks[len(s.acks)-1]; last.RateAppLimited || last.DeliveryRate < 1_190_000 {
		t.Errorf("%+v: want a rate of about 1200000 that is the path's", last)
	}
}

package recovery

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// reference is a slow ledger of one space: a map, and a scan of everything for everything.
type reference struct {
	packets map[int64]refPacket // outstanding
	largest int64
	fates   map[int64]Fate
}

type refPacket struct {
	sentAt   instant.Time
	size     int
	inFlight bool
	facts    []Fact
}

func newReference() *reference {
	return &reference{packets: map[int64]refPacket{}, largest: -1, fates: map[int64]Fate{}}
}

func (r *reference) ack(ranges []rangeset.Range) {
	r.largest = max(r.largest, ranges[0].End-1)
	for n := range r.packets {
		if covers(ranges, n) {
			r.fates[n] = Acked
			delete(r.packets, n)
		}
	}
}

// lose applies RFC 9002, appendix A.10, where sent lists all numbers that were really sent.
func (r *reference) lose(now instant.Time, sent []int64, delay time.Duration, threshold int) {
	for n, p := range r.packets {
		if n > r.largest {
			continue
		}
		later := 0
		for _, m := range sent {
			if n < m && m <= r.largest {
				later++
			}
		}
		if later >= threshold || p.sentAt.Add(delay).Reached(now) {
			r.fates[n] = Lost
			delete(r.packets, n)
		}
	}
}

func (r *reference) inFlight() (bytes int) {
	for _, p := range r.packets {
		if p.inFlight {
			bytes += p.size
		}
	}
	return bytes
}

// walk is one random history of one space, held against the reference after every step.
type walk struct {
	t     *testing.T
	rnd   *rand.Rand
	l     *Ledger
	ref   *reference
	fates map[int64]Fate
	sent  []int64
	now   instant.Time
}

func newWalk(t *testing.T, seed uint64) *walk {
	w := &walk{
		t:     t,
		rnd:   rand.New(rand.NewPCG(seed, 0)),
		ref:   newReference(),
		fates: map[int64]Fate{},
		now:   epoch,
	}
	w.l = New(Config{Server: true, Controller: congestion.NewCubic(1200), DatagramSize: 1200, Fate: w.fate})
	w.l.ConfirmHandshake(w.now)
	return w
}

func (w *walk) fate(_ wire.Space, p *Packet, f Fate) {
	if f != Probed {
		if old, ok := w.fates[p.Number]; ok {
			w.t.Fatalf("packet %d is %v after having been %v", p.Number, f, old)
		}
		w.fates[p.Number] = f
	}
	if want := factsOf(p.Number); !slices.Equal(p.Facts, want) {
		w.t.Fatalf("packet %d carried %v, want %v", p.Number, p.Facts, want)
	}
}

// factsOf invents the facts of packet n: none to ten of them.
func factsOf(n int64) []Fact {
	var facts []Fact
	for i := range n * 7 % 11 {
		facts = append(facts, Fact{Kind: uint8(i), ID: n, Start: i, End: i + n})
	}
	return facts
}

func (w *walk) step() {
	w.now = w.now.Add(time.Duration(w.rnd.IntN(int(8 * time.Millisecond))))
	switch w.rnd.IntN(6) {
	case 0:
		w.l.Skip(wire.AppSpace)
	case 1:
		if w.l.Deadline().Reached(w.now) {
			loss := w.l.lossDeadline()
			w.l.Expire(w.now)
			if !loss.IsNever() {
				w.lose()
			}
		}
	case 2, 3:
		for range w.rnd.IntN(40) {
			w.send()
		}
	default:
		w.ack()
	}
	w.compare()
}

func (w *walk) send() {
	n := w.l.Next(wire.AppSpace)
	p := Sent{Size: 40 + w.rnd.IntN(1160), AckEliciting: w.rnd.IntN(4) > 0, Facts: factsOf(n)}
	p.InFlight = p.AckEliciting || w.rnd.IntN(8) == 0
	w.l.OnSent(w.now, wire.AppSpace, p)
	w.ref.packets[n] = refPacket{sentAt: w.now, size: p.Size, inFlight: p.InFlight}
	w.sent = append(w.sent, n)
}

// ack acknowledges a random choice of all that was ever sent.
func (w *walk) ack() {
	var set rangeset.Set
	odds := 1 + w.rnd.IntN(8)
	for _, n := range w.sent[max(0, len(w.sent)-200):] {
		if w.rnd.IntN(8) < odds {
			set.Add(n, n+1)
		}
	}
	if len(set) == 0 {
		return
	}
	slices.Reverse(set)
	news := false
	for n := range w.ref.packets {
		news = news || covers(set, n)
	}
	if err := w.l.OnAck(w.now, wire.AppSpace, set, AckInfo{}); err != nil {
		w.t.Fatal(err)
	}
	w.ref.ack(set)
	if news {
		w.lose()
	}
}

// lose lets the reference find losses by the thresholds that the ledger has come to.
func (w *walk) lose() {
	r := &w.l.reorder
	w.ref.lose(w.now, w.sent, r.lossDelay(w.l.rtt.RTT), int(r.packetThreshold()))
}

func (w *walk) compare() {
	w.t.Helper()
	if got, want := w.l.InFlight(), w.ref.inFlight(); got != want {
		w.t.Fatalf("%d bytes in flight, the sum of outstanding packets is %d", got, want)
	}
	if len(w.fates) != len(w.ref.fates) {
		w.t.Fatalf("%d packets met their fate, want %d", len(w.fates), len(w.ref.fates))
	}
	for n, f := range w.ref.fates {
		if w.fates[n] != f {
			w.t.Fatalf("packet %d is %v, want %v", n, w.fates[n], f)
		}
	}
	sp := &w.l.spaces[wire.AppSpace]
	if sp.ring.first < sp.ring.next && sp.ring.at(sp.ring.first).state != outstanding {
		w.t.Fatalf("the oldest tracked packet, %d, is settled", sp.ring.first)
	}
}

func TestRandomHistoriesAgreeWithTheReference(t *testing.T) {
	for seed := range uint64(40) {
		w := newWalk(t, seed)
		for range 200 {
			w.step()
		}
	}
}

func FuzzAckRanges(f *testing.F) {
	f.Add([]byte{0, 5, 3, 2})
	f.Add([]byte{9, 1, 200, 9, 0, 0, 255, 255})
	f.Add([]byte{1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		now := epoch
		settled := map[int64]bool{}
		l := New(Config{Controller: congestion.NewReno(1200), DatagramSize: 1200, Fate: func(_ wire.Space, p *Packet, f Fate) {
			if settled[p.Number] {
				t.Fatalf("packet %d is %v after its fate", p.Number, f)
			}
			if f != Probed {
				settled[p.Number] = true
			}
		}})
		for i := 0; i+4 <= len(data); i += 4 {
			for range data[i] % 8 {
				l.OnSent(now, wire.AppSpace, Sent{Size: 1200, AckEliciting: true})
			}
			if data[i] >= 128 {
				l.Skip(wire.AppSpace)
			}
			now = now.Add(time.Duration(data[i]) * time.Millisecond)
			// Ranges as a broken decoder might deliver them: overlapping, in any order, negative.
			a, b := int64(data[i+1]), int64(data[i+2])
			ranges := []rangeset.Range{{Start: a - 3, End: a + 1}, {Start: b - 8, End: b}, {Start: int64(data[i+3]), End: a}}
			next := l.Next(wire.AppSpace)
			if err := l.OnAck(now, wire.AppSpace, ranges, AckInfo{}); a+1 > next && err == nil {
				t.Fatalf("acknowledging up to %d of %d sent is no error", a, next)
			}
			l.Expire(now)
			if l.InFlight() < 0 || l.InFlight()%1200 != 0 {
				t.Fatalf("%d bytes in flight", l.InFlight())
			}
		}
		if want := int(l.Next(wire.AppSpace)) - len(settled); l.InFlight() > want*1200 {
			t.Fatalf("%d bytes in flight, %d packets not settled", l.InFlight(), want)
		}
	})
}

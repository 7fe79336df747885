package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// sentRun is bytes of one stream that went out without another's between them.
type sentRun struct{ id, from, end int64 }

// runsOf reads the STREAM frames that wait, in the order in which they were sent, and forgets them.
func (x *exchange) runsOf() (runs []sentRun) {
	x.t.Helper()
	for _, f := range x.queue {
		var r sentRun
		if !strings.HasPrefix(f.text, "stream ") {
			continue
		}
		if _, err := fmt.Sscanf(f.text, "stream %d [%d,%d)", &r.id, &r.from, &r.end); err != nil {
			x.t.Fatal(f.text, err)
		}
		if n := len(runs); n > 0 && runs[n-1].id == r.id && runs[n-1].end == r.from {
			runs[n-1].end = r.end
		} else {
			runs = append(runs, r)
		}
	}
	x.queue = nil
	return runs
}

// order says which streams the runs belong to.
func order(runs []sentRun) string {
	var ids []string
	for _, r := range runs {
		ids = append(ids, itoa(r.id))
	}
	return strings.Join(ids, " ")
}

// sendAll lets the connection send all that it has, acknowledging what comes.
func (x *exchange) sendAll() {
	for range 100 {
		x.drain()
		x.advance(10 * time.Millisecond)
		x.ack(wire.AppSpace)
	}
}

// opened has the peer open streams and forgets that.
func (x *exchange) opened(ids ...int64) {
	for _, id := range ids {
		x.receive(wire.AppSpace, streamFrame(id, 0, "x", false))
	}
	x.queue = nil
}

func TestTheOrderOfStreams(t *testing.T) {
	// Rules: 9000:2.3/1
	type rank struct {
		id          int64
		urgency     uint8
		incremental bool
	}
	for _, story := range []struct {
		name  string
		ranks []rank // streams that are not named have the default
		order string
	}{
		{"by default one after the other, by number", nil, "0 4 8"},
		{"the urgent ones first", []rank{{0, 7, false}, {4, 1, false}, {8, 0, false}}, "8 4 0"},
		{"the default is between", []rank{{0, 4, false}, {8, 2, false}}, "8 4 0"},
		{"incremental ones in turns", []rank{{0, 3, true}, {4, 3, true}, {8, 3, true}}, "8 4 0 8 4 0 8 4 0"},
		{"urgency before turns", []rank{{0, 3, true}, {4, 3, true}, {8, 2, true}}, "8 4 0 4 0 4 0"},
		{"both kinds at one urgency take turns", []rank{{8, 3, true}}, "0 8 0 8 0 4 8 4"},
		{"two in turns beside two in order", []rank{{0, 3, true}, {4, 3, true}, {8, 3, false}}, "8 4 8 0 8 4 0 4 0"},
	} {
		t.Run(story.name, func(t *testing.T) {
			x := newExchange(t, true).handshake()
			x.opened(0, 4, 8)
			for _, id := range []int64{8, 4, 0} { // the order of writing does not count, but gives first turns
				for _, r := range story.ranks {
					if r.id == id {
						x.conn.SetPriority(id, r.urgency, r.incremental)
					}
				}
				x.conn.Write(x.now, id, make([]byte, 3*turnBytes))
			}
			x.sendAll()
			runs := x.runsOf()
			total := int64(0)
			for _, r := range runs {
				total += r.end - r.from
			}
			if total != 9*turnBytes {
				t.Errorf("%d bytes were sent", total)
			}
			if got := order(mergeSmall(runs)); got != story.order {
				t.Errorf("got %s, want %s: %v", got, story.order, runs)
			}
		})
	}
}

// mergeSmall drops runs that are left over at the end of a stream because turns end with datagrams.
func mergeSmall(runs []sentRun) (big []sentRun) {
	for _, r := range runs {
		if r.end-r.from < turnBytes/4 {
			continue
		}
		if n := len(big); n > 0 && big[n-1].id == r.id {
			continue
		}
		big = append(big, r)
	}
	return big
}

func TestTurnsAreAsLongAsTheySay(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.opened(0, 4)
	for _, id := range []int64{0, 4} {
		x.conn.SetPriority(id, 3, true)
		x.conn.Write(x.now, id, make([]byte, 40<<10))
	}
	x.sendAll()
	runs := x.runsOf()
	for _, r := range runs[:len(runs)-2] {
		if n := r.end - r.from; n < turnBytes || n >= turnBytes+1500 {
			t.Errorf("a turn of %d bytes: %v", n, r)
		}
	}
}

func TestAPriorityThatChangesOnTheWay(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.opened(0, 4, 8)
	for _, id := range []int64{0, 4, 8} {
		x.conn.Write(x.now, id, make([]byte, 40<<10))
	}
	x.drain()
	if got := order(x.runsOf()); got != "0" {
		t.Fatalf("the first window is of streams %s", got)
	}
	x.conn.SetPriority(8, 1, false)
	x.conn.SetPriority(4, 2, true)
	x.conn.SetPriority(8, 1, false) // said twice
	x.conn.SetPriority(400, 1, false)
	x.sendAll()
	if got := order(x.runsOf()); got != "8 4 0" {
		t.Errorf("then %s, want 8 4 0", got)
	}
}

func TestAStreamThatIsHeldBackLetsOthersPass(t *testing.T) {
	x := newExchange(t, true, withParams(func(p *wire.TransportParams) { p.InitialMaxStreamDataBidiLocal = 2000 })).handshake()
	x.opened(0, 4)
	x.conn.SetPriority(0, 0, false)
	x.conn.Write(x.now, 0, make([]byte, 5000))
	x.conn.Write(x.now, 4, make([]byte, 1500))
	x.drain()
	if got := fmt.Sprint(x.runsOf()); got != "[{0 0 2000} {4 0 1500}]" {
		t.Errorf("sent %s", got)
	}
	x.receive(wire.AppSpace, wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: 0, Max: 10000}))
	if got := fmt.Sprint(x.runsOf()); got != "[{0 2000 5000}]" {
		t.Errorf("then %s", got)
	}
}

// TestWhatWasLostGoesFirst: RFC 9000, section 13.3: "Endpoints SHOULD prioritize retransmission of data over sending new data,
// unless priorities specified by the application indicate otherwise".
func TestWhatWasLostGoesFirst(t *testing.T) {
	// Rules: 9000:13.3/4
	x := newExchange(t, true).handshake()
	x.opened(0, 4, 8)
	for i, id := range []int64{4, 0, 8} {
		x.conn.SetPriority(id, uint8(7-i), false)
		x.conn.Write(x.now, id, make([]byte, 2000))
		x.drain()
	}
	x.conn.SetPriority(8, 0, false)
	x.conn.Write(x.now, 8, make([]byte, 100<<10))
	x.drain()
	arrived := slices.Clone(x.seen[wire.AppSpace])
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "stream 0 ") || strings.HasPrefix(f.text, "stream 4 ") {
			arrived.Sub(f.number, f.number+1)
		}
	}
	x.queue = nil
	x.receive(wire.AppSpace, wire.AppendAck(nil, wire.Ack{}, arrived, 1000))
	x.advance(5 * time.Millisecond)
	runs := x.runsOf()
	if got := order(runs); got != "0 4 8" || runs[0].from != 0 || runs[1].from != 0 {
		t.Errorf("sent %v, want what was lost of 0, of 4, and then more of 8", runs)
	}
	x.sendAll()
	if runs = x.runsOf(); order(runs) != "8" {
		t.Errorf("sent %v, want no more than the rest of 8", runs)
	}
}

// TestTheScheduleIsTheSortedList holds the schedule against one that looks at all streams each time.
func TestTheScheduleIsTheSortedList(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 9218))
		c := &Conn{}
		var q = &c.streams.data
		all := make([]*stream, 24)
		c.streams.byID = map[int64]*stream{}
		for i := range all {
			s := &stream{}
			s.reset(int64(4 * i))
			s.send.toSend = append(s.send.toSend, rangeOf{Start: 10, End: 20})
			s.send.next = 10
			all[i], c.streams.byID[s.id] = s, s
		}
		for range 400 {
			switch s := all[rng.IntN(len(all))]; rng.IntN(6) {
			case 0:
				q.remove(s)
			case 1:
				c.SetPriority(s.id, uint8(rng.IntN(8)), rng.IntN(2) == 0)
			case 2: // some of it is lost, or what was lost is acknowledged
				s.send.next = 10 + 10*int64(rng.IntN(2))
				if s.queued&inDataQueue != 0 {
					q.add(s)
				}
			default:
				q.add(s)
			}
			checkSchedule(t, q, all)
			if q.n > 0 && rng.IntN(2) == 0 {
				q.served(q.next(), rng.IntN(turnBytes))
				checkSchedule(t, q, all)
			}
		}
	}
}

func checkSchedule(t *testing.T, q *schedule, all []*stream) {
	t.Helper()
	var in []*stream
	for _, s := range all {
		if s.queued&inDataQueue != 0 {
			in = append(in, s)
		}
	}
	if len(in) != q.n {
		t.Fatalf("%d streams stand in the queue, it says %d", len(in), q.n)
	}
	if q.n == 0 {
		if q.busy != 0 || len(q.again) != 0 {
			t.Fatal("an empty schedule is busy")
		}
		return
	}
	best := slices.MinFunc(in, func(a, b *stream) int {
		switch {
		case a.prio.again != b.prio.again:
			return 1 - 2*index(a.prio.again)
		case a.prio.urgency != b.prio.urgency:
			return int(a.prio.urgency) - int(b.prio.urgency)
		case !a.prio.again && a.prio.incremental != b.prio.incremental:
			flipped := q.levels[a.prio.urgency].flipped
			return 1 - 2*index(a.prio.incremental == flipped)
		}
		return int(a.prio.order - b.prio.order)
	})
	if got := q.next(); got != best {
		t.Fatalf("stream %d %+v is next, want %d %+v", got.id, got.prio, best.id, best.prio)
	}
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestSchedulingDoesNotAllocate moves priorities about while a hundred streams send.
func TestSchedulingDoesNotAllocate(t *testing.T) {
	x := newPipeline(newPair(t, nil, nil), 0)
	x.handshake()
	x.pair.drain(x.server)
	data, sink := make([]byte, 1<<10), make([]byte, 2<<10)
	var ids []int64
	for len(ids) < 50 {
		id, ok := x.client.Open(x.now, false)
		if !ok {
			t.Fatal("no stream")
		}
		ids = append(ids, id)
	}
	n := 0
	round := func() {
		for i, id := range ids {
			n++
			x.client.SetPriority(id, uint8((n+i)%8), n%3 == 0)
			x.client.Write(x.now, id, data)
		}
		x.tick()
		for _, id := range ids {
			for k := 1; k > 0; {
				k, _, _ = x.server.Read(x.now, id, sink)
			}
		}
	}
	for range 300 {
		round()
	}
	if got := testing.AllocsPerRun(100, round); got > 0 {
		t.Errorf("%.2f allocations in a round of some 40 packets, want none", got)
	}
}

package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
)

const ms = time.Millisecond

// live runs a world that has to end well. When it does not, it is run again with traces, which stay behind if go test was
// called with -artifacts.
func live(t *testing.T, c Config) Result {
	t.Helper()
	cryptotest.SetGlobalRandom(t, c.Seed)
	r, err := Run(c)
	if err == nil {
		return r
	}
	t.Errorf("%v\nup   %+v\ndown %+v\nrepeat with GODWIT_SEED=%d go test -run '%s' -artifacts", err, r.Up, r.Down, c.Seed, t.Name())
	t.Run("traced", func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, c.Seed)
		c.Trace = true
		r, _ := Run(c)
		for _, trace := range r.Traces {
			if err := os.WriteFile(filepath.Join(t.ArtifactDir(), trace.Name), trace.Data, 0o666); err != nil {
				t.Log(err)
			}
		}
	})
	return r
}

// both has the same link in both directions.
func both(c Config, l simnet.LinkConfig) Config {
	c.Up, c.Down = l, l
	return c
}

// patient endpoints outlast any fault that is not for ever.
var patient = engine.Config{HandshakeTimeout: 5 * time.Minute, MaxIdleTimeout: 5 * time.Minute}

var (
	bulk     = Workload{Flows: []Flow{{Request: 1_000_000, Response: 1_000_000, Eager: true}}}
	requests = Repeat(30, Flow{Request: 300, Response: 20_000})
	mixed    = Workload{Flows: []Flow{
		{Request: 200_000, Response: 200_000, Eager: true},
		{Uni: true, Request: 100_000},
		{FromServer: true, Request: 50_000, Response: 70_000},
		{FromServer: true, Uni: true, Request: 100_000},
		{Request: 200_000, Response: 1000, ResetAfter: 50_000},
		{Request: 200_000, Response: 1000, ResetAfter: 50_000, Promise: 30_000},
		{Uni: true, Request: 200_000, ResetAfter: 50_000, Promise: 50_000},
		{Request: 200_000, Response: 1000, StopAfter: 50_000},
		{Request: 0, Response: 0},
	}}
)

// link is an ordinary one: 20 ms there, 20 ms back.
var link = simnet.LinkConfig{Delay: 20 * ms}

func TestWorldsEndWell(t *testing.T) {
	faulty := func(f func(*simnet.LinkConfig)) simnet.LinkConfig {
		l := link
		f(&l)
		return l
	}
	loss := func(p float64) simnet.LinkConfig { return faulty(func(l *simnet.LinkConfig) { l.Loss = p }) }
	for _, c := range []struct {
		name string
		link simnet.LinkConfig
	}{
		{"a clean link", link},
		{"a link without delay", simnet.LinkConfig{}},
		{"1% loss", loss(0.01)},
		{"5% loss", loss(0.05)},
		{"20% loss", loss(0.2)},
		{"bursts of loss", faulty(func(l *simnet.LinkConfig) { l.Burst = simnet.Burst{Enter: 0.01, Leave: 0.2, Loss: 1} })},
		{"reordering", faulty(func(l *simnet.LinkConfig) { l.Reorder, l.ReorderDelay = 0.1, 15*ms })},
		{"duplication", faulty(func(l *simnet.LinkConfig) { l.Duplicate, l.DuplicateDelay = 0.2, 100*ms })},
		{"corruption", faulty(func(l *simnet.LinkConfig) { l.Corrupt = 0.05 })},
		{"jitter", faulty(func(l *simnet.LinkConfig) { l.Jitter = 30 * ms })},
		{"a slow link with a tiny queue", faulty(func(l *simnet.LinkConfig) { l.Rate, l.Queue = 125_000, 6_000 })},
		{"a slow link that marks CE", faulty(func(l *simnet.LinkConfig) { l.Rate, l.Queue, l.Mark = 250_000, 60_000, 15_000 })},
		{"an outage of a second", faulty(func(l *simnet.LinkConfig) { l.Outages = []simnet.Outage{Outage(200*ms, time.Second)} })},
		{"a satellite", simnet.LinkConfig{Delay: 300 * ms, Rate: 1_000_000, Queue: 600_000}},
		{"everything at once", simnet.LinkConfig{
			Delay: 20 * ms, Jitter: 10 * ms, Loss: 0.03, Burst: simnet.Burst{Enter: 0.01, Leave: 0.3, Loss: 0.8}, Corrupt: 0.02,
			Reorder: 0.05, ReorderDelay: 30 * ms, Duplicate: 0.05, DuplicateDelay: 100 * ms, Rate: 500_000, Queue: 30_000, Mark: 10_000,
			Outages: []simnet.Outage{Outage(500*ms, time.Second)},
		}},
	} {
		for _, work := range []struct {
			name string
			Workload
		}{{"bulk", bulk}, {"requests", requests}, {"mixed", mixed}} {
			t.Run(c.name+"/"+work.name, func(t *testing.T) {
				r := live(t, both(Config{Seed: seedOr(t, 1), Work: work.Workload, Client: patient, Server: patient}, c.link))
				t.Logf("work %v, all %v, %d datagrams up, %d down", r.Work, r.Elapsed, r.Up.Sent, r.Down.Sent)
			})
		}
	}
}

func TestAHandshakeSurvivesTheLossOfAnyOnePacket(t *testing.T) {
	for n := range 12 {
		for _, way := range []string{"up", "down"} {
			t.Run(fmt.Sprintf("%s/%d", way, n), func(t *testing.T) {
				c := both(Config{Seed: seedOr(t, 1), Work: Repeat(1, Flow{Request: 5000, Response: 5000}), Client: patient, Server: patient}, link)
				if way == "up" {
					c.Up.Mask = 1 << n
				} else {
					c.Down.Mask = 1 << n
				}
				if r := live(t, c); r.Work > 3*time.Second {
					t.Errorf("one lost packet cost %v", r.Work)
				}
			})
		}
	}
}

func TestAHandshakeSurvivesTheLossOfManyPackets(t *testing.T) {
	for _, mask := range []uint64{0x3, 0x7, 0xf, 0x55, 0xaa, 0xfe, 0xf0} {
		t.Run(fmt.Sprintf("%#x", mask), func(t *testing.T) {
			c := both(Config{Seed: seedOr(t, 1), Work: Repeat(1, Flow{Request: 500, Response: 500}), Client: patient, Server: patient}, link)
			c.Up.Mask, c.Down.Mask = mask, mask
			live(t, c)
		})
	}
}

func TestACleanBulkTransferFillsTheLink(t *testing.T) {
	l := simnet.LinkConfig{Delay: 20 * ms, Rate: 1_250_000, Queue: 100_000}
	r := live(t, both(Config{Seed: seedOr(t, 1), Work: Workload{Flows: []Flow{{Request: 10_000_000}}}}, l))
	if ideal := 8 * time.Second; r.Work > ideal*5/4 {
		t.Errorf("10 MB at 10 Mbit/s took %v", r.Work)
	}
}

func TestAConnectionSurvivesItsNATRebinding(t *testing.T) {
	l := link
	l.Rate = 500_000
	r := live(t, both(Config{Seed: seedOr(t, 1), Work: bulk, Client: patient, Server: patient, Turns: turnsOf(Rebind, 500*ms, 1500*ms)}, l))
	if r.Server.PathChanges == 0 {
		t.Error("the server did not follow")
	}
}

func TestAClientThatMovesFinishesItsWork(t *testing.T) {
	l := link
	l.Rate = 500_000
	r := live(t, both(Config{Seed: seedOr(t, 1), Work: bulk, Client: patient, Server: patient, Turns: turnsOf(Migrate, 300*ms, 900*ms, 1500*ms)}, l))
	if r.Client.PathChanges != 3 || r.Server.PathChanges < 3 {
		t.Errorf("the client moved %d times, the server followed %d times", r.Client.PathChanges, r.Server.PathChanges)
	}
}

func TestThePreferredAddressIsMovedTo(t *testing.T) {
	l := link
	l.Rate = 500_000
	r := live(t, both(Config{Seed: seedOr(t, 1), Work: bulk, Client: patient, Server: patient, Prefer: true, Turns: turnsOf(Migrate, 500*ms)}, l))
	if r.Client.PathChanges != 2 || r.Server.PathChanges < 2 {
		t.Errorf("the client moved %d times, the server followed %d times", r.Client.PathChanges, r.Server.PathChanges)
	}
}

func TestWorldsInWhichEveryAddressIsProvedFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		loss float64
	}{{"a clean link", 0}, {"10% loss", 0.1}} {
		t.Run(c.name, func(t *testing.T) {
			l := link
			l.Loss = c.loss
			w := both(Config{Seed: seedOr(t, 1), Clients: 10, Work: requests, Client: patient, Server: patient, Validation: engine.ValidateAlways}, l)
			if r := live(t, w); r.Retries < 10 {
				t.Errorf("%d Retry packets for 10 clients", r.Retries)
			}
		})
	}
}

func TestManyClientsShareOneServer(t *testing.T) {
	live(t, both(Config{Seed: seedOr(t, 1), Clients: 20, Work: requests, Client: patient, Server: patient}, link))
}

func TestStreamsBeyondTheLimitWaitTheirTurn(t *testing.T) {
	c := Config{Seed: seedOr(t, 1), Work: Repeat(300, Flow{Request: 100, Response: 100}), Client: patient, Server: patient}
	c.Server.MaxStreamsBidi = 3
	live(t, both(c, link))
}

func TestSmallWindowsOnlyMakeItSlow(t *testing.T) {
	c := Config{Seed: seedOr(t, 1), Work: Repeat(3, Flow{Request: 50_000, Response: 50_000, Eager: true}), Client: patient, Server: patient}
	for _, e := range []*engine.Config{&c.Client, &c.Server} {
		e.StreamWindow, e.MaxStreamWindow, e.ConnWindow, e.MaxConnWindow = 1000, 2000, 1500, 3000
	}
	live(t, both(c, link))
}

func TestTheSameSeedIsTheSameWorld(t *testing.T) {
	run := func(seed uint64) (hash [32]byte) {
		t.Run("seed "+strconv.FormatUint(seed, 10), func(t *testing.T) { hash = live(t, Random(seed)).Hash })
		return hash
	}
	for seed := range uint64(5) {
		if first, second := run(seed), run(seed); first != second {
			t.Errorf("seed %d: two runs, two worlds", seed)
		}
	}
	if run(1) == run(2) {
		t.Error("two seeds, one world")
	}
}

func TestTracingChangesNothing(t *testing.T) {
	run := func(trace bool) (r Result) {
		t.Run(fmt.Sprint("traced ", trace), func(t *testing.T) {
			c := Random(3)
			c.Trace = trace
			r = live(t, c)
		})
		return r
	}
	silent, traced := run(false), run(true)
	if silent.Hash != traced.Hash {
		t.Error("a traced world is another")
	}
	if len(silent.Traces) != 0 || len(traced.Traces) < 2 {
		t.Errorf("%d traces without tracing, %d with", len(silent.Traces), len(traced.Traces))
	}
}

func TestRandomWorldsEndWell(t *testing.T) {
	if seed, ok := number(t, "GODWIT_SEED"); ok {
		live(t, Random(seed))
		return
	}
	worlds := uint64(300)
	if testing.Short() {
		worlds = 20
	}
	for seed := range worlds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { live(t, Random(seed)) })
	}
}

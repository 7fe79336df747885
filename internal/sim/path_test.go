package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
)

// up is a workload that moves n bytes from client to server.
func up(n int64) Workload { return Workload{Flows: []Flow{{Request: n}}} }

// ethernet carries what a link with an MTU of 1500 does over IPv4, at 20 Mbit/s.
var ethernet = simnet.LinkConfig{Delay: 20 * ms, MTU: 1472, Rate: 2_500_000, Queue: 150_000}

// holed returns the link with a hole that begins a time into the world.
func holed(l simnet.LinkConfig, after time.Duration, mtu int) simnet.LinkConfig {
	l.Holes = []simnet.Hole{{Outage: simnet.Outage{From: epoch.Add(after)}, MTU: mtu}}
	return l
}

func TestDatagramsGrowToWhatThePathCarries(t *testing.T) {
	for _, c := range []struct {
		name        string
		mtu         int // of the link, as UDP payload
		max, least  int // what is configured, and how large datagrams have to be in the end
		probesAbove int // how many datagrams the link may have to drop
	}{
		{"an Ethernet", 1472, 0, 1452, 0},
		{"a link of 1280 bytes", 1252, 0, 1237, 12},
		{"a link of 1400 bytes", 1372, 0, 1357, 12},
		{"no more than QUIC needs", 1200, 0, 1200, 18},
		{"jumbo frames", 8972, 8952, 8952, 0},
		{"jumbo frames on one end only", 1472, 8952, 1452, 40},
		{"discovery off", 1472, 1200, 1200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := ethernet
			l.MTU = c.mtu
			ends := patient
			ends.MaxDatagramSize = c.max
			r := live(t, both(Config{Seed: seedOr(t, 1), Work: up(8_000_000), Client: ends, Server: ends}, l))
			if got := r.Client.DatagramSize; got < c.least || got > c.mtu {
				t.Errorf("datagrams have %d bytes in the end, the path carries %d", got, c.mtu)
			}
			if r.Up.TooLarge > c.probesAbove {
				t.Errorf("%d datagrams were too large, more than %d", r.Up.TooLarge, c.probesAbove)
			}
			if r.Server.DatagramSize != 1200 {
				t.Errorf("the server, which has nothing to send, looked for datagrams of %d bytes", r.Server.DatagramSize)
			}
		})
	}
}

func TestAHoleThatAppearsInTheMiddleOfATransferIsFound(t *testing.T) {
	for _, c := range []struct {
		name string
		link simnet.LinkConfig
		at   time.Duration
		mtu  int
		work int64
	}{
		{"to 1280 bytes", ethernet, time.Second, 1252, 8_000_000},
		{"to the least", ethernet, time.Second, 1200, 8_000_000},
		{"on a long path", simnet.LinkConfig{Delay: 100 * ms, Rate: 2_500_000, Queue: 500_000}, 3 * time.Second, 1300, 10_000_000},
		{"on a lossy path", simnet.LinkConfig{Delay: 20 * ms, Rate: 2_500_000, Queue: 150_000, Loss: 0.02}, time.Second, 1300, 1_500_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			work := func(name string, l simnet.LinkConfig) (r Result) {
				t.Run(name, func(t *testing.T) {
					r = live(t, Config{Seed: seedOr(t, 1), Work: up(c.work), Client: patient, Server: patient, Up: l, Down: c.link})
				})
				return r
			}
			whole, broken := work("whole", c.link), work("holed", holed(c.link, c.at, c.mtu))
			if got := broken.Client.DatagramSize; got > c.mtu {
				t.Errorf("datagrams have %d bytes in the end, the path carries %d", got, c.mtu)
			}
			if broken.Client.BlackHoles == 0 {
				t.Error("no black hole was noticed")
			}
			if cost := broken.Work - whole.Work; cost > 3*time.Second {
				t.Errorf("the hole cost %v", cost)
			}
			t.Logf("%v without the hole, %v with it, %d datagrams too large, %d bytes in the end, found %d times",
				whole.Work, broken.Work, broken.Up.TooLarge, broken.Client.DatagramSize, broken.Client.BlackHoles)
		})
	}
}

func TestAHoleIsFoundByThoseWhoSendLittle(t *testing.T) {
	// Bursts of some twelve datagrams, each after the answer to the one before: the last are lost with nothing behind.
	work := Repeat(60, Flow{Request: 15_000, Response: 100})
	work.Sequential = true
	r := live(t, Config{Seed: seedOr(t, 1), Work: work, Client: patient, Server: patient,
		Up: holed(ethernet, time.Second, 1252), Down: ethernet})
	if r.Client.BlackHoles == 0 || r.Client.DatagramSize > 1252 {
		t.Errorf("%d black holes found, datagrams have %d bytes", r.Client.BlackHoles, r.Client.DatagramSize)
	}
	if r.Work > 8*time.Second {
		t.Errorf("sixty requests of three round trips took %v", r.Work)
	}
}

func TestRandomLossIsNoBlackHole(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	reno := patient
	reno.Controller = func(mss int) congestion.Controller { return congestion.NewReno(mss) }
	requests := Repeat(60, Flow{Request: 20_000, Response: 20_000})
	requests.Sequential = true
	for _, c := range []struct {
		name string
		ends engine.Config
		work Workload
	}{{"bulk", patient, up(3_000_000)}, {"bulk with Reno", reno, up(3_000_000)}, {"requests", patient, requests}} {
		packets, small, found := int64(0), 0, int64(0)
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", c.name, seed), func(t *testing.T) {
				l := ethernet
				l.Loss = 0.05
				r := live(t, both(Config{Seed: seed, Work: c.work, Client: c.ends, Server: c.ends}, l))
				packets += r.Client.PacketsSent + r.Server.PacketsSent
				found += r.Client.BlackHoles + r.Server.BlackHoles
				if r.Client.DatagramSize < 1452 {
					small++
				}
			})
		}
		if found > 0 {
			t.Errorf("%s: %d black holes were found where there are none, in %d packets", c.name, found, packets)
		}
		// A probe is lost as anything else: three in a row, once in eight thousand searches.
		if small > 0 {
			t.Errorf("%s: %d of %d connections did not find the size of the path", c.name, small, seeds)
		}
	}
}

func TestANewPortKeepsTheSizeAndANewAddressDoesNot(t *testing.T) {
	// The first change is of address and port, the second of the port alone.
	for _, c := range []struct {
		name   string
		rebind []time.Duration
		grown  int // how often the server's datagrams grew
	}{{"address", []time.Duration{1500 * ms}, 2}, {"address, then port", []time.Duration{1500 * ms, 2500 * ms}, 2}} {
		t.Run(c.name, func(t *testing.T) {
			cfg := both(Config{Seed: seedOr(t, 1), Work: Workload{Flows: []Flow{{Response: 10_000_000}}}, Client: patient, Server: patient,
				Turns: turnsOf(Rebind, c.rebind...), Trace: true}, ethernet)
			cfg.Client.KeepAlive = 300 * ms
			r := live(t, cfg)
			if got := r.Server.DatagramSize; got != 1452 {
				t.Errorf("the server's datagrams have %d bytes in the end", got)
			}
			if got := countEvents(r, "server", `"name":"quic:mtu_updated"`, `"old":1200`); got != c.grown {
				t.Errorf("the server's datagrams grew %d times, want %d", got, c.grown)
			}
		})
	}
}

func TestMarksTakeThePlaceOfLosses(t *testing.T) {
	l := simnet.LinkConfig{Delay: 20 * ms, Rate: 1_250_000, Queue: 100_000, Mark: 25_000}
	for _, ecn := range []engine.ECN{engine.ECT0, engine.ECT1, engine.NoECN} {
		t.Run(fmt.Sprint(ecn), func(t *testing.T) {
			ends := patient
			ends.ECN = ecn
			r := live(t, both(Config{Seed: seedOr(t, 1), Work: up(10_000_000), Client: ends, Server: ends}, l))
			t.Logf("%v, %d marks, %d of them reported, %d lost, queue of %d bytes", r.Work, r.Up.Marked, r.Client.CE, r.Client.PacketsLost, r.Up.MaxQueue)
			if ecn == engine.NoECN {
				if r.Up.Marked+int(r.Client.CE) != 0 || r.Client.ECN != "" || r.Up.QueueFull == 0 {
					t.Errorf("without ECN: %d marks, %d datagrams did not fit the queue", r.Up.Marked, r.Up.QueueFull)
				}
				return
			}
			if r.Client.ECN != "capable" || r.Client.CE == 0 || int(r.Client.CE) > r.Up.Marked {
				t.Errorf("the path is %q, %d marks were reported of %d", r.Client.ECN, r.Client.CE, r.Up.Marked)
			}
			// The window that filled the queue to the mark was reduced before it filled the rest.
			if r.Up.QueueFull != 0 {
				t.Errorf("%d datagrams did not fit the queue although it marks", r.Up.QueueFull)
			}
			if ideal := 8 * time.Second; r.Work > ideal*5/4 {
				t.Errorf("10 MB at 10 Mbit/s took %v", r.Work)
			}
		})
	}
}

func TestAPathThatHarmsECNIsUsedWithout(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault simnet.ECNFault
		stage string
	}{
		{"bleached", simnet.ECNCleared, "failed"},
		{"mangled", simnet.ECNSwapped, "failed"},
		{"everything marked", simnet.ECNForced, "failed"},
		{"marked datagrams dropped", simnet.ECNDropped, "unknown"},
		{"as it should be", simnet.ECNKept, "capable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := ethernet
			l.ECN = c.fault
			l.Mark = 20_000
			cfg := Config{Seed: seedOr(t, 1), Work: up(3_000_000), Client: patient, Server: patient, Up: l, Down: ethernet}
			r := live(t, cfg)
			if r.Client.ECN != c.stage {
				t.Errorf("the path counts as %q, want %q", r.Client.ECN, c.stage)
			}
			if c.fault != simnet.ECNKept && r.Up.Marked > 30 {
				t.Errorf("%d datagrams were ECN-capable when they met the queue", r.Up.Marked)
			}
			if limit := 5 * time.Second; r.Work > limit {
				t.Errorf("3 MB at 20 Mbit/s took %v", r.Work)
			}
		})
	}
}

func TestADislikeOfECNCostsEachEndOneTimeout(t *testing.T) {
	l := ethernet
	l.ECN = simnet.ECNDropped
	r := live(t, both(Config{Seed: seedOr(t, 1), Work: Repeat(1, Flow{Request: 500, Response: 500}), Client: patient, Server: patient}, l))
	if r.Work > 2500*ms {
		t.Errorf("a request took %v", r.Work)
	}
}

// countEvents counts the records of the ends' traces that contain all parts.
func countEvents(r Result, end string, parts ...string) (n int) {
	for _, trace := range r.Traces {
		if !strings.Contains(trace.Name, end) {
			continue
		}
		for record := range strings.SplitSeq(string(trace.Data), "\x1e") {
			all := true
			for _, part := range parts {
				all = all && strings.Contains(record, part)
			}
			if all {
				n++
			}
		}
	}
	return n
}

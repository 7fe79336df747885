package sim

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/wire"
)

// Random returns a world made up from a seed: any links, faults, limits and work. In five of six nothing is so bad that the work cannot
// be done in the time it has; in the others connections may fail, but not for ever be neither alive nor dead.
func Random(seed uint64) Config {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], ^seed) // not the generator that the world itself uses
	d := dice{rand.New(rand.NewChaCha8(s))}
	c := Config{Seed: seed, Clients: 1 + d.rare(3), Work: d.work(), Up: d.link(), Down: d.link()}
	if d.one(3) {
		c.TimerDelay = d.duration(5 * time.Millisecond)
	}
	c.Client, c.Server = d.endpoint(), d.endpoint()
	c.Prefer = d.one(4)
	c.Topology = d.topology()
	if c.Shared {
		// A queue of a few datagrams that others keep full takes all probes of one who has backed off.
		c.Up.Queue, c.Down.Queue = max(c.Up.Queue, 20_000), max(c.Down.Queue, 20_000)
	}
	c.Turns = d.turns(c.Clients)
	if d.one(4) {
		c.Validation = engine.ValidateAlways
	}
	c.Client.Versions, c.Server.Versions = d.versions()
	if c.Quiet > 0 || slices.ContainsFunc(c.Turns, func(t Turn) bool { return t.Kind == Rebind }) {
		// A client that only waits does not notice that nothing can reach it any more: it has to speak now and then.
		c.Client.KeepAlive = time.Second
	}
	if d.one(3) {
		c.Early = Early(1 + d.IntN(2))
	}
	if d.one(3) {
		c.Token = GoodToken + Token(d.IntN(2))
	}
	for end := range c.Budget {
		if d.one(5) {
			c.Budget[end] = 10_000 + d.size(1_000_000)
		}
	}
	if d.one(3) {
		c.Work.Datagrams = d.size(1000)
		c.Client.MaxDatagramFrame, c.Server.MaxDatagramFrame = d.size(65535), d.size(65535)
	}
	if d.one(3) {
		c.Client.IDs, c.Server.IDs = idsOf(d.IntN(wire.MaxConnIDLen+1)), idsOf(2+d.IntN(wire.MaxConnIDLen-1))
	}
	if d.one(6) {
		d.harden(&c)
	}
	return c
}

// turns makes up what befalls so many clients.
func (d dice) turns(clients int) (turns []Turn) {
	for kind := range numTurnKinds {
		often := 4
		if kind == HangUp || kind == Vanish {
			often = 15
		}
		if !d.one(often) {
			continue
		}
		for range 1 + d.IntN(3) {
			turns = append(turns, Turn{Kind: kind, Client: d.IntN(clients), Server: d.one(2), After: d.duration(3 * time.Second)})
		}
	}
	slices.SortStableFunc(turns, func(a, b Turn) int { return cmp.Compare(a.After, b.After) })
	return turns
}

// dice are for making up worlds.
type dice struct{ *rand.Rand }

// one reports true once in n.
func (d dice) one(n int) bool { return d.IntN(n) == 0 }

// rare returns a number up to limit, mostly zero.
func (d dice) rare(limit int) int {
	if !d.one(3) {
		return 0
	}
	return 1 + d.IntN(limit)
}

func (d dice) duration(limit time.Duration) time.Duration {
	return time.Duration(d.Int64N(int64(limit) + 1))
}

// size returns a number of bytes whose magnitude is evenly distributed.
func (d dice) size(limit int64) int64 {
	n := int64(1) << d.IntN(40)
	return d.Int64N(min(n, limit) + 1)
}

// probability returns zero or up to limit.
func (d dice) probability(limit float64) float64 {
	if !d.one(3) {
		return 0
	}
	return limit * d.Float64()
}

// link makes up one direction.
func (d dice) link() simnet.LinkConfig {
	c := simnet.LinkConfig{
		Delay: d.duration(100 * time.Millisecond),
		Loss:  d.probability(0.1), LossRun: 5,
		Corrupt: d.probability(0.05),
		Reorder: d.probability(0.2), ReorderDelay: d.duration(50 * time.Millisecond),
		Duplicate: d.probability(0.1), DuplicateDelay: d.duration(200 * time.Millisecond),
	}
	if d.one(3) {
		c.Jitter = d.duration(20 * time.Millisecond)
	}
	if d.one(3) {
		c.Rate = 20_000 + d.size(10_000_000)
		c.Queue = 5_000 + int(d.size(200_000))
		if d.one(2) {
			c.Mark = 1 + c.Queue/4
		}
	}
	if d.one(5) {
		// Bursts are counted in datagrams: a long one would outlast a connection whose probes come at intervals that double.
		c.Burst = simnet.Burst{Enter: 0.02 * d.Float64(), Leave: 0.6 + 0.4*d.Float64(), Loss: 0.5 + 0.5*d.Float64()}
	}
	if d.one(5) {
		c.Outages = []simnet.Outage{Outage(d.duration(2*time.Second), d.duration(2*time.Second))}
	}
	if d.one(4) {
		c.MTU = 1200 + d.IntN(300)
	}
	if d.one(6) {
		c.Holes = []simnet.Hole{{Outage: Outage(d.duration(3*time.Second), d.duration(5*time.Second)), MTU: 1200 + d.IntN(250)}}
	}
	if d.one(4) {
		c.ECN = simnet.ECNFault(d.IntN(5))
	}
	if c.Rate > 0 && d.one(4) {
		for at := d.duration(time.Second); len(c.Steps) < 3; at += d.duration(2 * time.Second) {
			c.Steps = append(c.Steps, simnet.RateStep{At: epoch.Add(at), Rate: 20_000 + d.size(10_000_000)})
		}
	}
	if d.one(6) {
		c.Stalls = []simnet.Outage{Outage(d.duration(2*time.Second), d.duration(time.Second))}
	}
	if d.one(5) {
		c.Mask = d.Uint64() & d.Uint64() & d.Uint64()
	}
	return c
}

// work makes up a workload.
func (d dice) work() Workload {
	w := Workload{Flows: make([]Flow, 1+d.IntN(4)*d.IntN(12)), Sequential: d.one(4)}
	each := int64(2_000_000 / len(w.Flows))
	for i := range w.Flows {
		f := &w.Flows[i]
		f.Uni, f.FromServer, f.Eager = d.one(4), d.one(4), d.one(2)
		f.Request, f.Response = d.size(each), d.size(each)
		if d.one(8) {
			f.ResetAfter = d.size(f.Request)
			if d.one(2) {
				f.Promise = d.size(f.ResetAfter)
			}
		}
		if d.one(8) {
			f.StopAfter = d.size(f.Request)
		}
		if d.one(2) {
			f.Urgency, f.Incremental = uint8(d.IntN(engine.MaxUrgency+1)), d.one(2)
		}
		if d.one(10) {
			f.GiveUp = d.duration(2 * time.Second)
		}
		if d.one(10) && f.Request+f.Response < 200_000 {
			f.Pause = d.duration(200 * time.Millisecond)
		}
	}
	return w
}

// idsOf makes random connection IDs of so many bytes.
type idsOf int

func (n idsOf) Len() int        { return int(n) }
func (n idsOf) Generate([]byte) {}

// endpoint makes up the configuration of one end.
func (d dice) endpoint() engine.Config {
	c := engine.Config{HandshakeTimeout: 3 * time.Minute, MaxIdleTimeout: 3 * time.Minute}
	if d.one(3) {
		c.StreamWindow, c.ConnWindow = 5_000+d.size(100_000), 5_000+d.size(100_000)
		c.MaxStreamWindow, c.MaxConnWindow = c.StreamWindow+d.size(100_000), c.ConnWindow+d.size(100_000)
	}
	if d.one(3) {
		c.MaxStreamsBidi, c.MaxStreamsUni = 1+d.Int64N(5), 1+d.Int64N(5)
	}
	if d.one(3) {
		c.MaxDatagramSize = 1200 + d.IntN(273)
	}
	c.OneID = d.one(10)
	c.ECN = engine.ECN(d.IntN(3))
	name := congestion.Names()[d.IntN(len(congestion.Names()))]
	c.Controller = func(mss int) congestion.Controller {
		ctl, _ := congestion.ByName(name, mss)
		return ctl
	}
	if d.one(5) {
		c.KeepAlive = time.Second + d.duration(10*time.Second)
	}
	return c
}

// versions makes up what the two ends speak, so that they come together, if need be by a Version Negotiation packet.
func (d dice) versions() (client, server []uint32) {
	const v1, v2 = wire.Version1, wire.Version2
	switch d.IntN(7) {
	case 0:
		return []uint32{v2, v1}, []uint32{v1} // wanted and not to be had
	case 1:
		return []uint32{v2}, []uint32{v2}
	case 2, 3:
		return []uint32{v2, v1}, nil // the server changes the version
	case 4:
		return []uint32{v2}, nil
	case 5:
		return []uint32{v1, v2}, []uint32{v2} // the client has to dial again
	}
	return nil, nil
}

// Outage returns a link's downtime, counted from the beginning of the world.
func Outage(from, length time.Duration) simnet.Outage {
	return simnet.Outage{From: epoch.Add(from), To: epoch.Add(from + length)}
}

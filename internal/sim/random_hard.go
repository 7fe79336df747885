package sim

import (
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
)

// topology makes up what stands between the hosts.
func (d dice) topology() (t Topology) {
	for range d.rare(3) {
		t.Others = append(t.Others, Ways{d.link(), d.link()})
	}
	t.Shared = d.one(4)
	if d.one(6) {
		t.Quiet = 300*time.Millisecond + d.duration(3*time.Second)
	}
	if d.one(6) {
		t.Spoof = 0.05 * d.Float64()
	}
	return t
}

// harden makes a world one in which connections may fail: it gives them little time, and its links far worse faults, which end all
// at once. Then what is still alive gets on, or nothing arrives any more. Either way everything has to end in bounded time.
func (d dice) harden(c *Config) {
	c.Hard = true
	c.Heal = time.Second + d.duration(time.Minute)
	c.Dead = d.one(4)
	c.Limit = c.Heal + 10*time.Minute
	for _, e := range []*engine.Config{&c.Client, &c.Server} {
		e.HandshakeTimeout = 2*time.Second + d.duration(30*time.Second)
		e.MaxIdleTimeout = time.Second + d.duration(30*time.Second)
	}
	d.worsen(&c.Up, c.Heal)
	d.worsen(&c.Down, c.Heal)
	for i := range c.Others {
		d.worsen(&c.Others[i].Up, c.Heal)
		d.worsen(&c.Others[i].Down, c.Heal)
	}
	const little = 20
	for i := range c.Work.Flows {
		f := &c.Work.Flows[i]
		f.Request, f.Response = f.Request/little, f.Response/little
		f.ResetAfter, f.Promise, f.StopAfter = f.ResetAfter/little, f.Promise/little, f.StopAfter/little
	}
	for range d.rare(4) {
		c.Turns = append(c.Turns, Turn{Kind: TurnKind(d.IntN(int(numTurnKinds))), Client: d.IntN(c.Clients), Server: d.one(2), After: d.duration(c.Heal)})
	}
}

// worsen makes a link as bad as links get.
func (d dice) worsen(l *simnet.LinkConfig, heal time.Duration) {
	l.Loss, l.LossRun, l.Corrupt = 0.6*d.Float64(), 0, d.probability(0.3)
	l.Reorder, l.ReorderDelay = d.probability(0.5), d.duration(time.Second)
	l.Duplicate, l.DuplicateDelay = d.probability(0.5), d.duration(2*time.Second)
	if d.one(4) {
		l.Delay = d.duration(2 * time.Second)
	}
	for range d.rare(4) {
		l.Outages = append(l.Outages, Outage(d.duration(heal), d.duration(20*time.Second)))
		l.Stalls = append(l.Stalls, Outage(d.duration(heal), d.duration(5*time.Second)))
	}
	if d.one(6) {
		l.MTU = 1100 + d.IntN(200) // too little for QUIC, or just enough
	}
}

package sim

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/wire"
)

// slow is a link on which a bulk transfer takes some seconds.
var slow = simnet.LinkConfig{Delay: 20 * ms, Rate: 500_000}

func TestKeysAndIDsChangeInTheMiddleOfTransfers(t *testing.T) {
	var turns []Turn
	for i := range 10 {
		after := time.Duration(i+1) * 150 * ms
		turns = append(turns,
			Turn{Kind: UpdateKeys, Server: i%2 == 0, After: after}, Turn{Kind: RenewIDs, Server: i%2 == 1, After: after},
			Turn{Kind: RenewIDs, Server: i%2 == 0, After: after + 50*ms}, Turn{Kind: Reorder, Server: i%3 == 0, After: after})
	}
	l := slow
	l.Loss = 0.02
	r := live(t, both(Config{Seed: seedOr(t, 1), Work: bulk, Client: patient, Server: patient, Turns: turns}, l))
	if r.Client.KeyUpdates < 5 || r.Server.KeyUpdates < 5 {
		t.Errorf("%d key updates at the client, %d at the server", r.Client.KeyUpdates, r.Server.KeyUpdates)
	}
}

func TestAClientDialsAgainWhenTheServerWantsAnotherVersion(t *testing.T) {
	for _, c := range []struct {
		name string
		ids  engine.IDGenerator
		Early
	}{{"usual IDs", nil, NoEarly}, {"no IDs", idsOf(0), NoEarly}, {"0-RTT", nil, EarlyAccepted}} {
		t.Run(c.name, func(t *testing.T) {
			w := both(Config{Seed: seedOr(t, 1), Work: mixed, Client: patient, Server: patient, Early: c.Early}, link)
			w.Client.Versions, w.Server.Versions = []uint32{wire.Version1, wire.Version2}, []uint32{wire.Version2}
			w.Client.IDs = c.ids
			if r := live(t, w); r.Client.Version != wire.Version2 {
				t.Errorf("version %#x", r.Client.Version)
			}
		})
	}
}

func TestATokenSparesTheRetryOnceItIsGood(t *testing.T) {
	for _, c := range []struct {
		name    string
		token   Token
		retried bool
	}{{"none", NoToken, true}, {"good", GoodToken, false}, {"of other keys", StaleToken, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := both(Config{Seed: seedOr(t, 1), Work: requests, Client: patient, Server: patient, Token: c.token, Validation: engine.ValidateAlways}, link)
			if r := live(t, w); (r.Retries > 0) != c.retried {
				t.Errorf("%d Retry packets", r.Retries)
			}
		})
	}
}

func TestBothEndsLearnOfAnEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		Turn
		most time.Duration
	}{
		{"the client hangs up", Turn{Kind: HangUp}, 2 * time.Second},
		{"the server hangs up", Turn{Kind: HangUp, Server: true}, 2 * time.Second},
		// Who vanishes answers what still comes with stateless resets. There is none for a client's first connection ID: "Note that
		// clients cannot use the stateless_reset_token transport parameter because their transport parameters do not have
		// confidentiality protection." (RFC 9000, section 10.3)
		{"the client vanishes", Turn{Kind: Vanish}, 5*time.Minute + 2*time.Second},
		{"the server vanishes", Turn{Kind: Vanish, Server: true}, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.After = 500 * ms
			r := live(t, both(Config{Seed: seedOr(t, 1), Work: bulk, Client: patient, Server: patient, Turns: []Turn{c.Turn}}, slow))
			if r.Elapsed > c.most {
				t.Errorf("it took %v until both ends were over", r.Elapsed)
			}
		})
	}
}

func TestABudgetIsKeptByManyWhoReadSlowly(t *testing.T) {
	work := Repeat(3, Flow{Request: 60_000, Response: 1000, Pause: 50 * ms})
	const budget = 60_000
	w := both(Config{Seed: seedOr(t, 1), Clients: 6, Work: work, Client: patient, Server: patient, Budget: [2]int64{server: budget}}, link)
	live(t, w)
}

func TestCopiesFromElsewhereLeadNobodyAstray(t *testing.T) {
	for _, work := range []Workload{bulk, requests, mixed} {
		w := both(Config{Seed: seedOr(t, 1), Work: work, Client: patient, Server: patient, Topology: Topology{Spoof: 0.1}}, slow)
		w.Client.KeepAlive = time.Second
		live(t, w)
	}
}

func TestANATThatForgetsIsFollowed(t *testing.T) {
	work := Repeat(5, Flow{Request: 1000, Response: 20_000, Pause: 300 * ms})
	work.Sequential = true
	w := both(Config{Seed: seedOr(t, 1), Work: work, Client: patient, Server: patient, Topology: Topology{Quiet: 200 * ms}}, link)
	w.Client.KeepAlive = time.Second
	if r := live(t, w); r.Server.PathChanges == 0 {
		t.Error("the server did not follow")
	}
}

func TestClientsWithLinksOfTheirOwnShareABottleneck(t *testing.T) {
	lossy := Ways{simnet.LinkConfig{Delay: 80 * ms, Loss: 0.03}, simnet.LinkConfig{Delay: 5 * ms, Loss: 0.03}}
	l := slow
	l.Queue = 30_000
	r := live(t, both(Config{Seed: seedOr(t, 1), Clients: 4, Work: bulk, Client: patient, Server: patient, Topology: Topology{Others: []Ways{lossy}, Shared: true}}, l))
	if r.Up.Sent < 2000 || r.Up.QueueFull == 0 {
		t.Errorf("the first link carried %d datagrams and dropped %d", r.Up.Sent, r.Up.QueueFull)
	}
}

func TestConnectionsGetOnWhenFaultsEnd(t *testing.T) {
	outage := simnet.LinkConfig{Delay: 20 * ms, Outages: []simnet.Outage{Outage(500*ms, time.Hour)}}
	for _, dead := range []bool{false, true} {
		c := Config{Seed: seedOr(t, 1), Work: bulk, Client: patient, Server: patient, Hard: true, Topology: Topology{Heal: 20 * time.Second, Dead: dead}}
		r := live(t, both(c, outage))
		if !dead && r.Work == 0 {
			t.Error("the work was not done")
		}
	}
}

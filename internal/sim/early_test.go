package sim

import (
	"testing"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/simnet"
)

func TestWorldsWithEarlyData(t *testing.T) {
	work := Workload{Flows: []Flow{
		{Request: 8000, Response: 20_000},
		{Request: 30_000, Response: 30_000, Eager: true},
		{Uni: true, Request: 5000},
		{Request: 8000, Response: 100, ResetAfter: 4000, Promise: 2000},
		{Request: 8000, Response: 100, StopAfter: 1000},
	}, Datagrams: 20}
	// The first flight is an Initial packet or two, and 0-RTT packets behind it.
	for _, c := range []struct {
		name       string
		link       simnet.LinkConfig
		lost       uint64 // datagrams up, by their order
		validation engine.Validation
	}{
		{name: "a clean link", link: link},
		{name: "the first datagram is lost", link: link, lost: 0x1},
		{name: "all but the first are lost", link: link, lost: 0xfe},
		{name: "the whole first flight is lost", link: link, lost: 0xfff},
		{name: "every other one is lost", link: link, lost: 0x5555},
		{name: "a Retry", link: link, validation: engine.ValidateAlways},
		{name: "a Retry, and the flight behind it is lost", link: link, validation: engine.ValidateAlways, lost: 0xfff000},
		{name: "a Retry and loss", link: simnet.LinkConfig{Delay: 20 * ms, Loss: 0.1}, validation: engine.ValidateAlways},
		{name: "reordering and duplication", link: simnet.LinkConfig{Delay: 20 * ms, Jitter: 30 * ms, Duplicate: 0.3, DuplicateDelay: 100 * ms}},
	} {
		for _, early := range []Early{EarlyAccepted, EarlyRejected} {
			t.Run(c.name+map[Early]string{EarlyAccepted: "/accepted", EarlyRejected: "/rejected"}[early], func(t *testing.T) {
				w := both(Config{Seed: seedOr(t, 1), Work: work, Client: talking, Server: talking, Early: early, Validation: c.validation}, c.link)
				w.Up.Mask = c.lost
				r := live(t, w)
				want := map[Early]string{EarlyAccepted: "accepted", EarlyRejected: "rejected"}[early]
				if r.Early[client] != want {
					t.Errorf("0-RTT was %q at the client, %q at the server", r.Early[client], r.Early[server])
				}
				if c.validation == engine.ValidateAlways && r.Retries == 0 {
					t.Error("there was no Retry")
				}
				t.Logf("work %v, 0-RTT %q, datagrams %+v", r.Work, r.Early, r.Datagrams)
			})
		}
	}
}

func TestEarlyDataSavesTimeAndCostsNone(t *testing.T) {
	work := func(early Early) (r Result) {
		t.Run(map[Early]string{NoEarly: "never", EarlyAccepted: "accepted", EarlyRejected: "rejected"}[early], func(t *testing.T) {
			r = live(t, both(Config{Seed: seedOr(t, 1), Work: Repeat(1, Flow{Request: 500, Response: 500}), Client: patient, Server: patient, Early: early}, link))
		})
		return r
	}
	never, accepted, rejected := work(NoEarly).Work, work(EarlyAccepted).Work, work(EarlyRejected).Work
	// The client has its response after 40 ms, but the work is done when the server's handshake is, half a round trip later.
	if never-accepted < 20*ms || rejected-never > 10*ms {
		t.Errorf("a request takes %v without 0-RTT, %v with, %v when it is rejected; a round trip is 40 ms", never, accepted, rejected)
	}
}

// talking endpoints take datagrams.
var talking = func() engine.Config {
	c := patient
	c.MaxDatagramFrame = 65535
	return c
}()

func TestWorldsWithDatagrams(t *testing.T) {
	for _, c := range []struct {
		name string
		link simnet.LinkConfig
		many int64
	}{
		{"a clean link", link, 200},
		{"more than a queue holds", link, 2000},
		{"a slow link", simnet.LinkConfig{Delay: 20 * ms, Rate: 100_000, Queue: 20_000}, 2000},
		{"loss", simnet.LinkConfig{Delay: 20 * ms, Loss: 0.2}, 500},
		{"reordering and duplication", simnet.LinkConfig{Delay: 20 * ms, Jitter: 30 * ms, Duplicate: 0.5, DuplicateDelay: 100 * ms}, 500},
		{"a hole in the middle", simnet.LinkConfig{Delay: 20 * ms, MTU: 1472, Rate: 1_000_000, Queue: 60_000,
			Holes: []simnet.Hole{{Outage: Outage(300*ms, 1000*ms), MTU: 1220}}}, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			work := Workload{Flows: []Flow{{Request: 400_000, Response: 400_000, Eager: true}}, Datagrams: c.many}
			r := live(t, both(Config{Seed: seedOr(t, 1), Work: work, Client: talking, Server: talking}, c.link))
			for end, d := range r.Datagrams {
				if d.Sent == 0 || d.Received == 0 {
					t.Errorf("end %d: %+v", end, d)
				}
				if many := c.many > 400; many != (d.DroppedSending > 0) {
					t.Errorf("end %d: of %d datagrams at once %d gave way", end, c.many, d.DroppedSending)
				}
			}
			t.Logf("%v: %+v", r.Work, r.Datagrams)
		})
	}
}

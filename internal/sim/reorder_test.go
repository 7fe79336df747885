package sim

import (
	"testing"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/internal/simnet"
)

// TestReorderingIsNotTakenForCongestion moves data over a link that holds every fifth datagram back for most of a
// round-trip time and loses none, and compares counters with those of the same link without reordering.
func TestReorderingIsNotTakenForCongestion(t *testing.T) {
	for _, name := range congestion.Names() {
		t.Run(name, func(t *testing.T) {
			run := func(l simnet.LinkConfig) Result {
				c := both(Config{Seed: seedOr(t, 1), Work: Workload{Flows: []Flow{{Request: 4_000_000}}}, Client: patient, Server: patient}, l)
				c.Client.Controller = func(mss int) congestion.Controller {
					ctl, err := congestion.ByName(name, mss)
					if err != nil {
						t.Fatal(err)
					}
					return ctl
				}
				return live(t, c)
			}
			l := simnet.LinkConfig{Delay: 20 * ms, Rate: 2_500_000, Queue: 8_000_000}
			plain := run(l)
			l.Reorder, l.ReorderDelay = 0.2, 30*ms
			r := run(l)
			t.Logf("plain: window %d, %d lost; reordered: window %d, %d of %d lost, %d spuriously",
				plain.Client.Window, plain.Client.PacketsLost, r.Client.Window, r.Client.PacketsLost, r.Client.PacketsSent, r.Client.PacketsSpurious)
			if r.Up.Reordered < 100 {
				t.Fatalf("only %d datagrams were reordered", r.Up.Reordered)
			}
			if n := r.Client.PacketsLost; n > r.Client.PacketsSent/50 {
				t.Errorf("%d of %d packets were declared lost", n, r.Client.PacketsSent)
			}
			if r.Client.Window < plain.Client.Window/2 {
				t.Errorf("the window is %d bytes, and %d without reordering", r.Client.Window, plain.Client.Window)
			}
		})
	}
}

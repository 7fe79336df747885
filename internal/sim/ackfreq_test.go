package sim

import (
	"testing"

	"github.com/godwit-net/godwit/internal/simnet"
)

// TestABulkTransferIsAcknowledgedSparingly moves data over a link on which datagrams arrive one by one, so that only what
// the sender asks for keeps the receiver from acknowledging every second one.
func TestABulkTransferIsAcknowledgedSparingly(t *testing.T) {
	l := simnet.LinkConfig{Delay: 20 * ms, Rate: 2_500_000, Queue: 100_000}
	r := live(t, both(Config{Seed: seedOr(t, 1), Work: Workload{Flows: []Flow{{Request: 10_000_000}}}, Client: patient, Server: patient}, l))
	t.Logf("%d datagrams were answered with %d; %d lost, %v", r.Up.Sent, r.Down.Sent, r.Client.PacketsLost, r.Work)
	if r.Down.Sent*5 > r.Up.Sent {
		t.Errorf("%d datagrams were answered with %d", r.Up.Sent, r.Down.Sent)
	}
}

package sim

import (
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/wire"
)

func TestAPathThatBecomesTooNarrowIsNotUsed(t *testing.T) {
	// Rules: 9000:14/1, 9000:14.2/4
	for _, c := range []struct {
		name     string
		up, down simnet.LinkConfig
		work     Workload
	}{
		{"for an upload", holed(ethernet, 500*ms, 1199), ethernet, up(20_000_000)},
		{"for a download", ethernet, holed(ethernet, 500*ms, 1199), Workload{Flows: []Flow{{Request: 100, Response: 20_000_000}}}},
		{"both ways", holed(ethernet, 500*ms, 600), holed(ethernet, 500*ms, 600), up(20_000_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 1)
			_, err := Run(Config{Seed: seedOr(t, 1), Work: c.work, Client: patient, Server: patient, Up: c.up, Down: c.down})
			if err == nil || !strings.Contains(err.Error(), wire.NoViablePath.String()) {
				t.Errorf("got %v, want %v", err, wire.NoViablePath)
			}
		})
	}
}

func TestAPathThatIsTooNarrowForAWhileIsUsedAgain(t *testing.T) {
	for _, length := range []time.Duration{300 * ms, time.Second, 4 * time.Second} {
		l := ethernet
		l.Holes = []simnet.Hole{{Outage: Outage(500*ms, length), MTU: 1000}}
		r := live(t, both(Config{Seed: seedOr(t, 1), Work: up(8_000_000), Client: patient, Server: patient}, l))
		t.Logf("%v without what QUIC needs: %v in all", length, r.Work)
	}
}

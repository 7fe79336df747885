package hostile

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// result is all that was measured of one attack on one server. Sizes are in bytes; resident memory is measured with the garbage
// collected, where the server can be told to, but for the peak.
type result struct {
	Server, Attack string
	Version        string // of the server, where somebody tells
	Sent, Got      int64  // UDP payload of the attackers
	Before, Peak   int64
	After          int64
	Bound          int64 // of Peak-Before, for a server of ours
	Died           bool
	Local          bool // Before, Peak, After, CPU and Descriptors are known
	CPU            float64
	Goroutines     [2]int64 `json:",omitzero"` // before and after; zeros where nobody tells
	Descriptors    [2]int
	Old, New       fetches
	Afterwards     string // why a client afterwards was not served; empty: it was
	What, Why, Err string
	Unclaimed      string // which datagrams reached no connection, and how many; "" where nobody tells
}

// perMiB is seconds of the processor for each MiB that was sent.
func (r *result) perMiB() string {
	if r.Sent < 256<<10 || !r.Local {
		return "-" // it would say what the clients beside it cost
	}
	return fmt.Sprintf("%.2f", r.CPU/mib(r.Sent))
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// unclaimed picks from a server's counters what it says of datagrams that reached no connection.
func unclaimed(counters map[string]int64) string {
	s := ""
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if reason, ok := strings.CutPrefix(name, "unclaimed."); ok {
			s += fmt.Sprintf("%s %d ", reason, counters[name])
		}
	}
	return s
}

// line is a row of the table in docs/security.md.
func (r *result) line() string {
	return fmt.Sprintf("| %s | %.2f | %.2f | %.1f | %.1f | %s | %d of %d | %d of %d | %s |", r.Attack, mib(r.Sent), mib(r.Got),
		mib(r.Peak-r.Before), mib(r.After-r.Before), r.perMiB(), r.Old.Asked-r.Old.Failed, r.Old.Asked, r.New.Asked-r.New.Failed, r.New.Asked, r.What)
}

// keep logs a result, and appends it to the file GODWIT_HOSTILE_RESULTS.
func (r *result) keep(t *testing.T) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	t.Logf("%s\nconnected before: median %.1f ms, worst %.1f; newcomers: median %.1f ms, worst %.1f; goroutines %d, descriptors %d; %s",
		r.line(), ms(r.Old.Median), ms(r.Old.Worst), ms(r.New.Median), ms(r.New.Worst), r.Goroutines, r.Descriptors, r.Unclaimed)
	name := os.Getenv("GODWIT_HOSTILE_RESULTS")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := json.NewEncoder(f).Encode(r); err != nil {
		t.Fatal(err)
	}
}

package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/cryptotest"
	"time"
)

// number returns an environment variable that is a number; false: it is not set.
func number(t *testing.T, name string) (uint64, bool) {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n, true
}

// seedOr returns GODWIT_SEED, if it is set, or the seed given.
func seedOr(t *testing.T, seed uint64) uint64 {
	t.Helper()
	if s, ok := number(t, "GODWIT_SEED"); ok {
		return s
	}
	return seed
}

// TestSeeds is the long run: GODWIT_SEEDS random worlds, from GODWIT_SEED on, told of as they go. Every fourth is lived twice.
func TestSeeds(t *testing.T) {
	many, ok := number(t, "GODWIT_SEEDS")
	if !ok {
		t.Skip("GODWIT_SEEDS says how many")
	}
	var failed []uint64
	var lived, longest time.Duration
	datagrams, began := 0, time.Now()
	told := began
	first := seedOr(t, 0)
	for seed := first; seed < first+many; seed++ {
		c := Random(seed)
		cryptotest.SetGlobalRandom(t, seed)
		r, err := Run(c)
		if err == nil && seed%4 == 0 {
			cryptotest.SetGlobalRandom(t, seed)
			if again, _ := Run(c); again.Hash != r.Hash {
				err = fmt.Errorf("seed %d: two runs, two worlds", seed)
			}
		}
		if err != nil {
			failed = append(failed, seed)
			t.Error(err)
			fmt.Fprintln(os.Stderr, err)
		}
		datagrams, lived, longest = datagrams+r.Up.Sent+r.Down.Sent, lived+r.Elapsed, max(longest, r.Elapsed)
		if now := time.Now(); now.Sub(told) > 5*time.Second || seed == first+many-1 {
			told = now
			fmt.Fprintf(os.Stderr, "%d of %d worlds, %v of virtual time in %v, the longest %v; %d datagrams of first clients; %d failed %v\n", seed-first+1, many,
				lived.Round(time.Second), now.Sub(began).Round(time.Second), longest.Round(time.Second), datagrams, len(failed), failed)
		}
	}
}

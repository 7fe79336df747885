package hostile

import (
	"cmp"
	"os"
	"slices"
	"testing"
	"time"
)

func allAttacks() []attack {
	return slices.Concat(attacks, resetAttacks, tokenAttacks, stateAttacks, floodAttacks, spoofAttacks, slowAttacks)
}

// The table in docs/security.md has a fresh server for each of them, and a test run of its own.
func TestAttacksHaveNames(t *testing.T) {
	seen := map[string]bool{}
	defer func() {
		for _, name := range quick {
			if !seen[name] {
				t.Errorf("there is no attack %q", name)
			}
		}
	}()
	for _, a := range allAttacks() {
		t.Logf("attack: %s", a.name)
		if seen[a.name] {
			t.Error("twice")
		}
		seen[a.name] = true
	}
}

// quick are the attacks that the ordinary tests have time for, some of each family. make hostile has all of them, and on a machine
// that is not busy.
var quick = []string{
	"Initial packets from many addresses",
	"responses that are not read",
	"requests that are reset at once",
	"ACK of packets never sent",
	"PATH_CHALLENGE flood",
	"NEW_CONNECTION_ID flood",
	"field sections that expand",
	"CRYPTO fragments",
	"answers that are never heard",
	"RETIRE_CONNECTION_ID flood",
	"moves to forged addresses",
	"ACK of skipped packets",
	"frames after the Finished",
	"stateless resets: size",
	"streams in every illegal order",
	"the last byte of every stream alone",
	"packets that others inject into a connection",
}

func TestHostileClientsAreBounded(t *testing.T) {
	binary := ""
	if ours() {
		binary = godwit(t)
	}
	for _, a := range allAttacks() {
		if ours() && !full() && !slices.Contains(quick, a.name) {
			continue
		}
		t.Run(a.name, func(t *testing.T) { endure(t, serve(t, binary), a) })
	}
}

// endure attacks, with a client beside it that was there before and others that come meanwhile, and another that comes afterwards.
// A server of ours has to keep the attack's bounds, and has to come back to what it was; of another one it is only told what happened.
//
// While a server recovers, which takes as long as a connection that has fallen silent is kept, the next attack goes on: endure
// calls t.Parallel for that.
func endure(t *testing.T, v victim, a attack) *result {
	t.Helper()
	if v.ours() {
		t.Parallel()
	}
	r := suffer(t, v, a)
	if v.ours() {
		r.judge(t)
		v.recovers(t, r)
	} else {
		r.After, r.Descriptors[1] = v.settle(t, r.Before), v.descriptors()
	}
	r.keep(t)
	return r
}

// attacking is held by an attack; where time is short there may be two at once, each on its own server.
var attacking = make(chan struct{}, times(2, 1))

// suffer is the attack and who is beside it.
func suffer(t *testing.T, v victim, a attack) *result {
	t.Helper()
	attacking <- struct{}{}
	defer func() { <-attacking }()
	r := &result{Server: cmp.Or(os.Getenv("GODWIT_HOSTILE_SERVER"), "Godwit"), Version: os.Getenv("GODWIT_HOSTILE_VERSION"), Attack: a.name, Bound: a.growth, Local: v.pid != 0}
	before := v.rest(t)
	r.Before, r.Goroutines[0], r.Descriptors[0] = v.resident(t), before["process.goroutines"], v.descriptors()
	cpu := v.cpu()
	v.forgetPeak()
	b := standBeside(t, v.addr)
	o, err := a.run(v.addr)
	b.end()
	r.Sent, r.Got, r.What, r.Why, r.Old, r.New = o.sent, o.got, o.what, o.why, b.Old, b.New
	r.CPU = v.cpu() - cpu
	if err != nil {
		r.Err = err.Error()
	}
	after := newTransport()
	defer after.Close()
	if err := get(after, v.addr); err != nil {
		r.Afterwards = err.Error()
	}
	after.Close()
	r.Peak = v.peak(t)
	r.Died = r.Local && r.Peak == 0
	return r
}

// judge fails the test when a bound was passed.
func (r *result) judge(t *testing.T) {
	t.Helper()
	if r.Err != "" || r.Why != "" {
		t.Errorf("%s %s", r.Err, r.Why)
	}
	if r.Old.Failed+r.New.Failed > 0 {
		t.Errorf("beside it %d of %d fetches failed, and %d of %d newcomers", r.Old.Failed, r.Old.Asked, r.New.Failed, r.New.Asked)
	}
	if r.Afterwards != "" {
		t.Errorf("a client afterwards: %s", r.Afterwards)
	}
	if grown := r.Peak - r.Before; grown > r.Bound {
		t.Errorf("grew by %d bytes, more than %d", grown, r.Bound)
	}
}

// rest has a server serve somebody once, so that what is made once is made, and, if it can be asked, waits until all connections
// are gone.
func (v victim) rest(t *testing.T) map[string]int64 {
	t.Helper()
	tr := newTransport()
	defer tr.Close()
	if err := get(tr, v.addr); err != nil {
		t.Fatalf("before the attack: %v", err)
	}
	tr.Close()
	if !v.ours() {
		return nil
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if c := v.counters(t); c["connections.open"] == 0 {
			return c
		}
		if time.Now().After(end) {
			t.Fatal("a connection stays open")
		}
	}
}

// kept is how much of its resident memory a server may keep that has recovered: memory in use at its peak has fragments, and
// maps do not shrink.
const kept = 8 << 20

// recovers waits until the server is what it was: no connection, as many goroutines and descriptors as before, and its memory.
func (v victim) recovers(t *testing.T, r *result) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Second) {
		c := v.counters(t)
		if n := c["connections.panicked"] + c["requests.panicked"]; n > 0 {
			t.Errorf("%d panics", n)
			return
		}
		r.After, r.Goroutines[1], r.Descriptors[1] = v.resident(t), c["process.goroutines"], v.descriptors()
		r.Unclaimed = unclaimed(c)
		if c["connections.open"] == 0 && r.Goroutines[1] <= r.Goroutines[0] && r.Descriptors[1] <= r.Descriptors[0] && r.After <= r.Before+kept {
			return
		}
		if time.Now().After(end) {
			t.Errorf("it does not recover: %d connections are open, goroutines %d, descriptors %d, memory %d then %d",
				c["connections.open"], r.Goroutines, r.Descriptors, r.Before, r.After)
			return
		}
	}
}

// settle is recovers for a server that cannot be asked: it has the time of an idle timeout and some more to give its memory back.
func (v victim) settle(t *testing.T, before int64) int64 {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); v.pid != 0 && v.resident(t) > before+2<<20 && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
	return v.resident(t)
}

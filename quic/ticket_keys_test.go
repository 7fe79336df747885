package quic

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestTicketKeysSurviveTheProcessAndAreShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	now := time.Unix(1_800_000_000, 0)
	at := func(k *TicketKeys, now time.Time) [][32]byte {
		t.Helper()
		keys, next, err := k.at(now)
		if err != nil || !next.After(now) || next.Sub(now) > ticketPeriod {
			t.Fatalf("next %v: %v", next, err)
		}
		return keys
	}
	first := TicketKeyFile(path)
	before := at(first, now)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file's mode is %v: %v", info.Mode(), err)
	}
	after, second := at(TicketKeyFile(path), now), TicketKeyFile(path)
	ahead := at(second, now.Add(ticketPeriod))
	late := at(first, now.Add(ticketPeriod)) // after the other has saved
	gone := at(TicketKeyFile(path), now.Add(3*ticketPeriod))
	for _, c := range []struct {
		name     string
		from, to [][32]byte
		want     bool
	}{
		{"the same keys after a restart", before, after, true},
		{"a process that shares the file", after, before, true},
		{"after the keys have rotated", before, ahead, true},
		{"both have rotated", ahead, late, true},
		{"a clock that runs ahead", ahead, before, true},
		{"two generations later", before, gone, false},
	} {
		if got := slices.Contains(c.to, c.from[0]); got != c.want {
			t.Errorf("%s: resumes %v", c.name, got)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := TicketKeyFile(path).Apply(new(tls.Config)); err == nil {
		t.Error("a file that others may read was taken")
	}
}

func TestTicketKeysThatMakeNoSenseAreRefused(t *testing.T) {
	for _, state := range []string{"x", "godwit-ticket-keys-1 5 00", "godwit-ticket-keys-1 x " + string(make([]byte, 64)), "godwit-ticket-keys-1"} {
		k := &TicketKeys{
			Load: func() ([]byte, error) { return []byte(state), nil },
			Save: func([]byte) error { t.Errorf("%q was overwritten", state); return nil },
		}
		if _, err := k.Apply(new(tls.Config)); err == nil {
			t.Errorf("%q was taken", state)
		}
		if e, err := Listen("127.0.0.1:0", serverTLS(), &Config{Resumption: Resumption{TicketKeys: k}}); err == nil {
			e.Close()
			t.Errorf("an endpoint took %q", state)
		}
	}
}

func TestSessionsOutliveTheServerWithTicketKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	client := newEarlyClient()
	client.tls.ServerName = "localhost"
	for i := range 2 {
		e, early := earlyListen(t, serverTLS(), &Config{Resumption: Resumption{EarlyData: true, TicketKeys: TicketKeyFile(path)}, Logger: quiet()}, false)
		c := client.dial(t, e)
		ask(t, c, []byte("x"))
		if got := c.Stats().Resumed; got != (i == 1) {
			t.Errorf("connection %d: resumed %v", i, got)
		}
		// The register did not survive, so neither does 0-RTT.
		if early.Load() > 0 || c.EarlyData() {
			t.Error("0-RTT was accepted by a server that cannot know")
		}
		<-client.came
		c.Close()
		e.Close()
	}
}

func FuzzTicketState(f *testing.F) {
	f.Add(appendTicketState(nil, 7, [32]byte{1}))
	f.Add([]byte(ticketStateHead))
	f.Fuzz(func(t *testing.T, b []byte) {
		gen, secret, err := parseTicketState(b)
		if err != nil {
			return
		}
		if again, s, err := parseTicketState(appendTicketState(nil, gen, secret)); err != nil || again != gen || s != secret {
			t.Fatalf("%q becomes generation %d: %v", b, again, err)
		}
	})
}

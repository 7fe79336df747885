package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/link"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/simnet"
)

// linking runs godwit link until end is called, and returns where it listens.
func linking(t *testing.T, args ...string) (addr string, end func() result) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var out, errors output
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, process{stdout: &out, stderr: &errors}, append([]string{"link", "--listen", "127.0.0.1:0"}, args...))
	}()
	ended := false
	end = func() result {
		cancel()
		code := 0
		if !ended {
			ended, code = true, <-done
		}
		return result{code, out.String(), errors.String()}
	}
	t.Cleanup(func() { end() })
	printed := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	for wait := time.Now().Add(time.Minute); time.Now().Before(wait); time.Sleep(time.Millisecond) {
		if m := printed.FindString(out.String()); m != "" {
			return m, end
		}
		select {
		case code := <-done:
			t.Fatalf("link: code %d, %s", code, errors.String())
		default:
		}
	}
	t.Fatal("link printed no address in a minute")
	return "", nil
}

func TestAFetchGetsThroughABadNetworkThatCounts(t *testing.T) {
	url, _ := serving(t)
	pcap := filepath.Join(t.TempDir(), "capture.pcap")
	addr, end := linking(t, "--to", strings.TrimPrefix(url, "https://"), "--delay", "2ms", "--loss", "5%", "--burst", "3",
		"--drop", "3", "--up-duplicate", "50%", "--down-reorder", "5%", "--pcap", pcap, "--json")
	if got := godwit("get", "--http3-only", "--insecure", "https://"+addr+"/proto"); got.code != 0 {
		t.Fatalf("get: %+v", got)
	}
	got := end()
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if got.code != 0 || len(lines) != 2 {
		t.Fatalf("link: %+v", got)
	}
	var report linkReport
	if err := json.Unmarshal([]byte(lines[1]), &report); err != nil {
		t.Fatal(err)
	}
	if report.Clients != 1 || report.Up.Named != 1 || report.Up.Duplicated == 0 || report.Down.Arrived == 0 || report.Up.Disliked != 0 {
		t.Errorf("%+v", report)
	}
	if info, err := os.Stat(pcap); err != nil || info.Size() < int64(report.Up.Bytes) {
		t.Errorf("the capture is too small: %v, %v", info, err)
	}
}

func TestALinkTellsPeopleWhatItDid(t *testing.T) {
	url, _ := serving(t)
	addr, end := linking(t, "--to", strings.TrimPrefix(url, "https://"))
	if got := godwit("get", "--http3-only", "--insecure", "https://"+addr+"/proto"); got.code != 0 {
		t.Fatalf("get: %+v", got)
	}
	// The last words of get and of serve may be under way when the link ends.
	got := end()
	if !regexp.MustCompile(`^127\.0\.0\.1:\d+ leads to 127\.0\.0\.1:\d+; Ctrl-C shows what became of the datagrams\n` +
		`clients 1, rebindings 0, strays 0\nto the server:   \d+ datagrams, \d+ arrived \(0\.0 MB\)(, \d+ under way)?\n` +
		`to the clients:  \d+ datagrams, \d+ arrived \(0\.0 MB\)(, \d+ under way)?\n$`).MatchString(got.out) {
		t.Errorf("%q", got.out)
	}
	all := directed{Entered: 9, Lost: 1, MaxQueue: 5, Late: 2, Stale: 3}.String()
	if want := "9 datagrams, 0 arrived (0.0 MB), 1 lost, 3 to an old port, 2 held back; 5 bytes in the longest queue"; all != want {
		t.Errorf("%q, want %q", all, want)
	}
}

func TestLinkFlagsMeanWhatTheySay(t *testing.T) {
	both := func(up, down simnet.LinkConfig) link.Config { return link.Config{Up: up, Down: down} }
	same := func(c simnet.LinkConfig) link.Config { return both(c, c) }
	for _, c := range []struct {
		args string
		want link.Config
	}{
		{"--delay 30ms --jitter 1.5ms", same(simnet.LinkConfig{Delay: 30 * time.Millisecond, Jitter: 1500 * time.Microsecond})},
		{"--rate 50mbit --queue 200kB --mark 1MiB", same(simnet.LinkConfig{Rate: 6_250_000, Queue: 200_000, Mark: 1 << 20})},
		{"--up-rate 1.5gbit --down-rate 56kbit", both(simnet.LinkConfig{Rate: 187_500_000}, simnet.LinkConfig{Rate: 7000})},
		{"--loss 1% --corrupt 0.5 --burst 3", same(simnet.LinkConfig{Loss: 0.01, LossRun: 3, Corrupt: 0.5, CorruptRun: 3})},
		{"--loss 1% --up-loss 0", both(simnet.LinkConfig{}, simnet.LinkConfig{Loss: 0.01})},
		{"--drop 2-7,9", same(simnet.LinkConfig{Drops: rangeset.Set{{Start: 1, End: 7}, {Start: 8, End: 9}}})},
		{"--reorder 2% --reorder-delay 9ms --duplicate 3%", same(simnet.LinkConfig{Reorder: 0.02, ReorderDelay: 9 * time.Millisecond, Duplicate: 0.03})},
		{"--mtu 1500 --outage 5s/2s --ecn clear", same(simnet.LinkConfig{MTU: 1500, Cycle: simnet.Cycle{Up: 5 * time.Second, Down: 2 * time.Second}, ECN: simnet.ECNCleared})},
	} {
		f, got := flag.NewFlagSet("link", flag.ContinueOnError), link.Config{}
		for _, o := range linkOptions {
			o.register(f, &got)
		}
		if err := f.Parse(strings.Fields(c.args)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, got %+v, want %+v", c.args, err, got, c.want)
		}
	}
}

func TestRebindingsHaveAFirstAndOthers(t *testing.T) {
	for s, want := range map[string]link.Rebind{
		"5s":    {After: 5 * time.Second, Every: 5 * time.Second},
		"1s/5s": {After: time.Second, Every: 5 * time.Second},
		"1s/0s": {After: time.Second},
	} {
		var got link.Rebind
		if err := rebinding(s, &got); err != nil || got != want {
			t.Errorf("%s: %v, got %+v, want %+v", s, err, got, want)
		}
	}
}

func TestAnMTUCountsHeaders(t *testing.T) {
	for to, want := range map[string]int{"127.0.0.1:1": 1472, "[::1]:1": 1452} {
		c := link.Config{Listen: "127.0.0.1:0", Target: to, Up: simnet.LinkConfig{MTU: 1500}}
		if err := checkLink(flag.NewFlagSet("link", flag.ContinueOnError), &c); err != nil || c.Up.MTU != want || c.Down.MTU != 0 {
			t.Errorf("%s: %v, %d and %d, want %d and none", to, err, c.Up.MTU, c.Down.MTU, want)
		}
	}
}

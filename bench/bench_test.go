package main

import (
	"context"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestMain lets the children of a run that a test starts, which are this program, play their roles.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-role" {
		if err := runRole(os.Args[2]); err != nil {
			fail(err)
		}
		return
	}
	os.Exit(m.Run())
}

func TestEveryClientWorksWithEveryServer(t *testing.T) {
	o := &options{
		rounds: 1, size: 1 << 20, requests: 1000, stacks: "godwit,quic-go", cases: strings.Join(caseNames(), ","),
		cross: true, profiles: t.TempDir(), timeout: time.Minute,
	}
	r, err := run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Measurements); n != 4*len(cases) {
		t.Errorf("%d measurements, want four pairings of %d cases", n, len(cases))
	}
	for _, s := range r.Summaries {
		if s.Rate <= 0 || s.ClientMallocs <= 0 || (s.Ratio > 0) == (s.pairing == reference) {
			t.Errorf("%+v", s)
		}
	}
	if !reflect.DeepEqual(r.Settings.Ciphers, []string{"TLS_AES_128_GCM_SHA256"}) {
		t.Errorf("cipher suites %v: the stacks are not compared on the same one", r.Settings.Ciphers)
	}
	// Godwit is on one side of one pairing, twice, and on both of another.
	if files, _ := os.ReadDir(o.profiles); len(files) != 4*len(cases) {
		t.Errorf("%d profiles, want %d", len(files), 4*len(cases))
	}
	for _, o.asJSON = range []bool{false, true} {
		if err := r.print(io.Discard, o); err != nil {
			t.Error(err)
		}
	}
}

func TestATransferThatTakesTooLongIsGivenUp(t *testing.T) {
	o := &options{
		rounds: 1, size: 1 << 40, stacks: "quic-go", cases: "download", timeout: 500 * time.Millisecond,
	}
	_, err := run(context.Background(), o)
	if err == nil {
		t.Error("a TiB in half a second")
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	var all []measurement
	for round, seconds := range [][2]float64{{1, 2}, {10, 30}, {4, 4}} { // the second round is slow for both
		for i, name := range []string{"godwit", "quic-go"} {
			all = append(all, measurement{
				Case: "download", pairing: pairing{name, name}, Round: round + 1, Seconds: seconds[i],
				Work: workload{Kind: download, Bytes: 1 << 30}, OfC: usageSample{CPU: seconds[i]},
			})
		}
	}
	s := summarize(selected(all, "download", pairing{"godwit", "godwit"}), selected(all, "download", reference))
	if !reflect.DeepEqual(s.Ratios, []float64{2, 3, 1}) || s.Ratio != 2 || s.CPURatio != 0.5 {
		t.Errorf("ratios %v, median %v, of CPU %v", s.Ratios, s.Ratio, s.CPURatio)
	}
}

func TestMedianIsTheMiddle(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{5}, 5}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for _, c := range []struct {
		text string
		want byteSize
	}{{"1GiB", 1 << 30}, {"64MiB", 64 << 20}, {"16KiB", 16 << 10}, {"1000B", 1000}} {
		var s byteSize
		if err := s.Set(c.text); err != nil || s != c.want || s.String() != c.text {
			t.Errorf("%s is read as %d (%v) and written as %s", c.text, s, err, s.String())
		}
	}
	for _, text := range []string{"", "GiB", "-1", "1.5GiB", "99999999999GiB", "1GB"} {
		if err := new(byteSize).Set(text); err == nil {
			t.Errorf("%q is taken for a size", text)
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is what a run came to.
type report struct {
	Machine      machine       `json:"machine"`
	Settings     settings      `json:"settings"`
	Summaries    []summary     `json:"summaries"`
	Measurements []measurement `json:"measurements"`
}

type machine struct {
	OS, Arch, Go string
	CPUs         int
}

type settings struct {
	Rounds  int
	Window  int64    // bytes; 0: each stack's own
	Netns   string   `json:",omitempty"`
	Ciphers []string // all that were negotiated
	Sockets []string // all that Godwit's servers said about theirs
}

// summary is the medians of a pairing in a case.
type summary struct {
	Case string `json:"case"`
	pairing
	Rate          float64 `json:"rate"` // bits per second or requests per second
	P50           float64 `json:"p50_ms"`
	P99           float64 `json:"p99_ms"`
	ClientCPU     float64 `json:"client_cpu_s"`
	ServerCPU     float64 `json:"server_cpu_s"`
	ClientMallocs float64 `json:"client_mallocs_per_unit"` // unit: a MiB or a request
	ServerMallocs float64 `json:"server_mallocs_per_unit"`

	// Against quic-go's client at quic-go's server, round by round, and the medians.
	Ratios   []float64 `json:"ratios,omitempty"`
	Ratio    float64   `json:"ratio,omitempty"`
	CPURatio float64   `json:"cpu_ratio,omitempty"` // of both processes together
}

// reference is who is compared against.
var reference = pairing{"quic-go", "quic-go"}

func newReport(b *bench, all []measurement) *report {
	r := &report{
		Machine: machine{runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU()},
		Settings: settings{
			Rounds: b.o.rounds, Window: int64(b.o.window), Netns: b.o.netns, Ciphers: b.ciphers, Sockets: b.sockets,
		},
		Measurements: all,
	}
	for _, c := range cases {
		for _, p := range pairings(b.o) {
			own := selected(all, c.name, p)
			if len(own) > 0 {
				r.Summaries = append(r.Summaries, summarize(own, selected(all, c.name, reference)))
			}
		}
	}
	return r
}

// selected returns the measurements of a pairing in a case, by round.
func selected(all []measurement, name string, p pairing) []measurement {
	return slices.DeleteFunc(slices.Clone(all), func(m measurement) bool { return m.Case != name || m.pairing != p })
}

// summarize takes the medians of own, and of its ratios to what the reference did in the same rounds.
func summarize(own, reference []measurement) summary {
	of := func(f func(*measurement) float64) float64 {
		var values []float64
		for i := range own {
			values = append(values, f(&own[i]))
		}
		return median(values)
	}
	s := summary{
		Case: own[0].Case, pairing: own[0].pairing,
		Rate:          of((*measurement).rate),
		P50:           of(func(m *measurement) float64 { return m.P50 }),
		P99:           of(func(m *measurement) float64 { return m.P99 }),
		ClientCPU:     of(func(m *measurement) float64 { return m.OfC.CPU }),
		ServerCPU:     of(func(m *measurement) float64 { return m.OfS.CPU }),
		ClientMallocs: of(func(m *measurement) float64 { return float64(m.OfC.Mallocs) / m.units() }),
		ServerMallocs: of(func(m *measurement) float64 { return float64(m.OfS.Mallocs) / m.units() }),
	}
	if len(reference) != len(own) || own[0].pairing == reference[0].pairing {
		return s
	}
	var cpu []float64
	for i := range own {
		a, b := &own[i], &reference[i]
		s.Ratios = append(s.Ratios, a.rate()/b.rate())
		cpu = append(cpu, (a.OfC.CPU+a.OfS.CPU)/(b.OfC.CPU+b.OfS.CPU))
	}
	s.Ratio, s.CPURatio = median(s.Ratios), median(cpu)
	return s
}

// median returns the middle of values, the mean of both middles when their number is even.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// print writes the report in the form that the options ask for.
func (r *report) print(w io.Writer, o *options) error {
	if o.asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	window := "each stack's own windows"
	if r.Settings.Window != 0 {
		window = fmt.Sprintf("stream and connection windows of %s", &o.window)
	}
	place := "loopback"
	if o.netns != "" {
		place = "loopback of namespace " + o.netns
	}
	fmt.Fprintf(w, "%s %s/%s, %d CPUs, %s; %s; %s; median of %d rounds\n", r.Machine.Go, r.Machine.OS, r.Machine.Arch,
		r.Machine.CPUs, place, strings.Join(r.Settings.Ciphers, ", "), window, r.Settings.Rounds)
	for _, s := range r.Settings.Sockets {
		fmt.Fprintf(w, "godwit's socket: %s\n", s)
	}
	for _, c := range cases {
		rows := slices.DeleteFunc(slices.Clone(r.Summaries), func(s summary) bool { return s.Case != c.name })
		if len(rows) > 0 {
			fmt.Fprintln(w)
			if err := printCase(w, c, c.work(o), rows); err != nil {
				return err
			}
		}
	}
	return nil
}

func printCase(w io.Writer, c testCase, work workload, rows []summary) error {
	amount, unit := fmt.Sprintf("%d requests", work.Requests), "request"
	if work.bulk() {
		size := byteSize(work.Bytes)
		amount, unit = size.String(), "MiB"
	}
	fmt.Fprintf(w, "%s: %s\n", c.title, amount)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := []string{"  client -> server", "rate", "CPU s client+server", "mallocs/" + unit + " client+server",
		"CPU ratio", "ratio to quic-go"}
	if !work.bulk() {
		head = slices.Insert(head, 2, "p50/p99 ms")
	}
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, s := range rows {
		fmt.Fprintln(t, strings.Join(s.cells(work), "\t"))
	}
	return t.Flush()
}

// cells returns the row of the table for a pairing.
func (s *summary) cells(work workload) []string {
	cells := []string{"  " + s.pairing.String()}
	if work.bulk() {
		cells = append(cells, fmt.Sprintf("%.2f Gbit/s", s.Rate/1e9))
	} else {
		cells = append(cells, fmt.Sprintf("%.0f/s", s.Rate), fmt.Sprintf("%.2f/%.2f", s.P50, s.P99))
	}
	cells = append(cells, fmt.Sprintf("%.2f+%.2f", s.ClientCPU, s.ServerCPU),
		fmt.Sprintf("%.1f+%.1f", s.ClientMallocs, s.ServerMallocs))
	if s.Ratio == 0 {
		return append(cells, "-", "-")
	}
	return append(cells, fmt.Sprintf("%.2f", s.CPURatio), fmt.Sprintf("%.2f %.2f", s.Ratio, s.Ratios))
}

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pairing is a client of one stack at the server of another, or of its own.
type pairing struct{ Client, Server string }

func (p pairing) String() string { return p.Client + " -> " + p.Server }

// measurement is one workload done once by one pairing.
type measurement struct {
	Case string `json:"case"`
	pairing
	Round   int         `json:"round"`
	Work    workload    `json:"work"`
	Seconds float64     `json:"seconds"`
	P50     float64     `json:"p50_ms"` // of a request
	P99     float64     `json:"p99_ms"`
	OfC     usageSample `json:"client_usage"`
	OfS     usageSample `json:"server_usage"`
}

// rate returns what is compared: bits per second of a bulk transfer, requests per second otherwise.
func (m *measurement) rate() float64 {
	if m.Work.bulk() {
		return float64(m.Work.Bytes) * 8 / m.Seconds
	}
	return float64(m.Work.Requests) / m.Seconds
}

// units returns what mallocs are counted by: MiB of a bulk transfer, requests otherwise.
func (m *measurement) units() float64 {
	if m.Work.bulk() {
		return float64(m.Work.Bytes) / (1 << 20)
	}
	return float64(m.Work.Requests)
}

// bench is a run of the whole comparison.
type bench struct {
	o        *options
	cert     []byte
	key      []byte
	ciphers  []string
	sockets  []string
	progress func(format string, args ...any)
}

// run measures every case, round by round. Within a round the pairings take turns, and every other round they do so
// backwards, so that a machine that slows down steadily favours nobody.
func run(ctx context.Context, o *options) (*report, error) {
	cert, key, err := newCertificate()
	if err != nil {
		return nil, err
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return nil, err
		}
	}
	warnOfMTU(o)
	b := &bench{o: o, cert: cert, key: key, progress: progress()}
	var all []measurement
	for _, c := range cases {
		if !slices.Contains(strings.Split(o.cases, ","), c.name) {
			continue
		}
		for round := range o.rounds {
			pairs := pairings(o)
			if round%2 == 1 {
				slices.Reverse(pairs)
			}
			for _, p := range pairs {
				b.progress("%s, round %d of %d: %s", c.title, round+1, o.rounds, p)
				m, err := b.measure(ctx, c, round+1, p)
				if err != nil {
					b.progress("")
					return nil, fmt.Errorf("%s, %s: %w", c.name, p, err)
				}
				all = append(all, m)
			}
		}
	}
	b.progress("")
	return newReport(b, all), nil
}

// pairings returns who is measured against whom.
func pairings(o *options) []pairing {
	names := strings.Split(o.stacks, ",")
	var pairs []pairing
	for _, name := range names {
		pairs = append(pairs, pairing{name, name})
	}
	if o.cross {
		for _, client := range names {
			for _, server := range names {
				if client != server {
					pairs = append(pairs, pairing{client, server})
				}
			}
		}
	}
	return pairs
}

// measure starts a server and a client and has them do the work of a case once.
func (b *bench) measure(ctx context.Context, c testCase, round int, p pairing) (measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.timeout)
	defer cancel()
	m := measurement{Case: c.name, pairing: p, Round: round, Work: c.work(b.o)}
	j := job{Window: int64(b.o.window), Work: m.Work, Cert: b.cert, Key: b.key, Deadline: b.o.timeout}

	j.Stack, j.Profile = p.Server, b.profile(m, "server", p.Server)
	server, hello, err := startChild(ctx, "server", j, b.o.netns)
	if err != nil {
		return m, err
	}
	defer server.stop()
	b.sockets = note(b.sockets, hello.Socket)

	j.Addr, j.Stack, j.Profile = hello.Addr, p.Client, b.profile(m, "client", p.Client)
	client, hello, err := startChild(ctx, "client", j, b.o.netns)
	if err != nil {
		return m, err
	}
	defer client.stop()
	b.ciphers = note(b.ciphers, hello.Cipher)

	if _, err := server.ask(ctx, begin); err != nil {
		return m, err
	}
	done, err := client.ask(ctx, begin)
	if err != nil {
		return m, err
	}
	served, err := server.ask(ctx, end)
	if err != nil {
		return m, err
	}
	m.Seconds, m.OfC, m.OfS = done.Seconds, done.Usage, served.Usage
	m.P50, m.P99 = done.Latency[0], done.Latency[1]
	return m, nil
}

// profile returns the file for a CPU profile, if there is to be one of this process.
func (b *bench) profile(m measurement, role, stack string) string {
	if b.o.profiles == "" || stack != "godwit" {
		return ""
	}
	return filepath.Join(b.o.profiles, fmt.Sprintf("%s.%s-%s.%d.%s.pprof", m.Case, m.Client, m.Server, m.Round, role))
}

// note adds text to a list of what was seen.
func note(seen []string, text string) []string {
	if text == "" || slices.Contains(seen, text) {
		return seen
	}
	return append(seen, text)
}

// warnOfMTU says so when packets will be larger than on any network.
func warnOfMTU(o *options) {
	lo, err := net.InterfaceByName("lo")
	if o.netns == "" && err == nil && lo.MTU > 1500 {
		fmt.Fprintf(os.Stderr, "bench: the loopback interface has an MTU of %d; for comparable numbers, as root:\n"+
			"  ip netns add bench\n  ip netns exec bench ip link set lo mtu 1500 up\nand run with -netns bench\n", lo.MTU)
	}
}

// progress returns a function that shows what is being done on one line of a terminal.
func progress() func(format string, args ...any) {
	info, err := os.Stderr.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) { fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...) }
}

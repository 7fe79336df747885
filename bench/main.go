// Command bench runs Godwit and quic-go side by side on the same HTTP/3 work and compares them.
//
// Every measurement starts a server process and a client process of its own, the stacks take turns, and each round gives
// one ratio, so that a machine that becomes slower in between slows both. See README.md for the method and how to read
// the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rounds   int
	size     byteSize
	requests int
	window   byteSize
	stacks   string
	cases    string
	cross    bool
	netns    string
	profiles string
	asJSON   bool
	timeout  time.Duration
	role     string
}

const usage = `usage: bench [flags]

Runs the same HTTP/3 work on Godwit and on quic-go, in turns, and prints medians and the ratio of each round.

The loopback interface usually has an MTU of 65536, at which packets are larger than on any network. For numbers that
mean something, make a network namespace with an MTU of 1500 once, as root, and pass its name with -netns:

  ip netns add bench
  ip netns exec bench ip link set lo mtu 1500 up

flags:
`

func parseOptions() (*options, error) {
	o := &options{size: 1 << 30}
	f := flag.CommandLine
	f.IntVar(&o.rounds, "n", 3, "number of `rounds`: how often each measurement is repeated")
	f.Var(&o.size, "size", "`bytes` of a download or upload: 1GiB, 64MiB, ...")
	f.IntVar(&o.requests, "requests", 30000, "`number` of 1 KiB requests per measurement")
	f.Var(&o.window, "window", "`bytes` of the stream and connection windows of both stacks (default: each one's own)")
	f.StringVar(&o.stacks, "stacks", "godwit,quic-go", "`names` of the stacks to run")
	f.StringVar(&o.cases, "cases", strings.Join(caseNames(), ","), "`names` of the cases to run")
	f.BoolVar(&o.cross, "cross", false, "also pair each client with the other stack's server")
	f.StringVar(&o.netns, "netns", "", "run everything in this network `namespace`, through \"ip netns exec\" (root)")
	f.StringVar(&o.profiles, "cpuprofile", "", "`directory` for CPU profiles of Godwit's processes")
	f.BoolVar(&o.asJSON, "json", false, "print all measurements as JSON instead of the table")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "`duration` after which a measurement is given up")
	f.StringVar(&o.role, "role", "", "")
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		printFlags(f)
	}
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.rounds < 1 || o.requests < 1 || o.size < 1:
		return nil, errors.New("-n, -requests and -size must be positive")
	}
	for _, name := range strings.Split(o.stacks, ",") {
		if _, ok := stackByName(name); !ok {
			return nil, fmt.Errorf("no stack is called %q", name)
		}
	}
	for _, name := range strings.Split(o.cases, ",") {
		if !slices.Contains(caseNames(), name) {
			return nil, fmt.Errorf("no case is called %q: there are %s", name, strings.Join(caseNames(), ", "))
		}
	}
	return o, nil
}

// printFlags prints every flag but the one that the command passes to itself.
func printFlags(f *flag.FlagSet) {
	shown := flag.NewFlagSet("", flag.ContinueOnError)
	shown.SetOutput(f.Output())
	f.VisitAll(func(fl *flag.Flag) {
		if fl.Name != "role" {
			shown.Var(fl.Value, fl.Name, fl.Usage)
		}
	})
	shown.PrintDefaults()
}

func main() {
	o, err := parseOptions()
	if err != nil {
		fail(err)
	}
	if o.role != "" {
		if err := runRole(o.role); err != nil {
			fail(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, o)
	if err == nil {
		err = r.print(os.Stdout, o)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

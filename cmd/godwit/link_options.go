package main

import (
	"errors"
	"flag"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/link"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/simnet"
)

// linkOption is something that a link does: a flag for both directions and, with up- or down- in front, for one.
type linkOption struct {
	name, usage string
	set         func(c *simnet.LinkConfig, value string) error
}

// linkOptions is every one, in the order in which a datagram meets them.
var linkOptions = []linkOption{
	{"delay", "how long a datagram takes, a `TIME` such as 50ms", timeOption(func(c *simnet.LinkConfig) *time.Duration { return &c.Delay })},
	{"jitter", "up to that `TIME` longer, at random, in order", timeOption(func(c *simnet.LinkConfig) *time.Duration { return &c.Jitter })},
	{"rate", "bits of UDP payload in a second, a `RATE` such as 50mbit", func(c *simnet.LinkConfig, s string) error {
		bits, err := quantity(s, rateUnits)
		c.Rate = max(1, bits/8)
		return err
	}},
	{"queue", "bytes that may wait for their turn, a `SIZE` such as 200kB; needs --rate", sizeOption(func(c *simnet.LinkConfig) *int { return &c.Queue })},
	{"mark", "mark CE what finds more than `SIZE` waiting and is ECN-capable", sizeOption(func(c *simnet.LinkConfig) *int { return &c.Mark })},
	{"loss", "`SHARE` of datagrams that are lost, such as 1%", shareOption(func(c *simnet.LinkConfig) *float64 { return &c.Loss })},
	{"burst", "the most datagrams in a row, a `NUMBER`, that --loss and --corrupt take", func(c *simnet.LinkConfig, s string) error {
		n, err := strconv.ParseUint(s, 10, 31)
		c.LossRun, c.CorruptRun = int(n), int(n)
		return plainly(err, "want a number")
	}},
	{"drop", "drop datagrams by number, from 1 for each client: a `LIST` such as 2-7,9", func(c *simnet.LinkConfig, s string) (err error) {
		c.Drops, err = numbers(s)
		return err
	}},
	{"corrupt", "`SHARE` of datagrams that have a byte changed", shareOption(func(c *simnet.LinkConfig) *float64 { return &c.Corrupt })},
	{"reorder", "`SHARE` of datagrams that are held back and overtaken", shareOption(func(c *simnet.LinkConfig) *float64 { return &c.Reorder })},
	{"reorder-delay", "how long they are held back, a `TIME`; without it 5ms", timeOption(func(c *simnet.LinkConfig) *time.Duration { return &c.ReorderDelay })},
	{"duplicate", "`SHARE` of datagrams that arrive twice", shareOption(func(c *simnet.LinkConfig) *float64 { return &c.Duplicate })},
	{"mtu", "drop IP packets of more than so many `BYTES`", sizeOption(func(c *simnet.LinkConfig) *int { return &c.MTU })},
	{"outage", "up and down again and again, from the first datagram: `UP/DOWN` such as 5s/2s", func(c *simnet.LinkConfig, s string) (err error) {
		up, down, _ := strings.Cut(s, "/")
		if c.Cycle.Up, err = linkTime(up); err == nil {
			c.Cycle.Down, err = linkTime(down)
		}
		return plainly(err, "want two times such as 5s/2s")
	}},
	{"ecn", "what the link makes of ECN marks, a `FAULT`: clear, swap, force (CE) or drop", func(c *simnet.LinkConfig, s string) error {
		fault, ok := ecnFaults[s]
		if !ok {
			return errors.New("want clear, swap, force or drop")
		}
		c.ECN = fault
		return nil
	}},
}

var ecnFaults = map[string]simnet.ECNFault{
	"clear": simnet.ECNCleared, "swap": simnet.ECNSwapped, "force": simnet.ECNForced, "drop": simnet.ECNDropped,
}

// register adds the option's three flags. Those for one direction have no text of their own.
func (o linkOption) register(f *flag.FlagSet, c *link.Config) {
	f.Func(o.name, o.usage, func(s string) error {
		if err := o.set(&c.Up, s); err != nil {
			return err
		}
		return o.set(&c.Down, s)
	})
	f.Func("up-"+o.name, "", func(s string) error { return o.set(&c.Up, s) })
	f.Func("down-"+o.name, "", func(s string) error { return o.set(&c.Down, s) })
}

// linkOptionNames lists them.
func linkOptionNames() string {
	var names []string
	for _, o := range linkOptions {
		names = append(names, o.name)
	}
	return strings.Join(names, ", ")
}

type setOption = func(c *simnet.LinkConfig, value string) error

func timeOption(field func(*simnet.LinkConfig) *time.Duration) setOption {
	return func(c *simnet.LinkConfig, s string) (err error) {
		*field(c), err = linkTime(s)
		return err
	}
}

// shareOption parses a probability: 1% or 0.01.
func shareOption(field func(*simnet.LinkConfig) *float64) setOption {
	return func(c *simnet.LinkConfig, s string) error {
		n, percent := strings.CutSuffix(s, "%")
		p, err := strconv.ParseFloat(n, 64)
		if percent {
			p /= 100
		}
		if err != nil || !(p >= 0 && p <= 1) {
			return errors.New("want a share such as 1% or 0.01")
		}
		*field(c) = p
		return nil
	}
}

func sizeOption(field func(*simnet.LinkConfig) *int) setOption {
	return func(c *simnet.LinkConfig, s string) error {
		n, err := quantity(s, sizeUnits)
		*field(c) = int(n)
		return err
	}
}

// unit is a suffix of a quantity.
type unit struct {
	suffix string
	factor float64
}

// The longer ones come first where one ends like another.
var (
	rateUnits = []unit{{"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {"bit", 1}}
	sizeUnits = []unit{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"kB", 1e3}, {"MB", 1e6}, {"B", 1}, {"", 1}}
)

// quantity parses a number with one of the units, which is at least 1.
func quantity(s string, units []unit) (int64, error) {
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.suffix); ok {
			f, err := strconv.ParseFloat(n, 64)
			if f *= u.factor; err == nil && f >= 1 && f <= math.MaxInt32*1000 {
				return int64(f), nil
			}
			break
		}
	}
	var suffixes []string
	for _, u := range units {
		if u.suffix != "" {
			suffixes = append(suffixes, "10"+u.suffix)
		}
	}
	return 0, errors.New("want a number such as " + strings.Join(suffixes, ", "))
}

// numbers parses a list of numbers and ranges, counted from 1, into a set counted from 0.
func numbers(list string) (set rangeset.Set, err error) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.ParseUint(from, 10, 31)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(to, 10, 31)
		}
		if err != nil || first < 1 || last < first {
			return nil, errors.New("want numbers from 1, such as 2-7,9")
		}
		set.Add(int64(first)-1, int64(last))
	}
	return set, nil
}

// rebinding parses one time, or two, as FIRST/EVERY.
func rebinding(s string, r *link.Rebind) (err error) {
	first, every, both := strings.Cut(s, "/")
	if !both {
		every = first
	}
	if r.After, err = linkTime(first); err == nil {
		r.Every, err = linkTime(every)
	}
	return err
}

// linkTime parses a time that is not negative.
func linkTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("want a time such as 30ms or 1.5s")
	}
	return d, nil
}

// plainly says what is wanted in place of an error.
func plainly(err error, want string) error {
	if err != nil {
		return errors.New(want)
	}
	return nil
}

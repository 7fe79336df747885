// Command godwit puts HTTP/3 in front of an HTTP site, fetches over it, carries HTTP through one UDP port, and plays the bad
// network that all of it has to get through.
//
// Exit codes: 0 all went well, 1 something failed, 2 it was called wrongly and nothing was started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// command is one subcommand. run parses its own arguments; a usageError from it exits with 2.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, p process, args []string) error
}

// commands is every subcommand, in the order in which help lists them.
var commands = []command{
	{"serve", "put HTTP/3 in front of an HTTP site, or serve the demo page", serve},
	{"get", "fetch a URL over HTTP/3", get},
	{"tunnel", "carry HTTP between two networks over one UDP port", tunnelCommand},
	{"link", "be a bad network between clients and a server, of any UDP protocol", linkCommand},
	{"version", "print the version", version},
}

// process is what a subcommand may use of the outside, so that tests can stand in for it.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is one: progress may be shown
}

// usageError says that the command was called wrongly. Its text is one line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// usagef makes a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

func main() {
	// The first signal asks to stop, and whoever runs drains; a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	p := process{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, terminal: isTerminal(os.Stderr)}
	os.Exit(run(ctx, p, os.Args[1:]))
}

// run finds the subcommand, runs it, and returns the exit code.
func run(ctx context.Context, p process, args []string) int {
	if len(args) == 0 {
		help(p.stderr)
		return 2
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		help(p.stdout)
		return 0
	}
	for _, c := range commands {
		if c.name == args[0] {
			return exit(p, c.run(ctx, p, args[1:]))
		}
	}
	return exit(p, usagef("unknown command %q: the commands are %s", args[0], names()))
}

// exit prints an error, if there is one, on one line, and returns the exit code that goes with it.
func exit(p process, err error) int {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintln(p.stderr, "godwit:", err)
		return 2
	}
	fmt.Fprintln(p.stderr, "godwit:", err)
	return 1
}

func names() string {
	var all []string
	for _, c := range commands {
		all = append(all, c.name)
	}
	return strings.Join(all, ", ")
}

func help(w io.Writer) {
	fmt.Fprintln(w, "Usage: godwit COMMAND [flags]")
	fmt.Fprintln(w)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.summary)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "godwit COMMAND --help shows the flags of a command.")
}

// parse parses a subcommand's flags. What is wrong with them becomes a usageError of one line; --help prints the usage
// line and the flags.
func parse(p process, f *flag.FlagSet, usage string, args []string) error {
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(p.stdout, "Usage: godwit", usage)
		fmt.Fprintln(p.stdout)
		f.VisitAll(func(g *flag.Flag) {
			kind, text := flag.UnquoteUsage(g)
			if text == "" {
				return // a variant of another one
			}
			dash := "--"
			if len(g.Name) == 1 {
				dash = "-"
			}
			fmt.Fprintf(p.stdout, "  %-24s %s%s\n", strings.TrimSpace(dash+g.Name+" "+kind), text, shownDefault(g))
		})
		return err
	}
	if err != nil {
		return usagef("%s: %v (godwit %s --help shows the flags)", f.Name(), err, f.Name())
	}
	return nil
}

func shownDefault(f *flag.Flag) string {
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
		return ""
	}
	return " (default " + f.DefValue + ")"
}

// isTerminal reports whether a file is a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

package main

import (
	"context"
	"flag"
	"io"
	"os"
	"time"

	"github.com/godwit-net/godwit/tunnel"
)

// maxTokenFile is how much of a token file is read: more than the longest token.
const maxTokenFile = 8 << 10

// entryFlags is what godwit tunnel entry was told.
type entryFlags struct {
	listen  string
	silence time.Duration
	grace   time.Duration
}

// tunnelEntry runs the end of a tunnel that stands where the clients are.
func tunnelEntry(ctx context.Context, p process, args []string) error {
	c, token, err := parseEntry(p, args)
	if err != nil {
		return err
	}
	log := tunnelLog(p.stderr)
	e, err := tunnel.ListenEntry(c.listen, tunnel.EntryConfig{Token: token, Silence: c.silence, Logger: log})
	if err != nil {
		return listenTCPError(c.listen, err)
	}
	if !e.Addr().IP.IsLoopback() {
		log.Warn("the entry listens beyond this machine: whoever reaches it reaches the platform")
	}
	log.Info("tunnel entry ready", "listen", "http://"+e.Addr().String(), "exit", token)
	return runEnd(ctx, e, log, c.grace)
}

// parseEntry reads the arguments. The token may stand before the flags, between them or behind.
func parseEntry(p process, args []string) (c entryFlags, token tunnel.Token, err error) {
	const usage = "tunnel entry TOKEN [flags]"
	f := flag.NewFlagSet("tunnel entry", flag.ContinueOnError)
	f.StringVar(&c.listen, "listen", "127.0.0.1:8081", "TCP `address` for HTTP clients")
	file := f.String("token-file", "", "`file` that holds the token, - for standard input: unlike an argument, nobody sees it in the process list")
	f.DurationVar(&c.silence, "silence", 3*time.Second, "how long the exit may be silent before requests under way fail")
	graceFlag(f, &c.grace)
	var words []string
	for rest := args; ; rest = f.Args()[1:] {
		if err := parse(p, f, usage, rest); err != nil {
			return c, token, err
		}
		if f.NArg() == 0 {
			break
		}
		words = append(words, f.Arg(0))
	}
	switch {
	case len(words) > 1:
		return c, token, usagef("tunnel entry: one token is wanted, not %d words", len(words))
	case len(words) == 1 && *file != "":
		return c, token, usagef("tunnel entry: TOKEN and --token-file exclude each other")
	case len(words) == 0 && *file == "":
		return c, token, usagef("tunnel entry: the token is missing: godwit tunnel exit prints it")
	case c.silence <= 0:
		return c, token, usagef("tunnel entry: --silence %v is not positive", c.silence)
	}
	if err := checkEnd("tunnel entry", "tcp", c.listen, c.grace); err != nil {
		return c, token, err
	}
	text := ""
	if *file == "" {
		text = words[0]
	} else if text, err = readToken(p, *file); err != nil {
		return c, token, usagef("tunnel entry: --token-file: %v", err)
	}
	if token, err = tunnel.ParseToken(text); err != nil {
		return c, token, usagef("tunnel entry: %v", err)
	}
	return c, token, nil
}

// readToken reads a token from a file, or from standard input.
func readToken(p process, name string) (string, error) {
	in := p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxTokenFile))
	return string(text), err
}

package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/godwit-net/godwit/tunnel"
)

// exitFlags is what godwit tunnel exit was told.
type exitFlags struct {
	listen, to, keyFile   string
	ephemeral, printToken bool
	advertise             list
	grace                 time.Duration
}

// tunnelExit runs the end of a tunnel that stands where the platform is.
func tunnelExit(ctx context.Context, p process, args []string) error {
	c, to, err := parseExit(p, args)
	if err != nil {
		return err
	}
	key, where, err := exitKey(c)
	if err != nil {
		return err
	}
	if c.printToken {
		return printToken(p, c, key)
	}
	log := tunnelLog(p.stderr)
	x, err := tunnel.ListenExit(c.listen, tunnel.ExitConfig{To: to, Key: key, Logger: log})
	if err != nil {
		return err
	}
	addrs := []string(c.advertise)
	if len(addrs) == 0 {
		addrs = tunnel.Addresses(x.Addr())
		warnOfAddresses(log, x.Addr())
	}
	token, err := key.Token(addrs...)
	if err != nil {
		x.Close()
		return usagef("tunnel exit: %v", err)
	}
	log.Info("tunnel exit ready", "listen", x.Addr(), "to", to, "socket", x.Features())
	fmt.Fprintf(p.stdout, "forwards to  %s\n", to)
	fmt.Fprintf(p.stdout, "key          %s (%s)\n", key.Pin(), where)
	fmt.Fprintf(p.stdout, "token        %s\n", token.Text())
	fmt.Fprintf(p.stdout, "On the other side, where the clients are, run\n\n  godwit tunnel entry %s --listen 127.0.0.1:8081\n\n", token.Text())
	return runEnd(ctx, x, log, c.grace)
}

// parseExit reads the arguments. Nothing has happened when it fails.
func parseExit(p process, args []string) (c exitFlags, to *url.URL, err error) {
	f := flag.NewFlagSet("tunnel exit", flag.ContinueOnError)
	f.StringVar(&c.to, "to", "", "`URL` of the platform: http://HOST:PORT or https://HOST:PORT")
	f.StringVar(&c.listen, "listen", ":4433", "UDP `address` to listen on")
	f.Var(&c.advertise, "advertise", "`HOST:PORT` where entries find this exit; may be repeated (default: this machine's addresses)")
	f.StringVar(&c.keyFile, "key", "", "`file` that keeps the key and the secret; made if missing (default: in the user's configuration directory)")
	f.BoolVar(&c.ephemeral, "ephemeral", false, "keep key and secret in memory: the token is good until this process ends")
	f.BoolVar(&c.printToken, "print-token", false, "print the token, and nothing else, and exit")
	graceFlag(f, &c.grace)
	if err := parse(p, f, "tunnel exit --to http://PLATFORM:PORT [flags]", args); err != nil {
		return c, nil, err
	}
	switch {
	case f.NArg() > 0:
		return c, nil, usagef("tunnel exit: what is %q? The platform is named with --to", f.Arg(0))
	case c.ephemeral && c.keyFile != "":
		return c, nil, usagef("tunnel exit: --key and --ephemeral exclude each other")
	case c.ephemeral && c.printToken:
		return c, nil, usagef("tunnel exit: --print-token and --ephemeral exclude each other: that token would be good for nothing")
	case c.to == "" && !c.printToken:
		return c, nil, usagef("tunnel exit: --to is missing: the platform's URL, as in --to http://127.0.0.1:8080")
	}
	if err := checkEnd("tunnel exit", "udp", c.listen, c.grace); err != nil {
		return c, nil, err
	}
	if c.to != "" {
		if to, err = url.Parse(c.to); err != nil {
			return c, nil, usagef("tunnel exit: --to: %q is no URL: http://HOST:PORT is wanted", c.to)
		}
		if err := tunnel.CheckPlatform(to); err != nil {
			return c, nil, usagef("tunnel exit: --to: %v", err)
		}
	}
	if len(c.advertise) > 0 {
		if _, err := tunnel.NewKey().Token(c.advertise...); err != nil {
			return c, nil, usagef("tunnel exit: --advertise: %v", err)
		}
	}
	return c, to, nil
}

// exitKey finds the key and says where it is kept.
func exitKey(c exitFlags) (k *tunnel.Key, where string, err error) {
	if c.ephemeral {
		return tunnel.NewKey(), "in memory alone", nil
	}
	path := c.keyFile
	if path == "" {
		if path, err = tunnel.DefaultKeyFile(); err != nil {
			return nil, "", usagef("tunnel exit: %v: name a file with --key, or keep the key in memory with --ephemeral", err)
		}
	}
	k, created, err := tunnel.LoadOrCreateKey(path)
	if err != nil {
		return nil, "", usagef("tunnel exit: %v", err)
	}
	if created {
		return k, "new, kept in " + path, nil
	}
	return k, "kept in " + path, nil
}

// printToken prints the token for scripts, without opening the port.
func printToken(p process, c exitFlags, k *tunnel.Key) error {
	addrs := []string(c.advertise)
	if len(addrs) == 0 {
		local, err := net.ResolveUDPAddr("udp", c.listen)
		if err != nil {
			return usagef("tunnel exit: --listen %q: %v", c.listen, err)
		}
		if local.Port == 0 {
			return usagef("tunnel exit: --print-token needs a fixed port in --listen, or --advertise")
		}
		addrs = tunnel.Addresses(local)
	}
	token, err := k.Token(addrs...)
	if err != nil {
		return usagef("tunnel exit: %v", err)
	}
	fmt.Fprintln(p.stdout, token.Text())
	return nil
}

// warnOfAddresses says when the addresses that this machine knows of are not likely those that entries can use.
func warnOfAddresses(log *slog.Logger, local *net.UDPAddr) {
	switch {
	case local.IP.IsLoopback():
		log.Warn("the exit listens on loopback: only entries on this machine reach it")
	case tunnel.InContainer():
		log.Warn("in a container the addresses in the token are the container's: publish the UDP port and name the host with --advertise HOST:PORT")
	}
}

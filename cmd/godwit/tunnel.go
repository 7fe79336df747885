package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/godwit-net/godwit/internal/udp"
)

// tunnelCommand runs one end of a tunnel.
func tunnelCommand(ctx context.Context, p process, args []string) error {
	if len(args) == 0 {
		return usagef("tunnel: which end? godwit tunnel exit, where the platform is, or godwit tunnel entry, where its clients are")
	}
	switch args[0] {
	case "exit":
		return tunnelExit(ctx, p, args[1:])
	case "entry":
		return tunnelEntry(ctx, p, args[1:])
	case "-h", "-help", "--help", "help":
		fmt.Fprintln(p.stdout, "Usage: godwit tunnel exit --to http://PLATFORM:PORT [flags]")
		fmt.Fprintln(p.stdout, "       godwit tunnel entry TOKEN [flags]")
		fmt.Fprintln(p.stdout)
		fmt.Fprintln(p.stdout, "The exit stands where the platform is, listens on one UDP port and prints the TOKEN. The entry stands where the")
		fmt.Fprintln(p.stdout, "clients are and listens for HTTP. godwit tunnel exit --help and godwit tunnel entry --help show their flags.")
		return flag.ErrHelp
	}
	return usagef("tunnel: %q is neither exit nor entry", args[0])
}

// tunnelEnd is an end of the tunnel that has its port open.
type tunnelEnd interface {
	Serve() error
	Shutdown(context.Context) error
}

// runEnd serves until ctx ends, and then lets requests end for as long as grace.
func runEnd(ctx context.Context, end tunnelEnd, log *slog.Logger, grace time.Duration) error {
	served := make(chan error, 1)
	go func() { served <- end.Serve() }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping; requests under way may end", "within", grace)
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := end.Shutdown(limit); err != nil {
		log.Warn("requests were cut off", "after", grace)
	}
	return <-served
}

// graceFlag is for how long a stopping end lets requests end.
func graceFlag(f *flag.FlagSet, grace *time.Duration) {
	f.DurationVar(grace, "grace", 10*time.Second, "how long requests under way may take to end after Ctrl-C")
}

// checkEnd says what is wrong with the flags that both ends have, before anything is begun.
func checkEnd(command, network, listen string, grace time.Duration) error {
	if grace < 0 {
		return usagef("%s: --grace %v is negative", command, grace)
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return usagef("%s: --listen %q: HOST:PORT or :PORT is wanted", command, listen)
	}
	if _, err := net.LookupPort(network, port); err != nil || port == "" {
		return usagef("%s: --listen %q: %q is no port", command, listen, port)
	}
	if strings.ContainsAny(host, "/ ") {
		return usagef("%s: --listen %q: %q is no host", command, listen, host)
	}
	return nil
}

// listenTCPError makes one line of why a TCP port cannot be opened. For UDP, package quic does.
func listenTCPError(addr string, err error) error {
	_, port, _ := net.SplitHostPort(addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		owner := "another process"
		if n, err := net.LookupPort("tcp", port); err == nil {
			if name := udp.PortOwner("tcp", n); name != "" {
				owner = name
			}
		}
		return fmt.Errorf("TCP port %s is taken by %s: choose another with --listen, or stop it", port, owner)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("TCP port %s needs a privilege that this process does not have: choose one above 1023 with --listen", port)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("TCP address %s cannot be opened: %w", addr, op.Err)
	}
	return err
}

// tunnelLog is the log of either end: text on stderr.
func tunnelLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ", ") }

func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}

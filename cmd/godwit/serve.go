package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/godwit-net/godwit/gateway"
)

const serveUsage = "serve [--to URL] [flags]"

// serve puts HTTP/3 in front of a site, or serves the demo site, until ctx is done.
func serve(ctx context.Context, p process, args []string) error {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	conf := gateway.Config{}
	f.StringVar(&conf.Listen, "listen", "127.0.0.1:8443", "`HOST:PORT` for UDP and TCP; :443 is every address of this host")
	f.StringVar(&conf.To, "to", "", "`URL` of the site, such as http://127.0.0.1:8080; without it a demo site is served")
	f.BoolVar(&conf.UDPOnly, "udp-only", false, "bind no TCP port, beside a server that owns it")
	f.StringVar(&conf.CertFile, "cert", "", "PEM `FILE` with the certificate chain; without it one is made and kept in memory")
	f.StringVar(&conf.KeyFile, "key", "", "PEM `FILE` with the certificate's key")
	f.DurationVar(&conf.Grace, "grace", 10*time.Second, "how long running requests may take to end after Ctrl-C")
	f.BoolVar(&conf.AccessLog, "access-log", false, "log every request")
	log := f.String("log", "text", "`FORMAT` of the log on stderr, text or json")
	f.StringVar(&conf.QLogDir, "qlog", "", "write a qlog of every HTTP/3 connection into `DIR`")
	f.StringVar(&conf.SecretFile, "secret", "", "keep in `FILE` what tells clients, after a restart, that their connections are lost; made if missing")
	f.StringVar(&conf.KeyLogFile, "keylog", "", "append TLS secrets to `FILE`, with which Wireshark can decrypt")
	if err := parse(p, f, serveUsage, args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return usagef("serve: unexpected argument %q: the site is named with --to URL", f.Arg(0))
	case *log == "text":
		conf.Logger = slog.New(slog.NewTextHandler(p.stderr, nil))
	case *log == "json":
		conf.Logger = slog.New(slog.NewJSONHandler(p.stderr, nil))
	default:
		return usagef("serve: --log %q: want text or json", *log)
	}
	s, err := gateway.New(conf)
	if wrong, ok := errors.AsType[*gateway.ConfigError](err); ok {
		return usagef("serve: %v", wrong)
	} else if err != nil {
		return err
	}
	if err := s.Listen(); err != nil {
		return err
	}
	stop := onCountersSignal(func() {
		debug.FreeOSMemory() // so that the memory of the process, which whoever asks may look at as well, is what it uses
		s.LogCounters("so far")
	})
	defer stop()
	banner{conf: conf, addr: s.Addr(), cert: s.Certificate(), root: isRoot()}.print(p.stdout)
	return s.Serve(ctx)
}

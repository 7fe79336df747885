package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/godwit-net/godwit/internal/link"
)

const linkUsage = "link --to HOST:PORT [flags]"

// linkCommand is a bad network between clients and a server, until ctx is done.
func linkCommand(ctx context.Context, p process, args []string) error {
	f := flag.NewFlagSet("link", flag.ContinueOnError)
	c := link.Config{}
	f.StringVar(&c.Listen, "listen", "127.0.0.1:5000", "`HOST:PORT` where clients send; port 0 picks one")
	f.StringVar(&c.Target, "to", "", "`HOST:PORT` of the server")
	for _, o := range linkOptions {
		o.register(f, &c)
	}
	f.Func("rebind", "the server sees another source port every `TIME`, or FIRST/EVERY", func(s string) error { return rebinding(s, &c.Rebind) })
	f.BoolVar(&c.Rebind.Addr, "rebind-addr", false, "and another address, within 127.0.0.0/8")
	f.BoolVar(&c.Rebind.Keep, "rebind-keep", false, "what the server sends to the port before still arrives")
	f.Uint64Var(&c.Seed, "seed", 1, "`NUMBER` from which chance follows: the same one, the same luck")
	pcap := f.String("pcap", "", "write the packets that the server's end sees into `FILE`")
	pcapClient := f.String("pcap-client", "", "write the packets that the clients' end sees into `FILE`")
	asJSON := f.Bool("json", false, "print a line of JSON at the beginning and one at the end")
	if err := parse(p, f, linkUsage, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(p.stdout)
			fmt.Fprintf(p.stdout, "With up- or down- in front, as in --up-loss 1%%, these are for one direction, up being to the server:\n%s.\n", linkOptionNames())
		}
		return err
	}
	if err := checkLink(f, &c); err != nil {
		return err
	}
	for _, capture := range [...]struct {
		name string
		to   *io.Writer
	}{{*pcap, &c.Capture}, {*pcapClient, &c.CaptureClient}} {
		if capture.name == "" {
			continue
		}
		file, err := os.Create(capture.name)
		if err != nil {
			return err
		}
		defer file.Close()
		*capture.to = file
	}
	l, err := link.Start(context.WithoutCancel(ctx), c) // it is closed below
	if err != nil {
		return err
	}
	if *asJSON {
		json.NewEncoder(p.stdout).Encode(map[string]string{"listen": l.Addr().String(), "to": c.Target})
	} else {
		fmt.Fprintf(p.stdout, "%v leads to %s; Ctrl-C shows what became of the datagrams\n", l.Addr(), c.Target)
	}
	<-ctx.Done()
	err = l.Close()
	if *asJSON {
		return errors.Join(json.NewEncoder(p.stdout).Encode(newLinkReport(l.Stats())), err)
	}
	newLinkReport(l.Stats()).print(p.stdout)
	return err
}

// checkLink says what is wrong with the flags before anything is begun, and makes UDP payloads of the sizes of packets.
func checkLink(f *flag.FlagSet, c *link.Config) error {
	switch {
	case f.NArg() > 0:
		return usagef("link: unexpected argument %q: the server is named with --to HOST:PORT", f.Arg(0))
	case c.Target == "":
		return usagef("link: where to? --to HOST:PORT names the server")
	case c.Up.Rate == 0 && (c.Up.Queue != 0 || c.Up.Mark != 0) || c.Down.Rate == 0 && (c.Down.Queue != 0 || c.Down.Mark != 0):
		return usagef("link: --queue and --mark need a --rate: nothing waits where everything leaves at once")
	}
	for flag, addr := range map[string]string{"listen": c.Listen, "to": c.Target} { // the first that is wrong
		_, port, err := net.SplitHostPort(addr)
		if err == nil {
			_, err = net.LookupPort("udp", port)
		}
		if err != nil {
			return usagef("link: --%s %q: want HOST:PORT", flag, addr)
		}
	}
	to, err := net.ResolveUDPAddr("udp", c.Target)
	if err != nil {
		return fmt.Errorf("link: --to %s: %w", c.Target, err)
	}
	four := to.AddrPort().Addr().Unmap()
	if c.Rebind.Addr && !(four.Is4() && four.IsLoopback()) {
		return usagef("link: --rebind-addr needs a server within 127.0.0.0/8")
	}
	c.Target = netip.AddrPortFrom(four, to.AddrPort().Port()).String()
	headers := 20 + 8
	if four.Is6() {
		headers = 40 + 8
	}
	for _, mtu := range [...]*int{&c.Up.MTU, &c.Down.MTU} {
		if *mtu != 0 {
			*mtu = max(1, *mtu-headers)
		}
	}
	return nil
}

package altsvc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// resolve returns the addresses of a host in the order in which they are tried.
func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host) // LookupNetIP loses the zones of link-local addresses
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range ips {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			addrs = append(addrs, ip.Unmap().WithZone(a.Zone))
		}
	}
	return addrs, nil
}

// interleave lets the families take turns, beginning with that of the first
// address, as RFC 8305, section 4, wants it. The order within a family stays the
// resolver's.
func interleave(addrs []netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		return nil
	}
	var families [2][]netip.Addr
	for _, a := range addrs {
		i := 0
		if a.Is4() != addrs[0].Is4() {
			i = 1
		}
		families[i] = append(families[i], a)
	}
	var out []netip.Addr
	for i := range max(len(families[0]), len(families[1])) {
		for _, f := range families {
			if i < len(f) {
				out = append(out, f[i])
			}
		}
	}
	return out[:min(len(out), maxAddresses)]
}

// first puts the address that worked before in front.
func first(addrs []netip.Addr, before netip.Addr) []netip.Addr {
	if i := slices.Index(addrs, before); i > 0 {
		addrs = slices.Insert(slices.Delete(addrs, i, i+1), 0, before)
	}
	return addrs
}

// dialEach tries addresses in turn: the next one after addressDelay, or as soon
// as one has failed. It returns the first connection that stands; the others are
// given up, and drop is called for those that stand all the same.
func dialEach[C any](ctx context.Context, addrs []netip.Addr, dial func(context.Context, netip.Addr) (C, error), drop func(C)) (c C, err error) {
	type outcome struct {
		c   C
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make(chan outcome, len(addrs))
	running, failed := 0, []error(nil)
	defer func() {
		if running > 0 {
			go func(n int) {
				for range n {
					if o := <-outcomes; o.err == nil {
						drop(o.c)
					}
				}
			}(running)
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next := 0; ; {
		if running == 0 && next == len(addrs) {
			if len(failed) == 0 {
				return c, errors.New("altsvc: the host has no address")
			}
			return c, errors.Join(failed...)
		}
		select {
		case <-timer.C:
			if next < len(addrs) {
				a := addrs[next]
				next, running = next+1, running+1
				go func() {
					c, err := dial(ctx, a)
					outcomes <- outcome{c, err}
				}()
				timer.Reset(addressDelay)
			}
		case o := <-outcomes:
			running--
			if o.err == nil {
				return o.c, nil
			}
			failed = append(failed, o.err)
			timer.Reset(0)
		case <-ctx.Done():
			return c, context.Cause(ctx)
		}
	}
}

package interop

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Segmentation and coalescing are used: one system call moves many datagrams in either end, and what passes the cable is
// runs of datagrams of one size, each the path's full size.
func TestNamespacesSeeGSOAndGRO(t *testing.T) {
	a, b := two(t, 1500)
	server := b.serveHere(order{Addr: "10.77.0.2:4433"})
	client := a.dialFrom(order{Addr: "10.77.0.2:4433", Shared: true})
	for _, end := range []*agent{server, client} {
		if f := end.stats().Features; !strings.Contains(f, ", GSO") || !strings.Contains(f, ", GRO") {
			t.Fatalf("features: %s", f)
		}
	}
	cable := a.capture("e0")
	const size = 32 * MiB
	client.fetch(size)
	s, c := server.stats().Endpoint, client.stats().Endpoint
	out, in := float64(s.DatagramsOut)/float64(s.SendCalls), float64(c.DatagramsIn)/float64(c.ReadCalls)
	frames := cable.stop()
	down := only(frames, func(f frame) bool { return !f.out })
	t.Logf("%d datagrams sent, %.1f a call; %d received, %.1f a call; %d frames of up to %d", s.DatagramsOut, out, c.DatagramsIn, in, len(down), largest(down))
	if out < 8 || in < 8 {
		t.Errorf("%.1f datagrams a system call sent and %.1f received, want 8 at least", out, in)
	}
	if n := packets(down); n < 4*len(down) {
		t.Errorf("%d packets in %d frames: they were not sent in runs", n, len(down))
	}
	runs := only(down, func(f frame) bool { return f.packets >= 32 })
	if len(runs) == 0 {
		t.Error("no run of 32 packets or more")
	}
	if got := largest(down); got != 1452 {
		t.Errorf("packets of %d bytes, want 1452", got)
	}
	wantWhole(t, frames)
	wantNoFragments(t, a, b)
}

// An interface that computes no checksums does not cut runs either: the kernel cuts them, or refuses to (EIO, before Linux 6.11).
// Either way the transfer comes through, and the cable sees single packets.
func TestNamespacesWithoutOffloads(t *testing.T) {
	a, b := two(t, 1500)
	for _, h := range []*host{a, b} {
		h.switchOff("e0", unix.ETHTOOL_STXCSUM, unix.ETHTOOL_SRXCSUM, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO)
	}
	server := b.serveHere(order{Addr: "[fd77::2]:4433"})
	client := a.dialFrom(order{Addr: "[fd77::2]:4433", Shared: true})
	cable := a.capture("e0")
	client.fetch(8 * MiB)
	frames := cable.stop()
	if n := packets(frames); n != len(frames) || largest(frames) != 1452 {
		t.Errorf("%d packets in %d frames of up to %d bytes", n, len(frames), largest(frames))
	}
	s := server.stats()
	t.Logf("%d datagrams in %d calls; %s", s.Endpoint.DatagramsOut, s.Endpoint.SendCalls, s.Features)
	if strings.Contains(s.Features, ", GSO") && s.Endpoint.DatagramsOut < 4*s.Endpoint.SendCalls {
		t.Errorf("%d datagrams in %d calls", s.Endpoint.DatagramsOut, s.Endpoint.SendCalls)
	}
	if n := client.stats().Endpoint.DatagramsRefused + s.Endpoint.DatagramsRefused; n != 0 {
		t.Errorf("%d datagrams refused", n)
	}
	wantWhole(t, frames)
	wantNoFragments(t, a, b)
}

// switchOff turns off what the hardware of an interface would do, as ethtool(8) does: the commands are of linux/ethtool.h.
func (h *host) switchOff(device string, commands ...uint32) {
	h.t.Helper()
	h.inside(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, command := range commands {
			value := [2]uint32{command, 0} // struct ethtool_value
			req := struct {                // struct ifreq
				name [unix.IFNAMSIZ]byte
				data unsafe.Pointer
				_    [16]byte
			}{data: unsafe.Pointer(&value)}
			copy(req.name[:], device)
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
				return fmt.Errorf("SIOCETHTOOL %#x: %w", command, errno)
			}
		}
		return nil
	})
}

package udp

import (
	"bytes"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// refusing makes the kernel answer as refuse says, given the segment size (0: none) and length of the first message of
// a call. Zero lets the call through.
func refusing(s *Socket, refuse func(segment, size int) syscall.Errno) {
	s.kernel.send = func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
		h := &hdrs[0].msg
		segment := 0
		if h.Controllen > 0 {
			segment = 1 // the order of appendControl: it is UDP_SEGMENT or ECN, which these tests do not set
		}
		if errno := refuse(segment, int(h.Iov.Len)); errno != 0 {
			return -1, errno
		}
		return sendmmsg(fd, hdrs)
	}
}

func TestSegmentationEndsWhereTheKernelCannot(t *testing.T) {
	const mtu = 1000
	for _, c := range []struct {
		name    string
		refuse  func(segment, size int) syscall.Errno
		gso     bool // afterwards
		dropped int64
	}{
		{"EIO: no checksums", func(segment, _ int) syscall.Errno {
			if segment > 0 {
				return syscall.EIO
			}
			return 0
		}, false, 0},
		{"EINVAL: singles go out", func(segment, _ int) syscall.Errno {
			if segment > 0 {
				return syscall.EINVAL
			}
			return 0
		}, false, 0},
		{"EINVAL: too long for the interface", func(segment, size int) syscall.Errno {
			switch {
			case segment > 0:
				return syscall.EINVAL
			case size > mtu:
				return syscall.EMSGSIZE
			}
			return 0
		}, true, 3},
		{"EPERM: a firewall", func(_, size int) syscall.Errno {
			if size > mtu {
				return syscall.EPERM
			}
			return 0
		}, true, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, client := open(t, "127.0.0.1", Config{}), open(t, "127.0.0.1", Config{})
			if !client.Features().GSO {
				t.Skip("the kernel does not segment")
			}
			refusing(client, c.refuse)
			run := pattern(3*1200 + 500)
			last := []byte("last")
			msgs := []Message{
				{Payload: run, Segment: 1200, Remote: server.LocalAddr()},
				{Payload: last, Remote: server.LocalAddr()},
			}
			send(t, client, msgs...)
			if tooLong := strings.Contains(c.name, "too long"); msgs[0].TooLong != tooLong || msgs[1].TooLong {
				t.Errorf("too long: %v, %v, want %v, false", msgs[0].TooLong, msgs[1].TooLong, tooLong)
			}
			got := receive(t, server.NewReader(), int(5-c.dropped))
			if !bytes.Equal(got[len(got)-1].Payload, last) {
				t.Error("the message behind was lost")
			}
			if gso := client.Features().GSO; gso != c.gso {
				t.Errorf("GSO is %v afterwards, want %v", gso, c.gso)
			}
			if n := client.Stats().Dropped; n != c.dropped {
				t.Errorf("%d dropped, want %d", n, c.dropped)
			}
		})
	}
}

func TestSendGoesOnAfterHalfABatch(t *testing.T) {
	server, client := open(t, "127.0.0.1", Config{}), open(t, "127.0.0.1", Config{})
	interruptions := []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EINTR}
	client.kernel.send = func(fd uintptr, hdrs []mmsghdr) (int, syscall.Errno) {
		if len(interruptions) > 0 {
			errno := interruptions[0]
			interruptions = interruptions[1:]
			return -1, errno
		}
		return sendmmsg(fd, hdrs[:(len(hdrs)+1)/2])
	}
	msgs := make([]Message, 9)
	for i := range msgs {
		msgs[i] = Message{Payload: pattern(130*100 + i), Segment: 100, Remote: server.LocalAddr()}
	}
	send(t, client, msgs...)
	var want []Message
	for _, m := range msgs {
		want = append(want, split(m)...)
	}
	for i, m := range receive(t, server.NewReader(), len(want)) {
		if !bytes.Equal(m.Payload, want[i].Payload) {
			t.Fatalf("datagram %d of %d differs", i, len(want))
		}
	}
}

func TestCoalescedDatagramsComeAsOneMessage(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "::1"} {
		server, client := open(t, ip, Config{}), open(t, ip, Config{})
		if f := server.Features(); !f.GSO || !f.GRO {
			t.Skip("the kernel does not coalesce")
		}
		send(t, client, Message{Payload: pattern(9*1200 + 7), Segment: 1200, Remote: server.LocalAddr()})
		msgs, err := server.NewReader().Read()
		if err != nil {
			t.Fatal(err)
		}
		if m := msgs[0]; len(msgs) != 1 || m.Segment != 1200 || m.Datagrams() != 10 {
			t.Errorf("%s: %d messages, the first of %d datagrams of %d bytes", ip, len(msgs), m.Datagrams(), m.Segment)
		}
		if stats := client.Stats(); stats.SendCalls != 1 || stats.SentDatagrams != 10 {
			t.Errorf("%s: %d datagrams in %d calls", ip, stats.SentDatagrams, stats.SendCalls)
		}
	}
}

func TestECNCodepointsCross(t *testing.T) {
	for _, c := range []struct{ server, client, dial string }{
		{"127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"::1", "::1", "::1"},
		{"::", "::", "127.0.0.1"},
		{"::", "::", "::1"},
	} {
		for _, v := range variants[:2] {
			t.Run(v.name+" "+c.server+" at "+c.dial, func(t *testing.T) {
				server, client := open(t, c.server, v.conf), open(t, c.client, v.conf)
				if !server.Features().ECN {
					t.Fatal("no ECN")
				}
				r := server.NewReader()
				to := netip.AddrPortFrom(netip.MustParseAddr(c.dial), server.LocalAddr().Port())
				for ecn := range uint8(4) {
					send(t, client, Message{Payload: pattern(2000), Segment: 1200, Remote: to, ECN: ecn})
					for _, m := range receive(t, r, 2) {
						if m.ECN != ecn {
							t.Errorf("sent with %d, received with %d", ecn, m.ECN)
						}
					}
				}
			})
		}
	}
}

func TestLocalChoosesTheSourceAddress(t *testing.T) {
	for _, any := range []string{"0.0.0.0", "::"} {
		server, client := open(t, any, Config{}), open(t, any, Config{})
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.5"), server.LocalAddr().Port())
		from := netip.MustParseAddr("127.0.0.6")
		send(t, client,
			Message{Payload: []byte("chosen"), Remote: to, Local: from},
			Message{Payload: []byte("of the wrong family"), Remote: to, Local: netip.IPv6Loopback()},
			Message{Payload: []byte("not ours"), Remote: to, Local: netip.MustParseAddr("192.0.2.1")})
		got := receive(t, server.NewReader(), 2)
		if got[0].Remote.Addr() != from || got[0].Local != to.Addr() {
			t.Errorf("%s: from %v to %v, want from %v to %v", any, got[0].Remote, got[0].Local, from, to)
		}
		if n := client.Stats().Dropped; n != 1 {
			t.Errorf("%s: %d dropped, want the one from a foreign address", any, n)
		}
	}
}

func TestReaderHoldsFewSlabsUntilItIsBusy(t *testing.T) {
	s := open(t, "127.0.0.1", Config{})
	r := s.NewReader()
	for range 50 {
		send(t, s, Message{Payload: []byte("lonely"), Remote: s.LocalAddr()})
		receive(t, r, 1)
	}
	if n := len(r.kernel.slots); n != minSlabs {
		t.Errorf("%d slabs for one message at a time, want %d", n, minSlabs)
	}
	burst := make([]Message, 2*maxSlabs)
	for i := range burst {
		burst[i] = Message{Payload: []byte("crowd"), Remote: s.LocalAddr()}
	}
	for range 10 {
		send(t, s, burst...)
		receive(t, r, len(burst))
	}
	if n := len(r.kernel.slots); n != maxSlabs {
		t.Errorf("%d slabs after bursts, want %d", n, maxSlabs)
	}
}

func TestSocketsShareAPortOnlyIfBothWant(t *testing.T) {
	first := open(t, "127.0.0.1", Config{ReusePort: true})
	second, err := Listen(first.LocalAddr(), Config{ReusePort: true})
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
	if third, err := Listen(first.LocalAddr(), Config{}); err == nil {
		third.Close()
		t.Error("shared a port without wanting to")
	}
}

func TestDontFragmentIsSet(t *testing.T) {
	// Rules: 9000:14/2, 9000:14/3
	forEachVariant(t, func(t *testing.T, c Config) {
		s := open(t, "::", c)
		_ = s.kernel.raw.Control(func(fd uintptr) {
			v4, err4 := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER)
			v6, err6 := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER)
			if v4 != unix.IP_PMTUDISC_PROBE || v6 != unix.IPV6_PMTUDISC_PROBE {
				t.Errorf("path MTU discovery is %d (%v) and %d (%v)", v4, err4, v6, err6)
			}
		})
	})
}

func TestASmallBufferIsReportedWithTheRemedy(t *testing.T) {
	for _, c := range []struct {
		got  Features
		want string
	}{
		{Features{ReadBuffer: 7 << 20, WriteBuffer: 7 << 20}, ""},
		{Features{ReadBuffer: 208 << 10, WriteBuffer: 7 << 20},
			"UDP receive buffer is 208 KiB instead of 7168 KiB: run sysctl -w net.core.rmem_max=7340032"},
		{Features{ReadBuffer: 208 << 10, WriteBuffer: 208 << 10},
			"UDP receive buffer is 208 KiB instead of 7168 KiB, send buffer is 208 KiB instead of 7168 KiB: " +
				"run sysctl -w net.core.rmem_max=7340032 net.core.wmem_max=7340032"},
	} {
		if got := bufferWarning(c.got, defaultBuffer, defaultBuffer); got != c.want {
			t.Errorf("warning %q, want %q", got, c.want)
		}
	}
	s := open(t, "127.0.0.1", Config{ReadBuffer: 1 << 30})
	if f := s.Features(); f.ReadBuffer >= 1<<30 != (f.Warning == "") || strings.Contains(f.Warning, "\n") {
		t.Errorf("%d bytes of buffer and the warning %q", f.ReadBuffer, f.Warning)
	}
}

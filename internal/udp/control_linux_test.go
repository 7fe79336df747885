package udp

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// cmsg returns one control message as the kernel writes it.
func cmsg(level, kind int, data []byte) []byte {
	b := appendCmsg(nil, level, kind, len(data))
	copy(b[unix.SizeofCmsghdr:], data)
	return b
}

func concat(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func native32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// loopback returns the number of the loopback interface.
func loopback() uint32 { return zones.index("lo") }

func controlSamples() map[string]struct {
	data []byte
	want controlData
} {
	v4 := []byte{1, 0, 0, 0, 127, 0, 0, 9, 255, 255, 255, 255}
	global, linkLocal := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::1")
	mapped := netip.AddrFrom16(netip.MustParseAddr("127.0.0.9").As16())
	v6 := func(a netip.Addr) []byte { return append(a.AsSlice(), native32(loopback())...) }
	gro := cmsg(unix.SOL_UDP, unix.UDP_GRO, native32(1452))
	return map[string]struct {
		data []byte
		want controlData
	}{
		"nothing": {},
		"IPv4 address": {cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, v4),
			controlData{local: netip.MustParseAddr("127.0.0.9")}},
		"mapped IPv4 address": {cmsg(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, v6(mapped)),
			controlData{local: netip.MustParseAddr("127.0.0.9")}},
		"IPv6 address": {cmsg(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, v6(global)), controlData{local: global}},
		"link-local address": {cmsg(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, v6(linkLocal)),
			controlData{local: linkLocal.WithZone("lo")}},
		"TOS":           {cmsg(unix.IPPROTO_IP, unix.IP_TOS, []byte{0xb8 | 3}), controlData{ecn: 3}},
		"traffic class": {cmsg(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, native32(0xb8|2)), controlData{ecn: 2}},
		"segment size":  {gro, controlData{segment: 1452}},
		"all of them": {concat(cmsg(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, v6(global)),
			cmsg(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, native32(1)), gro),
			controlData{local: global, ecn: 1, segment: 1452}},
		"behind something unknown": {concat(cmsg(unix.SOL_SOCKET, 99, []byte("unknown")), gro), controlData{segment: 1452}},
		"too short to be true":     {cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, v4[:11]), controlData{}},
		"longer than the buffer":   {gro[:len(gro)-5], controlData{}},
		"a header cut short":       {gro[:unix.SizeofCmsghdr-1], controlData{}},
		"length zero":              {make([]byte, unix.SizeofCmsghdr), controlData{}},
		"length beyond all": {append(bytesOf(0xff, unix.SizeofCmsghdr), gro...),
			controlData{}},
	}
}

func bytesOf(value byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = value
	}
	return b
}

func TestControlDataIsUnderstood(t *testing.T) {
	for name, c := range controlSamples() {
		if got := parseControl(c.data); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestControlDataFitsItsBuffer(t *testing.T) {
	longest := Message{
		Remote: netip.MustParseAddrPort("[2001:db8::2]:443"),
		Local:  netip.MustParseAddr("2001:db8::1"),
		ECN:    3,
	}
	if n := len(appendControl(nil, &longest, 1452)); n > controlSize {
		t.Errorf("%d bytes, there is room for %d", n, controlSize)
	}
}

func TestControlDataIsParsedAndWrittenWithoutAllocation(t *testing.T) {
	for name, c := range controlSamples() {
		if n := testing.AllocsPerRun(100, func() { parseControl(c.data) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
	var buf [controlSize]byte
	m := Message{Remote: netip.MustParseAddrPort("192.0.2.1:443"), Local: netip.MustParseAddr("192.0.2.2"), ECN: 1}
	if n := testing.AllocsPerRun(100, func() { appendControl(buf[:0], &m, 1200) }); n != 0 {
		t.Errorf("writing: %v allocations, want 0", n)
	}
}

func FuzzParseControl(f *testing.F) {
	for _, c := range controlSamples() {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parseControl(b)
		if c.ecn > 3 || c.segment < 0 || c.segment > 0xffff {
			t.Errorf("%+v is out of range", c)
		}
		if c.local.Is4In6() {
			t.Errorf("%v is not in its shortest form", c.local)
		}
	})
}

func TestAddressesSurviveTheKernelsForm(t *testing.T) {
	for _, c := range []struct {
		addr string
		v6   bool
		size uint32
	}{
		{"192.0.2.1:443", false, unix.SizeofSockaddrInet4},
		{"192.0.2.1:443", true, unix.SizeofSockaddrInet6},
		{"[2001:db8::1]:65535", true, unix.SizeofSockaddrInet6},
		{"[fe80::1%lo]:1", true, unix.SizeofSockaddrInet6},
		{"[fe80::1%4000000]:1", true, unix.SizeofSockaddrInet6},
		{"[::1]:443", true, unix.SizeofSockaddrInet6},
	} {
		want := netip.MustParseAddrPort(c.addr)
		s := sockaddr(bytesOf(0xff, len(sockaddr{})))
		if n := s.encode(want, c.v6); n != c.size {
			t.Errorf("%s takes %d bytes, want %d", c.addr, n, c.size)
		}
		if got := s.decode(c.size); got != want {
			t.Errorf("%s comes back as %s", want, got)
		}
		if got := s.decode(c.size - 1); got.IsValid() {
			t.Errorf("%s cut short is %s", want, got)
		}
		if n := testing.AllocsPerRun(100, func() { s.encode(want, c.v6); s.decode(c.size) }); n != 0 && want.Addr().Zone() == "" {
			t.Errorf("%s: %v allocations, want 0", want, n)
		}
	}
}

package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/godwit-net/godwit/internal/simnet"
	"github.com/godwit-net/godwit/internal/udp"
)

// captured is a packet of a capture.
type captured struct {
	from, to netip.AddrPort
	ecn      uint8
	payload  []byte
}

// parse reads a capture as a stranger would.
func parse(t *testing.T, b []byte) (all []captured) {
	t.Helper()
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xa1b23c4d || binary.LittleEndian.Uint32(b[20:]) != 101 {
		t.Fatalf("not a capture of raw IP packets: %x", b)
	}
	var before [2]uint32
	for b = b[24:]; len(b) > 0; {
		at := [2]uint32{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])}
		if at[0] < before[0] || at[0] == before[0] && at[1] < before[1] {
			t.Error("time goes backwards")
		}
		before = at
		n := binary.LittleEndian.Uint32(b[8:])
		ip := b[16 : 16+n]
		b = b[16+n:]
		var c captured
		var from, to, datagram []byte
		switch ip[0] >> 4 {
		case 4:
			if int(binary.BigEndian.Uint16(ip[2:])) != len(ip) || fold(sum(0, ip[:20])) != 0xffff {
				t.Error("a wrong IP header")
			}
			c.ecn, from, to, datagram = ip[1]&3, ip[12:16], ip[16:20], ip[20:]
		case 6:
			if int(binary.BigEndian.Uint16(ip[4:])) != len(ip)-40 {
				t.Error("a wrong IP header")
			}
			c.ecn, from, to, datagram = ip[1]>>4&3, ip[8:24], ip[24:40], ip[40:]
		}
		if int(binary.BigEndian.Uint16(datagram[4:])) != len(datagram) {
			t.Error("a wrong UDP length")
		}
		if s := sum(sum(17+uint32(len(datagram)), from), to); fold(sum(s, datagram)) != 0xffff {
			t.Error("a wrong UDP checksum")
		}
		src, _ := netip.AddrFromSlice(from)
		dst, _ := netip.AddrFromSlice(to)
		c.from = netip.AddrPortFrom(src, binary.BigEndian.Uint16(datagram))
		c.to = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(datagram[2:]))
		c.payload = datagram[8:]
		all = append(all, c)
	}
	return all
}

func TestCapturesShowWhatEachEndSees(t *testing.T) {
	var atServer, atClient bytes.Buffer
	l := newLab(t, Config{
		Capture: &atServer, CaptureClient: &atClient,
		Up: simnet.LinkConfig{Mask: 1 << 1, ECN: simnet.ECNForced}, Down: simnet.LinkConfig{Mask: 1 << 0},
	})
	c := socketAt(t)
	for i := range 3 {
		c.Send([]udp.Message{{Payload: bytes.Repeat([]byte{byte(i)}, 101), Remote: l.Addr(), ECN: 2}})
		until(t, "it to enter", func() bool { return l.Stats().Up.Sent == i+1 })
	}
	from := l.server.wait(t, 2)[0].from
	for i := range 2 {
		l.server.send(t, from, i, 50)
		until(t, "it to enter", func() bool { return l.Stats().Down.Sent == i+1 })
	}
	receive(t, c.NewReader(), 1)
	l.Close()

	server, client := parse(t, atServer.Bytes()), parse(t, atClient.Bytes())
	if len(server) != 4 || len(client) != 4 {
		t.Fatalf("the server sees %d packets, the client %d, want 4 each", len(server), len(client))
	}
	for i, want := range []captured{
		{from, l.server.addr(), 3, bytes.Repeat([]byte{0}, 101)},
		{from, l.server.addr(), 3, bytes.Repeat([]byte{2}, 101)},
		{l.server.addr(), from, 0, append([]byte{0, 0, 0, 0}, make([]byte, 46)...)},
		{l.server.addr(), from, 0, append([]byte{0, 0, 0, 1}, make([]byte, 46)...)},
	} {
		if got := server[i]; got.from != want.from || got.to != want.to || got.ecn != want.ecn || !bytes.Equal(got.payload, want.payload) {
			t.Errorf("at the server, packet %d is %+v, want %+v", i, got, want)
		}
	}
	for i := range 3 {
		if got := client[i]; got.from != c.LocalAddr() || got.to != l.Addr() || got.ecn != 2 || got.payload[0] != byte(i) {
			t.Errorf("at the client, packet %d is %+v", i, got)
		}
	}
	if got := client[3]; got.from != l.Addr() || got.to != c.LocalAddr() || got.payload[3] != 1 {
		t.Errorf("at the client, the last is %+v", got)
	}
}

func TestACaptureOfIPv6(t *testing.T) {
	from, to := netip.MustParseAddrPort("[2001:db8::1]:1000"), netip.MustParseAddrPort("[2001:db8::2]:2000")
	var b bytes.Buffer
	c := newCapture(&b)
	c.write(from, to, []byte("odd"), 1)
	c.flush()
	got := parse(t, b.Bytes())
	if len(got) != 1 || got[0].from != from || got[0].to != to || got[0].ecn != 1 || string(got[0].payload) != "odd" {
		t.Errorf("%+v", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestCloseTellsThatACaptureIsNotComplete(t *testing.T) {
	server := newSink(t, "127.0.0.1:0")
	l, err := Start(t.Context(), Config{Listen: "127.0.0.1:0", Target: server.addr().String(), Capture: full{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err == nil || err.Error() != "the disk is full" {
		t.Errorf("Close: %v", err)
	}
}

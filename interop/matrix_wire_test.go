package interop

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// evidence is what a cell left behind for the checks.
type evidence struct {
	c     *cell
	conns [][]event  // our qlogs
	wire  []captured // what passed the link, at the server's side
}

// captured is one datagram in a capture, with what can be seen without keys.
type captured struct {
	frame    int // its number in the capture, from 1, as tshark counts
	up       bool
	src, dst netip.AddrPort
	ecn      uint8
	size     int               // UDP payload
	packets  []wire.LongHeader // the long headers in it
	short    bool              // a short header packet is in it
}

// client is the client's address as the server sees it.
func (d *captured) client() netip.AddrPort {
	if d.up {
		return d.src
	}
	return d.dst
}

// gather reads capture and logs.
func (c *cell) gather() (*evidence, error) {
	conns, err := c.ours.events()
	if err != nil {
		return nil, err
	}
	capture, err := os.ReadFile(filepath.Join(c.dir.host, "server.pcap"))
	if err != nil {
		return nil, err
	}
	e := &evidence{c: c, conns: conns}
	e.wire, err = readCapture(capture, c.serverPorts())
	return e, err
}

// readCapture reads a capture of raw IP packets.
func readCapture(b []byte, servers []uint16) (list []captured, err error) {
	if len(b) < 24 {
		return nil, fmt.Errorf("the capture has %d bytes", len(b))
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		if len(b) < 16+n {
			return nil, fmt.Errorf("the capture ends within a packet")
		}
		d, payload, err := readIP(b[16 : 16+n])
		if err != nil {
			return nil, err
		}
		b = b[16+n:]
		d.frame = len(list) + 1
		for _, port := range servers {
			d.up = d.up || d.dst.Port() == port
		}
		d.size = len(payload)
		for len(payload) > 0 {
			if !wire.IsLong(payload[0]) {
				d.short = true
				break
			}
			h, n := wire.ConsumeLongHeader(payload)
			if n < 0 {
				break
			}
			d.packets = append(d.packets, h)
			payload = payload[n:]
		}
		list = append(list, d)
	}
	return list, nil
}

// readIP reads an IP packet that carries UDP.
func readIP(p []byte) (d captured, payload []byte, err error) {
	var src, dst netip.Addr
	var udp []byte
	switch {
	case len(p) >= 28 && p[0]>>4 == 4:
		src, dst = netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
		d.ecn, udp = p[1]&3, p[int(p[0]&15)*4:]
	case len(p) >= 48 && p[0]>>4 == 6:
		src, dst = netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
		d.ecn, udp = p[1]>>4&3, p[40:]
	default:
		return d, nil, fmt.Errorf("a packet in the capture is neither IPv4 nor IPv6")
	}
	d.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp))
	d.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	return d, udp[8:], nil
}

// dissect has tshark decrypt the capture with our secrets and returns fields of the packets that a filter lets through. A field
// that occurs several times in a packet has its values separated by commas.
func (e *evidence) dissect(filter string, fields ...string) (rows [][]string, err error) {
	return e.dissectFile("server.pcap", e.c.serverPorts(), filter, fields...)
}

// dissectAtClient does the same with the capture at the client's end.
func (e *evidence) dissectAtClient(filter string, fields ...string) (rows [][]string, err error) {
	return e.dissectFile("client.pcap", []uint16{e.c.addr.Port()}, filter, fields...)
}

func (e *evidence) dissectFile(file string, servers []uint16, filter string, fields ...string) (rows [][]string, err error) {
	args := []string{"-r", e.c.dir.peer + "/" + file, "-o", "tls.keylog_file:" + e.c.dir.peer + "/keys",
		"-Y", filter, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,", "-E", "separator=|"}
	for _, port := range servers {
		args = append(args, "-d", fmt.Sprintf("udp.port==%d,quic", port))
	}
	for _, f := range append([]string{"frame.number"}, fields...) {
		args = append(args, "-e", f)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.c.ctx), 3*time.Minute) // it is no part of the test
	defer cancel()
	r, err := e.c.outputWithin(ctx, tshark.command(args...))
	if err != nil {
		return nil, fmt.Errorf("tshark: %w", err)
	}
	for line := range strings.Lines(r) {
		if row := strings.Split(strings.TrimRight(line, "\n"), "|"); len(row) == len(fields)+1 {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

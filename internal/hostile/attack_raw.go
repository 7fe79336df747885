package hostile

import (
	"crypto/rand"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// ours reports whether the server is one whose defences are known.
func ours() bool { return os.Getenv("GODWIT_HOSTILE_ADDR") == "" }

// until hears until something is so; false: it never was.
func (c *client) until(so func() bool) bool {
	for end := time.Now().Add(long); !so(); {
		if c.closed || time.Now().After(end) {
			return so()
		}
		c.hear(20 * time.Millisecond)
	}
	return true
}

// untilClosed waits for the close.
func (c *client) untilClosed() bool { return c.until(func() bool { return c.closed }) }

// open makes a socket towards addr, from local if that is valid.
func open(addr netip.AddrPort, local netip.Addr) (*net.UDPConn, error) {
	var from *net.UDPAddr
	if local.IsValid() {
		from = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	return net.DialUDP("udp", from, net.UDPAddrFromAddrPort(addr))
}

// next returns the next datagram, nil when none comes in time.
func next(conn *net.UDPConn, wait time.Duration) []byte {
	b := make([]byte, 2048)
	conn.SetReadDeadline(time.Now().Add(wait))
	n, err := conn.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// randomShort makes bytes that begin as a packet with a short header does.
func randomShort(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	b[0] = b[0]&0x3f | 0x40
	return b
}

// shortTo makes a packet with a short header that nobody has keys of.
func shortTo(dst wire.ConnID, size int) []byte {
	b := randomShort(size)
	copy(b[1:], dst.Bytes())
	return b
}

// strange makes a first packet of a version that nobody speaks.
func strange(dst, src wire.ConnID, version uint32, size int) []byte {
	b, at := wire.AppendLongHeader(nil, wire.LongHeader{Type: wire.PacketInitial, Version: version, DstID: dst.Bytes(), SrcID: src.Bytes()}, 0, 4)
	wire.SetLength(b, at, size-len(b)+4)
	return append(b, make([]byte, size-len(b))...)
}

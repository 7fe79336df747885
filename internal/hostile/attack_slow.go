package hostile

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

var slowAttacks = []attack{
	{"handshakes of a byte at a time", 32 << 20, slowHandshakes},
	{"windows of nothing, and no acknowledgments", 128 << 20, stalled},
	{"connections that are held and not used", 16<<20 + 5000*40<<10, hoard},
}

// leave goes without a word: the server has to find out by itself.
func (c *client) leave() {
	c.tls.Close()
	c.conn.Close()
}

// slowHandshakes begins 100 handshakes with the first bytes of a ClientHello, a byte to a packet, and leaves them to the server's
// deadline.
func slowHandshakes(addr netip.AddrPort) (report, error) {
	var sum report
	var clients []*client
	for range 100 {
		c, err := newClient(addr, netip.MustParseAddr("127.9.18.1"), nil)
		if err != nil {
			return sum, err
		}
		defer c.leave()
		clients = append(clients, c)
	}
	rounds := times(3, 40)
	for i := range rounds {
		for _, c := range clients {
			c.send(wire.InitialSpace, append(wire.AppendCryptoHeader(nil, int64(i), 1), c.hello[i]))
		}
		time.Sleep(200 * time.Millisecond)
	}
	for _, c := range clients {
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes
	}
	sum.what = fmt.Sprintf("100 handshakes begun with %d bytes each", rounds)
	return sum, nil
}

// stalled asks on 25 connections for 20 responses each, lets no byte of them come, acknowledges nothing, and falls silent.
// Each response may wait with 64 KiB (engine's minSendBuffer).
func stalled(addr netip.AddrPort) (report, error) {
	var sum report
	for range 25 {
		c, err := connect(addr, netip.Addr{}, func(p *wire.TransportParams) {
			p.InitialMaxData, p.InitialMaxStreamDataBidiLocal, p.InitialMaxStreamDataUni = 0, 0, 0
			p.MaxIdleTimeout = 5 * time.Second
		})
		if err != nil {
			return sum, err
		}
		defer c.leave()
		c.silent = true
		for i := range int64(20) {
			c.send(wire.AppSpace, request(4*i, "/bytes/1048576", true))
		}
		c.hear(time.Millisecond)
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes
		if c.streamBytes > 0 {
			sum.why = "bytes came that no window allowed"
		}
	}
	sum.what = "500 responses asked for on 25 connections"
	return sum, nil
}

// hoard begins connections from one address and keeps them. They are left without a word.
func hoard(addr netip.AddrPort) (report, error) {
	var sum report
	total, held, refused := times(300, 5000), 0, 0
	for range total {
		c, err := connect(addr, netip.MustParseAddr("127.9.19.1"), nil)
		if err != nil {
			return sum, fmt.Errorf("after %d: %w", held, err)
		}
		defer c.leave()
		if c.hear(100 * time.Microsecond); c.closed {
			refused++
		} else {
			held++
		}
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes
	}
	sum.what = fmt.Sprintf("%d connections held, %d refused", held, refused)
	return sum, nil
}

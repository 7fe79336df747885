package hostile

import (
	"net"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// challengeFlood sends PATH_CHALLENGE frames, 100 to a packet, and acknowledges nothing. Each packet may get a few answers, none of
// them twice.
func challengeFlood(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.silent = true
	packets := times(1000, 10_000)
	for i := range packets {
		var b []byte
		for j := range 100 {
			b = wire.AppendPathChallenge(b, [8]byte{byte(i), byte(i >> 8), byte(j)})
		}
		c.send(wire.AppSpace, b)
		if i%100 == 99 {
			c.hear(time.Millisecond)
		}
	}
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end) && !c.closed; { // longer than a probe timeout
		c.hearFor(100*time.Millisecond, c.gotBytes+1)
	}
	return c.report(c.responses <= 4*packets && c.repeated == 0, "%d answers to %d challenges in %d packets, %d of them repeated",
		c.responses, 100*packets, packets, c.repeated), nil
}

// forgedSocket is where packets with a forged address come from. Nobody answers there, but what is sent there can be counted.
func forgedSocket(to netip.AddrPort, i int) (*net.UDPConn, error) {
	return open(to, netip.AddrFrom4([4]byte{127, 11, byte(i >> 8), byte(i)}))
}

// received counts what comes until nothing has for so long.
func received(conn *net.UDPConn, quiet time.Duration) (n int64) {
	for b := make([]byte, 64<<10); ; {
		conn.SetReadDeadline(time.Now().Add(quiet))
		k, err := conn.Read(b)
		if err != nil {
			return n
		}
		n += int64(k)
	}
}

// forgedMove begins a download, and then goes on from an address that is not its own: there may come three times what was sent from
// there, and the download comes back to where the client is.
func forgedMove(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.send(wire.AppSpace, request(0, "/bytes/1073741824", true))
	c.hearFor(100*time.Millisecond, 1<<20)
	forged, err := forgedSocket(addr, 1)
	if err != nil {
		return report{}, err
	}
	defer forged.Close()
	own, before := c.conn, c.sentBytes
	c.conn = forged
	for id := range int64(3) {
		c.send(wire.AppSpace, request(4+4*id, "/", true))
	}
	there := c.sentBytes - before
	answered := received(forged, 1500*time.Millisecond)
	c.conn, c.silent = own, true
	received(own, 100*time.Millisecond)
	came := c.streamBytes
	for end := time.Now().Add(long); c.streamBytes == came && !c.closed && time.Now().Before(end); {
		c.hearFor(100*time.Millisecond, c.gotBytes+1)
	}
	return c.report(answered <= 3*there && c.streamBytes > came, "%d bytes went to an address that had sent %d; the download came back: %t, %s",
		answered, there, c.streamBytes > came, c.ending()), nil
}

// forgedMoves sends a packet from each of many addresses that are not its own.
func forgedMoves(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	own, n, worst := c.conn, times(500, 3000), 0.0
	var got int64
	for i := 0; i < n; i += 100 {
		var there [100]*net.UDPConn
		var sent [100]int64
		for j := range there {
			if there[j], err = forgedSocket(addr, 2+i+j); err != nil {
				return report{}, err
			}
			before := c.sentBytes
			c.conn = there[j]
			c.send(wire.AppSpace, append([]byte{byte(wire.FramePing)}, make([]byte, 30)...))
			sent[j] = c.sentBytes - before
		}
		c.conn = own
		c.hear(50 * time.Millisecond)
		for j, conn := range there {
			answered := received(conn, time.Millisecond)
			conn.Close()
			got += answered
			worst = max(worst, float64(answered)/float64(sent[j]))
		}
	}
	r := c.report(worst <= 3, "%d addresses got %d bytes, each at most %.1f times what it had sent; %s", n, got, worst, c.ending())
	r.got += got
	return r, nil
}

package hostile

import (
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

var resetAttacks = []attack{
	{"stateless resets: size", 16 << 20, resetSize},
	{"stateless resets: oracle", 16 << 20, resetOracle},
	{"stateless resets: flood", 32 << 20, resetFlood},
}

// resetSize sends packets of connections that never were, of many sizes. An answer as long as what it answers lets two servers
// answer each other for ever (RFC 9000, section 10.3.3).
func resetSize(addr netip.AddrPort) (report, error) {
	var sum report
	conn, err := open(addr, netip.Addr{})
	if err != nil {
		return sum, err
	}
	defer conn.Close()
	c := &client{}
	answers, tooLong := 0, 0
	for size := 1; size <= 1472; size++ { // ascending: an answer that comes late counts against a longer packet
		if size > 80 && size%97 != 0 && size != 1472 {
			continue
		}
		wait := 20 * time.Millisecond
		if ours() && size > 30 && answers > 0 {
			wait = long
		}
		conn.Write(randomShort(size))
		c.sentBytes += int64(size)
		b := next(conn, wait)
		if b == nil {
			continue
		}
		answers++
		c.gotBytes += int64(len(b))
		if len(b) >= size || len(b) < 21 {
			tooLong++
		}
	}
	return c.report(tooLong == 0 && (answers > 0 || !ours()), "%d answers, %d not shorter than what they answered", answers, tooLong), nil
}

// resetOracle asks for the reset token of a live connection: section 21.11 of RFC 9000. Whoever learns it ends the connection.
func resetOracle(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	conn, err := open(addr, netip.Addr{})
	if err != nil {
		return report{}, err
	}
	defer conn.Close()
	c.until(func() bool { return len(c.issued) > 0 || !ours() })
	for i := range 50 {
		b := shortTo(c.dst, 40+20*i)
		conn.Write(b)
		c.sentBytes += int64(len(b))
		if answer := next(conn, 2*time.Millisecond); answer != nil {
			return c.report(false, "a packet to a live connection was answered with %d bytes", len(answer)), nil
		}
	}
	// What is answered comes after what was not.
	conn.Write(randomShort(400))
	wait := time.Second
	if ours() {
		wait = long
	}
	first := next(conn, wait)
	second := next(conn, 50*time.Millisecond)
	if second != nil {
		return c.report(false, "more than the one reset that was asked for came"), nil
	}
	// And the connection goes on.
	c.send(wire.AppSpace, request(0, "/", true))
	ok := c.until(func() bool { return c.streamBytes > 0 })
	return c.report(ok && (first != nil || !ours()), "50 packets to a live connection unanswered, and it goes on: %t", ok), nil
}

// resetFlood sends 20,000 packets, or 200,000 when there is time, of connections that never were.
func resetFlood(addr netip.AddrPort) (report, error) {
	conn, err := open(addr, netip.MustParseAddr("127.9.11.1"))
	if err != nil {
		return report{}, err
	}
	defer conn.Close()
	c, answers := &client{}, 0
	total := times(20_000, 200_000)
	for i := range total {
		b := randomShort(60)
		n, _ := conn.Write(b)
		c.sentBytes += int64(n)
		if i%50 == 0 {
			for b := next(conn, 50*time.Microsecond); b != nil; b = next(conn, 50*time.Microsecond) {
				answers++
				c.gotBytes += int64(len(b))
			}
		}
	}
	for b := next(conn, 100*time.Millisecond); b != nil; b = next(conn, 100*time.Millisecond) {
		answers++
		c.gotBytes += int64(len(b))
	}
	return c.report(c.gotBytes < c.sentBytes, "%d answers to %d packets", answers, total), nil
}

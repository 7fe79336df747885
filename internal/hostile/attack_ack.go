package hostile

import (
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// ackOfUnsent acknowledges packets that the server has not sent.
func ackOfUnsent(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.insist(wire.AppSpace, wire.AppendAck(nil, wire.Ack{}, rangeset.Set{{Start: 0, End: 1 << 20}}, 1000))
	return c.report(c.closed && c.closeCode == uint64(wire.ProtocolViolation), "%s", c.ending()), nil
}

// ackOfSkipped asks for 1 GiB and acknowledges all that the server may have sent, to be sent more than the path carries. Numbers that
// the server leaves out give it away.
func ackOfSkipped(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.blanket = true
	c.send(wire.AppSpace, request(0, "/bytes/1073741824", true))
	const most = 8 << 20 // a cheat is found within a few hundred packets
	for end := time.Now().Add(long); !c.closed && c.gotBytes < most && time.Now().Before(end); {
		c.hearFor(100*time.Millisecond, most)
	}
	return c.report(c.closed && c.closeCode == uint64(wire.ProtocolViolation) && c.gotBytes < most,
		"%s, after %d KiB", c.ending(), c.gotBytes>>10), nil
}

// ackRanges acknowledges every other packet of a download, and the same again and again, with as many ranges as fit.
func ackRanges(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.sparse = true
	c.send(wire.AppSpace, request(0, "/bytes/1073741824", true))
	for i := 0; i < times(200, 1000) && !c.closed && c.seen[wire.AppSpace].Size() < 2000; i++ {
		c.hearFor(10*time.Millisecond, c.gotBytes+64<<10)
	}
	claims := c.claims(c.seen[wire.AppSpace])
	b := wire.AppendAck(nil, wire.Ack{}, claims, 1300)
	for i := 0; i < times(2000, 10_000) && !c.closed; i++ {
		c.send(wire.AppSpace, b)
	}
	c.hearFor(200*time.Millisecond, c.gotBytes+1<<20)
	return c.report(true, "ACK frames of %d bytes about %d ranges, %s", len(b), len(claims), c.ending()), nil
}

// numberGaps sends packets of which every other number is left out, so that the server has more to acknowledge with each.
func numberGaps(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.silent = true
	for i := range times(5000, 8000) {
		c.next[wire.AppSpace]++
		c.send(wire.AppSpace, []byte{byte(wire.FramePing)})
		if i%50 == 0 {
			c.hear(time.Millisecond)
		}
	}
	c.hear(200 * time.Millisecond)
	return c.report(!c.closed && c.ackRanges <= 256, "%d ranges in an ACK at most, %s", c.ackRanges, c.ending()), nil
}

package hostile

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// newIDFlood replaces its connection IDs 10,000 times and acknowledges nothing.
func newIDFlood(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.silent = true
	n := int64(1)
	for ; n < 10_000 && !c.closed; n++ {
		c.send(wire.AppSpace, wire.AppendNewConnectionID(nil, wire.NewConnectionID{Seq: n, RetirePriorTo: n, ID: randomID(5)}))
		if n%50 == 0 {
			c.hear(20 * time.Millisecond)
		}
	}
	c.untilClosed()
	return c.report(c.closed, "after %d frames %s", n-1, c.ending()), nil
}

// retireFlood retires every connection ID that the server gives, and has it give new ones: on one connection it acknowledges nothing
// meanwhile, on another everything. Then it retires one that it never got.
func retireFlood(addr netip.AddrPort) (report, error) {
	var sum report
	for _, silent := range []bool{true, false} {
		c, err := dial(addr, nil)
		if err != nil {
			return sum, err
		}
		defer c.close()
		c.hear(50 * time.Millisecond)
		c.silent = silent
		retired := 0
		for i := 0; i < times(300, 10_000) && !c.closed; i++ {
			var b []byte
			for ; retired < len(c.issued); retired++ {
				b = wire.AppendRetireConnectionID(b, c.issued[retired])
			}
			c.send(wire.AppSpace, append(b, byte(wire.FramePing)))
			c.hear(2 * time.Millisecond)
		}
		given := len(c.issued)
		c.insist(wire.AppSpace, wire.AppendRetireConnectionID(nil, 1<<30))
		r := c.report(c.closed && c.closeCode == uint64(wire.ProtocolViolation), "%s", c.ending())
		sum.sent, sum.got = sum.sent+r.sent, sum.got+r.got
		if sum.why == "" {
			sum.why = r.why
		}
		if silent {
			sum.what = fmt.Sprintf("%d IDs given out to one that acknowledges nothing", given)
		} else {
			sum.what += fmt.Sprintf(", %d to one that does; one never given: %s", given, c.ending())
		}
	}
	return sum, nil
}

// collidingIDs begins handshakes with connection IDs that a weak hash would put in one place, from one address and from others, and
// sends first packets to the ID that a connection uses already, which has to go on.
func collidingIDs(addr netip.AddrPort) (report, error) {
	held, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer held.close()
	var sum report
	for i := range times(64, 256) {
		c, err := newClient(addr, netip.AddrFrom4([4]byte{127, 10, byte(i >> 8), byte(i + 1)}), nil)
		if err != nil {
			return sum, err
		}
		defer c.close()
		hello := append(wire.AppendCryptoHeader(nil, 0, len(c.hello)), c.hello...)
		c.readdress(held.dst) // as if the connection were a new one
		c.send(wire.InitialSpace, hello)
		c.readdress(wire.MakeConnID(make([]byte, 8))) // the same for all
		c.send(wire.InitialSpace, hello)
		for j := range times(100, 400) {
			n := i<<16 | j
			c.readdress(wire.MakeConnID([]byte{byte(n), byte(n >> 8), byte(n >> 16), 0, ^byte(n), ^byte(n >> 8), ^byte(n >> 16), 0}))
			c.send(wire.InitialSpace, hello)
		}
		sum.sent += c.sentBytes
	}
	before := held.streamBytes
	for end := time.Now().Add(long); held.streamBytes == before && !held.closed && time.Now().Before(end); {
		held.send(wire.AppSpace, request(0, "/", true))
		held.hear(300 * time.Millisecond)
	}
	r := held.report(held.streamBytes > before && !held.closed, "the connection whose ID was taken got %d bytes, %s", held.streamBytes-before, held.ending())
	r.sent += sum.sent
	return r, nil
}

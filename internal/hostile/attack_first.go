package hostile

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// amplification begins one handshake and says no more while the server repeats its answer; then come packets of a version that does
// not exist, and packets of connections that do not, which get no more than they have.
func amplification(addr netip.AddrPort) (report, error) {
	c, err := newClient(addr, netip.Addr{}, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.sayCrypto()
	first := received(c.conn, time.Duration(times(2, 11))*time.Second)
	r := report{sent: c.sentBytes, got: first}
	if first > 3*c.sentBytes {
		r.why = fmt.Sprintf("%d bytes answered %d; ", first, c.sentBytes)
	}
	r.what = fmt.Sprintf("%.2f times the first datagram", float64(first)/float64(c.sentBytes))
	for _, kind := range []struct {
		name  string
		first byte
		size  int
	}{{"version negotiation", 0xc0, 1200}, {"a small one", 0xc0, 300}, {"stateless reset", 0x40, 40}, {"a long one", 0x40, 1200}} {
		b := make([]byte, kind.size)
		copy(b, append([]byte{kind.first, 0x1a, 0x2a, 0x3a, 0x4a, 8}, append(randomID(8).AppendTo(nil), 5, 1, 2, 3, 4, 5)...))
		n, _ := c.conn.Write(b)
		got := received(c.conn, 200*time.Millisecond)
		if r.sent, r.got = r.sent+int64(n), r.got+got; got > int64(n) {
			r.why += fmt.Sprintf("%s: %d bytes answered %d; ", kind.name, got, n)
		}
	}
	return r, nil
}

// beforeHandshake sends first packets with others behind them in the datagram that belong elsewhere, second ones that are forged,
// and ClientHellos with the same transport parameters twice.
func beforeHandshake(addr netip.AddrPort) (report, error) {
	var sum report
	c, err := newClient(addr, netip.Addr{}, nil)
	if err != nil {
		return sum, err
	}
	defer c.close()
	hello := append(wire.AppendCryptoHeader(nil, 0, len(c.hello)), c.hello...)
	for range times(2000, 50_000) {
		c.readdress(randomID(8))
		b := c.packet(wire.InitialSpace, hello)
		forged := c.packet(wire.InitialSpace, hello)
		forged[len(forged)-1] ^= 1
		for range 20 {
			h := wire.LongHeader{Type: wire.PacketHandshake, Version: wire.Version1, DstID: randomID(8).AppendTo(nil), SrcID: c.src.Bytes()}
			p, at := wire.AppendLongHeader(nil, h, 0, 4)
			p = append(p, make([]byte, 20)...)
			wire.SetLength(p, at, 24)
			b = append(b, p...)
		}
		for _, d := range [][]byte{b, forged} {
			n, _ := c.conn.Write(d)
			sum.sent += int64(n)
		}
	}
	sum.got = received(c.conn, 100*time.Millisecond)
	if sum.got > 3*sum.sent {
		sum.why = fmt.Sprintf("%d bytes answered %d", sum.got, sum.sent)
	}
	refused, accepted, n := 0, 0, times(50, 1000)
	for i := 0; i < n; i++ {
		d, err := newRawClient(addr, netip.Addr{}, nil, func(raw []byte) []byte { return append(raw, raw...) })
		if err != nil {
			return sum, err
		}
		if !d.shake(func() bool { return d.done }) && !d.closed {
			i = n // nobody answers any more
		}
		if d.closed && d.closeCode == uint64(wire.TransportParameterError) {
			refused++
		}
		if d.done {
			accepted++
		}
		sum.sent, sum.got = sum.sent+d.sentBytes, sum.got+d.gotBytes
		d.close()
	}
	if sum.what = fmt.Sprintf("of %d that say all parameters twice %d were refused and %d accepted", n, refused, accepted); refused < n {
		sum.why += sum.what
	}
	return sum, nil
}

// atTheLimits begins handshakes, half of them from one address and half from 32 others, which it proves when it is asked to, and
// leaves them: more than a server can have in its handshakes at a time.
func atTheLimits(addr netip.AddrPort) (report, error) {
	var sum report
	n, retried := times(2000, 5000), 0
	for i := range n {
		from := 100
		if i%2 == 0 {
			from = i / 2 % 32
		}
		c, err := newClient(addr, netip.AddrFrom4([4]byte{127, 12, 0, byte(from + 1)}), nil)
		if err != nil {
			return sum, err
		}
		defer c.close()
		c.silent = true
		c.sayCrypto()
		c.hear(3 * time.Millisecond)
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes
		if c.retried {
			retried++
		}
	}
	sum.what = fmt.Sprintf("%d handshakes left, %d of them after a Retry", n, retried)
	return sum, nil
}

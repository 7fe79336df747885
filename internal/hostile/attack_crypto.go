package hostile

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// cryptoFragments sends 30,000 islands of one byte, and on another connection one far beyond any buffer.
func cryptoFragments(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	for at := int64(1 << 13); at < 1<<13+60_000; {
		var b []byte
		for ; len(b) < 1000; at += 2 {
			b = wire.AppendCrypto(b, wire.Crypto{Offset: at, Data: []byte{0}})
		}
		c.send(wire.AppSpace, b)
	}
	if c.untilClosed(); !c.closed {
		return c.report(false, "30,000 islands were kept"), nil
	}
	islands := c.closeCode
	if c, err = dial(addr, nil); err != nil {
		return report{}, err
	}
	defer c.close()
	c.insist(wire.AppSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: 1 << 40, Data: []byte{0}}))
	const want = uint64(wire.CryptoBufferExceeded)
	return c.report(islands == want && c.closed && c.closeCode == want, "islands: closed with %v, the far byte: %s", wire.ErrorCode(islands), c.ending()), nil
}

// cryptoEarly sends a byte far beyond any buffer in an Initial packet, one in a Handshake packet, bytes at the end of what may be
// buffered on 100 connections, and the beginning of a message of 16 MiB after the handshake.
func cryptoEarly(addr netip.AddrPort) (report, error) {
	var sum report
	far := wire.AppendCrypto(nil, wire.Crypto{Offset: 1 << 40, Data: []byte{0}})
	note := func(c *client, where string) {
		r := c.report(c.closed && c.closeCode == uint64(wire.CryptoBufferExceeded), "%s: %s", where, c.ending())
		if sum.sent, sum.got = sum.sent+r.sent, sum.got+r.got; sum.why == "" {
			sum.why = r.why
		}
		sum.what += r.what + "; "
	}
	c, err := newClient(addr, netip.Addr{}, nil)
	if err != nil {
		return sum, err
	}
	defer c.close()
	c.insist(wire.InitialSpace, far)
	note(c, "Initial")

	if c, err = newClient(addr, netip.Addr{}, nil); err != nil {
		return sum, err
	}
	defer c.close()
	for again := time.Now(); c.write[wire.HandshakeSpace] == nil && !c.closed && time.Since(again) < long; {
		c.pending[wire.InitialSpace], c.out[wire.InitialSpace] = c.hello, 0
		c.sayInitial()
		c.hear(time.Second)
	}
	c.insist(wire.HandshakeSpace, far)
	note(c, "Handshake")

	if c, err = newClient(addr, netip.Addr{}, nil); err != nil {
		return sum, err
	}
	defer c.close()
	for range 100 {
		c.readdress(randomID(8))
		c.send(wire.InitialSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: 60_000, Data: []byte{0}}))
	}
	sum.sent += c.sentBytes

	if c, err = dial(addr, nil); err != nil {
		return sum, err
	}
	defer c.close()
	b := append([]byte{4, 0xff, 0xff, 0xff}, make([]byte, 1000)...)
	for at := int64(0); at < 1<<20 && !c.closed; at += int64(len(b)) {
		c.send(wire.AppSpace, wire.AppendCrypto(nil, wire.Crypto{Offset: at, Data: b}))
		c.hear(2 * time.Millisecond)
	}
	c.untilClosed()
	if sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes; sum.why == "" && !c.closed {
		sum.why = "a message of 16 MiB is waited for"
	}
	sum.what += fmt.Sprintf("a message of 16 MiB: %s", c.ending())
	return sum, nil
}

// afterFinished sends other frames behind its Finished in the packet that ends the handshake, and more Handshake packets after it; on
// another connection it tells the server that the handshake is done, which only servers may.
func afterFinished(addr netip.AddrPort) (report, error) {
	c, err := newClient(addr, netip.Addr{}, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	for end := time.Now().Add(long); len(c.pending[wire.HandshakeSpace]) == 0 && !c.closed && time.Now().Before(end); {
		c.pending[wire.InitialSpace], c.out[wire.InitialSpace] = c.hello, 0
		c.sayInitial()
		c.hear(time.Second)
	}
	b := append([]byte(nil), c.pending[wire.HandshakeSpace]...)
	f := append(wire.AppendCryptoHeader(nil, 0, len(b)), b...)
	f = wire.AppendAck(append(append(f, byte(wire.FramePing)), f...), wire.Ack{}, c.seen[wire.HandshakeSpace], 1100)
	for range 100 {
		c.send(wire.HandshakeSpace, f)
		c.send(wire.InitialSpace, []byte{byte(wire.FramePing)})
	}
	for end := time.Now().Add(long); !c.done && !c.closed && time.Now().Before(end); {
		c.hear(100 * time.Millisecond)
		c.send(wire.HandshakeSpace, f)
	}
	done := c.done && !c.closed
	other, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer other.close()
	other.insist(wire.AppSpace, []byte{byte(wire.FrameHandshakeDone)})
	r := other.report(done && other.closed && other.closeCode == uint64(wire.ProtocolViolation),
		"the handshake is done: %t; HANDSHAKE_DONE from a client: %s", done, other.ending())
	r.sent, r.got = r.sent+c.sentBytes, r.got+c.gotBytes
	return r, nil
}

package hostile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

var spoofAttacks = []attack{
	{"packets that others inject into a connection", 32 << 20, injections},
	{"garbage", 32 << 20, garbage},
	{"conversations that were tampered with", 96 << 20, tampered},
}

// closing is the end that a forger would put to a connection.
var closing = wire.AppendConnectionClose(nil, wire.ConnectionClose{Code: uint64(wire.InternalError)})

// longPacket makes a protected packet with a long header, as whoever sees the first one can: keys of Initial packets are no secret.
func longPacket(keys *seal.Keys, typ wire.PacketType, dst, src wire.ConnID, frames []byte) []byte {
	b, at := wire.AppendLongHeader(nil, wire.LongHeader{Type: typ, Version: wire.Version1, DstID: dst.Bytes(), SrcID: src.Bytes()}, 1000, 4)
	offset := len(b) - 4
	b = append(b, frames...)
	b = append(b, make([]byte, max(0, 1200-seal.Overhead-len(b)))...)
	wire.SetLength(b, at, len(b)-offset+seal.Overhead)
	b = append(b, make([]byte, seal.Overhead)...)
	return keys.Seal(b[:len(b)-seal.Overhead], offset, 4, 1000)
}

// injections is what somebody sends who sees the packets of a connection and knows its addresses: from the address of the client, and
// from elsewhere. After the handshake nothing of it may end the connection (RFC 9000, section 21.1; RFC 9001, section 9.5).
func injections(addr netip.AddrPort) (report, error) {
	c, err := newClient(addr, netip.Addr{}, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	original := c.dst
	forged, _ := seal.Initial(original.Bytes())
	c.sayCrypto()
	if !c.until(func() bool { c.sayCrypto(); return c.done && c.write[wire.AppSpace] != nil }) {
		return report{}, errNoHandshake
	}
	elsewhere, err := open(addr, netip.MustParseAddr("127.9.17.1"))
	if err != nil {
		return report{}, err
	}
	defer elsewhere.Close()
	fresh := randomID(8)
	toFresh, _ := seal.Initial(fresh.Bytes())
	toOurs, _ := seal.Initial(c.dst.Bytes())
	for _, b := range [][]byte{
		longPacket(forged, wire.PacketInitial, original, c.src, closing),
		longPacket(forged, wire.PacketInitial, c.dst, c.src, closing),
		longPacket(toOurs, wire.PacketInitial, c.dst, c.src, closing),
		longPacket(toFresh, wire.PacketInitial, fresh, c.src, closing),
		longPacket(forged, wire.PacketHandshake, c.dst, c.src, closing),
		longPacket(forged, wire.Packet0RTT, c.dst, c.src, closing),
		wire.AppendVersionNegotiation(nil, 0xff, c.dst.Bytes(), c.src.Bytes(), []uint32{2}),
		append(wire.AppendRetry(nil, c.dst.Bytes(), c.src.Bytes(), []byte("token")), make([]byte, 16)...),
		strange(c.dst, c.src, 0x1a2a3a4a, 1200),
		shortTo(c.dst, 21), shortTo(c.dst, 43), shortTo(c.dst, 1200),
		append(shortTo(c.dst, 30), make([]byte, 16)...), // a reset token that nobody has made
	} {
		for range 20 {
			c.conn.Write(b)
			elsewhere.Write(b)
			c.sentBytes += 2 * int64(len(b))
		}
		c.hear(time.Millisecond)
	}
	c.send(wire.AppSpace, request(0, "/", true))
	ok := c.until(func() bool { return c.streamBytes > 0 })
	return c.report(ok, "the connection goes on: %t; closed: %t with %#x", ok, c.closed, c.closeCode), nil
}

// garbage sends datagrams that are no packets, or only begin as such.
func garbage(addr netip.AddrPort) (report, error) {
	conn, err := open(addr, netip.MustParseAddr("127.9.16.1"))
	if err != nil {
		return report{}, err
	}
	defer conn.Close()
	c, dice := &client{}, rand.New(rand.NewPCG(16, 16))
	total := times(10_000, 300_000)
	for i := range total {
		b := make([]byte, dice.IntN(1500))
		for j := range b {
			b[j] = byte(dice.Uint32())
		}
		if len(b) > 6 && i%3 > 0 {
			b[0] |= 0xc0
			copy(b[1:], []byte{0, 0, 0, byte(i % 4)}) // version negotiation, 1, 2, and one that nobody knows
			b[5] = byte(dice.IntN(24))
		}
		n, _ := conn.Write(b)
		c.sentBytes += int64(n)
		if i%100 == 0 {
			for b := next(conn, 100*time.Microsecond); b != nil; b = next(conn, 100*time.Microsecond) {
				c.gotBytes += int64(len(b))
			}
		}
	}
	return c.report(c.gotBytes < c.sentBytes, "%d datagrams, %.3f bytes of answer for each byte", total, float64(c.gotBytes)/float64(c.sentBytes)), nil
}

// tampered speaks valid frames with bytes of them changed, frames left out, repeated and put in another order, under the right keys,
// on as many connections as it takes.
func tampered(addr netip.AddrPort) (report, error) {
	var sum report
	dice, packets, conns := rand.New(rand.NewPCG(61, 61)), 0, 0
	total := times(300, 50_000)
	for packets < total {
		c, err := connect(addr, netip.Addr{}, func(p *wire.TransportParams) { p.MaxIdleTimeout = 5 * time.Second })
		if err != nil {
			return sum, fmt.Errorf("after %d packets: %w", packets, err)
		}
		conns++
		for n := 0; n < 50 && packets < total && !c.closed; n++ {
			c.send(wire.AppSpace, tamper(dice))
			packets++
			if b := next(c.conn, 200*time.Microsecond); b != nil {
				c.gotBytes += int64(len(b))
				c.take(b)
				c.acknowledge()
			}
		}
		c.close()
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes
	}
	sum.what = fmt.Sprintf("%d packets on %d connections", packets, conns)
	return sum, nil
}

// tamper makes the frames of one packet.
func tamper(dice *rand.Rand) (b []byte) {
	id := int64(4 * dice.IntN(20))
	for range 1 + dice.IntN(6) {
		frames := [][]byte{
			request(id, "/", true), request(id, "/bytes/10000", false), data(id, int64(dice.IntN(1000)), dice.IntN(50), dice.IntN(4) == 0),
			data(id+2, 0, dice.IntN(50), false), reset(id, int64(dice.IntN(100))), stop(id), maxStreamData(id), dataBlocked(id),
			newID(int64(dice.IntN(6)), "12345"), wire.AppendRetireConnectionID(nil, int64(dice.IntN(5))),
			wire.AppendPathChallenge(nil, [8]byte{1}), wire.AppendPathResponse(nil, [8]byte{1}), {byte(wire.FramePing)},
			wire.AppendCrypto(nil, wire.Crypto{Offset: int64(dice.IntN(100)), Data: make([]byte, 20)}), number(byte(wire.FrameMaxData), dice.Uint64()>>2),
			wire.AppendResetStreamAt(nil, wire.ResetStreamAt{ResetStream: wire.ResetStream{ID: id, FinalSize: 50}}),
		}
		b = append(b, frames[dice.IntN(len(frames))]...)
	}
	for range dice.IntN(3) {
		b[dice.IntN(len(b))] ^= 1 << dice.IntN(8)
	}
	if dice.IntN(8) == 0 {
		b = b[:1+dice.IntN(len(b))]
	}
	return b
}

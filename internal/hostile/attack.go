package hostile

import (
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
	"github.com/godwit-net/godwit/internal/wire"
)

// report is what an attack did. Why is empty when the server kept its bound.
type report struct {
	sent, got int64 // bytes of UDP payload
	why       string
	what      string // that happened
}

func (c *client) report(ok bool, format string, args ...any) report {
	r := report{sent: c.sentBytes, got: c.gotBytes, what: fmt.Sprintf(format, args...)}
	if !ok {
		r.why = "the bound was passed: " + r.what
	}
	return r
}

// attack is one way to harm a server. growth is how many bytes more than before its process may hold.
type attack struct {
	name   string
	growth int64
	run    func(addr netip.AddrPort) (report, error)
}

var attacks = []attack{
	{"Initial packets from many addresses", 48 << 20, initialFlood},
	{"handshakes that are begun and left", 96 << 20, halfOpen},
	{"responses that are not read", 96 << 20, slowReader},
	{"headers that never end", 48 << 20, slowHeaders},
	{"requests that are reset at once", 48 << 20, rapidReset},
	{"ACK of packets never sent", 16 << 20, ackOfUnsent},
	{"PATH_CHALLENGE flood", 16 << 20, challengeFlood},
	{"NEW_CONNECTION_ID flood", 16 << 20, newIDFlood},
	{"field sections that expand", 32 << 20, headerBomb},
	{"trailers that expand", 32 << 20, trailerBomb},
	{"CRYPTO fragments", 16 << 20, cryptoFragments},
	{"CRYPTO far ahead in a handshake", 48 << 20, cryptoEarly},
	{"answers that are never heard", 16 << 20, amplification},
	{"datagrams of nonsense before the handshake", 48 << 20, beforeHandshake},
	{"half-open handshakes at the limits", 160 << 20, atTheLimits},
	{"RETIRE_CONNECTION_ID flood", 16 << 20, retireFlood},
	{"moves to forged addresses", 48 << 20, forgedMove},
	{"moves to many forged addresses", 32 << 20, forgedMoves},
	{"ACK of skipped packets", 48 << 20, ackOfSkipped},
	{"ACK with many ranges", 64 << 20, ackRanges},
	{"packet numbers with gaps", 16 << 20, numberGaps},
	{"connection IDs that collide", 32 << 20, collidingIDs},
	{"frames after the Finished", 16 << 20, afterFinished},
}

// full reports whether there is time: `make hostile`, and not the ordinary tests.
func full() bool { return os.Getenv("GODWIT_HOSTILE") == "full" }

// times is how often to do something, when time is short and when it is not.
func times(short, long int) int {
	if full() {
		return long
	}
	return short
}

// initialFlood sends 8000 first packets from 64 addresses and answers nothing. Each is a whole ClientHello.
func initialFlood(addr netip.AddrPort) (report, error) {
	var sum report
	var clients []*client
	var got [64]atomic.Int64 // read all the while, so that no buffer of a socket hides answers
	for i := range 64 {
		c, err := newClient(addr, netip.AddrFrom4([4]byte{127, 9, 0, byte(i + 1)}), nil)
		if err != nil {
			return sum, err
		}
		defer c.close()
		clients = append(clients, c)
		go func() {
			for b := make([]byte, 64<<10); ; {
				n, err := c.conn.Read(b)
				if err != nil {
					return
				}
				got[i].Add(int64(n))
			}
		}()
	}
	for range 125 {
		for _, c := range clients {
			c.readdress(randomID(8))
			c.send(wire.InitialSpace, append(wire.AppendCryptoHeader(nil, 0, len(c.hello)), c.hello...))
		}
	}
	time.Sleep(500 * time.Millisecond)
	for i, c := range clients {
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+got[i].Load()
		if got[i].Load() > 3*c.sentBytes {
			sum.why = fmt.Sprintf("%d bytes answered %d", got[i].Load(), c.sentBytes)
		}
	}
	sum.what = fmt.Sprintf("%.2f bytes of answer for each byte", float64(sum.got)/float64(sum.sent))
	return sum, nil
}

// halfOpen begins 300 handshakes from one address, obeys Retry packets, and never goes on.
func halfOpen(addr netip.AddrPort) (report, error) {
	var sum report
	retried := 0
	for range 300 {
		c, err := newClient(addr, netip.Addr{}, nil)
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
	sum.what = fmt.Sprintf("300 handshakes left, %d of them after a Retry", retried)
	return sum, nil
}

// request makes a STREAM frame with the first bytes of a request.
func request(id int64, path string, fin bool) []byte {
	s := qpack.AppendPrefix(nil)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}} {
		s = qpack.AppendField(s, f[0], f[1], false)
	}
	s = append(h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameHeaders, Length: int64(len(s))}), s...)
	return wire.AppendStream(nil, wire.Stream{ID: id, Data: s, Fin: fin})
}

// slowReader asks for 100 responses of 1 GiB on each of 4 connections, and lets 1 byte of each come.
func slowReader(addr netip.AddrPort) (report, error) {
	var last report
	for range 4 {
		c, err := dial(addr, func(p *wire.TransportParams) { p.InitialMaxStreamDataBidiLocal = 1 })
		if err != nil {
			return last, err
		}
		defer c.close()
		for i := range int64(100) {
			c.send(wire.AppSpace, request(4*i, "/bytes/1073741824", true))
		}
		c.hear(100 * time.Millisecond)
		r := c.report(!c.closed && c.streamBytes <= 3*1200+100, "%d bytes of streams got out on the last connection", c.streamBytes)
		r.sent, r.got = r.sent+last.sent, r.got+last.got
		last = r
	}
	return last, nil
}

// slowHeaders begins 100 requests on each of 4 connections and sends a byte now and then.
func slowHeaders(addr netip.AddrPort) (report, error) {
	var last report
	for range 4 {
		c, err := dial(addr, nil)
		if err != nil {
			return last, err
		}
		defer c.close()
		head := h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameHeaders, Length: 1000})
		for i := range int64(100) {
			c.send(wire.AppSpace, wire.AppendStream(nil, wire.Stream{ID: 4 * i, Data: head}))
		}
		for at := int64(len(head)); len(c.resets) < 100 && at < 300 && !c.closed; at++ {
			for i := range int64(100) {
				c.send(wire.AppSpace, wire.AppendStream(nil, wire.Stream{ID: 4 * i, Offset: at, Data: []byte{0}}))
			}
			c.hear(50 * time.Millisecond)
			if last.what != "" {
				break // the first connection has shown the deadline
			}
			time.Sleep(time.Second)
			if at > 20 {
				break
			}
		}
		for end := time.Now().Add(long); last.what == "" && len(c.resets) < 100 && !c.closed && time.Now().Before(end); {
			c.hear(time.Second)
		}
		r := c.report(last.what != "" || c.closed || len(c.resets) == 100, "%d of 100 requests ended by the server", len(c.resets))
		if last.what != "" {
			r.why, r.what = last.why, last.what
		}
		r.sent, r.got = r.sent+last.sent, r.got+last.got
		last = r
	}
	return last, nil
}

// rapidReset asks and resets 10,000 times, as fast as the server allows streams.
func rapidReset(addr netip.AddrPort) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.maxStreams = max(c.maxStreams, 100)
	n := int64(0)
	for n < 10_000 && c.until(func() bool { return n < c.maxStreams }) && !c.closed {
		for ; n < c.maxStreams && n < 10_000; n++ {
			b := request(4*n, "/bytes/1073741824", false)
			size := int64(len(b))
			c.send(wire.AppSpace, append(b, wire.AppendResetStream(nil, wire.ResetStream{ID: 4 * n, Code: 0x10c, FinalSize: size})...))
		}
	}
	return c.report(n == 10_000, "%d requests reset, %s", n, c.ending()), nil
}

package hostile

import (
	"net/netip"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/qpack"
	"github.com/godwit-net/godwit/internal/wire"
)

// expanding is a HEADERS frame with 60,000 one-byte references to an entry of the static table: 5 MB decoded.
func expanding() []byte {
	const section = 60_000
	b := qpack.AppendPrefix(h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameHeaders, Length: section}))
	for end := len(h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameHeaders, Length: section})) + section; len(b) < end; {
		b = append(b, 0x80|0x40|52) // content-type: text/html; charset=utf-8
	}
	return b
}

// sendStream sends bytes of a stream from an offset on.
func (c *client) sendStream(id int64, from int, b []byte) {
	for at := 0; at < len(b); at += 1000 {
		c.send(wire.AppSpace, wire.AppendStream(nil, wire.Stream{ID: id, Offset: int64(from + at), Data: b[at:min(at+1000, len(b))]}))
	}
}

// headerBomb sends 8 field sections that expand, as requests.
func headerBomb(addr netip.AddrPort) (report, error) {
	return bomb(addr, nil, func(c *client) bool { return c.streamBytes < 8*200 }) // a refusal is short, and the page is not
}

// trailerBomb sends them as the trailers of requests.
func trailerBomb(addr netip.AddrPort) (report, error) {
	s := qpack.AppendPrefix(nil)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/echo"}} {
		s = qpack.AppendField(s, f[0], f[1], false)
	}
	b := append(h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameHeaders, Length: int64(len(s))}), s...)
	b = append(h3.AppendFrameHeader(b, h3.FrameHeader{Type: h3.FrameData, Length: 4}), "body"...)
	return bomb(addr, b, func(c *client) bool { return len(c.resets) == 8 })
}

func bomb(addr netip.AddrPort, before []byte, refused func(*client) bool) (report, error) {
	c, err := dial(addr, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	for id := range int64(8) {
		c.sendStream(4*id, 0, before)
		c.sendStream(4*id, len(before), expanding())
		c.hear(20 * time.Millisecond)
	}
	for end := time.Now().Add(long); !c.closed && time.Now().Before(end) && (c.streamBytes == 0 || !refused(c)); {
		c.hear(100 * time.Millisecond)
	}
	c.hear(300 * time.Millisecond)
	return c.report(c.closed || c.streamBytes > 0 && refused(c), "%d of 8 stopped, %d bytes of answers, %s", len(c.resets), c.streamBytes, c.ending()), nil
}

package hostile

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/godwit-net/godwit/internal/h3"
	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/varint"
	"github.com/godwit-net/godwit/internal/wire"
)

var floodAttacks = []attack{
	{"floods of frames that change nothing", 48 << 20, emptyFloods},
	{"key updates, one after the other", 16 << 20, keyUpdates},
	{"reserved HTTP/3 frames", 16 << 20, reservedFrames},
}

// emptyFloods sends, on a connection for each kind, packets full of frames that change nothing, as fast as the server takes them,
// until it closes, which a server of ours has to do within 200,000 of them.
func emptyFloods(addr netip.AddrPort) (report, error) {
	var sum report
	var told, wrong []string
	head := wire.AppendStream(nil, wire.Stream{Data: h3.AppendFrameHeader(nil, h3.FrameHeader{Type: h3.FrameHeaders, Length: 1000})})
	for _, kind := range []struct {
		name  string
		frame []byte
		first []byte // sent once, before
	}{
		{"PING", []byte{byte(wire.FramePing)}, nil},
		{"empty STREAM", data(0, 1, 0, false), head},
		{"repeated STREAM", head, head},
		{"old ACK", wire.AppendAck(nil, wire.Ack{}, rangeset.Set{{Start: 0, End: 1}}, 100), nil},
		{"old MAX_DATA", wire.AppendMaxData(nil, 1), nil},
		{"DATA_BLOCKED", wire.AppendDataBlocked(nil, 1), nil},
		{"repeated STOP_SENDING", stop(0), stop(0)},
		{"DATAGRAM", wire.AppendDatagram(nil, []byte("x")), nil},
		{"a reserved frame type", []byte{0x5b, 0x1b}, nil},
	} {
		c, err := connect(addr, netip.Addr{}, nil)
		if err != nil {
			return sum, err
		}
		if kind.first != nil {
			c.send(wire.AppSpace, kind.first)
		}
		n := flood(c, kind.frame, times(200_000, 2_000_000))
		told = append(told, fmt.Sprintf("%s %d", kind.name, n))
		if !c.closed {
			wrong = append(wrong, fmt.Sprintf("%s goes on after %d", kind.name, n))
		}
		c.close()
		sum.sent, sum.got = sum.sent+c.sentBytes, sum.got+c.gotBytes
	}
	sum.why = strings.Join(wrong, "; ")
	sum.what = fmt.Sprintf("%d of %d connections closed; sent until then: %s", len(told)-len(wrong), len(told), strings.Join(told, ", "))
	return sum, nil
}

// flood sends packets full of a frame, at most so many frames, until the connection is closed, and returns how many that were.
func flood(c *client, frame []byte, most int) (n int) {
	each := min(1100/len(frame), 600)
	var packet []byte
	for range each {
		packet = append(packet, frame...)
	}
	for n < most && !c.closed {
		c.send(wire.AppSpace, packet)
		n += each
		if b := next(c.conn, 100*time.Microsecond); b != nil {
			c.gotBytes += int64(len(b))
			c.take(b)
			c.acknowledge()
		}
	}
	if ours() {
		c.untilClosed() // what it has not taken yet, it will
	}
	return n
}

// keyUpdates replaces its keys as soon as the server has acknowledged that it did, 2000 times. Each update has the server derive four
// secrets.
func keyUpdates(addr netip.AddrPort) (report, error) {
	c, err := connect(addr, netip.Addr{}, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	c.hear(50 * time.Millisecond)
	n, began := 0, time.Now()
	for ; n < 2000 && !c.closed; n++ {
		c.update()
		number := c.next[wire.AppSpace]
		c.send(wire.AppSpace, []byte{byte(wire.FramePing)})
		c.send(wire.AppSpace, []byte{byte(wire.FramePing)})
		if !c.until(func() bool { return c.acked > number }) {
			break
		}
	}
	if !c.closed {
		c.hear(50 * time.Millisecond)
	}
	slow := n < 400+int(40*time.Since(began).Seconds()) // twice what is granted, and forgiven with time
	return c.report(c.closed || slow || !ours(), "after %d updates closed: %t with %#x", n, c.closed, c.closeCode), nil
}

// update goes to the next phase of the keys, both ways.
func (c *client) update() {
	c.phase = !c.phase
	c.write[wire.AppSpace], c.read[wire.AppSpace] = c.write[wire.AppSpace].Next(), c.read[wire.AppSpace].Next()
}

// reservedFrames sends a request that consists of frames that HTTP/3 has the server ignore.
func reservedFrames(addr netip.AddrPort) (report, error) {
	c, err := connect(addr, netip.Addr{}, nil)
	if err != nil {
		return report{}, err
	}
	defer c.close()
	var frames []byte
	for len(frames) < 1000 {
		frames = varint.Append(frames, 0x21) // the first reserved type
		frames = varint.Append(frames, 0)
	}
	at := int64(0)
	for at < 100_000 && !c.closed && !c.resets[0] {
		c.send(wire.AppSpace, wire.AppendStream(nil, wire.Stream{ID: 0, Offset: at, Data: frames}))
		at += int64(len(frames))
		c.hear(time.Millisecond)
	}
	c.until(func() bool { return c.closed || !ours() })
	return c.report(c.closed && c.closeApp && c.closeCode == h3ExcessiveLoad || !ours(), "after %d frames closed: %t with %#x", at/2, c.closed, c.closeCode), nil
}

const h3ExcessiveLoad = uint64(h3.H3ExcessiveLoad)

package engine

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// What RFC 9000, sections 12 to 14 and 17, demand of packets, their acknowledgment and their size, as far as no other test says it.

// flown is a datagram as it goes over the wire, and the frames in it.
type flown struct {
	raw    []byte
	frames []sentFrame
}

// datagrams takes what the connection has to say. The peer hears it.
func (x *exchange) datagrams() (all []flown) {
	x.t.Helper()
	for {
		t := x.conn.Compose(x.now, x.buf)
		if t.Size == 0 {
			return all
		}
		for b := x.buf[:t.Size]; len(b) > 0; {
			n := min(len(b), t.Segment)
			before := len(x.queue)
			x.hear(bytes.Clone(b[:n]))
			all = append(all, flown{bytes.Clone(b[:n]), x.queue[before:]})
			b = b[n:]
		}
	}
}

// give hands the connection a datagram, and leaves its answer with it.
func (x *exchange) give(b []byte) { x.conn.Receive(x.now, Datagram{Payload: b, Path: x.path}) }

// longHeaders returns the long headers of a datagram's packets.
func longHeaders(b []byte) (all []wire.LongHeader) {
	for len(b) > 0 && wire.IsLong(b[0]) {
		h, n := wire.ConsumeLongHeader(b)
		if n < 0 {
			return all
		}
		all = append(all, h)
		b = b[n:]
	}
	return all
}

// flights plays a handshake and returns all datagrams of the connection's. Nothing is acknowledged at first, so that what was
// sent is sent again.
func (x *exchange) flights() (all []flown) {
	x.t.Helper()
	all = x.datagrams()
	for range 3 {
		if at := x.conn.Deadline(); !x.server {
			x.now = max(x.now, at)
			x.conn.Expire(x.now)
			all = append(all, x.datagrams()...)
		}
	}
	for range 20 {
		for space := range x.pending {
			for len(x.pending[space]) > 0 {
				x.give(x.packet(wire.Space(space), x.crypto(wire.Space(space))))
				all = append(all, x.datagrams()...)
				if at := x.conn.Deadline(); at < x.now.Add(3*time.Second) && !x.conn.shake.confirmed {
					x.now = max(x.now, at)
					x.conn.Expire(x.now)
					all = append(all, x.datagrams()...)
				}
			}
		}
		if !x.server && x.conn.HandshakeDone() && !x.conn.shake.confirmed {
			x.give(x.packet(wire.AppSpace, []byte{byte(wire.FrameHandshakeDone)}))
		}
		all = append(all, x.datagrams()...)
	}
	if !x.conn.shake.confirmed {
		x.t.Fatalf("the handshake is not confirmed: %v", x.conn.Err())
	}
	return all
}

func TestDatagramsWithInitialPacketsAreWhole(t *testing.T) {
	// Rules: 9000:8.1/3, 9000:14.1/1, 9000:14.1/2, 9001:9.3/1
	for _, server := range []bool{false, true} {
		x := newExchange(t, server)
		initial := 0
		for _, d := range x.flights() {
			for _, f := range d.frames {
				if f.space != wire.InitialSpace || server && strings.HasPrefix(f.text, "ack") {
					continue
				}
				initial++
				if len(d.raw) < wire.MinInitialSize {
					t.Errorf("server %v: an Initial packet with %s in a datagram of %d bytes", server, f.text, len(d.raw))
				}
			}
		}
		if initial < 2 {
			t.Errorf("server %v: %d Initial packets", server, initial)
		}
	}
	// A client's are, whatever is in them.
	x := newExchange(t, false)
	x.datagrams()
	x.give(x.packet(wire.InitialSpace, ping))
	if all := x.datagrams(); len(all) != 1 || len(all[0].raw) < wire.MinInitialSize {
		t.Errorf("an acknowledgment alone is in %d datagrams", len(all))
	}
}

func TestCoalescedPacketsOfOursHaveOneDestination(t *testing.T) {
	// Rules: 9000:12.2/3, 9001:4/2
	for _, server := range []bool{false, true} {
		x := newExchange(t, server)
		coalesced := 0
		for _, d := range x.flights() {
			heads := longHeaders(d.raw)
			for _, h := range heads {
				if !bytes.Equal(h.DstID, heads[0].DstID) {
					t.Errorf("server %v: packets to %x and %x in one datagram", server, heads[0].DstID, h.DstID)
				}
			}
			if len(heads) > 1 {
				coalesced++
			}
		}
		if server && coalesced == 0 {
			t.Error("the server's flight is not coalesced")
		}
	}
}

func TestFramesGoInTheirPackets(t *testing.T) {
	// Rules: 9000:12.5/1, 9000:12.5/2, 9000:13.2.6/1, 9000:13.2.6/2, 9000:17.2.3/4, 9001:4.9.1/2
	for _, server := range []bool{false, true} {
		x := newExchange(t, server)
		all := x.flights()
		for _, f := range x.queue {
			kind, _, _ := strings.Cut(f.text, " ")
			if f.space != wire.AppSpace && kind != "ack" && kind != "crypto" && kind != "ping" {
				t.Errorf("server %v: %s in a packet of the %s space", server, f.text, f.space)
			}
			if kind == "ack" {
				a, ranges, _ := wire.ConsumeAck(f.raw, nil)
				if ranges[0].End > x.next[f.space] || a.Largest >= x.next[f.space] {
					t.Errorf("server %v: %s in the %s space, of which it has %d", server, f.text, f.space, x.next[f.space])
				}
			}
		}
		handshaking := false
		for _, d := range all {
			for _, h := range longHeaders(d.raw) {
				if h.Type == wire.PacketInitial && handshaking && !server {
					t.Error("an Initial packet follows a Handshake packet")
				}
				handshaking = handshaking || h.Type == wire.PacketHandshake
			}
		}
	}
}

func TestANumberIsUsedOnce(t *testing.T) {
	// Rules: 9000:12.3/1, 9000:12.3/2
	for _, server := range []bool{false, true} {
		x := newExchange(t, server)
		x.flights()
		id := x.open()
		for range 50 {
			x.conn.Write(x.now, id, make([]byte, 3000))
			x.receive(wire.AppSpace, ping)
			x.advance(300 * time.Millisecond) // with probes
		}
		heard := int64(0)
		for _, seen := range x.seen {
			heard += seen.Size()
		}
		if sent := x.conn.Stats().PacketsSent; heard != sent || sent < 60 {
			t.Errorf("server %v: %d packets have %d numbers", server, sent, heard)
		}
	}
}

func TestCoalescedPacketsAreTakenOneByOne(t *testing.T) {
	// Rules: 9000:12.2/1, 9000:12.2/5, 9000:12.2/6
	x := newExchange(t, true)
	x.drain()
	first, broken, third := x.packet(wire.InitialSpace, ping), x.packet(wire.InitialSpace, ping), x.packet(wire.InitialSpace, ping)
	broken[len(broken)-1] ^= 1
	x.receiveDatagram(bytes.Join([][]byte{first, broken, third}, nil))
	x.wantAck("each packet is opened, and acknowledged if it is one", "ack [2,3) [0,1)")
}

func TestWhatDoesNotOpenIsNotAcknowledged(t *testing.T) {
	// Rules: 9000:13.1/1
	x, n := fresh(t)
	forged := x.packet(wire.AppSpace, ping)
	forged[len(forged)-1] ^= 1
	x.receiveDatagram(forged)
	x.receive(wire.AppSpace, ping)
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "ack") {
			_, ranges, _ := wire.ConsumeAck(f.raw, nil)
			for _, r := range ranges {
				if r.Start <= n && n < r.End {
					t.Errorf("it sent %s, and %d was a forgery", f.text, n)
				}
			}
		}
	}
	x.wantAmong("what followed is", "ack ["+itoa(n+1)+","+itoa(n+2)+") [0,"+itoa(n)+")")
	// Nor is a packet whose frames are not good.
	x, n = fresh(t)
	x.receive(wire.AppSpace, ping, []byte{0x21})
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "ack [0,"+itoa(n+1)) {
			t.Errorf("it sent %s", f.text)
		}
	}
}

func TestAcknowledgmentsAreNoMoreThanPackets(t *testing.T) {
	// Rules: 9000:13.2.1/3
	x, _ := fresh(t)
	const packets = 20
	for range packets {
		x.receive(wire.AppSpace, ping)
		x.advance(50 * time.Millisecond)
	}
	x.advance(3 * time.Second)
	acks := 0
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "ack") {
			acks++
		}
	}
	if acks < packets/2 || acks > packets {
		t.Errorf("%d packets are acknowledged %d times", packets, acks)
	}
}

func TestAcknowledgmentsGoAlong(t *testing.T) {
	// Rules: 9000:13.2/1, 9000:13.2.1/5, 9000:13.2.3/1, 9000:12.2/2
	x, n := fresh(t)
	id := x.open()
	x.receive(wire.AppSpace, ping)
	x.conn.Write(x.now, id, []byte("abc"))
	x.drain()
	if len(x.queue) != 2 || x.queue[0].text != "ack [0,"+itoa(n+1)+")" || x.queue[0].number != x.queue[1].number {
		t.Errorf("it sent %+v", x.queue)
	}
}

func TestTheAckDelayIsWhatPassedHere(t *testing.T) {
	// Rules: 9000:13.2.5/1, 9000:13.2.5/3
	for _, late := range []time.Duration{maxAckDelay, 4 * maxAckDelay} {
		x, _ := fresh(t)
		x.give(x.packet(wire.AppSpace, ping))
		x.now = x.now.Add(late)
		x.drain()
		a, _, _ := wire.ConsumeAck(x.queue[0].raw, nil)
		if got := time.Duration(a.Delay<<x.learned.AckDelayExponent) * time.Microsecond; got > late || got < late-8*time.Microsecond {
			t.Errorf("after %v it says %v", late, got)
		}
	}
	x, _ := fresh(t)
	x.receive(wire.AppSpace, ping)
	x.now = x.now.Add(10 * time.Millisecond)
	x.receive(wire.AppSpace, ping)
	if a, _, _ := wire.ConsumeAck(x.queue[0].raw, nil); a.Delay != 0 {
		t.Errorf("the newest packet was not delayed, and it says %d", a.Delay)
	}
}

func TestDatagramsOfAnySizeCloseNothing(t *testing.T) {
	// Rules: 9000:14/4, 9000:10.3/6, 9000:8.2.1/6
	for _, server := range []bool{false, true} {
		x := newExchange(t, server).handshake()
		for _, size := range []int{0, 1, 2, 20, 21, 1199, 1201, 9000, 65527} {
			for _, first := range []byte{0x00, 0x40, 0xc0} {
				b := make([]byte, size)
				if size > 0 {
					b[0] = first
				}
				if x.dst.Len() < size {
					copy(b[1:], x.dst.Bytes())
				}
				x.receiveDatagram(b)
			}
		}
		if x.conn.Err() != nil {
			t.Errorf("server %v: %v", server, x.conn.Err())
		}
	}
}

func TestTheSpinBitIsOffAndIgnored(t *testing.T) {
	// Rules: 9000:17.4/1, 9000:17.4/4
	const spin = 0x20
	for _, server := range []bool{false, true} {
		x := newExchange(t, server).handshake()
		before := x.conn.Stats().PacketsReceived
		for i := range 20 {
			x.reserved = byte(i%2) * spin
			x.give(x.packet(wire.AppSpace, ping))
			for _, d := range x.datagrams() {
				if !wire.IsLong(d.raw[0]) && d.raw[0]&spin != 0 {
					t.Errorf("server %v: it spins", server)
				}
			}
		}
		if got := x.conn.Stats().PacketsReceived - before; got != 20 {
			t.Errorf("server %v: %d of 20 packets were taken", server, got)
		}
	}
}

func TestInitialPacketsThatAreWrongEndTheConnection(t *testing.T) {
	// Rules: 9000:5.2/1
	for _, server := range []bool{false, true} {
		for _, c := range []struct {
			frame []byte
			want  wire.ErrorCode
		}{
			{[]byte{0x21}, wire.FrameEncodingError},
			{[]byte{byte(wire.FrameMaxData), 1}, wire.ProtocolViolation},
			{wire.AppendDatagram(nil, []byte("x")), wire.ProtocolViolation},
		} {
			x := newExchange(t, server, taking)
			x.drain()
			x.receive(wire.InitialSpace, ping, c.frame)
			x.wantClose(describeAll(c.frame)[0], c.want)
		}
	}
}

func TestAKeptPacketIsNotAcknowledgedTwice(t *testing.T) {
	// Rules: 9000:12.3/4
	x, n := fresh(t)
	b := x.packet(wire.AppSpace, streamFrame(0, 0, "once", false))
	x.receiveDatagram(bytes.Clone(b))
	received, flow := x.conn.Stats().PacketsReceived, x.conn.flow.received
	for range 3 {
		x.receiveDatagram(bytes.Clone(b))
	}
	if s := x.conn.Stats(); s.PacketsReceived != received || x.conn.flow.received != flow {
		t.Errorf("a copy of packet %d was processed", n)
	}
	seen := x.conn.spaces[wire.AppSpace].acks.seen
	if want := (rangeset.Range{Start: 0, End: n + 1}); len(seen) != 1 || seen[0] != want {
		t.Errorf("received are %v", seen)
	}
}

func TestTheWaitForKeysIsAckDelay(t *testing.T) {
	// Rules: 9000:13.2.5/2
	const wait = 200 * time.Millisecond
	x := newExchange(t, false)
	x.receiveDatagram(x.early(streamFrame(3, 0, "a", false)))
	x.now = x.now.Add(wait)
	x.playHandshake()
	for _, f := range x.queue {
		if f.space != wire.AppSpace || !strings.HasPrefix(f.text, "ack") {
			continue
		}
		a, _, _ := wire.ConsumeAck(f.raw, nil)
		if got := time.Duration(a.Delay<<x.learned.AckDelayExponent) * time.Microsecond; a.Largest != 0 || got > wait || got < wait-8*time.Microsecond {
			t.Errorf("a packet that came %v ago is acknowledged with %s and a delay of %v", wait, f.text, got)
		}
		return
	}
	t.Error("no acknowledgment was sent")
}

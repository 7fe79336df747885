package engine

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// FuzzTampering lets bytes choose what happens to the packets of a valid conversation, inside their protection: frames are left out,
// repeated, put in another order, changed by a bit, said later or to the one who said them, and packets are sealed again with the right
// keys under the right number or another. Either end may find fault with that and close; neither may break a rule of its own, and
// both have to come to an end.
func FuzzTampering(f *testing.F) {
	for op := range byte(numTamperings) {
		f.Add(bytes.Repeat([]byte{op, 7 * op}, 12), uint8(op))
		f.Add(append(make([]byte, 40), bytes.Repeat([]byte{op, 0x35, 0, 0}, 20)...), uint8(8+op))
		f.Add(append(make([]byte, 20), op, 0x81, op, 0x42, 0, 0, op, 0x17), uint8(op|0x10))
	}
	f.Fuzz(func(t *testing.T, script []byte, how uint8) {
		if len(script) > 400 {
			return
		}
		cryptotest.SetGlobalRandom(t, 1)
		newTampered(t, script, how).run()
	})
}

// tampering is what may happen to a packet.
type tampering byte

const (
	leave tampering = iota
	omitFrame
	repeatFrame
	swapFrames
	flipBit
	holdFrame
	sayHeld
	returnFrame // to the one who sent it
	cutFrame
	otherNumber
	otherBits // of the first byte, which header protection covers
	sendTwice
	damage // outside of the protection
	otherAddress
	otherOrder
	noise
	numTamperings
)

// tampered is two ends and somebody between them who has their keys.
type tampered struct {
	*pair
	script  []byte
	how     uint8
	keys    [2][wire.NumSpaces]*seal.Keys // of what the client and the server send, the last that were there
	largest [2][wire.NumSpaces]int64
	held    [wire.NumSpaces][][]byte
	opened  [2]int
	quiet   int // rounds without anything said
}

func newTampered(t *testing.T, script []byte, how uint8) *tampered {
	config := func() *Config {
		c := &Config{StreamWindow: 20000, MaxStreamWindow: 40000, ConnWindow: 30000, MaxConnWindow: 60000, StreamConfig: StreamConfig{MaxStreamsBidi: 3, MaxStreamsUni: 2},
			MaxDatagramFrame: 1 << 16, HandshakeTimeout: 5 * time.Second, MaxIdleTimeout: 5 * time.Second}
		if how&2 != 0 {
			c.Versions = []uint32{wire.Version2, wire.Version1}
		}
		return c
	}
	m := &tampered{pair: newPair(t, config(), config()), script: script, how: how, largest: [2][wire.NumSpaces]int64{{-1, -1, -1}, {-1, -1, -1}}}
	m.retries = true // what does not begin a connection is nothing special
	if how&1 != 0 {
		m.handshake() // in peace
		for side, c := range m.sides() {
			m.largest[side][wire.AppSpace] = c.ledger.Next(wire.AppSpace) - 1
		}
		m.inFlight = nil
	}
	m.rewrite = m.tamper
	return m
}

// sides returns the client and the server, which may be nil.
func (m *tampered) sides() [2]*Conn { return [2]*Conn{m.client, m.server} }

// next takes a byte of the script; 0 when it is at its end.
func (m *tampered) next() byte {
	if len(m.script) == 0 {
		return 0
	}
	b := m.script[0]
	m.script = m.script[1:]
	return b
}

// look notes the keys that both ends send with.
func (m *tampered) look() {
	for side, c := range m.sides() {
		for space := range m.keys[side] {
			if c != nil && c.spaces[space].write != nil {
				m.keys[side][space] = c.spaces[space].write
			}
		}
	}
}

// run has both ends talk until nothing more comes of it.
func (m *tampered) run() {
	limit := m.now.Add(2 * time.Minute)
	for m.now < limit {
		for side, c := range m.sides() {
			if c == nil {
				continue
			}
			m.look()
			m.work(side, c)
			m.look()
			(&exchange{t: m.t.(*testing.T), conn: c}).checkInvariants()
			if err := c.Err(); err != nil {
				m.judge(err)
			}
		}
		if !m.step() {
			break
		}
		if m.quiet++; m.quiet > 20_000 {
			m.t.Fatal("there is no end to it")
		}
	}
	for side, c := range m.sides() {
		if c != nil && (c.life.state != lifeDone || c.Deadline() != instant.Never) {
			m.t.Fatalf("side %d is still %v after two minutes: %v", side, c.life.state, c.Err())
		}
	}
}

// judge looks at how an end has ended.
func (m *tampered) judge(err error) {
	var transport *TransportError
	var app *ApplicationError
	var version *VersionError
	for _, known := range [...]error{ErrIdleTimeout, ErrHandshakeTimeout, ErrStatelessReset} {
		if err == known {
			return
		}
	}
	if !errors.As(err, &transport) && !errors.As(err, &app) && !errors.As(err, &version) {
		m.t.Fatalf("it ended with %v", err)
	}
	if transport != nil && !transport.Remote && transport.Code == wire.InternalError {
		m.t.Fatalf("it is at fault itself: %v", err)
	}
}

// work is what an application does at an end, again and again: everything that it can.
func (m *tampered) work(side int, c *Conn) {
	if c.Err() != nil || !c.HandshakeDone() {
		return
	}
	for m.opened[side] < 6 {
		id, ok := c.Open(m.now, m.opened[side]%2 == 1)
		if !ok {
			break
		}
		m.opened[side]++
		c.SetPriority(id, uint8(m.opened[side]), m.opened[side]%3 == 0)
		_, _ = c.Write(m.now, id, make([]byte, 500+3000*m.opened[side]))
		switch m.opened[side] {
		case 3:
			c.SetBoundary(id)
			c.Reset(m.now, id, 1)
		case 4:
			c.Stop(m.now, id, 2)
		default:
			_ = c.Finish(m.now, id)
		}
		_ = c.SendDatagram(m.now, make([]byte, 100))
	}
	switch m.opened[side] {
	case 2:
		c.UpdateKeys()
	case 4:
		c.RenewIDs(m.now)
	}
	b := make([]byte, 4096)
	for id := range int64(40) {
		if c.streams.byID[id] == nil {
			continue
		}
		if c.Readable(id) {
			for n, fin, err := c.Read(m.now, id, b); n > 0 && !fin && err == nil; n, fin, err = c.Read(m.now, id, b) {
			}
		}
		if id&1 != int64(side) && id&2 == 0 {
			_, _ = c.Write(m.now, id, b[:10])
			_ = c.Finish(m.now, id)
		}
	}
	for _, ok := c.ReceiveDatagram(b); ok; _, ok = c.ReceiveDatagram(b) {
	}
}

// tamper changes the packets of a datagram as the script says; false: the datagram is gone.
func (m *tampered) tamper(d *Datagram) bool {
	m.look()
	if len(m.script) == 0 {
		return true
	}
	side := 0
	if d.Path.Local == clientAddr {
		side = 1
	}
	var out []byte
	for rest := d.Payload; len(rest) > 0; {
		p, n, ok := m.open(side, rest)
		if !ok {
			out = append(out, rest...)
			break
		}
		rest = rest[n:]
		out = m.alter(side, d, p, out)
	}
	d.Payload = out
	return len(out) > 0
}

// taken is a packet that was opened.
type taken struct {
	space    wire.Space
	header   []byte // with its packet number, unprotected
	lengthAt int    // of the Length field; 0: there is none
	pnLen    int
	number   int64
	payload  []byte
}

// open opens the packet at the front of b and returns its length.
func (m *tampered) open(side int, b []byte) (p taken, n int, ok bool) {
	pnOffset := 1 + DefaultIDLen
	p.space, n = wire.AppSpace, len(b)
	if wire.IsLong(b[0]) {
		h, size := wire.ConsumeLongHeader(b)
		switch {
		case size < 0:
			return p, 0, false
		case h.Type == wire.PacketInitial:
			p.space = wire.InitialSpace
		case h.Type == wire.PacketHandshake:
			p.space = wire.HandshakeSpace
		default:
			return p, 0, false
		}
		n, pnOffset = size, h.PNOffset
		p.lengthAt = pnOffset - 2
	}
	keys := m.keys[side][p.space]
	if keys == nil || len(b) < pnOffset+20 {
		return p, 0, false
	}
	work := bytes.Clone(b[:n])
	truncated, pnLen, ok := keys.Unprotect(work, pnOffset)
	if !ok {
		return p, 0, false
	}
	p.pnLen = pnLen
	p.number = wire.DecodePacketNumber(m.largest[side][p.space], truncated, pnLen)
	if p.payload, ok = keys.Open(work, pnOffset+pnLen, p.number); !ok {
		return p, 0, false
	}
	m.largest[side][p.space] = max(m.largest[side][p.space], p.number)
	p.header, p.payload = bytes.Clone(work[:pnOffset+pnLen]), bytes.Clone(p.payload)
	return p, n, true
}

// frames cuts a payload into its frames; what is none is the last of them.
func frames(b []byte) (list [][]byte) {
	for len(b) > 0 {
		_, n := describe(b)
		if n <= 0 {
			n = len(b)
		}
		list = append(list, b[:n:n])
		b = b[n:]
	}
	return list
}

// alter appends a packet to a datagram, as the script wants it.
func (m *tampered) alter(side int, d *Datagram, p taken, out []byte) []byte {
	op, arg := tampering(m.next())%numTamperings, int(m.next())
	list := frames(p.payload)
	pick := func() int { return arg % len(list) }
	twice, to := false, side
	if len(list) > 0 {
		i := pick()
		switch op {
		case omitFrame:
			list = append(list[:i:i], list[i+1:]...)
		case repeatFrame:
			list = append(list, list[i])
		case swapFrames:
			list[0], list[i] = list[i], list[0]
		case flipBit:
			whole := bytes.Join(list, nil)
			whole[arg*len(whole)/256] ^= 1 << (arg & 7)
			list = [][]byte{whole}
		case holdFrame:
			m.held[p.space] = append(m.held[p.space], list[i])
			list = append(list[:i:i], list[i+1:]...)
		case sayHeld:
			if h := m.held[p.space]; len(h) > 0 {
				list = append(list, h[arg%len(h)])
			}
		case cutFrame:
			list = append(list[:i:i], list[i][:len(list[i])/2])
		case noise:
			list = append(list, []byte{byte(arg), byte(arg * 3), byte(arg * 5), byte(arg * 7), 1, 2})
		}
	}
	switch op {
	case otherNumber:
		p.number = max(0, p.number+int64(arg)-64)
	case otherBits:
		p.header[0] ^= byte(arg) & 0x1c
	case sendTwice:
		twice = true
	case returnFrame:
		to = 1 - side
	case otherAddress:
		if side == 0 {
			d.Path.Remote = netip.AddrPortFrom(clientAddr.Addr(), clientAddr.Port()+uint16(arg%3))
		}
	case otherOrder:
		if n := len(m.inFlight); n > 0 {
			i := arg % n
			m.inFlight[i].d, m.inFlight[n-1].d = m.inFlight[n-1].d, m.inFlight[i].d
			m.inFlight[i].toServer, m.inFlight[n-1].toServer = m.inFlight[n-1].toServer, m.inFlight[i].toServer
		}
	}
	if to != side {
		// What one end has said is said to itself, by the other.
		m.held[p.space] = append(m.held[p.space], list...)
	}
	before := len(out)
	out = m.seal(side, p, bytes.Join(list, nil), out)
	if op == damage {
		out[before+arg*(len(out)-before)/256] ^= 0x10
	}
	if twice {
		p.number++
		out = m.seal(side, p, bytes.Join(list, nil), out)
	}
	return out
}

// seal appends a packet with a payload, which is made as long as what was in it before.
func (m *tampered) seal(side int, p taken, payload, out []byte) []byte {
	payload = append(payload, make([]byte, max(0, len(p.payload)-len(payload)))...)
	b := append(make([]byte, 0, len(p.header)+len(payload)+seal.Overhead), p.header...)
	number := p.number
	for i := range p.pnLen {
		b[len(b)-1-i] = byte(number >> (8 * i))
	}
	b[0] = b[0]&^3 | byte(p.pnLen-1)
	b = append(b, payload...)
	if p.lengthAt > 0 {
		wire.SetLength(b, p.lengthAt, p.pnLen+len(payload)+seal.Overhead)
	}
	return append(out, m.keys[side][p.space].Seal(b, len(p.header)-p.pnLen, p.pnLen, p.number)...)
}

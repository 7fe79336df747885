package engine

import (
	"time"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// mtuState is the size of the datagrams that we send, and the search for a larger one: Datagram Packetization Layer Path
// MTU Discovery (RFC 8899; RFC 9000, section 14.3). Sizes are UDP payloads in bytes.
//
// Nothing but 1200 bytes is sent before the handshake is confirmed. Then probes go out, packets that carry nothing but a
// PING and padding: first one of the largest size that configuration and peer allow, which most paths carry, and if that
// is lost again and again, others by halving. What a probe proved is used from then on. Only a connection that fills its
// datagrams looks for larger ones, so a short exchange or a silent connection costs no probe and no timer.
//
// ICMP messages play no part: a forged one could do no harm, a genuine one only says what lost probes say too. What the
// local interface refuses is believed, since nobody outside can forge that.
type mtuState struct {
	size int // in use
	told int // what ledger, controller and trace know of it
	high int // the search looks no higher; 0: it begins with the highest there is

	probe  int          // size of the probe on its way; 0: none
	number int64        // its packet number
	tries  int          // probes of that size that were lost
	top    bool         // high itself was not refuted yet
	notYet instant.Time // no probe before
	hold   bool         // data waits until the window has room for a probe
	filled bool         // datagrams are filled to the last byte: larger ones would be as well

	suspect suspicion
	newest  int64        // the newest packet of full size that was acknowledged
	fellAt  instant.Time // when losses last made us fall back
	doubted bool         // what was lost then is being tried again
	holes   int64        // how often it was lost again
}

// suspicion is the losses that speak for a black hole: a path that has ceased to carry large datagrams.
type suspicion struct {
	count  int
	number int64        // of the first of the lost packets
	size   int          // of the smallest
	from   instant.Time // when the first was sent, and
	to     instant.Time // the last
}

const (
	// defaultMaxDatagramSize fits an IPv6 packet of 1500 bytes, and an IPv4 packet over a link that takes some for itself.
	defaultMaxDatagramSize = 1500 - 40 - 8

	// maxProbeTries is how many probes of one size are lost before the size counts as too large: MAX_PROBES. RFC 8899,
	// section 5.1.2 defaults to 3 as well: one could be lost by chance.
	maxProbeTries = 3

	// probeStep ends the search: so few bytes more are not worth another probe.
	probeStep = 16

	// raisePause is after what time a search that ended begins again, as paths change: the 600 seconds of PMTU_RAISE_TIMER
	// (RFC 8899, section 5.1.1).
	raisePause = 10 * time.Minute

	// blackHoleLosses is how many large packets have to be lost, with none acknowledged that was sent later.
	blackHoleLosses = 3

	// flapPause is within what time losses that come back, after a probe has passed, are no chance.
	flapPause = 10 * time.Second

	// nearlyFull is by how much a packet may miss the full size and still tell what becomes of those that do not.
	nearlyFull = 64
)

func newMTU() mtuState { return mtuState{size: minDatagramSize, told: minDatagramSize, newest: -1} }

// ceiling returns the largest size that configuration and peer allow. RFC 9000, section 18.2, of max_udp_payload_size: "UDP
// datagrams with payloads larger than this limit are not likely to be processed by the receiver."
func (m *mtuState) ceiling(c *Conn) int {
	return int(min(int64(c.config.MaxDatagramSize), c.peer.MaxUDPPayloadSize))
}

// adapt draws the conclusions from what acknowledgments have said, and passes on a size that changed.
func (m *mtuState) adapt(c *Conn, now instant.Time) {
	// Chance, at 5 % loss, takes three packets in a row once in eight thousand times, and the end of a burst is where that
	// is noticed. So the losses have to stretch over half a round trip: what is sent again is lost as well, such as the first
	// of a probe timeout's packets.
	if s := &m.suspect; s.count >= blackHoleLosses && s.to.Sub(s.from) >= c.ledger.RTT().Smoothed/2 {
		m.fallBack(now)
	}
	if m.size == m.told {
		return
	}
	c.ledger.SetDatagramSize(m.size)
	c.trace.MTUUpdated(now, m.told, m.size, m.size >= m.high)
	m.told = m.size
}

// fallBack returns to the size that every path carries. The size that was lost is tried again first: if it was chance
// after all, that costs a round trip of smaller datagrams. Should losses come back soon, the path carries probes and not
// data, and is left alone for longer.
func (m *mtuState) fallBack(now instant.Time) {
	flaps := !m.fellAt.IsNever() && now.Sub(m.fellAt) < flapPause
	m.search(m.size)
	m.size, m.fellAt, m.doubted = minDatagramSize, now, true
	if flaps {
		m.notYet = now.Add(raisePause)
	}
}

// search begins a search for sizes up to high.
func (m *mtuState) search(high int) {
	m.high, m.top, m.tries, m.probe, m.doubted = high, true, 0, 0, false
	m.notYet, m.suspect = instant.Never, suspicion{}
}

// forgive says that what became of the packets before next means nothing: they went elsewhere.
func (m *mtuState) forgive(next int64) { m.newest, m.suspect = next-1, suspicion{} }

// restart forgets the path. RFC 9000, section 14.3: a maximum size is kept "for each combination of local and remote IP
// addresses."
func (m *mtuState) restart() {
	told, holes := m.told, m.holes
	*m = newMTU()
	m.told, m.holes = told, holes
}

// candidate returns the size to probe next; 0: none.
func (m *mtuState) candidate(now instant.Time, ceiling int) int {
	if m.probe != 0 || m.size >= ceiling || !m.filled || now < m.notYet {
		return 0
	}
	if m.high == 0 || m.high-m.size < probeStep && !m.top { // the first search, or the last one is long over
		m.search(ceiling)
	}
	switch high := min(m.high, ceiling); {
	case m.top:
		return high
	case m.size < defaultMaxDatagramSize && defaultMaxDatagramSize < high:
		return defaultMaxDatagramSize // when more was hoped for, this is still likely
	default:
		return (m.size + high + 1) / 2
	}
}

// composeProbe writes a probe if it is time for one. It is never one of a run: the others of it must have its size.
func (m *mtuState) composeProbe(c *Conn, now instant.Time, buf []byte) (Transmit, bool) {
	size := m.candidate(now, m.ceiling(c))
	m.hold = false
	if size == 0 || len(buf) < size || !c.shake.confirmed || !c.path.validated || !c.wantsToSend(wire.AppSpace) {
		return Transmit{}, false
	}
	// RFC 9000, section 14.4: "PMTU probes consume congestion window". What acknowledgments free of it data would take at
	// once, and there would never be enough for a probe: data waits for the next few.
	if allowed, _ := c.ledger.Allowance(now); allowed < size {
		m.hold = allowed > 0 && c.ledger.InFlight() > 0 && 2*size <= c.ledger.Window()
		return Transmit{}, false
	}
	d := &c.draft
	d.begin(buf, size)
	d.ecn = c.path.ecn.codepoint(c)
	if !c.openPacket(d, wire.AppSpace) {
		return Transmit{}, false
	}
	// RFC 9000, section 14.4: "Endpoints could limit the content of PMTU probes to PING and PADDING frames".
	d.appendFrame(append(d.scratch(), byte(wire.FramePing)))
	d.pad(size - seal.Overhead)
	d.current().mtuProbe = true
	m.probe, m.number = size, d.number()
	d.close()
	n := c.finish(now, d)
	c.sent(n)
	return Transmit{Path: c.path.Path, ECN: d.ecn, Size: n, Segment: n}, true
}

// settle takes the fate of a packet.
func (m *mtuState) settle(now instant.Time, p *recovery.Packet, fate recovery.Fate) {
	switch {
	case fate == recovery.Probed:
	case p.MTUProbe:
		m.settleProbe(now, p, fate)
	case p.Size <= minDatagramSize:
	case fate == recovery.Acked:
		if p.Number > m.suspect.number && p.Size >= m.suspect.size {
			m.suspect = suspicion{}
		}
		if p.Size+nearlyFull >= m.size {
			m.newest = max(m.newest, p.Number)
		}
	case p.Size <= m.size && p.Number > m.newest:
		// That it is lost says the acknowledgment of another packet: the path is not just silent. Had a later one of its size
		// been among those, it would have proved that the size passes (RFC 8899, section 4.3).
		s := &m.suspect
		if s.count++; s.count == 1 {
			*s = suspicion{count: 1, number: p.Number, size: p.Size, from: p.SentAt}
		}
		s.size, s.to = min(s.size, p.Size), p.SentAt
	}
}

func (m *mtuState) settleProbe(now instant.Time, p *recovery.Packet, fate recovery.Fate) {
	if m.probe == 0 || p.Number != m.number {
		return
	}
	size := m.probe
	m.probe = 0
	if fate == recovery.Acked {
		m.size, m.tries, m.doubted = size, 0, false
		m.top = m.top && size < m.high
		m.endSearch(now)
		return
	}
	if m.tries++; m.tries < maxProbeTries {
		// A queue that has just overflowed may do so for another round trip.
		m.notYet = now.Add(time.Duration(m.tries) * now.Sub(p.SentAt))
		return
	}
	m.refute(now, size)
}

// refute notes that a size does not pass.
func (m *mtuState) refute(now instant.Time, size int) {
	if m.doubted {
		m.doubted = false
		m.holes++
	}
	m.high, m.top, m.tries = size-1, false, 0
	m.endSearch(now)
}

// endSearch lets the search rest when it has come close enough.
func (m *mtuState) endSearch(now instant.Time) {
	if m.high-m.size < probeStep {
		m.top = false
		m.notYet = now.Add(raisePause)
	}
}

// DatagramTooLarge tells the connection that the local interface did not take a datagram of size bytes. The shell calls it
// for what a system call refused, not for an ICMP message.
func (c *Conn) DatagramTooLarge(now instant.Time, size int) {
	now = c.advance(now)
	m := &c.path.mtu
	switch {
	case c.life.state != lifeOpen:
		return
	case size <= minDatagramSize: // there is nothing smaller
		c.path.narrow.ask(c.ledger.Next(wire.AppSpace))
		return
	case size == m.probe:
		m.probe = 0
	case size <= m.size:
		m.search(size)
		m.size = minDatagramSize
	default:
		return // sent before we knew
	}
	m.refute(now, size)
}

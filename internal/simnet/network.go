// Package simnet is a virtual network. It knows datagrams and what networks do to them, and nothing of QUIC.
//
// Hosts are IP addresses. A [Link] from one host to another has a delay, a rate, a queue and faults; each direction is a
// link of its own. Whoever drives the network owns time: [Network.Send] puts a datagram onto its link at an instant,
// [Network.Next] says when the next one arrives, [Network.Deliver] hands it out. Nothing runs by itself, so a test jumps
// from one instant to the next that matters.
//
// Everything follows from one seed. Each link draws from its own generator, so that traffic in one direction does not
// change what befalls the other. [Network.Hash] is a fingerprint of all that was delivered: a run that is repeated with
// the same seed and the same inputs has the same one.
package simnet

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"

	"github.com/godwit-net/godwit/internal/instant"
)

// Packet is one UDP datagram under way.
type Packet struct {
	From, To netip.AddrPort
	Payload  []byte
	ECN      uint8          // the two ECN bits of the IP header (RFC 3168): 0 not ECT, 1 ECT(1), 2 ECT(0), 3 CE
	Outside  netip.AddrPort // of what was delivered: where it was sent to, which is not To behind a NAT
}

// Network is a set of hosts joined by links. It is used by one goroutine.
type Network struct {
	seed      uint64
	links     map[hostPair]*Link // looked up, never ranged over
	nats      []mapping
	forgetful []forgetful
	queue     arrivals
	now       instant.Time
	seq       uint64   // arrivals scheduled so far: ties at one instant are settled first come, first served
	free      [][]byte // payload buffers to use again
	taken     []byte   // the payload that the last Deliver lent out
	lost      int      // datagrams without a link
	trace     hash.Hash
}

type hostPair struct{ from, to netip.Addr }

// New returns a network without links.
func New(seed uint64) *Network {
	return &Network{seed: seed, links: make(map[hostPair]*Link), trace: sha256.New()}
}

// Link joins two hosts in one direction. Calling it again for the same hosts changes the link from now on: what is under
// way stays under way, and the counters go on.
func (n *Network) Link(from, to netip.Addr, c LinkConfig) {
	c.Check()
	k := hostPair{from, to}
	if l := n.links[k]; l != nil {
		l.LinkConfig = c
		return
	}
	n.links[k] = NewLink(n.seed, len(n.links), c)
}

// Share joins two hosts in one direction by a link that goes through that of two others, which is there: they have one queue and
// one set of counters, and chance treats them apart.
func (n *Network) Share(from, to, otherFrom, otherTo netip.Addr) {
	n.links[hostPair{from, to}] = n.links[hostPair{otherFrom, otherTo}].Lane(n.seed, len(n.links))
}

// Join joins two hosts in both directions by links of the same kind.
func (n *Network) Join(a, b netip.Addr, c LinkConfig) {
	n.Link(a, b, c)
	n.Link(b, a, c)
}

// Send puts a datagram onto the link between its hosts. The payload is copied. A datagram without a link is lost.
func (n *Network) Send(now instant.Time, p Packet) {
	n.advance(now)
	n.speaks(now, p.From)
	outside := n.outside(now, p.From)
	inside := n.inside(p.To)
	l := n.links[hostPair{p.From.Addr(), inside.Addr()}]
	if l == nil {
		n.lost++
		return
	}
	first, second := l.Carry(now, p)
	for _, f := range [...]Fate{first, second} {
		if f.At.IsNever() {
			continue
		}
		n.seq++
		n.queue.Push(arrival{
			at: f.At, seq: n.seq, link: l, inside: inside,
			Packet: Packet{From: outside, To: p.To, Payload: n.copy(p.Payload, f), ECN: f.ECN},
		})
	}
}

// Next returns when the next datagram arrives; never if none is under way.
func (n *Network) Next() instant.Time {
	if len(n.queue) == 0 {
		return instant.Never
	}
	return n.queue[0].at
}

// Deliver returns the next datagram that has arrived at now; false if there is none. The payload is the caller's to
// change until the next call of Deliver.
func (n *Network) Deliver(now instant.Time) (Packet, bool) {
	n.advance(now)
	if n.taken != nil {
		n.free = append(n.free, n.taken)
		n.taken = nil
	}
	for len(n.queue) > 0 && n.queue[0].at <= now {
		a := n.queue.Pop()
		if n.outside(a.at, a.inside) != a.To { // the NAT has forgotten where this should go
			a.link.Stale++
			n.free = append(n.free, a.Payload)
			continue
		}
		a.link.Delivered++
		a.link.DeliveredBytes += int64(len(a.Payload))
		n.taken = a.Payload
		n.record(a)
		a.Outside, a.To = a.To, a.inside
		return a.Packet, true
	}
	return Packet{}, false
}

// Stats returns the counters of a link; zeros if there is no such link.
func (n *Network) Stats(from, to netip.Addr) Stats {
	if l := n.links[hostPair{from, to}]; l != nil {
		return *l.Stats
	}
	return Stats{}
}

// Unroutable returns how many datagrams had no link to take.
func (n *Network) Unroutable() int { return n.lost }

// Hash returns a fingerprint of every datagram delivered so far: instants, addresses, ECN bits and payloads.
func (n *Network) Hash() [sha256.Size]byte { return [sha256.Size]byte(n.trace.Sum(nil)) }

// record adds an arrival to the fingerprint.
func (n *Network) record(a arrival) {
	var b [64]byte
	h := binary.BigEndian.AppendUint64(b[:0], uint64(a.at))
	for _, x := range [...]netip.AddrPort{a.From, a.To} {
		ip := x.Addr().As16()
		h = append(h, ip[:]...)
		h = binary.BigEndian.AppendUint16(h, x.Port())
	}
	h = append(h, a.ECN)
	h = binary.BigEndian.AppendUint32(h, uint32(len(a.Payload)))
	n.trace.Write(h)
	n.trace.Write(a.Payload)
}

// copy returns a payload of the network's own, corrupted if that is its fate.
func (n *Network) copy(p []byte, f Fate) []byte {
	var b []byte
	if i := len(n.free) - 1; i >= 0 {
		b = n.free[i][:0]
		n.free = n.free[:i]
	}
	b = append(b, p...)
	if f.Flip != 0 {
		b[f.FlipAt] ^= f.Flip
	}
	return b
}

func (n *Network) advance(now instant.Time) {
	if now.IsNever() || now < n.now {
		panic(fmt.Sprintf("BUG: time went from %d to %d", n.now, now))
	}
	n.now = now
}

package engine

import (
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// opening is what an Acceptor keeps of a client's first packet, which it has opened to see whether it is authentic: a connection
// that begins with it need not do so again. The payload stands decrypted in the datagram.
//
// Anybody can make an authentic Initial packet (RFC 9001, section 5.2), but has to make one: what comes from scanners, broken
// middleboxes and attackers who only replay headers costs the derivation of keys and nothing that lasts.
type opening struct {
	keys   *seal.Keys // of the client's Initial packets; nil: nothing is open
	number int64
	hdrLen int                 // of the packet, up to its payload
	size   int                 // of the packet, and
	tag    [seal.Overhead]byte // its end: the packet is known by them
}

// openFirst opens the Initial packet h at the front of a datagram, in place; false: it is not authentic.
func openFirst(d Datagram, h wire.LongHeader) (o opening, ok bool) {
	keys, pkt := seal.Of(h.Version).ClientInitial(h.DstID), d.Payload[:h.Size]
	truncated, pnLen, ok := keys.Unprotect(pkt, h.PNOffset)
	if !ok {
		return o, false
	}
	o = opening{keys: keys, number: wire.DecodePacketNumber(-1, truncated, pnLen), hdrLen: h.PNOffset + pnLen, size: h.Size}
	if _, ok = keys.Open(pkt, o.hdrLen, o.number); !ok {
		return o, false
	}
	o.tag = [seal.Overhead]byte(pkt[h.Size-seal.Overhead:])
	return o, true
}

// take returns the number and the payload of a packet if it is the one that is open, once.
func (o *opening) take(pkt []byte) (number int64, payload []byte, ok bool) {
	if o.keys == nil || len(pkt) != o.size || string(pkt[len(pkt)-seal.Overhead:]) != string(o.tag[:]) {
		return 0, nil, false
	}
	o.keys = nil
	return o.number, pkt[o.hdrLen : len(pkt)-seal.Overhead], true
}

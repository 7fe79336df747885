package engine

import "github.com/godwit-net/godwit/internal/wire"

// greaseBits are random bits in store, so that a packet costs no more than one of them.
type greaseBits struct {
	bits uint64
	left int
}

// openGreased opens a packet with its fixed bit at random if the peer allows that. We always say that we allow it.
//
// RFC 9287, section 3.1: "Endpoints that receive the grease_quic_bit transport parameter from a peer SHOULD set the QUIC
// Bit to an unpredictable value unless another extension assigns specific meaning to the value of the bit." and "Endpoints
// can set the QUIC Bit to 0 on all packets that are sent after receiving and processing transport parameters."
//
// What a client may do beyond that, in Initial packets with a token, is not done: whether the server of the time before
// allowed it is not remembered.
func (c *Conn) openGreased(d *datagram, p packetDraft, out []byte, lengthAt int) bool {
	if g := &d.grease; c.peer.GreaseQUICBit {
		if g.left == 0 {
			g.bits, g.left = c.rand.Uint64(), 64
		}
		out[len(d.buf)] ^= byte(g.bits&1) * wire.FixedBit
		g.bits >>= 1
		g.left--
	}
	return d.open(p, out, lengthAt)
}

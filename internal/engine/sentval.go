package engine

import "github.com/godwit-net/godwit/internal/recovery"

// A sentVal says of one fact that the peer has to learn where it stands: nothing to tell, to be sent, sent in a certain
// packet, or known to have arrived. What is lost of a packet is information, and that is sent again (RFC 9000,
// section 13.3): this number is the whole of that rule for every fact that is a single value.
type sentVal int64

const (
	unset    sentVal = iota // nothing to tell
	unsent                  // to be sent, for the first time or again
	arrived                 // the peer acknowledged it
	inPacket                // inPacket+n: last sent in packet n
)

func (v *sentVal) set()                { *v = unsent }
func (v *sentVal) clear()              { *v = unset }
func (v *sentVal) sentIn(packet int64) { *v = inPacket + sentVal(packet) }
func (v sentVal) isUnsent() bool       { return v == unsent }
func (v sentVal) isSet() bool          { return v != unset }
func (v sentVal) hasArrived() bool     { return v == arrived }

// settle applies the fate of a packet that carried the fact. A packet that is lost does not matter when a later one
// carried the fact again; any that arrived is enough.
func (v *sentVal) settle(packet int64, fate recovery.Fate) {
	switch {
	case *v == unset || *v == arrived:
	case fate == recovery.Acked:
		*v = arrived
	case *v == inPacket+sentVal(packet):
		*v = unsent
	}
}

// settleLatest is settle for a fact whose value changes, such as a limit: what an older packet carried was another value,
// so only the latest packet's fate counts.
func (v *sentVal) settleLatest(packet int64, fate recovery.Fate) {
	if *v == inPacket+sentVal(packet) {
		v.settle(packet, fate)
	}
}

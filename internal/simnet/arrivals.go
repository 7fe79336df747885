package simnet

import (
	"net/netip"

	"github.com/godwit-net/godwit/internal/instant"
)

// arrival is a datagram under way, and when it will be there.
type arrival struct {
	at     instant.Time
	seq    uint64
	link   *Link
	inside netip.AddrPort // where To is, behind a NAT or not
	Packet
}

// Before orders arrivals: ties at one instant are settled first come, first served.
func (a *arrival) Before(b *arrival) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// arrivals is what is under way, the next one first.
type arrivals = Heap[arrival, *arrival]

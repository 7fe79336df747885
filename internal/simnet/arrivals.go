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

func (a *arrival) before(b *arrival) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// arrivals is a binary heap, the next arrival at its root. container/heap would box every element.
type arrivals []arrival

func (q *arrivals) push(a arrival) {
	*q = append(*q, a)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			break
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *arrivals) pop() arrival {
	h := *q
	root := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h[last] = arrival{}
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].before(&h[least]) {
				least = child
			}
		}
		if least == i {
			return root
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

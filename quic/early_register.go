package quic

import (
	"crypto/rand"
	"sync"
	"time"
)

// A StrikeRegister remembers which tickets were used for 0-RTT. Servers that share ticket keys and want to accept each other's
// tickets for 0-RTT share one; it must outlive them all. Its methods may be called by many goroutines at once, from handshakes:
// one that asks another machine holds up the handshake for so long.
type StrikeRegister interface {
	// Strike reports whether id is struck for the first time, and sees to it that it is not the next time. It must say false when
	// in doubt: that costs the client one round trip. After expires nobody asks for id any more. The client need not have
	// proved that it knows the ticket's secret, so who saw a ticket on the network can use it up, but no more.
	Strike(id [16]byte, expires time.Time) (first bool)
}

// MemoryRegister is a StrikeRegister in the memory of one process. It knows nothing of what was before it was made, so no ticket
// that was issued for another register is accepted for 0-RTT by a server that uses this one, ticket keys or not.
type MemoryRegister struct {
	realm [16]byte
	max   int
	now   func() time.Time

	mu    sync.Mutex
	slots map[int64]map[[16]byte]struct{} // by the slot of time in which the IDs in it expire
	size  int
}

// slotSize is the seconds of one slot: all of them can go when the last second is over.
const slotSize = 300

// NewMemoryRegister returns a register that remembers max tickets, and when it is full says no to further ones; 0 stands for
// 131,072, which take up some 6 MiB.
func NewMemoryRegister(max int) *MemoryRegister {
	if max <= 0 {
		max = maxStrikes
	}
	r := &MemoryRegister{max: max, now: time.Now, slots: make(map[int64]map[[16]byte]struct{})}
	rand.Read(r.realm[:])
	return r
}

// Strike implements StrikeRegister.
func (r *MemoryRegister) Strike(id [16]byte, expires time.Time) bool {
	now := r.now()
	if !now.Before(expires) || expires.After(now.Add(earlyWindow+earlySkew)) {
		return false
	}
	slot := expires.Unix() / slotSize
	r.mu.Lock()
	defer r.mu.Unlock()
	for s, ids := range r.slots {
		if (s+1)*slotSize <= now.Unix() {
			r.size -= len(ids)
			delete(r.slots, s)
		}
	}
	ids := r.slots[slot]
	if _, used := ids[id]; used || r.size >= r.max {
		return false
	}
	if ids == nil {
		ids = make(map[[16]byte]struct{})
		r.slots[slot] = ids
	}
	ids[id] = struct{}{}
	r.size++
	return true
}

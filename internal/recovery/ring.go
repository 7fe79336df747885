package recovery

import "math/bits"

// ring holds the packets numbered first <= n < next, each in slot n modulo the size, which is a power of two. The packet
// at first is outstanding unless the ring is empty.
type ring struct {
	slots       []Packet
	first, next int64
	shelf       shelf
}

// at returns the slot of number n, which must be within the ring.
func (r *ring) at(n int64) *Packet { return &r.slots[n&int64(len(r.slots)-1)] }

// push makes a slot for the next number. The caller fills it.
func (r *ring) push() *Packet {
	if r.next-r.first == int64(len(r.slots)) {
		r.grow()
	}
	p := r.at(r.next)
	r.next++
	return p
}

// skip leaves the next number without a packet. In an empty ring that takes no slot.
func (r *ring) skip() {
	if r.first == r.next {
		r.first++
		r.next++
		return
	}
	p := r.push()
	*p = Packet{Number: r.next - 1, factsEnd: r.shelf.head}
}

func (r *ring) grow() { r.resize(max(2*len(r.slots), baseSlots)) }

// pop forgets the packet at first, which must be settled, and its facts.
func (r *ring) pop() {
	r.shelf.tail = r.at(r.first).factsEnd
	r.first++
}

// shrink gives back the memory that the packets in the ring do not need. Those may be there for long: nobody acknowledges an
// acknowledgment.
func (r *ring) shrink() {
	if size := powerOfTwo(int(r.next - r.first)); size < len(r.slots) {
		r.resize(size)
	}
	facts := 0
	for n := r.first; n < r.next; n++ {
		p := r.at(n)
		if p.state != outstanding {
			p.Facts = nil
		}
		facts += len(p.Facts)
	}
	if size := powerOfTwo(facts); size < len(r.shelf.facts) {
		r.moveShelf(size, r.next)
	}
}

// powerOfTwo returns the least power of two that is not below n; 0 for 0.
func powerOfTwo(n int) int {
	if n == 0 {
		return 0
	}
	return 1 << bits.Len(uint(n-1))
}

// resize moves the packets to a ring of another size.
func (r *ring) resize(size int) {
	old := r.slots
	r.slots = nil
	if size > 0 {
		r.slots = make([]Packet, size)
	}
	for n := r.first; n < r.next; n++ {
		*r.at(n) = old[n&int64(len(old)-1)]
	}
}

// hold stores the facts of the packet that was just pushed.
func (r *ring) hold(p *Packet, facts []Fact) {
	if len(facts) > 0 && !r.shelf.fits(len(facts)) {
		r.growShelf(len(facts))
	}
	p.Facts = r.shelf.put(facts)
	p.factsEnd = r.shelf.head
}

// growShelf moves the facts of all packets but the last, which has none yet, to a shelf twice as large.
func (r *ring) growShelf(room int) {
	size := max(2*len(r.shelf.facts), baseFacts)
	for size < 2*room {
		size *= 2
	}
	r.moveShelf(size, r.next-1)
}

// moveShelf moves the facts of the packets before end to a shelf of another size.
func (r *ring) moveShelf(size int, end int64) {
	r.shelf = shelf{}
	if size > 0 {
		r.shelf.facts = make([]Fact, size)
	}
	for n := r.first; n < end; n++ {
		p := r.at(n)
		p.Facts = r.shelf.put(p.Facts)
		p.factsEnd = r.shelf.head
	}
}

// shelf holds the facts of all packets of a ring, in the order of their numbers: one large slice instead of a small one
// for each packet. head and tail count facts since ever; a position modulo the size, which is a power of two, is an
// index. The facts of one packet lie in one piece: what does not fit before the end begins at the start.
type shelf struct {
	facts      []Fact
	head, tail uint64
}

// start returns the position at which n facts would lie.
func (s *shelf) start(n int) uint64 {
	size := uint64(len(s.facts))
	if at := s.head & (size - 1); at+uint64(n) > size {
		return s.head + size - at
	}
	return s.head
}

func (s *shelf) fits(n int) bool {
	return n <= len(s.facts) && s.start(n)+uint64(n)-s.tail <= uint64(len(s.facts))
}

// put copies facts to the shelf, where there must be room, and returns the copy.
func (s *shelf) put(facts []Fact) []Fact {
	if len(facts) == 0 {
		return nil
	}
	start := s.start(len(facts))
	s.head = start + uint64(len(facts))
	at := start & uint64(len(s.facts)-1)
	dst := s.facts[at : at+uint64(len(facts)) : at+uint64(len(facts))]
	copy(dst, facts)
	return dst
}

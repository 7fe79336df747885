package qpack

// entries is a dynamic table (RFC 9204, section 3.2): what an encoder and the decoder that follows it have in common.
type entries struct {
	ring     []entry // its length is a power of two; the entry with absolute index i is at i modulo that
	dropped  uint64  // how many entries were evicted: the absolute index of the oldest one left
	inserted uint64  // the Insert Count: the absolute index of the next one
	size     int
	capacity int
}

// entry is one field line of the table. What is below value serves the encoder.
type entry struct {
	name, value string

	pins  uint32 // outstanding sections that refer to this entry and to none older
	end   uint32 // bytes inserted into the table up to here, this entry included, modulo 2^32
	older uint64 // 1 + the absolute index of the same field's entry before; 0: there was none
}

// entrySize: "The size of an entry is the sum of its name's length in bytes, its value's length in bytes, and 32
// additional bytes" (RFC 9204, section 3.2.1).
func entrySize(name, value string) int { return len(name) + len(value) + fieldOverhead }

func (t *entries) count() int { return int(t.inserted - t.dropped) }

// at returns the entry with absolute index i, which must be in the table.
func (t *entries) at(i uint64) *entry { return &t.ring[i&uint64(len(t.ring)-1)] }

// insert adds an entry that there is room for.
func (t *entries) insert(e entry) {
	if t.count() == len(t.ring) {
		t.grow()
	}
	t.size += entrySize(e.name, e.value)
	*t.at(t.inserted) = e
	t.inserted++
}

// grow doubles the ring, which thus costs nothing before the first insertion and never holds more than twice the
// entries of the table.
func (t *entries) grow() {
	ring := make([]entry, max(8, 2*len(t.ring)))
	for i := t.dropped; i < t.inserted; i++ {
		ring[i&uint64(len(ring)-1)] = *t.at(i)
	}
	t.ring = ring
}

// evict drops the oldest entry and returns it.
func (t *entries) evict() entry {
	e := t.at(t.dropped)
	old := *e
	*e = entry{}
	t.dropped++
	t.size -= entrySize(old.name, old.value)
	return old
}

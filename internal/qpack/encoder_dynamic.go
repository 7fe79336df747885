package qpack

import "strings"

// Encoder encodes the field sections of one connection with its dynamic table. A DecoderStream tells it what the peer's
// decoder has.
//
// No section waits at the peer for what is still on the network: it refers to entries only that the peer has. So a field is
// sent as a literal while its entry is under way, and as an index afterwards. Which fields are inserted is worth's
// decision.
//
// What the peer has is what its decoder acknowledged, and what the caller has reported to Arrived. By the letter of the
// RFC a section that refers to the latter might block, so there are never more of these than the peer allows.
//
// An Encoder is not safe for concurrent use; sections may overlap.
type Encoder struct {
	entries
	maxEntries uint64 // by the capacity that the peer announced
	known      uint64 // the Known Received Count (RFC 9204, section 2.1.4)
	arrived    uint64 // entries that are at the peer, whether it said so or not
	mayBlock   int    // how many sections may refer to entries between the two
	atRisk     int    // how many do
	dropEnd    uint32 // bytes evicted, modulo 2^32: the counterpart of entry.end

	fields map[fieldKey]uint64 // the newest entry of a field
	names  map[string]uint64   // the newest entry with a name
	seen   [64]uint32          // hashes of fields that were not worth an entry at their first sight

	out      []byte       // instructions that the caller has not taken
	sections []sentLookup // neither acknowledged nor cancelled, in the order in which they were closed
	pinned   int          // sections that refer to the table: those in sections, and open ones
}

type fieldKey struct{ name, value string }

// sentLookup is a field section that refers to the table.
type sentLookup struct {
	stream   int64
	oldest   uint64 // the oldest entry it refers to, which it pins
	required uint64 // its Required Insert Count
	risky    bool   // which was above the Known Received Count
}

// Section is a field section that is being encoded. Begin makes it; Close or Drop ends it.
type Section struct {
	base             uint64
	oldest, required uint64
	used             bool // it refers to the table
	risky            bool // to entries that were not acknowledged
}

// MaxPrefixLen is the length in bytes of the longest prefix that Encoder.AppendPrefix appends.
const MaxPrefixLen = 20

// NewEncoder makes an encoder for a peer that announced this SETTINGS_QPACK_MAX_TABLE_CAPACITY, which is not 0, and this
// SETTINGS_QPACK_BLOCKED_STREAMS.
func NewEncoder(peerCapacity, peerBlocked uint64) *Encoder {
	e := &Encoder{maxEntries: peerCapacity / fieldOverhead, mayBlock: int(min(peerBlocked, maxOutstanding))}
	e.capacity = int(min(peerCapacity, EncoderCapacity))
	return e
}

// Begin begins a section. The section must know of no acknowledgment that comes later, as its references are relative
// to the entries that the peer has now.
func (e *Encoder) Begin() Section { return Section{base: max(e.known, e.arrived)} }

// Arrived says that the instructions of the first n insertions and duplications are at the peer, as its transport has
// acknowledged them. Some decoders acknowledge nothing of their own accord, but the sections that refer to an entry.
func (e *Encoder) Arrived(n uint64) { e.arrived = max(e.arrived, n) }

// Settled reports whether the peer's decoder has acknowledged all insertions and duplications.
func (e *Encoder) Settled() bool { return e.known == e.inserted }

// AppendField appends a field line to a section, and perhaps an instruction to those that Instructions returns. A sensitive
// field is a never-indexed literal. Fields and prefix are apart: the prefix, which AppendPrefix makes when all fields
// are known, goes in front.
func (e *Encoder) AppendField(b []byte, s *Section, name, value string, sensitive bool) []byte {
	static, exact := findStatic(name, value)
	switch {
	case sensitive:
		return appendLiteral(b, static, name, value, true)
	case exact:
		return appendInteger(b, indexedStatic, 6, uint64(static))
	}
	if i, ok := e.fields[fieldKey{name, value}]; ok {
		if i, ok = e.current(s, i); ok {
			e.refer(s, i)
			return appendInteger(b, indexedDynamic, 6, s.base-1-i)
		}
	} else if e.worth(name, value, static) {
		e.insertField(name, value, static)
	}
	if static < 0 {
		if i, ok := e.names[name]; ok && e.usable(s, i) && !e.draining(i) {
			e.refer(s, i)
			return appendString(appendInteger(b, nameDynamic, 4, s.base-1-i), 0, 7, value)
		}
	}
	return appendLiteral(b, static, name, value, false)
}

// AppendPrefix appends the prefix of a section whose fields are all there (RFC 9204, section 4.5.1).
func (e *Encoder) AppendPrefix(b []byte, s *Section) []byte {
	if !s.used {
		return AppendPrefix(b)
	}
	b = appendInteger(b, 0, 8, s.required%(2*e.maxEntries)+1)
	return appendInteger(b, 0, 7, s.base-s.required)
}

// Close notes that a section is sent on a stream, as the latest one there.
func (e *Encoder) Close(s *Section, stream int64) {
	if s.used {
		e.sections = append(e.sections, sentLookup{stream, s.oldest, s.required, s.risky})
		s.used = false
	}
}

// Drop forgets a section that will not be sent.
func (e *Encoder) Drop(s *Section) {
	if s.used {
		e.unpin(s.oldest, s.risky)
		s.used = false
	}
}

// Instructions returns what is to be written to the encoder stream next; Took says that it was.
func (e *Encoder) Instructions() []byte { return e.out }

// Took forgets the instructions that Instructions returned.
func (e *Encoder) Took() { e.out = nil }

// Inserted counts the insertions and duplications so far.
func (e *Encoder) Inserted() uint64 { return e.inserted }

// Uses reports whether the section refers to the dynamic table.
func (s *Section) Uses() bool { return s.used }

// current finds an entry of a field to refer to, given the newest one. Draining entries are replaced by duplicates, which
// cost a byte or two, or let go: RFC 9204, section 2.1.1.1. Until the duplicate is acknowledged the old entry serves.
func (e *Encoder) current(s *Section, newest uint64) (uint64, bool) {
	i := newest
	for i >= s.base { // under way
		older := e.at(i).older
		if older == 0 || older-1 < e.dropped {
			return 0, false
		}
		i = older - 1
	}
	if i == newest && e.draining(i) {
		x := *e.at(i)
		if !e.makeRoom(entrySize(x.name, x.value), i) {
			return 0, false
		}
		e.out = appendInteger(e.out, duplicate, 5, e.inserted-1-i)
		e.enter(x.name, x.value)
	}
	return i, e.usable(s, i)
}

// usable reports whether a section may refer to an entry.
func (e *Encoder) usable(s *Section, i uint64) bool {
	return i < s.base && (s.used || e.pinned < maxOutstanding) && (i < e.known || s.risky || e.atRisk < e.mayBlock)
}

// draining reports whether an entry is so close to eviction that nothing new should refer to it: the oldest ones, as far
// as they are needed to have a quarter of the table free or on its way to be.
func (e *Encoder) draining(i uint64) bool {
	free := e.capacity - e.size
	return free+int(e.at(i).end-e.dropEnd) <= e.capacity/4
}

// refer notes that a section refers to an entry. As entries are evicted in their order, it is enough to pin the oldest.
func (e *Encoder) refer(s *Section, i uint64) {
	switch {
	case !s.used:
		s.used, s.oldest = true, i
		e.at(i).pins++
		e.pinned++
	case i < s.oldest:
		e.at(i).pins++
		e.at(s.oldest).pins--
		s.oldest = i
	}
	s.required = max(s.required, i+1)
	if i >= e.known && !s.risky {
		s.risky = true
		e.atRisk++
	}
}

func (e *Encoder) unpin(i uint64, risky bool) {
	e.at(i).pins--
	e.pinned--
	if risky {
		e.atRisk--
	}
}

// makeRoom evicts what has to go for an entry of n bytes. It reports false, and evicts nothing, when that is more than
// may go, or the entry with the absolute index keep, or a newer one: "A dynamic table entry cannot be evicted immediately after insertion, even if it has never been referenced.
// Once the insertion of a dynamic table entry has been acknowledged and there are no outstanding references to the entry
// in unacknowledged representations, the entry becomes evictable" (RFC 9204, section 2.1.1).
func (e *Encoder) makeRoom(n int, keep uint64) bool {
	if n > e.capacity || len(e.out) > maxUnsent {
		return false
	}
	size, last := e.size, e.dropped
	for ; size+n > e.capacity; last++ {
		x := e.at(last)
		if last >= min(keep, e.known) || x.pins > 0 {
			return false
		}
		size -= entrySize(x.name, x.value)
	}
	for e.dropped < last {
		i := e.dropped
		old := e.evict()
		e.dropEnd = old.end
		if k := (fieldKey{old.name, old.value}); e.fields[k] == i {
			delete(e.fields, k)
		}
		if e.names[old.name] == i {
			delete(e.names, old.name)
		}
	}
	return true
}

// insertField inserts a field if there is room; static is its name's index in the static table, or -1.
func (e *Encoder) insertField(name, value string, static int) {
	if !e.makeRoom(entrySize(name, value), e.inserted) {
		return
	}
	if e.inserted == 0 {
		e.out = appendInteger(e.out, setCapacity, 5, uint64(e.capacity))
		e.fields, e.names = make(map[fieldKey]uint64), make(map[string]uint64)
	}
	named, ok := e.names[name]
	switch {
	case static >= 0:
		e.out = appendInteger(e.out, insertStatic, 6, uint64(static))
	case ok:
		e.out = appendInteger(e.out, insertDynamic, 6, e.inserted-1-named)
	default:
		e.out = appendString(e.out, insertLiteral, 5, name)
	}
	e.out = appendString(e.out, 0, 7, value)
	// The caller's strings may be parts of larger ones.
	e.enter(strings.Clone(name), strings.Clone(value))
}

// enter puts an entry into the table, for which there is room.
func (e *Encoder) enter(name, value string) {
	x := entry{name: name, value: value, end: e.dropEnd + uint32(e.size+entrySize(name, value))}
	k := fieldKey{name, value}
	if i, ok := e.fields[k]; ok {
		x.older = i + 1
	}
	e.fields[k], e.names[name] = e.inserted, e.inserted
	e.insert(x)
}

package qpack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// world is an encoder and a decoder with their streams between them. What is on a stream arrives in order and in any
// portions; the streams know nothing of each other.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	enc     *Encoder
	replies DecoderStream
	table   *Table
	up      []byte // encoder stream, not delivered
	down    []byte // decoder stream, not delivered

	streams map[int64][]sentSection
	ids     []int64
	next    int64

	silent bool // the decoder acknowledges sections only, and the transport tells what has arrived

	decoded, dynamic, blocked, cancelled int
}

type sentSection struct {
	bytes  []byte
	fields []Field
}

func newWorld(t testing.TB, seed uint64, capacity int) *world {
	return &world{t: t, rng: rand.New(rand.NewPCG(seed, 9204)), enc: NewEncoder(uint64(capacity), 16), table: NewTable(capacity),
		streams: map[int64][]sentSection{}}
}

// fields makes a section in which some fields repeat and some do not.
func (w *world) fields() (list []Field) {
	names := []string{":authority", ":path", "user-agent", "accept", "cookie", "x-a", "x-b", "x-long-name-that-nobody-knows", "date", "etag"}
	for range 1 + w.rng.IntN(8) {
		f := Field{Name: names[w.rng.IntN(len(names))], Value: fmt.Sprint("value-", w.rng.IntN(1+w.rng.IntN(40)))}
		switch w.rng.IntN(20) {
		case 0:
			f.Sensitive = true
		case 1:
			f.Value = string(make([]byte, w.rng.IntN(300)))
		case 2:
			f = Field{Name: ":method", Value: "GET"}
		}
		list = append(list, f)
	}
	return list
}

// encode encodes a section as its user does.
func encode(e *Encoder, stream int64, fields []Field) []byte {
	var lines []byte
	s := e.Begin()
	for _, f := range fields {
		lines = e.AppendField(lines, &s, f.Name, f.Value, f.Sensitive)
	}
	b := append(e.AppendPrefix(nil, &s), lines...)
	e.Close(&s, stream)
	return b
}

func (w *world) send() {
	id := w.next
	if len(w.ids) == 0 || w.rng.IntN(3) > 0 {
		w.ids = append(w.ids, id)
		w.next += 4
	} else {
		id = w.ids[w.rng.IntN(len(w.ids))]
	}
	fields := w.fields()
	w.streams[id] = append(w.streams[id], sentSection{encode(w.enc, id, fields), fields})
	w.takeInstructions()
}

func (w *world) takeInstructions() {
	w.up = append(w.up, w.enc.Instructions()...)
	w.enc.Took()
}

// deliver brings some bytes of one of the two instruction streams over.
func (w *world) deliver(all bool) {
	if n := len(w.up); n > 0 {
		if !all {
			n = w.rng.IntN(n + 1)
		}
		if err := w.table.Receive(w.up[:n]); err != nil {
			w.t.Fatal(err)
		}
		w.up = w.up[n:]
	}
	switch {
	case w.silent:
		w.enc.Arrived(w.table.InsertCount())
	case all || w.rng.IntN(2) == 0:
		w.down = w.table.AppendIncrement(w.down)
	}
	if n := len(w.down); n > 0 {
		if !all {
			n = w.rng.IntN(n + 1)
		}
		if err := w.replies.Receive(w.enc, w.down[:n]); err != nil {
			w.t.Fatal(err)
		}
		w.down = w.down[n:]
	}
}

// finish takes a stream off the list: its peer is done with it.
func (w *world) finish(id int64) {
	delete(w.streams, id)
	w.ids = slices.DeleteFunc(w.ids, func(x int64) bool { return x == id })
}

// decode decodes the next section of a stream, or cancels the stream.
func (w *world) decode(id int64, mayCancel bool) {
	if mayCancel && w.rng.IntN(15) == 0 {
		w.cancelled++
		w.down = AppendCancellation(w.down, id)
		w.finish(id)
		return
	}
	x := w.streams[id][0]
	need, ok, err := w.table.RequiredInsertCount(x.bytes)
	if err != nil || !ok {
		w.t.Fatal(ok, err)
	}
	if need > w.table.InsertCount() {
		w.blocked++
		return
	}
	got, err := decodeAll(w.t.(*testing.T), Decoder{Table: w.table}, x.bytes)
	if err != nil || !slices.Equal(got, x.fields) {
		w.t.Fatalf("stream %d: %v, %v; want %v", id, got, err, x.fields)
	}
	w.decoded++
	if need > 0 {
		w.dynamic++
		w.down = w.table.AppendAcknowledgment(w.down, id, need)
	}
	if w.streams[id] = w.streams[id][1:]; len(w.streams[id]) == 0 {
		w.finish(id)
	}
}

// check holds the books of the encoder against each other.
func (w *world) check() {
	e := w.enc
	pins, size, risky := 0, 0, 0
	for _, x := range e.sections {
		if x.required > e.known {
			risky++
		}
	}
	if risky != e.atRisk || risky > e.mayBlock {
		w.t.Fatalf("%d sections at risk, counted as %d, may be %d", risky, e.atRisk, e.mayBlock)
	}
	for i := e.dropped; i < e.inserted; i++ {
		pins += int(e.at(i).pins)
		size += entrySize(e.at(i).name, e.at(i).value)
	}
	if pins != e.pinned || e.pinned != len(e.sections) || size != e.size || size > e.capacity || e.known > e.inserted {
		w.t.Fatalf("%d pins, %d sections of %d; %d bytes, counted as %d of %d; %d of %d known", pins, e.pinned, len(e.sections),
			size, e.size, e.capacity, e.known, e.inserted)
	}
	for k, i := range e.fields {
		if i < e.dropped || e.at(i).name != k.name || e.at(i).value != k.value {
			w.t.Fatalf("%v is at %d", k, i)
		}
	}
	for name, i := range e.names {
		if i < e.dropped || e.at(i).name != name {
			w.t.Fatalf("%s is at %d", name, i)
		}
	}
}

// run lets n things happen in random order, and then everything arrive.
func (w *world) run(n int) {
	for range n {
		switch w.rng.IntN(4) {
		case 0:
			w.send()
		case 1:
			w.deliver(false)
		default:
			if len(w.ids) > 0 {
				w.decode(w.ids[w.rng.IntN(len(w.ids))], true)
			}
		}
		w.check()
	}
	w.deliver(true)
	for len(w.ids) > 0 {
		w.decode(w.ids[0], false)
	}
	w.deliver(true)
	w.check()
	if w.enc.pinned != 0 || w.enc.known != w.enc.inserted && !w.silent {
		w.t.Fatalf("%d sections are outstanding, %d of %d entries known", w.enc.pinned, w.enc.known, w.enc.inserted)
	}
	if !slices.Equal(contents(&w.enc.entries), contents(&w.table.entries)) {
		w.t.Fatalf("the encoder has %v,\nthe decoder %v", contents(&w.enc.entries), contents(&w.table.entries))
	}
}

func TestSectionsArriveWhateverTheOrderOfTheStreams(t *testing.T) {
	decoded, dynamic, cancelled := 0, 0, 0
	for seed := range uint64(300) {
		capacity := []int{0, 31, 40, 64, 100, 220, 512, 1000, 4096, 1 << 16, 1 << 30}[seed%11]
		w := newWorld(t, seed, capacity)
		w.silent = seed%4 == 3
		w.run(400)
		if w.blocked > 0 {
			t.Fatalf("seed %d: blocked %d times", seed, w.blocked)
		}
		decoded, dynamic, cancelled = decoded+w.decoded, dynamic+w.dynamic, cancelled+w.cancelled
	}
	if dynamic < decoded/8 || cancelled < 100 {
		t.Errorf("%d sections, of which %d used the table; %d streams cancelled", decoded, dynamic, cancelled)
	}
}

func FuzzExchange(f *testing.F) {
	f.Add(uint64(1), uint16(220), uint16(100))
	f.Add(uint64(2), uint16(4096), uint16(1000))
	f.Fuzz(func(t *testing.T, seed uint64, capacity, n uint16) {
		w := newWorld(t, seed, int(capacity))
		w.silent = n&1 == 1
		if w.run(int(n) % 2000); w.blocked > 0 {
			t.Fatal("blocked")
		}
	})
}

// reckless is an encoder without scruples that is still conformant: it inserts at random, refers to what is under way,
// uses every form of reference and any Base. It evicts by the decoder's own state, which a test may look at.
type reckless struct {
	rng    *rand.Rand
	mirror *Table // what the decoder will have once everything has arrived
	low    uint64 // nothing below is referred to
}

func (r *reckless) instruction() []byte {
	var b []byte
	value := fmt.Sprint("v", r.rng.IntN(1000))
	switch r.rng.IntN(4) {
	case 0:
		b = appendString(appendInteger(nil, insertStatic, 6, uint64(r.rng.IntN(99))), 0, 7, value)
	case 1:
		b = appendString(appendString(nil, insertLiteral, 5, "name"), 0, 7, value)
	case 2:
		if n := r.mirror.count(); n > 0 {
			b = appendString(appendInteger(nil, insertDynamic, 6, uint64(r.rng.IntN(n))), 0, 7, value)
		}
	default:
		if n := r.mirror.count(); n > 0 {
			b = appendInteger(nil, duplicate, 5, uint64(r.rng.IntN(n)))
		}
	}
	return b
}

func (r *reckless) section() (b []byte, want []Field, required uint64) {
	first, end := max(r.low, r.mirror.dropped), r.mirror.inserted
	if first == end {
		return []byte{0, 0}, nil, 0
	}
	base := first + uint64(r.rng.IntN(int(end-first)+3))
	var lines []byte
	for range 1 + r.rng.IntN(5) {
		i := first + uint64(r.rng.IntN(int(end-first)))
		required = max(required, i+1)
		x := r.mirror.at(i)
		name, n := r.rng.IntN(2) == 0, byte(r.rng.IntN(2))
		switch {
		case i < base && name:
			lines = appendString(appendInteger(lines, nameDynamic|n*nameIndexN, 4, base-1-i), 0, 7, "w")
		case i < base:
			lines = appendInteger(lines, indexedDynamic, 6, base-1-i)
		case name:
			lines = appendString(appendInteger(lines, n*namePostBaseN, 3, i-base), 0, 7, "w")
		default:
			lines = appendInteger(lines, 0x10, 4, i-base)
		}
		if name {
			want = append(want, Field{x.name, "w", n == 1})
		} else {
			want = append(want, Field{x.name, x.value, false})
		}
	}
	b = appendInteger(nil, 0, 8, required%uint64(2*(r.mirror.most/32))+1)
	if base >= required {
		b = appendInteger(b, 0, 7, base-required)
	} else {
		b = appendInteger(b, 0x80, 7, required-base-1)
	}
	return append(b, lines...), want, required
}

func TestBlockedSectionsAreDecodedWhenTheirEntriesArrive(t *testing.T) {
	blocked := 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		capacity := 100 + rng.IntN(1000)
		table := NewTable(capacity)
		r := reckless{rng: rng, mirror: NewTable(capacity)}
		set := appendInteger(nil, setCapacity, 5, uint64(capacity))
		table.Receive(set)
		r.mirror.Receive(set)
		for range 100 {
			// Some instructions are sent, and none of them evicts what the next sections refer to: as many entries are
			// inserted as the sections leave alone.
			var under []byte
			for range rng.IntN(4) {
				b := r.instruction()
				if err := r.mirror.Receive(b); err != nil {
					t.Fatal(err)
				}
				under = append(under, b...)
			}
			r.low = r.mirror.dropped
			section, want, required := r.section()
			for {
				need, ok, err := table.RequiredInsertCount(section)
				if err != nil || !ok || need != required {
					t.Fatalf("seed %d: %d, %v, %v; want %d", seed, need, ok, err, required)
				}
				got, err := decodeAll(t, Decoder{Table: table}, section)
				if need <= table.InsertCount() && err != ErrBlocked {
					// An entry that an instruction under way evicts may still be there: the fields are the same.
					if err != nil || !slices.Equal(got, want) {
						t.Fatalf("seed %d: %v, %v; want %v", seed, got, err, want)
					}
					break
				}
				if err != ErrBlocked || len(under) == 0 {
					t.Fatalf("seed %d: %v with %d bytes under way", seed, err, len(under))
				}
				blocked++
				n := 1 + rng.IntN(len(under))
				if err := table.Receive(under[:n]); err != nil {
					t.Fatal(err)
				}
				under = under[n:]
			}
			if err := table.Receive(under); err != nil {
				t.Fatal(err)
			}
		}
	}
	if blocked < 1000 {
		t.Errorf("blocked %d times", blocked)
	}
}

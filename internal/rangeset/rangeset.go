// Package rangeset is a set of integers kept as an ordered list of ranges: packet numbers received, stream bytes that
// arrived, stream bytes acknowledged. Such sets are a handful of long ranges that grow at their end, so a slice beats
// any tree: adding at the end touches one element, and everything else is a binary search and a copy.
package rangeset

import "slices"

// Range is the integers from Start up to but not including End.
type Range struct{ Start, End int64 }

// Len returns how many integers the range holds.
func (r Range) Len() int64 { return r.End - r.Start }

// Contains reports whether v lies in the range.
func (r Range) Contains(v int64) bool { return r.Start <= v && v < r.End }

// Set is a set of integers: its ranges ascending, none empty, none overlapping or touching its neighbour. The zero value
// is the empty set. It may be read and ranged over as the slice that it is; only Add and Sub may change it.
type Set []Range

// Add puts the integers of [start, end) into the set. An empty range adds nothing; start > end is a programming error
// and panics. Adding at the end or extending the last range is O(1) and allocates only when the capacity is used up;
// anywhere else it is a binary search and a move of the ranges behind.
func (s *Set) Add(start, end int64) {
	set := *s
	switch n := len(set); {
	case start > end:
		panic("BUG: a range that ends before it starts")
	case start == end:
		return
	case n == 0 || start > set[n-1].End:
		*s = append(set, Range{start, end})
		return
	case start >= set[n-1].Start:
		set[n-1].End = max(set[n-1].End, end)
		return
	}

	// Ranges [i, j) overlap or touch the new one and merge into it.
	i := set.firstEndingAt(start)
	j := i
	for j < len(set) && set[j].Start <= end {
		j++
	}
	if i == j {
		*s = slices.Insert(set, i, Range{start, end})
		return
	}
	set[i] = Range{min(start, set[i].Start), max(end, set[j-1].End)}
	*s = slices.Delete(set, i+1, j)
}

// Sub takes the integers of [start, end) out of the set. An empty range takes nothing; start > end is a programming
// error and panics. It allocates only when it splits a range and the capacity is used up.
func (s *Set) Sub(start, end int64) {
	set := *s
	switch {
	case start > end:
		panic("BUG: a range that ends before it starts")
	case start == end:
		return
	}

	i := set.firstEndingAt(start + 1)
	if i == len(set) || set[i].Start >= end {
		return
	}
	if r := set[i]; r.Start < start {
		set[i].End = start
		i++
		if r.End > end {
			*s = slices.Insert(set, i, Range{end, r.End})
			return
		}
	}

	// From i on, ranges begin inside [start, end); those that end there too disappear, the last may keep its tail.
	j := i
	for j < len(set) && set[j].End <= end {
		j++
	}
	if j < len(set) && set[j].Start < end {
		set[j].Start = end
	}
	*s = slices.Delete(set, i, j)
}

// Contains reports whether v is in the set, in O(log n), and O(1) for members of the last range and everything above.
func (s Set) Contains(v int64) bool {
	_, ok := s.RangeAt(v)
	return ok
}

// RangeAt returns the range of the set that v lies in.
func (s Set) RangeAt(v int64) (Range, bool) {
	n := len(s)
	if n == 0 || v >= s[n-1].End {
		return Range{}, false
	}
	if v >= s[n-1].Start {
		return s[n-1], true
	}
	if r := s[s.firstEndingAt(v+1)]; r.Start <= v {
		return r, true
	}
	return Range{}, false
}

// Min returns the smallest integer in the set. It panics when the set is empty.
func (s Set) Min() int64 {
	if len(s) == 0 {
		panic("BUG: the smallest integer of an empty set")
	}
	return s[0].Start
}

// End returns one more than the largest integer in the set. It panics when the set is empty.
func (s Set) End() int64 {
	if len(s) == 0 {
		panic("BUG: the end of an empty set")
	}
	return s[len(s)-1].End
}

// Size returns how many integers the set holds.
func (s Set) Size() int64 {
	var n int64
	for _, r := range s {
		n += r.Len()
	}
	return n
}

// firstEndingAt returns the index of the first range whose End is v or more; len(s) when there is none.
func (s Set) firstEndingAt(v int64) int {
	lo, hi := 0, len(s)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s[mid].End < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

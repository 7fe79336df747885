package rangeset

import (
	"slices"
	"testing"
)

func TestAddMergesWhatOverlapsOrTouches(t *testing.T) {
	base := Set{{10, 20}, {30, 40}, {50, 60}}
	for _, c := range []struct {
		name       string
		start, end int64
		want       Set
	}{
		{"nothing", 25, 25, base},
		{"before all", 0, 5, Set{{0, 5}, {10, 20}, {30, 40}, {50, 60}}},
		{"touching the first from below", 0, 10, Set{{0, 20}, {30, 40}, {50, 60}}},
		{"inside a range", 12, 18, base},
		{"the whole of a range", 30, 40, base},
		{"between two ranges", 23, 27, Set{{10, 20}, {23, 27}, {30, 40}, {50, 60}}},
		{"touching from above", 20, 25, Set{{10, 25}, {30, 40}, {50, 60}}},
		{"filling a gap", 20, 30, Set{{10, 40}, {50, 60}}},
		{"over two ranges", 15, 45, Set{{10, 45}, {50, 60}}},
		{"over everything", 0, 100, Set{{0, 100}}},
		{"extending the last", 55, 70, Set{{10, 20}, {30, 40}, {50, 70}}},
		{"touching the last", 60, 70, Set{{10, 20}, {30, 40}, {50, 70}}},
		{"after the last", 61, 62, Set{{10, 20}, {30, 40}, {50, 60}, {61, 62}}},
		{"the last from below", 45, 55, Set{{10, 20}, {30, 40}, {45, 60}}},
	} {
		s := slices.Clone(base)
		s.Add(c.start, c.end)
		if !slices.Equal(s, c.want) {
			t.Errorf("%s: adding [%d, %d) gives %v, want %v", c.name, c.start, c.end, s, c.want)
		}
	}
}

func TestSubSplitsAndShortens(t *testing.T) {
	base := Set{{10, 20}, {30, 40}, {50, 60}}
	for _, c := range []struct {
		name       string
		start, end int64
		want       Set
	}{
		{"nothing", 15, 15, base},
		{"before all", 0, 10, base},
		{"a gap", 20, 30, base},
		{"after all", 60, 70, base},
		{"the middle of a range", 13, 17, Set{{10, 13}, {17, 20}, {30, 40}, {50, 60}}},
		{"a head", 5, 15, Set{{15, 20}, {30, 40}, {50, 60}}},
		{"a tail", 15, 25, Set{{10, 15}, {30, 40}, {50, 60}}},
		{"a whole range", 30, 40, Set{{10, 20}, {50, 60}}},
		{"a tail, a range and a head", 15, 55, Set{{10, 15}, {55, 60}}},
		{"everything", 0, 100, Set{}},
	} {
		s := slices.Clone(base)
		s.Sub(c.start, c.end)
		if !slices.Equal(s, c.want) {
			t.Errorf("%s: taking [%d, %d) away gives %v, want %v", c.name, c.start, c.end, s, c.want)
		}
	}
}

func TestQueries(t *testing.T) {
	s := Set{{-5, -3}, {10, 20}, {30, 31}}
	if s.Min() != -5 || s.End() != 31 || s.Size() != 13 {
		t.Errorf("Min %d, End %d, Size %d", s.Min(), s.End(), s.Size())
	}
	for v := int64(-10); v < 40; v++ {
		i := slices.IndexFunc(s, func(r Range) bool { return r.Contains(v) })
		r, ok := s.RangeAt(v)
		if ok != (i >= 0) || ok != s.Contains(v) || ok && r != s[i] {
			t.Errorf("RangeAt(%d) = %v, %v", v, r, ok)
		}
	}
	if (Set{}).Contains(0) || (Set{}).Size() != 0 {
		t.Error("the empty set has members")
	}
}

func TestMisusePanics(t *testing.T) {
	for name, f := range map[string]func(){ // any order
		"Min of nothing":    func() { Set{}.Min() },
		"End of nothing":    func() { Set{}.End() },
		"Add end first":     func() { new(Set).Add(2, 1) },
		"Sub end first":     func() { new(Set).Sub(2, 1) },
		"Add into, reverse": func() { s := Set{{1, 9}}; s.Add(5, 4) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", name)
				}
			}()
			f()
		}()
	}
}

func TestNothingAllocatesWithinTheCapacity(t *testing.T) {
	s := make(Set, 0, 8)
	if n := testing.AllocsPerRun(100, func() {
		s = s[:0]
		s.Add(0, 10)  // the first
		s.Add(10, 20) // extends the last
		s.Add(30, 40) // after the last
		s.Add(25, 26) // between
		s.Sub(5, 7)   // splits
		s.Sub(0, 50)
		s.Contains(7)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAgainstMap runs a program of additions and subtractions, three bytes each, on a Set and on a map of integers.
func FuzzAgainstMap(f *testing.F) {
	f.Add([]byte{0, 10, 20, 0, 30, 40, 1, 15, 35})
	f.Add([]byte{0, 1, 2, 0, 3, 4, 0, 5, 6, 0, 2, 5, 1, 0, 255})
	f.Add([]byte{0, 50, 60, 0, 40, 50, 0, 60, 70, 1, 45, 65, 0, 0, 200})
	f.Fuzz(func(t *testing.T, program []byte) {
		var s Set
		ref := map[int64]bool{}
		for ; len(program) >= 3; program = program[3:] {
			start, end := int64(program[1]), int64(program[2])
			if start > end {
				start, end = end, start
			}
			add := program[0]&1 == 0
			if add {
				s.Add(start, end)
			} else {
				s.Sub(start, end)
			}
			for v := start; v < end; v++ {
				if add {
					ref[v] = true
				} else {
					delete(ref, v)
				}
			}
			compare(t, s, ref)
		}
	})
}

func compare(t *testing.T, s Set, ref map[int64]bool) {
	t.Helper()
	for i, r := range s {
		if r.Start >= r.End || i > 0 && s[i-1].End >= r.Start {
			t.Fatalf("the ranges are not ascending, disjoint and apart: %v", s)
		}
	}
	if s.Size() != int64(len(ref)) {
		t.Fatalf("%v has %d members, want %d", s, s.Size(), len(ref))
	}
	for v := int64(-1); v <= 256; v++ {
		if s.Contains(v) != ref[v] {
			t.Fatalf("Contains(%d) = %v in %v", v, s.Contains(v), s)
		}
	}
}

func BenchmarkAddAtTheEnd(b *testing.B) {
	var s Set
	for i := range int64(b.N) {
		s.Add(i, i+1)
	}
}

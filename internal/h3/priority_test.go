package h3

import "testing"

func TestPriorityValues(t *testing.T) {
	for _, c := range []struct {
		value string
		want  Priority
		ok    bool
	}{
		{"", Priority{3, false}, true},
		{"u=0", Priority{0, false}, true},
		{"u=5, i", Priority{5, true}, true},
		{"i,u=7", Priority{7, true}, true},
		{" u=1 ,\t i=?1 ", Priority{1, true}, true},
		{"i=?0", Priority{3, false}, true},
		{"i;x=1;y, u=2;z", Priority{2, true}, true},

		// "unknown priority parameters, priority parameters with out-of-range values, or values of unexpected types MUST be
		// ignored" (RFC 9218, section 4).
		{"u=8", Priority{3, false}, true},
		{"u=-1", Priority{3, false}, true},
		{"u=10", Priority{3, false}, true},
		{"u=2.0", Priority{3, false}, true},
		{"u", Priority{3, false}, true},
		{"u=\"1\", i=1", Priority{3, false}, true},
		{"i=a", Priority{3, false}, true},
		{"x=1, u=1, y=(1 \"a b\" c;d);e, *z=:YQ==:, d=@-5", Priority{1, false}, true},
		{"u=1, u=9", Priority{3, false}, true}, // the last one counts
		{"u=1, u=2", Priority{2, false}, true},

		// Not a dictionary: the default.
		{"u=1,", Priority{3, false}, false},
		{",u=1", Priority{3, false}, false},
		{"u=1 i", Priority{3, false}, false},
		{"U=1", Priority{3, false}, false},
		{"u=", Priority{3, false}, false},
		{"u =1", Priority{3, false}, false},
		{"u=1;", Priority{3, false}, false},
		{"i=?2", Priority{3, false}, false},
		{"u=1, x=\"abc", Priority{3, false}, false},
		{"u=1, x=\"a\\b\"", Priority{3, false}, false},
		{"u=1, x=(1 2", Priority{3, false}, false},
		{"u=1, x=(1,2)", Priority{3, false}, false},
		{"u=1, x=:a", Priority{3, false}, false},
		{"u=1, x=1.", Priority{3, false}, false},
		{"u=1, x=1234567890123456", Priority{3, false}, false},
		{"u=1, x=@1.5", Priority{3, false}, false},
		{"u=1, \x00", Priority{3, false}, false},
	} {
		if got, ok := ParsePriority(c.value); got != c.want || ok != c.ok {
			t.Errorf("%q: %v, %v, want %v, %v", c.value, got, ok, c.want, c.ok)
		}
	}
}

func TestAResponseChangesWhatItNames(t *testing.T) {
	// The example of RFC 9218, section 8, and what is to be ignored.
	base := Priority{5, true}
	for value, want := range map[string]Priority{
		"u=1": {1, true}, "i=?0": {5, false}, "u=2, i=?0": {2, false}, "": base, "u=9": base, "i=1": base, "i=a, u=0": {0, true}, "x": base,
		"u=1, u=9": base, "u=": base, "u=1 i": base, "u=1,": base,
	} {
		if got, _ := base.Merge(value); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestPriorityWritesWhatItReads(t *testing.T) {
	for u := range uint8(8) {
		for _, i := range []bool{false, true} {
			want := Priority{u, i}
			if got, ok := ParsePriority(want.String()); got != want || !ok {
				t.Errorf("%v is %q, which is %v", want, want.String(), got)
			}
		}
	}
}

func FuzzPriority(f *testing.F) {
	f.Add("u=5, i")
	f.Add("x=(1 \"a b\" c;d);e, *z=:YQ==:, d=@-5")
	f.Fuzz(func(t *testing.T, value string) {
		p, ok := ParsePriority(value)
		if p.Urgency > 7 || !ok && p != DefaultPriority {
			t.Fatalf("%q: %v", value, p)
		}
	})
}

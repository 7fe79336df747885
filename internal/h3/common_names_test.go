package h3

import "testing"

func TestCommonNamesAreCanonical(t *testing.T) {
	for lower, canonical := range canonicalNames {
		if got := canonicalize(lower); got != canonical || !validName(lower) {
			t.Errorf("%q in the table, %q by the rule", canonical, got)
		}
	}
	if len(canonicalNames) != len(commonNames) {
		t.Errorf("%d names, %d of them different", len(commonNames), len(canonicalNames))
	}
}

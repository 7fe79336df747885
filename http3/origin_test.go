package http3

import (
	"fmt"
	"slices"
	"testing"
)

func TestTheOriginSet(t *testing.T) {
	var s originSet
	s.remove("https://example.com")
	if s.list != nil {
		t.Error("a set without a frame")
	}
	s.add("https://example.com", []string{"https://B.example", "https://b.example:443", "https://b.example:8443", "http://b.example",
		"https://b.example/", "https://b.example?", "https://b.example#", "https://x@b.example", "https://", "", "b.example",
		"https://[2001:db8::1]", "https://[2001:db8::1]:8443", "https://b.exa mple"})
	want := []string{"https://example.com", "https://b.example", "https://b.example:8443", "https://[2001:db8::1]", "https://[2001:db8::1]:8443"}
	if !slices.Equal(s.list, want) {
		t.Errorf("%q, want %q", s.list, want)
	}
	s.remove("https://b.example")
	s.add("https://other.example", []string{"https://c.example"})
	if want := []string{"https://example.com", "https://b.example:8443", "https://[2001:db8::1]", "https://[2001:db8::1]:8443",
		"https://c.example"}; !slices.Equal(s.list, want) {
		t.Errorf("%q, want %q", s.list, want)
	}
	for i := range 1000 {
		s.add("", []string{fmt.Sprintf("https://n%d.example", i)})
	}
	if len(s.list) != maxOriginSet {
		t.Errorf("%d origins", len(s.list))
	}
}

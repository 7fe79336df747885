package qpack

import "testing"

func TestStaticTableIsFoundByNameAndValue(t *testing.T) {
	for i, e := range staticTable {
		if got, exact := findStatic(e.name, e.value); got != i || !exact {
			t.Errorf("entry %d: found %d, exact %v", i, got, exact)
		}
		got, exact := findStatic(e.name, "no such value")
		if exact || got < 0 || staticTable[got].name != e.name || got > i {
			t.Errorf("name of entry %d: found %d, exact %v", i, got, exact)
		}
	}
	if got, _ := findStatic("x-unknown", ""); got != -1 {
		t.Errorf("unknown name: found %d", got)
	}
}

// Entries that the tables of the RFC's text break over lines, or that stand far apart.
func TestStaticTableHasTheEntriesOfTheRFC(t *testing.T) {
	for i, want := range map[int][2]string{
		0:  {":authority", ""},
		15: {":method", "CONNECT"},
		30: {"accept", "application/dns-message"},
		41: {"cache-control", "public, max-age=31536000"},
		45: {"content-type", "application/javascript"},
		47: {"content-type", "application/x-www-form-urlencoded"},
		52: {"content-type", "text/html; charset=utf-8"},
		54: {"content-type", "text/plain;charset=utf-8"},
		58: {"strict-transport-security", "max-age=31536000; includesubdomains; preload"},
		71: {":status", "500"},
		85: {"content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"},
		98: {"x-frame-options", "sameorigin"},
	} {
		if e := staticTable[i]; e.name != want[0] || e.value != want[1] {
			t.Errorf("entry %d is %q: %q, want %q", i, e.name, e.value, want)
		}
	}
}

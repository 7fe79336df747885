package altsvc

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFields(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		lines []string
		want  []Service
	}{
		// The RFC's own.
		{[]string{`h2=":8000"`}, []Service{{"h2", "", 8000, day, false}}},
		{[]string{`h2="new.example.org:80"`}, []Service{{"h2", "new.example.org", 80, day, false}}},
		{[]string{`h2="alt.example.com:8000", h2=":443"`}, []Service{{"h2", "alt.example.com", 8000, day, false}, {"h2", "", 443, day, false}}},
		{[]string{`h2=":443"; ma=3600`}, []Service{{"h2", "", 443, time.Hour, false}}},
		{[]string{`h2=":443"; ma=2592000; persist=1`}, []Service{{"h2", "", 443, 30 * day, true}}},
		{[]string{`w%3Dx%3Ay#z=":1"`}, []Service{{"w=x:y#z", "", 1, day, false}}},
		{[]string{`x%25y=":1"`}, []Service{{"x%y", "", 1, day, false}}},

		{[]string{`h3=":443"`, `h3="Other.Example:8443"`}, []Service{{"h3", "", 443, day, false}, {"h3", "other.example", 8443, day, false}}},
		{[]string{`h3=":443";ma="60"`}, []Service{{"h3", "", 443, time.Minute, false}}},
		{[]string{"h3=\":443\" \t;\tma=60 , ,,h2=\":1\","}, []Service{{"h3", "", 443, time.Minute, false}, {"h2", "", 1, day, false}}},
		{[]string{`h3=":443"; MA=60; Persist=1`}, []Service{{"h3", "", 443, time.Minute, true}}},
		{[]string{`h3=":443"; persist=2; v="46,43"; quic=51303431`}, []Service{{"h3", "", 443, day, false}}},
		{[]string{`h3=":443"; ma=0`}, []Service{{"h3", "", 443, 0, false}}},
		{[]string{`h3=":443"; ma=99999999999999999999999`}, []Service{{"h3", "", 443, 2147483647 * time.Second, false}}},
		{[]string{`h3=":443"; x="a\"b,;c"; ma=1`}, []Service{{"h3", "", 443, time.Second, false}}},
		{[]string{`h3="[2001:DB8::1]:443"`}, []Service{{"h3", "2001:db8::1", 443, day, false}}},
		{[]string{`h3="192.0.2.1:443"`}, []Service{{"h3", "192.0.2.1", 443, day, false}}},
		{[]string{`h3="\:4\43"`}, []Service{{"h3", "", 443, day, false}}},
		{[]string{``}, nil},
		{[]string{` , ,`}, nil},
	} {
		got, clear, err := Parse(c.lines)
		if err != nil || clear || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v, %v; want %+v", c.lines, got, clear, err, c.want)
		}
	}
}

func TestClear(t *testing.T) {
	for field, want := range map[string]bool{
		"clear": true, " clear\t": true, "clear,": true, `h3=":443", clear`: true, `clear, h3=":443"`: true,
		"Clear": false, "CLEAR": false, `clear=":443"`: false, "clear; ma=1": false, "clear x": false,
	} {
		services, clear, err := Parse([]string{field})
		if clear != want || clear && (len(services) > 0 || err != nil) {
			t.Errorf("%q: %v, %v, %v", field, services, clear, err)
		}
	}
}

func TestFieldsThatAreMalformed(t *testing.T) {
	for _, field := range []string{
		`h3`, `h3=`, `h3=:443`, `="x:1"`, `h3=":443`, `h3="443"`, `h3=":"`, `h3=":0"`, `h3=":65536"`, `h3=":-1"`, `h3=":4 43"`,
		`h3=":443" x`, `h3=":443"; `, `h3=":443"; ma`, `h3=":443"; ma=`, `h3=":443"; ma=x`, `h3=":443"; ma=-1`, `h3=":443"; ma="1`,
		`h3=":443";; ma=1`, `h3 =":443"`, `h3= ":443"`, `h3=":443" h2=":443"`, `h3="[::1:443"`, `h3="[zz]:443"`, `h3="[fe80::1%25e]:443"`,
		`h3="a b:443"`, `h3="a/b:443"`, "h3=\"b\u00fccher.example:443\"", `h3="` + "\x01" + `:443"`, `h%33=":443"`, `w%3dx=":443"`, `w%3=":443"`, `h3=":443\`,
		fmt.Sprintf(`h3="%s:443"`, strings.Repeat("a", maxAuthorityBytes-3)),
	} {
		if got, clear, err := Parse([]string{field}); err != ErrSyntax {
			t.Errorf("%q: %+v, %v, %v", field, got, clear, err)
		}
		if _, _, err := Parse([]string{`h2=":1", ` + field}); err != ErrSyntax {
			t.Errorf("%q behind another: %v", field, err)
		}
	}
}

func TestLongFieldsAreBounded(t *testing.T) {
	services, _, err := Parse([]string{strings.Repeat(`h3=":443",`, maxServices+1)})
	if len(services) != maxServices || err != nil {
		t.Errorf("%d services, %v", len(services), err)
	}
	field := `h3=":443"; x="` + strings.Repeat("x", maxFieldBytes)
	if _, _, err := Parse([]string{field[:maxFieldBytes-1] + `"`}); err != nil {
		t.Errorf("the longest field: %v", err)
	}
	if _, _, err := Parse([]string{field[:maxFieldBytes] + `"`}); err != ErrSyntax {
		t.Errorf("one byte more: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`h3=":443"; ma=86400; persist=1, h2="a.example:80"`, "clear", `w%3Dx=":1"`, `h3="\""`, `h3="[::1]:1"`, ",,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		services, clear, err := Parse([]string{s})
		if (err != nil || clear) && len(services) > 0 {
			t.Fatal("services of a field that is void")
		}
		for _, v := range services {
			if v.Port == 0 || v.Protocol == "" || v.MaxAge < 0 || len(v.Host) > maxAuthorityBytes {
				t.Fatalf("%+v", v)
			}
		}
	})
}

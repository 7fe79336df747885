package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// 103 and trailers, as the demo site sends them.
func TestGetShowsInterimResponsesAndTrailers(t *testing.T) {
	url, _ := serving(t)
	got := godwit("get", "-k", "--http3-only", "-v", url+"/hints")
	for _, want := range []string{
		`< 103 Early Hints\n(?s:.*)< link: </tile/7>; rel=preload; as=fetch\n(?s:.*)< HTTP/3 200 OK\n`,
		`< content-digest: sha-256=:.*:\n< \(trailers\)\n`,
	} {
		if !regexp.MustCompile(want).MatchString(got.errors) {
			t.Errorf("%s is missing in\n%s", want, got.errors)
		}
	}
	var r report
	if got = godwit("get", "-k", "--http3-only", "--json", url+"/hints"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if err := json.Unmarshal([]byte(got.errors), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Interim) != 1 || r.Interim[0].Status != 103 || r.Interim[0].Header.Get("Link") == "" || !strings.HasPrefix(r.Trailers.Get("Content-Digest"), "sha-256=") {
		t.Errorf("%+v", r)
	}
}

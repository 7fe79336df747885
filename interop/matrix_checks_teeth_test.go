package interop

import (
	"context"
	"testing"
	"time"
)

// What a check wants is missing where nobody was asked for it: each of them has to notice.
func TestMatrixChecksNoticeWhatIsMissing(t *testing.T) {
	need(t, tshark)
	for _, test := range runnerTests {
		switch test.name {
		case "longrtt", "chacha20", "retry", "resumption", "zerortt", "keyupdate", "amplificationlimit", "ipv6", "v2",
			"rebind-port", "rebind-addr", "connectionmigration":
		default:
			continue // nothing is asked of the two ends but to carry files
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plain := *test
			plain.fetch, plain.wants, plain.path = nil, wants{}, nil
			for range test.fetch {
				plain.fetch = append(plain.fetch, []int64{1 * kB})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := &cell{runnerTest: &plain, t: t, ctx: ctx, peer: quicGoPeer, role: asServer, dir: newShare(t)}
			err := c.play()
			c.end()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.wantFiles(); err != nil {
				t.Fatal(err)
			}
			e, err := c.gather()
			if err != nil {
				t.Fatal(err)
			}
			var found []error
			for _, check := range plain.checks {
				if err := check(e); err != nil {
					found = append(found, err)
				}
			}
			if len(found) == 0 {
				t.Error("nothing is found to be missing")
			}
			t.Log(found)
		})
	}
}

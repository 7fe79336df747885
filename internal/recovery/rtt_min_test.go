package recovery

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/instant"
)

func TestTheLeastSampleIsKept(t *testing.T) {
	// Rules: 9002:5.2/1, 9002:5.2/2
	r := newRTT(333 * time.Millisecond)
	for i, c := range []struct{ sample, least time.Duration }{{100, 100}, {60, 60}, {90, 60}, {59, 59}} {
		r.update(instant.Time(1e9+i), c.sample*time.Millisecond, 0)
		if r.Min != c.least*time.Millisecond {
			t.Errorf("after a sample of %d ms the least is %v", c.sample, r.Min)
		}
	}
}

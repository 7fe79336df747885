package quic

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"
)

// TestOneSocketListensAndDials has two endpoints dial each other, and themselves, all at once.
func TestOneSocketListensAndDials(t *testing.T) {
	const each = 15
	conf := &Config{HandshakeTimeout: time.Hour, MaxIdleTimeout: time.Hour, AddressValidation: ValidateNever}
	one, two := listen(t, conf), listen(t, conf)
	go echo(one)
	go echo(two)
	var all sync.WaitGroup
	for i := range each {
		for _, way := range [][2]*Endpoint{{one, two}, {two, one}, {one, one}} {
			all.Go(func() {
				c, err := way[0].Dial(t.Context(), way[1].Addr().String(), clientTLS(), conf)
				if err != nil {
					t.Error(err)
					return
				}
				s, err := c.OpenStream(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				want := fmt.Sprint("connection ", i, " from ", way[0].Addr(), " to ", way[1].Addr())
				s.WriteFinal([]byte(want))
				if got, err := io.ReadAll(s); string(got) != want || err != nil {
					t.Errorf("%q came back for %q, %v", got, want, err)
				}
				if c.LocalAddr().String() != way[0].Addr().String() || c.RemoteAddr().String() != way[1].Addr().String() {
					t.Errorf("%v to %v instead of %q", c.LocalAddr(), c.RemoteAddr(), want)
				}
			})
		}
	}
	all.Wait()
	for i, e := range []*Endpoint{one, two} {
		dialled, accepted := []int64{2 * each, each}[i], []int64{2 * each, each}[i]
		got := e.Stats()
		if got.Dialled != dialled || got.Accepted != accepted || got.Open < dialled+accepted || got.Panicked != 0 {
			t.Errorf("endpoint %d: %+v", i, got)
		}
	}
	one.Close()
	eventually(t, "the other endpoint has heard of it", func() bool { return two.Stats().Open == 0 })
}

// TestKeepAliveSpeaksUp: that it holds the idle timeout off is shown in package engine, where the clock is the test's.
func TestKeepAliveSpeaksUp(t *testing.T) {
	c, s := pair(t, &Config{KeepAlive: 20 * time.Millisecond}, nil)
	streams(t, c, s)
	before := s.Stats().PacketsReceived
	eventually(t, "packets come of themselves", func() bool { return s.Stats().PacketsReceived >= before+5 })
	if c.Err() != nil || s.Err() != nil {
		t.Errorf("ended with %v and %v", c.Err(), s.Err())
	}
}

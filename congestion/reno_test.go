package congestion

import (
	"testing"
	"time"
)

func TestRenoHalvesAndAddsADatagramPerRoundTrip(t *testing.T) {
	// Rules: 9002:7.3.2/1, 9002:7.3.2/2, 9002:7.3.3/1
	c := NewReno(mss)
	p := newPath(c, 50*time.Millisecond)
	for range 3 {
		p.full()
	}
	p.lose(p.now - 1) // at 96000
	for i := range 20 {
		if want := 48000 + i*mss; c.Window() != want {
			t.Fatalf("window %d after %d round trips, want %d", c.Window(), i, want)
		}
		p.full()
	}
}

func TestRenoHasAMinimum(t *testing.T) {
	// Rules: 9002:7.2/4
	c := NewReno(mss)
	p := newPath(c, 50*time.Millisecond)
	for range 20 {
		p.lose(p.now)
	}
	if c.Window() != 2*mss {
		t.Errorf("window %d", c.Window())
	}
}

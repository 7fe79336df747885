package instant

import (
	"testing"
	"time"
)

func TestEarliestIgnoresNever(t *testing.T) {
	for _, c := range []struct{ a, b, want Time }{
		{Never, Never, Never}, {Never, 5, 5}, {5, Never, 5}, {3, 5, 3}, {5, 3, 3},
	} {
		if got := Earliest(c.a, c.b); got != c.want {
			t.Errorf("Earliest(%d, %d) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestNeverIsSticky(t *testing.T) {
	if Never.Add(time.Hour) != Never {
		t.Error("never plus an hour is a time")
	}
	if Never.Reached(1 << 60) {
		t.Error("never was reached")
	}
	if !Time(7).Reached(7) || Time(7).Reached(6) {
		t.Error("a deadline is reached exactly when now is not before it")
	}
	if Time(1).Add(time.Second).Sub(1) != time.Second {
		t.Error("Add and Sub disagree")
	}
}

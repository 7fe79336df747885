// Package instant is time as a number: nanoseconds since an epoch that only the owner of the clock knows.
//
// An instant is eight bytes instead of the twenty-four of a time.Time, compares with <, cannot be confused with wall
// time, and cannot be read: whoever needs the present is handed it. The zero value means never, so that a deadline that
// is not set needs no second field.
package instant

import "time"

// Time is a point in time, in nanoseconds since the clock's epoch. Zero is never; a running clock starts above zero.
type Time int64

// Never is the zero Time: a deadline that is not set.
const Never Time = 0

// Add returns t+d. Never plus anything stays never.
func (t Time) Add(d time.Duration) Time {
	if t == Never {
		return Never
	}
	return t + Time(d)
}

// Sub returns how long after u the instant t is.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// IsNever reports whether t is the zero Time.
func (t Time) IsNever() bool { return t == Never }

// Reached reports whether a deadline t has come at now; never does not come.
func (t Time) Reached(now Time) bool { return t != Never && t <= now }

// Earliest returns the earliest of two deadlines, either of which may be never.
func Earliest(a, b Time) Time {
	switch {
	case a == Never:
		return b
	case b == Never || a < b:
		return a
	}
	return b
}

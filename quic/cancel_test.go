package quic

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// TestCancellingReachesOurOwnCalls: a call that waits is told when another goroutine gives its part of the stream up.
func TestCancellingReachesOurOwnCalls(t *testing.T) {
	c, s := pair(t, nil, nil)
	for _, call := range []struct {
		name   string
		wait   func(s *Stream) error
		list   func(s *Stream) *waitList
		cancel func(s *Stream)
		want   func(err error) bool
	}{
		{"Read, StopReading", readOne, (*Stream).readers, func(s *Stream) { s.StopReading(7) }, isOurs(7)},
		{"Write, Reset", writeMuch, (*Stream).writers, func(s *Stream) { s.Reset(8) }, isOurs(8)},
		{"Write, Close", writeMuch, (*Stream).writers, func(s *Stream) { s.Close() }, func(err error) bool { return err == errFinished }},
		{"Read, a deadline in the past", readOne, (*Stream).readers, func(s *Stream) { s.SetReadDeadline(time.Now().Add(-time.Hour)) },
			func(err error) bool { return err == os.ErrDeadlineExceeded }},
		{"Write, a deadline in the past", writeMuch, (*Stream).writers, func(s *Stream) { s.SetWriteDeadline(time.Unix(1, 0)) },
			func(err error) bool { return err == os.ErrDeadlineExceeded }},
		{"Read, a deadline moved nearer", func(s *Stream) error { s.SetReadDeadline(time.Now().Add(time.Hour)); return readOne(s) },
			(*Stream).readers, func(s *Stream) { s.SetReadDeadline(time.Now().Add(time.Millisecond)) },
			func(err error) bool { return err == os.ErrDeadlineExceeded }},
	} {
		ours, theirs := streams(t, c, s)
		done := make(chan error)
		go func() { done <- call.wait(ours) }()
		eventually(t, call.name+": it waits", c.waits(call.list(ours)))
		call.cancel(ours)
		if err := <-done; !call.want(err) {
			t.Errorf("%s: %v", call.name, err)
		}
		theirs.StopReading(0) // the connection's window is for the next
	}
}

func (s *Stream) readers() *waitList { return &s.reading }
func (s *Stream) writers() *waitList { return &s.writing }

func readOne(s *Stream) error { _, err := s.Read(make([]byte, 1)); return err }

func writeMuch(s *Stream) error { _, err := s.Write(make([]byte, 32<<20)); return err }

func isOurs(code uint64) func(error) bool {
	return func(err error) bool {
		var e *StreamError
		return errors.As(err, &e) && !e.Remote && e.Code == code
	}
}

// TestADeadlineMovedAwayDoesNotPass moves a deadline later, and takes it back, while a Read waits.
func TestADeadlineMovedAwayDoesNotPass(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	ours.SetReadDeadline(time.Now().Add(time.Hour))
	done := make(chan error)
	go func() { done <- readOne(ours) }()
	eventually(t, "the reader waits", c.waits(&ours.reading))
	c.mu.Lock()
	stale := ours.readUntil.timer
	c.mu.Unlock()
	for _, until := range []time.Time{time.Now().Add(2 * time.Hour), {}} {
		ours.SetReadDeadline(until)
		if stale.Stop() {
			t.Error("the old deadline's timer still runs")
		}
	}
	if _, err := theirs.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Read: %v", err)
	}
}

// TestBytesBeforeADeadlineAreRead: a deadline that has passed fails a Read even where there is something, as with package net, and
// loses nothing.
func TestBytesBeforeADeadlineAreRead(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	if _, err := theirs.WriteFinal([]byte("kept")); err != nil {
		t.Fatal(err)
	}
	ours.SetReadDeadline(time.Now().Add(-1))
	if err := readOne(ours); err != os.ErrDeadlineExceeded {
		t.Errorf("after the deadline: %v", err)
	}
	ours.SetReadDeadline(time.Time{})
	if got, err := io.ReadAll(ours); string(got) != "kept" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

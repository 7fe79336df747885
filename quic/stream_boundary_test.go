package quic

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
)

func TestAResetDeliversWhatABoundaryPromised(t *testing.T) {
	c, s := pair(t, nil, nil)
	if !c.ResetsDeliver() || !s.ResetsDeliver() {
		t.Fatal("the ends do not tell each other that they know RESET_STREAM_AT")
	}
	ours, theirs := streams(t, c, s)
	promised := bytes.Repeat([]byte("promised "), 100_000)
	read := make(chan struct{})
	go func() {
		defer close(read)
		got, err := io.ReadAll(theirs)
		var failed *StreamError
		if !errors.As(err, &failed) || failed.Code != 42 || !failed.Remote {
			t.Errorf("the reader ends with %v, want the peer's reset with code 42", err)
		}
		if !bytes.HasPrefix(got, promised) {
			t.Errorf("%d bytes were read, and %d promised", len(got), len(promised))
		}
		<-theirs.Context().Done()
		if cause := context.Cause(theirs.Context()); !errors.As(cause, &failed) || failed.Code != 42 {
			t.Errorf("the context's cause is %v", cause)
		}
	}()
	if _, err := ours.Write(promised); err != nil {
		t.Fatal(err)
	}
	ours.SetReliableBoundary()
	ours.Reset(42)
	<-read
	var failed *StreamError
	if _, err := ours.Write([]byte{1}); !errors.As(err, &failed) || failed.Remote || failed.Code != 42 {
		t.Errorf("a write after the reset: %v, want our own stream error", err)
	}
	ours.SetReliableBoundary() // too late, and harmless
}

func TestABoundaryOnWhatOnlyThePeerSendsOn(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, err := c.OpenUniStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.WriteFinal([]byte("all")); err != nil {
		t.Fatal(err)
	}
	theirs, err := s.AcceptStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	theirs.SetReliableBoundary()
	if got, err := io.ReadAll(theirs); string(got) != "all" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	c.Close()
	theirs.SetReliableBoundary()
	if c.ResetsDeliver(); s.Err() != nil && !s.ResetsDeliver() {
		t.Error("what the peer knew is forgotten")
	}
}

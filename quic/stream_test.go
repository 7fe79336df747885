package quic

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func TestHalfCloseLeavesTheOtherDirectionOpen(t *testing.T) {
	// Rules: 9000:4.4/1
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	if _, err := ours.WriteFinal([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(theirs); string(got) != "question" || err != nil {
		t.Fatalf("server read %q, %v", got, err)
	}
	if _, err := theirs.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(ours); string(got) != "answer" || err != nil {
		t.Fatalf("client read %q, %v", got, err)
	}
	if n, err := ours.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read after the end: %d, %v", n, err)
	}
	if n, err := ours.Write([]byte("more")); n != 0 || err == nil {
		t.Errorf("write after WriteFinal: %d, %v", n, err)
	}
	if err := ours.Close(); err != nil {
		t.Errorf("closing a finished stream: %v", err)
	}
	eventually(t, "the stream's context is done", func() bool { return theirs.Context().Err() != nil })
}

func TestResetReachesTheReader(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	ours.Reset(42)
	ours.Reset(43)
	_, err := theirs.Read(make([]byte, 1))
	var failed *StreamError
	if !errors.As(err, &failed) || failed.Code != 42 || !failed.Remote {
		t.Fatalf("Read = %v, want the peer's reset with code 42", err)
	}
	<-theirs.Context().Done()
	if cause := context.Cause(theirs.Context()); !errors.As(cause, &failed) || failed.Code != 42 {
		t.Errorf("cause = %v", cause)
	}
	if _, err := ours.Write([]byte{1}); !errors.As(err, &failed) || failed.Remote {
		t.Errorf("write after Reset = %v, want our own stream error", err)
	}
	if err := ours.Close(); err != nil {
		t.Errorf("Close after Reset = %v", err)
	}
	// The other direction still works.
	if _, err := theirs.WriteFinal([]byte("fine")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(ours); string(got) != "fine" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestStopReadingReachesABlockedWriter(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	wrote := make(chan error)
	go func() {
		_, err := ours.Write(make([]byte, 32<<20)) // more than any window
		wrote <- err
	}()
	theirs.StopReading(7)
	var failed *StreamError
	if err := <-wrote; !errors.As(err, &failed) || failed.Code != 7 || !failed.Remote {
		t.Fatalf("Write = %v, want the peer's stop with code 7", err)
	}
	<-ours.Context().Done()
	if _, err := theirs.Read(make([]byte, 1)); !errors.As(err, &failed) || failed.Remote {
		t.Errorf("read after StopReading = %v, want our own stream error", err)
	}
}

func TestUnidirectionalStreamsGoOneWay(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, err := s.OpenUniStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.WriteFinal([]byte("news")); err != nil {
		t.Fatal(err)
	}
	theirs, err := c.AcceptStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if !ours.IsUni() || !theirs.IsUni() || ours.ID() != theirs.ID() || theirs.Conn() != c {
		t.Errorf("stream %d at one end, %d at the other", ours.ID(), theirs.ID())
	}
	if got, err := io.ReadAll(theirs); string(got) != "news" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := ours.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("reading what only we send on: %v", err)
	}
	if _, err := theirs.Write([]byte{1}); err == nil {
		t.Error("writing to what only the peer sends on succeeded")
	}
	if err := theirs.Close(); err == nil {
		t.Error("closing what only the peer sends on succeeded")
	}
}

func TestDeadlinesInterruptAndCanBeMoved(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	read := func() error { _, err := ours.Read(make([]byte, 1)); return err }

	ours.SetReadDeadline(time.Now().Add(-time.Second))
	if err := read(); err != os.ErrDeadlineExceeded {
		t.Fatalf("past deadline: %v", err)
	}
	ours.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if err := read(); err != os.ErrDeadlineExceeded {
		t.Fatalf("near deadline: %v", err)
	}
	ours.SetReadDeadline(time.Time{})
	blocked := make(chan error)
	go func() { blocked <- read() }()
	ours.SetDeadline(time.Now()) // interrupts a Read that waits, or the one that is about to
	if err := <-blocked; err != os.ErrDeadlineExceeded {
		t.Fatalf("deadline set during Read: %v", err)
	}
	ours.SetDeadline(time.Now().Add(time.Hour))
	if _, err := theirs.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Fatalf("after the deadline was moved: %v", err)
	}
	go func() {
		n, err := ours.Write(make([]byte, 32<<20)) // nobody reads
		if n == 0 {
			err = io.ErrNoProgress
		}
		blocked <- err
	}()
	eventually(t, "the writer waits", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return ours.writing.head != nil
	})
	ours.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if err := <-blocked; err != os.ErrDeadlineExceeded {
		t.Fatalf("Write = %v", err)
	}
}

func TestAfterReadableRunsWhenReadWouldNotBlock(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	ran := make(chan string, 8)
	run := func(name string) func() { return func() { ran <- name } }

	theirs.AfterReadable(run("replaced"))
	theirs.AfterReadable(run("data"))
	if _, err := ours.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	if got := <-ran; got != "data" {
		t.Fatalf("%s ran first", got)
	}
	if n, err := theirs.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	theirs.AfterReadable(run("a byte is left")) // at once
	if got := <-ran; got != "a byte is left" {
		t.Fatalf("%s ran", got)
	}
	if n, err := theirs.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	theirs.AfterReadable(run("end"))
	ours.Close()
	if got := <-ran; got != "end" {
		t.Fatalf("%s ran", got)
	}
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}

	ours, theirs = streams(t, c, s)
	theirs.AfterReadable(run("reset"))
	ours.Reset(1)
	if got := <-ran; got != "reset" {
		t.Fatalf("%s ran", got)
	}
	ours, theirs = streams(t, c, s)
	theirs.AfterReadable(run("connection"))
	c.Close()
	if got := <-ran; got != "connection" {
		t.Fatalf("%s ran", got)
	}
	theirs.AfterReadable(run("ended connection"))
	if got := <-ran; got != "ended connection" {
		t.Fatalf("%s ran", got)
	}
	if len(ran) > 0 {
		t.Errorf("%s ran as well", <-ran)
	}
	_ = ours
}

func TestOpenStreamWaitsForThePeersLimit(t *testing.T) {
	c, s := pair(t, nil, &Config{MaxStreams: 2})
	first, second := &Stream{}, &Stream{}
	var err error
	for _, at := range []**Stream{&first, &second} {
		if *at, err = c.OpenStream(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	refused := make(chan error)
	go func() {
		_, err := c.OpenStream(ctx)
		refused <- err
	}()
	cancel()
	if err := <-refused; err != context.Canceled {
		t.Fatalf("OpenStream with a cancelled context = %v", err)
	}
	opened := make(chan error)
	go func() {
		_, err := c.OpenStream(testContext(t))
		opened <- err
	}()
	if _, err := first.WriteFinal([]byte{1}); err != nil {
		t.Fatal(err)
	}
	theirs, err := s.AcceptStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(theirs); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if err := <-opened; err != nil {
		t.Fatalf("OpenStream after one had ended = %v", err)
	}
}

func TestHandleStreamsTakesThoseThatWaitAndThoseThatCome(t *testing.T) {
	c, s := pair(t, nil, nil)
	got := make(chan string)
	send := func(text string) {
		o, err := c.OpenUniStream(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.WriteFinal([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	send("early")
	eventually(t, "the first stream waits", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.arrived) == 1
	})
	s.HandleStreams(func(st *Stream) {
		b, _ := io.ReadAll(st)
		got <- string(b)
	})
	if g := <-got; g != "early" {
		t.Fatalf("handled %q", g)
	}
	send("late")
	if g := <-got; g != "late" {
		t.Fatalf("handled %q", g)
	}
}

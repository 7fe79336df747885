package quic

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func TestTryWriteTakesAllOrNothing(t *testing.T) {
	const window = 4096
	c, s := pair(t, nil, &Config{Windows: Windows{StreamWindow: window, MaxStreamWindow: window}})
	ours, theirs := streams(t, c, s) // one byte, or none, is used up by streams
	if ours.TryWrite(make([]byte, window+1)) {
		t.Error("took more than flow control allows")
	}
	if !ours.TryWrite([]byte("first ")) || !ours.TryQueue([]byte("second ")) {
		t.Error("refused what there is room for")
	}
	for ours.TryQueue(make([]byte, 100)) {
	}
	if ours.TryQueue(make([]byte, 100)) {
		t.Error("took what there is no room for")
	}
	// What was queued leaves with what is sent next.
	go ours.WriteFinal([]byte("last"))
	got, err := io.ReadAll(theirs)
	if err != nil || !bytes.HasPrefix(got, []byte("first second ")) || !bytes.HasSuffix(got, []byte("last")) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if ours.TryWrite([]byte("more")) {
		t.Error("wrote after the end")
	}
}

func TestAwaitWaitsWithoutReading(t *testing.T) {
	c, s := pair(t, nil, nil)
	ours, theirs := streams(t, c, s)
	done := make(chan struct{})
	waited := make(chan error, 1)
	go func() { waited <- theirs.Await(done) }()
	ours.WriteFinal([]byte("content"))
	theirs.AfterReadable(func() { close(done) })
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(theirs); string(got) != "content" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if err := theirs.Await(done); err != nil {
		t.Error("after the end:", err)
	}
}

func TestAwaitEndsWhenReadWouldFail(t *testing.T) {
	never := make(chan struct{})
	for _, test := range []struct {
		name string
		do   func(ours, theirs *Stream)
		want func(err error) bool
	}{
		{"a reset", func(ours, theirs *Stream) { ours.Reset(42) }, func(err error) bool {
			var e *StreamError
			return errors.As(err, &e) && e.Code == 42 && e.Remote
		}},
		{"StopReading", func(ours, theirs *Stream) { theirs.StopReading(43) }, func(err error) bool {
			var e *StreamError
			return errors.As(err, &e) && e.Code == 43 && !e.Remote
		}},
		{"the read deadline", func(ours, theirs *Stream) { theirs.SetReadDeadline(time.Now()) }, func(err error) bool {
			return errors.Is(err, os.ErrDeadlineExceeded)
		}},
		{"the end of the connection", func(ours, theirs *Stream) { ours.Conn().CloseWithError(7, "") }, func(err error) bool {
			var e *ApplicationError
			return errors.As(err, &e) && e.Code == 7
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, s := pair(t, nil, nil)
			ours, theirs := streams(t, c, s)
			ours.Write([]byte("content"))
			waited := make(chan error, 1)
			go func() { waited <- theirs.Await(never) }()
			test.do(ours, theirs)
			if err := <-waited; !test.want(err) {
				t.Error(err)
			}
		})
	}
}

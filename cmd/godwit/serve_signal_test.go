//go:build unix

package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSIGUSR1AsksServeForItsCounters(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var out, errors output
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, process{stdout: &out, stderr: &errors}, []string{"serve", "--listen", "127.0.0.1:0"})
	}()
	until := func(text string, o *output) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !strings.Contains(o.String(), text); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q is missing in %q", text, o.String())
			}
		}
	}
	until("Ctrl-C ends it", &out)
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	until(`msg="so far" connections.accepted=0 `, &errors)
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("code %d", code)
	}
	until("msg=served connections.accepted=0 ", &errors)
}

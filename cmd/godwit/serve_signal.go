//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// onCountersSignal calls f whenever the process gets SIGUSR1, until stop is called.
func onCountersSignal(f func()) (stop func()) {
	c, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(c, syscall.SIGUSR1)
	go func() {
		for {
			select {
			case <-c:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(c)
		close(done)
	}
}

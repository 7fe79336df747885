package main

import (
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
)

// usageSample is what a process has used, since its start or between two samples.
type usageSample struct {
	CPU     float64 // seconds of all threads, user and system
	Mallocs uint64  // heap objects
	Alloc   uint64  // heap bytes
}

func sampleUsage() usageSample {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic("BUG: getrusage of this process: " + err.Error())
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return usageSample{CPU: seconds(r.Utime) + seconds(r.Stime), Mallocs: mem.Mallocs, Alloc: mem.TotalAlloc}
}

func (u usageSample) since(v usageSample) usageSample {
	return usageSample{CPU: u.CPU - v.CPU, Mallocs: u.Mallocs - v.Mallocs, Alloc: u.Alloc - v.Alloc}
}

// startProfile profiles the CPU into a file until stop is called. Without a name it does nothing.
func startProfile(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

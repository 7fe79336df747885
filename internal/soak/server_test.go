package soak

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-net/godwit/congestion"
	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// The server's process is this test binary once more, told so by two variables.
const (
	serverAddr = "GODWIT_SOAK_SERVER"
	serverDir  = "GODWIT_SOAK_DIR"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(serverAddr); addr != "" {
		if err := serve(addr, os.Getenv(serverDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// report is what a server's process answers to "measure".
type report struct {
	Usage
	Open, Accepted, Panicked, QLogsFailed int64

	Handlers int64 // that panicked
	Stacks   int64 // lines of the log that have one
	Bombs    int64 // connections that were given a controller that panics
	Leaks    int64 // and a qlog whose writer does
}

// bomb is a controller that panics when it has heard of the tenth acknowledgment, and leak a qlog's writer that does at once.
type bomb struct {
	congestion.Controller
	left int
}

func (b *bomb) OnAck(a congestion.Ack) {
	if b.left--; b.left == 0 {
		panic("the soak's fault")
	}
	b.Controller.OnAck(a)
}

type leak struct{}

func (leak) Write([]byte) (int, error) { panic("the soak's fault") }
func (leak) Close() error              { return nil }

// stacks is a log that counts the lines with a stack.
type stacks struct{ n *atomic.Int64 }

func (stacks) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (s stacks) WithAttrs([]slog.Attr) slog.Handler         { return s }
func (s stacks) WithGroup(string) slog.Handler              { return s }

func (s stacks) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "stack" {
			s.n.Add(1)
		}
		return true
	})
	return nil
}

// faulty is what a server's connections are given: each hundredth a controller that panics, and another hundredth a qlog that does.
type faulty struct {
	bombs, leaks, stacks, controllers, qlogs atomic.Int64
}

func (f *faulty) controller(mss int) congestion.Controller {
	if f.controllers.Add(1)%100 == 50 {
		f.bombs.Add(1)
		return &bomb{congestion.NewReno(mss), 10}
	}
	return congestion.NewReno(mss)
}

func (f *faulty) qlog(quic.QLogInfo) io.WriteCloser {
	if f.qlogs.Add(1)%100 == 99 {
		f.leaks.Add(1)
		return leak{}
	}
	return nil
}

// serve is the server's process. It takes commands from its standard input, a line each, and ends with it.
func serve(addr, dir string) error {
	var f faulty
	var cert atomic.Pointer[tls.Certificate]
	reload := func() error {
		c, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
		if err == nil {
			cert.Store(&c)
		}
		return err
	}
	if err := reload(); err != nil {
		return err
	}
	secret, err := quic.LoadSecret(filepath.Join(dir, "secret"))
	if err != nil {
		return err
	}
	log := slog.New(stacks{&f.stacks})
	e, err := quic.Listen(addr, http3.ConfigureTLS(&tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.Load(), nil },
	}), &quic.Config{
		Secret: secret, HandshakeTimeout: handshakeTimeout, MaxIdleTimeout: idleTimeout, Resumption: quic.Resumption{TicketKeys: quic.TicketKeyFile(filepath.Join(dir, "tickets"))},
		Congestion: f.controller, QLog: f.qlog, Logger: log,
	})
	if err != nil {
		return err
	}
	s := &http3.Server{Logger: log, ReadHeaderTimeout: -1, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("the soak's fault")
		}
		io.Copy(w, r.Body)
	})}
	go s.Serve(e)
	out := json.NewEncoder(os.Stdout)
	out.Encode(e.Addr().String())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "reload":
			if err := reload(); err != nil {
				return err
			}
			out.Encode("reloaded")
		case "measure":
			q := e.Stats()
			out.Encode(report{
				Usage: measure(), Open: q.Open, Accepted: q.Accepted, Panicked: q.Panicked, QLogsFailed: q.QLogsFailed,
				Handlers: s.Stats().Panics, Stacks: f.stacks.Load(), Bombs: f.bombs.Load(), Leaks: f.leaks.Load(),
			})
		}
	}
	return nil
}

// Usage is what a process has in use. Descriptors and resident memory are counted where the system tells, in bytes.
type Usage struct{ Heap, Resident, Goroutines, Descriptors int }

func (u Usage) String() string {
	return fmt.Sprintf("heap %.2f MB, resident %.1f MB, %d goroutines, %d descriptors", float64(u.Heap)/1e6, float64(u.Resident)/1e6, u.Goroutines, u.Descriptors)
}

func measure() Usage {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd")
	resident := 0
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		if f := strings.Fields(rest); len(f) > 0 {
			resident, _ = strconv.Atoi(f[0])
		}
	}
	return Usage{int(m.HeapAlloc), resident << 10, runtime.NumGoroutine(), len(open)}
}

// least returns the smallest of what was measured: pools empty, timers fire.
func (u Usage) least(v Usage) Usage {
	return Usage{min(u.Heap, v.Heap), min(u.Resident, v.Resident), min(u.Goroutines, v.Goroutines), min(u.Descriptors, v.Descriptors)}
}

// until waits for a condition. It gives up only when the test hangs.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b := make([]byte, 1<<20)
			t.Fatalf("waited for %s in vain: %v\n%s", what, measure(), b[:runtime.Stack(b, true)])
		}
	}
}

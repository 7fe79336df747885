package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything that should happen at once may take on a busy machine.
const patience = time.Minute

// output collects what a process prints; it may be read while the process runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is one that a test started and that ends with it.
type process struct {
	cmd  *exec.Cmd
	out  output // standard output and standard error
	done chan struct{}
}

// start starts a process. When the test ends it is killed, and its output is shown if the test failed.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", cmd.Path, err)
	}
	go func() {
		cmd.Wait() // ProcessState keeps the result
		close(p.done)
	}()
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("output of %s:\n%s", strings.Join(cmd.Args, " "), tail(p.out.String()))
		}
	})
	return p
}

// end sends a signal, waits, kills if need be, and returns the exit code: -1 when a signal ended the process.
func (p *process) end(sig syscall.Signal) int {
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
	return p.cmd.ProcessState.ExitCode()
}

// exited reports whether the process has ended.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// waitFor polls until ok, and fails the test when the process ends first or patience does.
func (p *process) waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if p.exited() {
			t.Fatalf("%s ended while waiting for %s", p.cmd.Args[0], what)
		}
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s of %s", patience, what, p.cmd.Args[0])
		}
	}
}

// eventually polls until ok, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for: %s", patience, what)
		}
	}
}

// result is what a process that ran to its end left behind.
type result struct {
	stdout, stderr string
	code           int
}

// execute runs a process to its end. Only a process that cannot be started, or that does not end in time, fails the test.
func execute(ctx context.Context, t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.WaitDelay = 5 * time.Second // for children that hold the pipes after a process that was killed
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", cmd.Path, err)
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !stop() && ctx.Err() != nil {
		t.Fatalf("%s did not end in time\n%s", strings.Join(cmd.Args, " "), tail(stdout.String()+stderr.String()))
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", cmd.Path, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// succeed runs a process to its end, which must be exit code 0.
func succeed(ctx context.Context, t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	r := execute(ctx, t, cmd)
	if r.code != 0 {
		t.Fatalf("%s: exit code %d\n%s", strings.Join(cmd.Args, " "), r.code, tail(r.stdout+r.stderr))
	}
	return r
}

// tail is the end of a long text.
func tail(s string) string {
	const most = 6000
	if len(s) > most {
		return "[...]" + s[len(s)-most:]
	}
	return s
}

// Ports for processes that are told one: each is given out once, and they are below those that the system gives to sockets that
// ask for any (net.ipv4.ip_local_port_range). What was free a moment ago stays free until the process has it.
const firstPort, lastPort = 16000, 32000

var portsGiven atomic.Int64

// freePort returns a port of 127.0.0.1 that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range lastPort - firstPort {
		port := firstPort + (97*os.Getpid()+int(portsGiven.Add(1)))%(lastPort-firstPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		l.Close()
		if err == nil {
			c.Close()
			return port
		}
	}
	t.Fatal("no port is free for both TCP and UDP")
	return 0
}

// speaksQUIC reports whether a QUIC server answers at an address. It sends a packet of a version that does not exist, which
// RFC 9000, section 6.1, wants answered with Version Negotiation, so neither a connection nor a stack is needed.
func speaksQUIC(addr string) bool {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return false
	}
	defer c.Close()
	probe := make([]byte, 1200)
	copy(probe, "\xc0\x1a\x2a\x3a\x4a\x08probing!\x08answerme")
	if _, err := c.Write(probe); err != nil {
		return false
	}
	c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := c.Read(probe)
	return err == nil && n > 5 && probe[0]&0x80 != 0
}

// speaksTCP reports whether something accepts connections at an address.
func speaksTCP(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// peakMemory is the largest resident size that a process had, in bytes.
func (p *process) peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("no VmHWM for process %d: %v", p.cmd.Process.Pid, err)
	}
	return kib << 10
}

package hostile

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that has to happen: nothing is measured by it.
const patience = 3 * time.Minute

// victim is the server under attack.
type victim struct {
	addr netip.AddrPort
	pid  int      // 0: nothing is known of its process
	log  *journal // nil: it is somebody else's, and what it does is only looked at
}

// journal is what a godwit serve of ours logs.
type journal struct {
	mu    sync.Mutex
	lines []string
	asked chan map[string]int64 // the counters of each SIGUSR1
}

// read reads the log to its end.
func (j *journal) read(in io.Reader) {
	defer close(j.asked)
	for s := bufio.NewScanner(in); s.Scan(); {
		line := s.Text()
		if _, counters, ok := strings.Cut(line, `msg="so far" `); ok {
			j.asked <- parseCounters(counters)
		}
		j.mu.Lock()
		j.lines = append(j.lines, line)
		j.mu.Unlock()
	}
}

func parseCounters(line string) map[string]int64 {
	m := map[string]int64{}
	for _, f := range strings.Fields(line) {
		name, value, _ := strings.Cut(f, "=")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			m[name] = n
		}
	}
	return m
}

// with returns the lines that have a text.
func (j *journal) with(text string) (lines []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

var built string // a folder with the command in it, once build has made it

var build = sync.OnceValues(func() (string, error) {
	var err error
	if built, err = os.MkdirTemp("", "godwit-hostile-"); err != nil {
		return "", err
	}
	binary := filepath.Join(built, "godwit")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/godwit").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%v\n%s", err, out)
	}
	return binary, nil
})

// godwit is the path of the command, which is built once.
func godwit(t *testing.T) string {
	t.Helper()
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("long, and reads /proc")
	}
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "64") // most of them wait for a server to recover
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// serve starts a godwit serve with more flags, or finds the server that is named in the environment.
func serve(t *testing.T, binary string, flags ...string) victim {
	t.Helper()
	if v, ok := other(t); ok {
		return v
	}
	cmd := exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...)
	return serving(t, cmd)
}

// other is the server that GODWIT_HOSTILE_ADDR names, whose process is GODWIT_HOSTILE_PID if that is said. The clients have many
// loopback addresses, from which nothing else can be reached.
func other(t *testing.T) (v victim, ok bool) {
	t.Helper()
	text, pid := os.Getenv("GODWIT_HOSTILE_ADDR"), os.Getenv("GODWIT_HOSTILE_PID")
	if text == "" {
		return v, false
	}
	var err error
	if v.addr, err = netip.ParseAddrPort(text); err != nil || !v.addr.Addr().Is4() || !v.addr.Addr().IsLoopback() {
		t.Fatalf("GODWIT_HOSTILE_ADDR=%s: want 127.x.x.x:port, of a server on this machine", text)
	}
	if v.pid, err = strconv.Atoi(pid); err != nil && pid != "" {
		t.Fatalf("GODWIT_HOSTILE_PID=%s: want the number of its process", pid)
	}
	return v, true
}

// serving starts a command that becomes a godwit serve.
func serving(t *testing.T, cmd *exec.Cmd) victim {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errors, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := victim{pid: cmd.Process.Pid, log: &journal{asked: make(chan map[string]int64, 1)}}
	t.Cleanup(func() {
		cmd.Process.Kill()
		for range v.log.asked {
		}
		cmd.Wait()
		if t.Failed() {
			lines := v.log.with("")
			t.Logf("the server's log ended with\n%s", strings.Join(lines[max(0, len(lines)-20):], "\n"))
		}
	})
	go v.log.read(errors)
	for in := bufio.NewScanner(out); in.Scan(); {
		if url, ok := strings.CutPrefix(strings.TrimSpace(in.Text()), "https://"); ok {
			go io.Copy(io.Discard, out)
			v.addr = netip.MustParseAddrPort(strings.TrimSuffix(url, "/"))
			return v
		}
	}
	t.Fatal("serve printed no URL")
	return v
}

// ours reports whether the server can be asked, so that it has bounds to keep.
func (v victim) ours() bool { return v.log != nil }

// sigusr1 is Linux's SIGUSR1, which not every system that this compiles for has a name for.
const sigusr1 = syscall.Signal(10)

// counters asks the server for its counters. It collects its garbage for that.
func (v victim) counters(t *testing.T) map[string]int64 {
	t.Helper()
	p, err := os.FindProcess(v.pid)
	if err == nil {
		err = p.Signal(sigusr1)
	}
	if err != nil {
		t.Fatalf("the server is gone: %v", err)
	}
	select {
	case m, ok := <-v.log.asked:
		if !ok {
			t.Fatal("the server is gone")
		}
		return m
	case <-time.After(patience):
		t.Fatal("the server does not answer a signal")
		return nil
	}
}

// resident is how many bytes of memory the process has.
func (v victim) resident(t *testing.T) int64 { return v.memory(t, "VmRSS:") }

// peak is the most that it had since forgetPeak, or since it began.
func (v victim) peak(t *testing.T) int64 { return v.memory(t, "VmHWM:") }

// forgetPeak has peak begin anew, where the system lets us: proc_pid_clear_refs(5) of Linux.
func (v victim) forgetPeak() {
	os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", v.pid), []byte("5"), 0)
}

func (v victim) memory(t *testing.T, which string) int64 {
	t.Helper()
	if v.pid == 0 {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.pid))
	_, rest, _ := strings.Cut(string(b), which)
	var kib int64
	if err == nil {
		_, err = fmt.Sscan(rest, &kib)
	}
	if err != nil && v.ours() {
		t.Fatalf("%s of process %d: %v; it has ended", which, v.pid, err)
	}
	return kib << 10
}

// descriptors is how many files and sockets the process has open.
func (v victim) descriptors() int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", v.pid))
	return len(list)
}

// cpu is how many seconds of processor time it has used, in ticks of 1/100 s.
func (v victim) cpu() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

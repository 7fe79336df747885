package hostile

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/http3"
)

// victim is the process under attack; pid is 0 when it is somebody else's.
type victim struct {
	addr netip.AddrPort
	pid  int
}

func serve(t *testing.T, binary string) victim {
	t.Helper()
	if a := os.Getenv("GODWIT_HOSTILE_ADDR"); a != "" {
		return victim{addr: netip.MustParseAddrPort(a)}
	}
	cmd := exec.Command(binary, "serve", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for in := bufio.NewScanner(out); in.Scan(); {
		if url, ok := strings.CutPrefix(strings.TrimSpace(in.Text()), "https://"); ok {
			go io.Copy(io.Discard, out)
			return victim{netip.MustParseAddrPort(strings.TrimSuffix(url, "/")), cmd.Process.Pid}
		}
	}
	t.Fatal("serve printed no URL")
	return victim{}
}

// resident is how many bytes of memory the process has.
func (v victim) resident(t *testing.T) int64 {
	if v.pid == 0 {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", v.pid))
	if err != nil {
		t.Fatalf("the server is gone: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
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

func get(tr *http3.Transport, addr netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "https://"+addr.String()+"/", nil)
	if err != nil {
		return err
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

func TestHostileClientsAreBounded(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("long, and reads /proc")
	}
	binary := filepath.Join(t.TempDir(), "godwit")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/godwit").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { endure(t, serve(t, binary), a) })
	}
}

// endure attacks, with a client beside it that was there before, and another that comes afterwards.
func endure(t *testing.T, v victim, a attack) {
	insecure := &tls.Config{InsecureSkipVerify: true}
	beside := &http3.Transport{TLSClientConfig: insecure}
	defer beside.Close()
	if err := get(beside, v.addr); err != nil {
		t.Fatal(err)
	}
	before, cpu, peak := v.resident(t), v.cpu(), int64(0)
	type outcome struct {
		r   report
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := a.run(v.addr)
		done <- outcome{r, err}
	}()
	var o outcome
	served, failed := 0, 0
	for running := true; running; {
		select {
		case o = <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
		}
		if err := get(beside, v.addr); err != nil {
			failed++
			t.Errorf("the client beside it: %v", err)
		}
		served++
		peak = max(peak, v.resident(t)-before)
	}
	if o.err != nil || o.r.why != "" {
		t.Errorf("%v %s", o.err, o.r.why)
	}
	if peak > a.growth {
		t.Errorf("grew by %d bytes, more than %d", peak, a.growth)
	}
	after := &http3.Transport{TLSClientConfig: insecure}
	defer after.Close()
	if err := get(after, v.addr); err != nil {
		t.Errorf("a client afterwards: %v", err)
	}
	mib := float64(o.r.sent) / (1 << 20)
	t.Logf("| %s | %.2f | %.2f | %.1f | %.2f | %d of %d | %s |", a.name, mib, float64(o.r.got)/(1<<20), float64(peak)/(1<<20),
		(v.cpu()-cpu)/max(mib, 1e-9), served-failed, served, o.r.what)
}

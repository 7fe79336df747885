package soak

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// process is a server's process.
type process struct {
	t    *testing.T
	addr string

	mu  sync.Mutex // of a command and its answer
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// launch starts the server; addr 127.0.0.1:0 for the first time, then what that became.
func launch(t *testing.T, addr, dir string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], "-test.run=^$")}
	p.cmd.Env = append(os.Environ(), serverAddr+"="+addr, serverDir+"="+dir)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	p.answer(&p.addr)
	return p
}

func (p *process) answer(v any) {
	p.t.Helper()
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		p.t.Fatalf("the server's process has ended: %v", err)
	}
}

func (p *process) ask(command string, v any) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		p.t.Fatalf("the server's process has ended: %v", err)
	}
	p.answer(v)
}

func (p *process) measure() (r report) {
	p.t.Helper()
	p.ask("measure", &r)
	return r
}

// rest waits until the server has no connection and returns the least that it has in use then.
func (p *process) rest() report {
	p.t.Helper()
	var r report
	until(p.t, "the server to forget its connections", func() bool {
		r = p.measure()
		return r.Open == 0
	})
	for range 20 {
		time.Sleep(50 * time.Millisecond)
		u := r.Usage
		r = p.measure()
		r.Usage = r.Usage.least(u)
	}
	return r
}

// kill ends the process at once: its peers are told nothing.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.in.Close()
}

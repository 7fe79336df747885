package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godwit-net/godwit/internal/link"
)

// loopback is the address that both ends of a cell have.
func (c *cell) loopback() netip.Addr {
	if c.wants.ipv6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// startLink starts what lies between client and server. The server is named when it is there.
func (c *cell) startLink() error {
	p := p2p()
	if c.path != nil {
		p = c.path()
	}
	capture, err := os.Create(filepath.Join(c.dir.host, "server.pcap"))
	if err != nil {
		return err
	}
	atClient, err := os.Create(filepath.Join(c.dir.host, "client.pcap"))
	if err != nil {
		return err
	}
	listen := netip.AddrPortFrom(c.loopback(), 0).String()
	conf := link.Config{Listen: listen, Up: p.up, Down: p.down, Rebind: p.rebind, Seed: 1, Capture: capture, CaptureClient: atClient}
	if c.link, err = link.Start(context.WithoutCancel(c.ctx), conf); err != nil {
		return err
	}
	c.closers = append(c.closers, func() {
		if err := errors.Join(c.link.Close(), capture.Close(), atClient.Close()); err != nil {
			c.t.Log("the link:", err)
		}
	})
	c.addr = c.link.Addr()
	return nil
}

// rebinds reports whether a NAT changes the client's address.
func (c *cell) rebinds() bool { return c.path != nil && c.path().rebind != link.Rebind{} }

// serverPorts is the port that the server has in the capture.
func (c *cell) serverPorts() []uint16 { return []uint16{c.server.Port()} }

// prefer picks an address for the server to prefer, and returns it.
func (c *cell) prefer() netip.AddrPort {
	c.preferred = netip.AddrPortFrom(c.loopback(), uint16(freePort(c.t)))
	return c.preferred
}

// listenAt picks a free port for a peer's server.
func (c *cell) listenAt() (host, port string) {
	c.server = netip.AddrPortFrom(c.loopback(), uint16(freePort(c.t)))
	return c.loopback().String(), portOf(c.server)
}

// background starts a peer's server, which ends with the cell, and waits until it answers.
func (c *cell) background(cmd *exec.Cmd) error {
	return c.backgroundUntil(cmd, func(string) bool { return speaksQUIC(c.server.String()) })
}

// backgroundUntil is background with another sign that the server is there, which it may take from what the server says.
func (c *cell) backgroundUntil(cmd *exec.Cmd, ready func(said string) bool) error {
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	c.closers = append(c.closers, func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(2 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		os.WriteFile(filepath.Join(c.dir.host, "server.log"), []byte(out.String()), 0o644)
	})
	for end := time.Now().Add(patience); !ready(out.String()); time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			return fmt.Errorf("%s ended before it answered: %s", filepath.Base(cmd.Path), tail(out.String()))
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not answer: %s", filepath.Base(cmd.Path), tail(out.String()))
		}
	}
	return nil
}

// backgroundWith does that with a program in the tree that reads a file of the cell's.
func (c *cell) backgroundWith(p *peer, file, text string, args ...string) error {
	if err := os.WriteFile(filepath.Join(c.dir.host, file), []byte(text), 0o644); err != nil {
		return err
	}
	return c.background(p.command(args...))
}

// output runs a program to its end, within the cell's time, and returns its standard output. An exit code other than 0 is an
// error.
func (c *cell) output(cmd *exec.Cmd) (string, error) { return c.outputWithin(c.ctx, cmd) }

func (c *cell) outputWithin(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !stop() && ctx.Err() != nil {
		err = fmt.Errorf("%s was not done in time", filepath.Base(cmd.Path))
	}
	f, openErr := os.OpenFile(filepath.Join(c.dir.host, filepath.Base(cmd.Path)+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if openErr == nil {
		fmt.Fprintln(f, strings.Join(cmd.Args, " "))
		f.Write(stderr.Bytes())
		if cmd.Path != "/usr/bin/tshark" {
			f.Write(stdout.Bytes())
		}
		f.Close()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastLine(stderr.String()+stdout.String()))
	}
	return stdout.String(), err
}

// lastLine is the end of what a program said, which is most often why it failed.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	last := lines[len(lines)-1]
	if len(last) > 300 {
		last = last[len(last)-300:]
	}
	return last
}

func portOf(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }

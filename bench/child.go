package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// child is a process of this program in a role.
type child struct {
	*line
	name   string
	cmd    *exec.Cmd
	input  io.Closer
	errors bytes.Buffer
}

// startChild starts a process, gives it its job and waits for its hello. It is killed when ctx is done.
func startChild(ctx context.Context, role string, j job, netns string) (*child, hello, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, hello{}, err
	}
	argv := []string{self, "-role", role}
	if netns != "" {
		// ip(8) replaces itself by the program, so that the process id stays that of the child.
		argv = append([]string{"ip", "netns", "exec", netns}, argv...)
	}
	c := &child{name: j.Stack + "'s " + role, cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	c.cmd.WaitDelay = time.Second
	c.cmd.Stderr = &c.errors
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, hello{}, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, hello{}, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, hello{}, err
	}
	c.input, c.line = in, newLine(out, in)
	var h hello
	err = c.out.Encode(j)
	if err == nil {
		err = c.in.Decode(&h)
	}
	if err != nil {
		return nil, hello{}, c.failed(ctx, err)
	}
	return c, h, nil
}

// ask sends a command and waits for the answer.
func (c *child) ask(ctx context.Context, command command) (answer, error) {
	var a answer
	err := c.out.Encode(command)
	if err == nil {
		err = c.in.Decode(&a)
	}
	if err != nil {
		return a, c.failed(ctx, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s", c.name, a.Error)
	}
	return a, nil
}

// stop ends the process, which goes by itself when its input ends, and at the latest after a second is killed.
func (c *child) stop() {
	c.input.Close()
	timer := time.AfterFunc(time.Second, func() { c.cmd.Process.Kill() })
	defer timer.Stop()
	c.cmd.Wait() // how it ends is no part of the measurement
}

// failed ends the process and says why it did not answer.
func (c *child) failed(ctx context.Context, err error) error {
	c.stop()
	switch text := strings.TrimSpace(c.errors.String()); {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s took longer than -timeout", c.name)
	case ctx.Err() != nil:
		return ctx.Err()
	case text != "":
		return fmt.Errorf("%s: %s", c.name, lastLines(text, 20))
	}
	return fmt.Errorf("%s: %w", c.name, err)
}

// lastLines returns the end of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

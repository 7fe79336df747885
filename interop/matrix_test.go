package interop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/link"
)

// The matrix: every test of the public interop runner with every peer, Godwit in one role and the peer in the other, through
// the link emulator. Whether a cell passes is decided by what was sent, as the runner does it, and not by exit codes.
//
// GODWIT_MATRIX chooses: "quick" (the default) leaves out the tests that are slow, and with peers that are slow all that are not
// brief; "full" leaves out none.
func TestMatrix(t *testing.T) {
	need(t, tshark)
	full := os.Getenv("GODWIT_MATRIX") == "full"
	results := openResults(t)
	t.Run("cells", func(t *testing.T) {
		for _, p := range matrixPeers {
			t.Run(p.name, func(t *testing.T) {
				need(t, p.programs...)
				for _, role := range []role{asServer, asClient} {
					for _, test := range runnerTests {
						if !p.has(role) || !full && (test.slow || p.slow && !test.brief) {
							continue
						}
						t.Run(string(role)+"/"+test.name, func(t *testing.T) {
							t.Parallel()
							runCell(t, p, role, test, results)
						})
					}
				}
			})
		}
	})
	results.close(t)
}

// role is Godwit's in a cell.
type role string

const (
	asServer role = "server"
	asClient role = "client"
)

// cell is one test with one peer, Godwit in one role, while it runs.
type cell struct {
	*runnerTest
	t    *testing.T
	ctx  context.Context // ends when the test's time is over
	peer *matrixPeer
	role role

	dir    share // what the server serves is in docs, what the client saved in down; keys and captures beside them
	names  [][]string
	link   *link.Link
	addr   netip.AddrPort // where clients find the server: the link's front
	server netip.AddrPort // where it listens
	// preferred is where the server would rather be reached, for a test that wants the client to move; zero where the server, or the
	// client, knows no preferred addresses. The link does not lead there.
	preferred netip.AddrPort

	ours    *logs
	variant string // how this cell differs from the runner's test, if it does
	closers []func()
}

// runCell runs one cell and writes its line.
func runCell(t *testing.T, p *matrixPeer, r role, test *runnerTest, results *results) {
	line := &resultLine{Peer: p.name, Role: string(r), Test: test.name}
	if reason := p.cannot(r, test.name); reason != "" {
		line.Result, line.Reason = "cannot", reason
		results.write(t, line)
		t.Skip(reason)
	}
	limit := test.limit
	if limit == 0 {
		limit = time.Minute
	}
	if p.slow {
		limit *= 3
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c := &cell{runnerTest: test, t: t, ctx: ctx, peer: p, role: r, dir: newShare(t)}
	began, done := time.Now(), false
	defer func() {
		if !done { // a helper has ended the test
			line.Result, line.Reason = "fail", "the cell could not be run to its end"
			results.write(t, line)
		}
	}()
	err := c.play()
	c.end()
	if err == nil {
		err = c.judge()
	}
	done = true
	line.Result, line.Reason, line.Seconds = "pass", c.variant, time.Since(began).Seconds()
	known := p.known(r, test.name)
	switch {
	case err != nil && known != "":
		line.Result, line.Reason = "fail", known
		t.Logf("fails as it is known to: %v", err)
	case err != nil:
		line.Result, line.Reason = "fail", plain(err.Error())
		t.Error(err)
		c.keep()
	}
	results.write(t, line)
}

// plain takes colours out of what a peer says, and where this tree lies.
func plain(text string) string {
	here, _ := os.Getwd()
	return strings.ReplaceAll(colour.ReplaceAllString(text, ""), filepath.Dir(here)+"/", "")
}

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// play starts the server, the link, and the client, and returns when the client has what it wanted.
func (c *cell) play() error {
	c.ours = newLogs(c.dir)
	c.closers = append(c.closers, c.ours.close)
	if err := c.makeFiles(); err != nil {
		return err
	}
	err := c.startLink()
	if err != nil {
		return err
	}
	if c.role == asServer {
		err = c.serveOurs()
	} else {
		err = c.peer.serve(c)
	}
	if err != nil {
		return err
	}
	if err := c.link.SetTarget(c.server, netip.AddrPort{}); err != nil {
		return err
	}
	if c.role == asServer {
		return c.peer.ask(c)
	}
	return c.askOurs()
}

// end closes what play opened, the latest first. The captures and the logs are complete then.
func (c *cell) end() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
	c.closers = nil
}

// judge holds what was sent against the test's conditions.
func (c *cell) judge() error {
	e, err := c.gather()
	if err != nil {
		return err
	}
	found := []error{c.wantFiles()}
	for _, check := range c.checks {
		found = append(found, check(e))
	}
	return errors.Join(found...)
}

// makeFiles makes the files to be fetched, and their names.
func (c *cell) makeFiles() error {
	for _, dir := range []string{"docs", "down"} {
		if err := os.Mkdir(filepath.Join(c.dir.host, dir), 0o777); err != nil {
			return err
		}
	}
	n := 0
	for _, sizes := range c.fetch {
		var names []string
		for _, size := range sizes {
			name := fmt.Sprintf("file-%d", n)
			if c.longNames {
				name += "-" + strings.Repeat("abcdefghij", 25)[:250-len(name)-1]
			}
			content, err := makeContent(n, size)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(c.dir.host, "docs", name), content, 0o644); err != nil {
				return err
			}
			names = append(names, name)
			n++
		}
		c.names = append(c.names, names)
	}
	return nil
}

// url is where a file is found.
func (c *cell) url(name string) string { return "https://" + c.addr.String() + "/" + name }

func (c *cell) urls(names []string) (list []string) {
	for _, name := range names {
		list = append(list, c.url(name))
	}
	return list
}

// keep saves what a cell that failed left behind, when GODWIT_MATRIX_KEEP names a folder for it.
func (c *cell) keep() {
	root := os.Getenv("GODWIT_MATRIX_KEEP")
	if root == "" {
		return
	}
	to := filepath.Join(root, strings.ReplaceAll(c.peer.name, " ", "-")+"-"+string(c.role)+"-"+c.name)
	os.RemoveAll(to)
	if err := os.CopyFS(to, os.DirFS(c.dir.host)); err != nil {
		c.t.Log(err)
	}
}

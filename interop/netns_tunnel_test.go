package interop

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startPlatformHere serves the origin over HTTP/1.1 on 127.0.0.1 in the host, from an agent.
func (h *host) startPlatformHere() (url string) {
	h.t.Helper()
	a := h.startAgent()
	return "http://" + a.do(order{Do: "origin"}).Addr
}

// httpClient is a client whose connections begin in the host.
func (h *host) httpClient() *http.Client {
	return &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, addr string) (conn net.Conn, err error) {
			h.inside(func() error {
				conn, err = net.DialTimeout(network, addr, patience)
				return nil
			})
			return conn, err
		}}}
}

// openTunnel starts an exit in b and an entry in a; the exit can be started again with the same key.
func openTunnel(t *testing.T, a, b *host, exitAddr string) (url string, entry, exit *process, again func() *process) {
	t.Helper()
	key, platform := filepath.Join(t.TempDir(), "key"), b.startPlatformHere()
	again = func() *process {
		return start(t, b.command(godwit, "tunnel", "exit", "--key", key, "--listen", ":4433", "--advertise", exitAddr, "--to", platform))
	}
	exit = again()
	entry = start(t, a.command(godwit, "tunnel", "entry", tokenOf(t, exit), "--listen", "127.0.0.1:8081"))
	entry.waitFor(t, "the tunnel", func() bool { return strings.Contains(entry.out.String(), "tunnel up") })
	return "http://127.0.0.1:8081", entry, exit, again
}

// wantFromTunnel fetches blob(n) through a tunnel; during runs when a quarter has come.
func wantFromTunnel(t *testing.T, client *http.Client, url string, n int64, during func()) {
	t.Helper()
	res, err := client.Get(fmt.Sprintf("%s/blob?n=%d", url, n))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	wantBlob(t, io.MultiReader(io.LimitReader(res.Body, n/4), &when{r: res.Body, first: during}), n)
}

// when runs a function before its first Read.
type when struct {
	r     io.Reader
	first func()
}

func (w *when) Read(p []byte) (int, error) {
	if w.first != nil {
		w.first()
		w.first = nil
	}
	return w.r.Read(p)
}

// The host of the entry changes its address, and its interface, in the middle of a download through the tunnel.
func TestNamespacesMoveTheEntryOfATunnel(t *testing.T) {
	for name, move := range map[string]func(a *host){
		"its address is deleted":   func(a *host) { a.ip("addr del 10.77.1.1/24 dev e0") },
		"its interface goes down":  func(a *host) { a.ip("link set e0 down") },
		"its address is exchanged": func(a *host) { a.ip("addr add 10.77.1.9/24 dev e0", "addr del 10.77.1.1/24 dev e0") },
	} {
		t.Run(name, func(t *testing.T) {
			a, _, b := twoWays(t)
			url, entry, _, _ := openTunnel(t, a, b, "10.77.2.1:4433")
			client := a.httpClient()
			wantFromTunnel(t, client, url, 8*MiB, func() { move(a) })
			wantFromTunnel(t, client, url, MiB, nil)
			if log := entry.out.String(); strings.Count(log, "tunnel up") != 1 || strings.Contains(log, "away") {
				t.Errorf("it was not one connection:\n%s", log)
			}
		})
	}
}

// The exit is killed while the tunnel is idle and comes back. The entry learns of it with its next packet, and the request that
// brings the news is answered all the same.
func TestNamespacesRestartTheExitOfATunnel(t *testing.T) {
	a, b := two(t, 1500)
	url, entry, exit, again := openTunnel(t, a, b, "[fd77::2]:4433")
	client := a.httpClient()
	wantFromTunnel(t, client, url, MiB, nil)
	exit.end(syscall.SIGKILL)
	tokenOf(t, again())
	for range 3 {
		wantFromTunnel(t, client, url, MiB, nil)
	}
	if log := entry.out.String(); strings.Count(log, "tunnel up") != 2 || strings.Count(log, "tunnel away") != 1 || !strings.Contains(log, "the exit was restarted") {
		t.Errorf("the entry's log:\n%s", log)
	}
}

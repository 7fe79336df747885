package interop

import (
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/godwit-net/godwit/http3"
	"github.com/godwit-net/godwit/quic"
)

// site is a server of ours that a test asks with a client of others.
type site struct {
	addr   string // 127.0.0.1:PORT
	port   string
	url    string // https://127.0.0.1:PORT
	origin *origin
	proc   *process // nil when it runs in this process
}

func newSite(port int) *site {
	p := strconv.Itoa(port)
	return &site{addr: "127.0.0.1:" + p, port: p, url: "https://127.0.0.1:" + p}
}

// command prepares the command under test.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(godwit, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// serve starts godwit serve on a free port, with more flags.
func serve(t *testing.T, flags ...string) *site {
	t.Helper()
	s := newSite(freePort(t))
	s.proc = start(t, command(append([]string{"serve", "--listen", s.addr}, flags...)...))
	s.proc.waitFor(t, "an answer to QUIC", func() bool { return speaksQUIC(s.addr) })
	return s
}

// serveOrigin starts godwit serve in front of an origin, with the authority's certificate.
func serveOrigin(t *testing.T, flags ...string) *site {
	t.Helper()
	o, url := startOrigin(t)
	s := serve(t, append([]string{"--to", url, "--cert", ca.host + "/" + certFile, "--key", ca.host + "/" + keyFile}, flags...)...)
	s.origin = o
	return s
}

// serveHere runs the origin's handler on http3.Server in this process.
func serveHere(t *testing.T) *site {
	s, _ := serveTuned(t, nil)
	return s
}

// serveTuned is serveHere with a quic.Config. The endpoint is returned for its counters.
func serveTuned(t *testing.T, conf *quic.Config) (*site, *quic.Endpoint) {
	t.Helper()
	o := new(origin)
	s, e := run(t, &http3.Server{Handler: o.handler()}, conf)
	s.origin = o
	return s, e
}

// run serves with a server of ours in this process until the test ends.
func run(t *testing.T, server *http3.Server, conf *quic.Config) (*site, *quic.Endpoint) {
	t.Helper()
	e, err := quic.Listen("127.0.0.1:0", http3.ConfigureTLS(ca.server()), conf)
	if err != nil {
		t.Fatal(err)
	}
	server.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	done := make(chan struct{})
	go func() {
		server.Serve(e)
		close(done)
	}()
	t.Cleanup(func() {
		server.Close()
		e.Close()
		<-done
	})
	return newSite(e.Addr().(*net.UDPAddr).Port), e
}

// onBoth runs a test against godwit serve in front of an origin, and against http3.Server with the origin's handler.
func onBoth(t *testing.T, test func(t *testing.T, s *site)) {
	t.Run("godwit serve", func(t *testing.T) { test(t, serveOrigin(t)) })
	t.Run("http3.Server", func(t *testing.T) { test(t, serveHere(t)) })
}

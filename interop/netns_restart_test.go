package interop

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server is killed, and another takes its place. With the same secret it resets the connections that it does not know
// (RFC 9000, section 10.3): the first packet of the client brings the news, and nothing has to be sent twice. Without, the
// client waits in vain.
func TestNamespacesRestartAServer(t *testing.T) {
	for _, c := range []struct {
		name    string
		secrets [2][32]byte
		lost    bool
	}{
		{"with the same secret", [2][32]byte{{1, 2, 3}, {1, 2, 3}}, true},
		{"with another secret", [2][32]byte{{1, 2, 3}, {4, 5, 6}}, false},
		{"with a random secret", [2][32]byte{}, false},
	} {
		for _, addr := range []string{"10.77.0.2:4433", "[fd77::2]:4433"} {
			if !c.lost && strings.HasPrefix(addr, "[") {
				continue // these take two seconds each
			}
			t.Run(c.name+", "+addr, func(t *testing.T) {
				a, b := two(t, 1500)
				first := b.serveHere(order{Addr: ":4433", Secret: c.secrets[0]})
				client := a.dialFrom(order{Addr: addr, Idle: 2 * time.Second})
				client.fetch(MiB)
				cable := a.capture("e0")
				first.kill()
				second := b.serveHere(order{Addr: ":4433", Secret: c.secrets[1]})
				unheard := len(cable.sofar())
				client.do(order{Do: "get", Bytes: MiB})
				r := client.try(order{Do: "wait"})
				after, frames := client.conn(), cable.stop()
				if r.Lost != c.lost || r.Idle == c.lost || after.Open {
					t.Errorf("the request ended with %q, the connection is open: %v", r.Error, after.Open)
				}
				// The request is one; an acknowledgment and an answer to a path's challenge may have been due.
				if n := packets(only(frames[unheard:], func(f frame) bool { return f.out })); c.lost && n > 3 {
					t.Errorf("it took the client %d packets to learn of it", n)
				}
				answers := packets(only(frames, func(f frame) bool { return !f.out }))
				if sent := packets(only(frames, func(f frame) bool { return f.out })); answers == 0 || answers > sent {
					t.Errorf("%d packets from the new server for %d from the client", answers, sent)
				}
				if n := second.stats().Endpoint.Accepted; n != 0 {
					t.Errorf("the new server has accepted %d connections", n)
				}
				client.do(order{Do: "dial", Addr: addr})
				client.fetch(MiB)
			})
		}
	}
}

// godwit serve is killed and started again with the secret that it keeps in a file.
func TestNamespacesRestartServe(t *testing.T) {
	a, b := two(t, 1500)
	secret := filepath.Join(t.TempDir(), "secret")
	first := b.serveDemo("10.77.0.2:4433", "--secret", secret)
	client := a.dialFrom(order{Addr: "10.77.0.2:4433"})
	client.do(order{Do: "get"})
	client.do(order{Do: "wait"})
	first.end(syscall.SIGKILL)
	b.serveDemo("10.77.0.2:4433", "--secret", secret)
	client.do(order{Do: "get"})
	if r := client.try(order{Do: "wait"}); !r.Lost {
		t.Errorf("the request ended with %q, want a stateless reset", r.Error)
	}
}

// A server is killed while it sends something. Unless a window update of its is on the way the client has
// nothing to say: it asks after a second.
func TestNamespacesKillAServerUnderADownload(t *testing.T) {
	a, b := two(t, 1500)
	b.rate("e0", 50)
	secret := [32]byte{7}
	first := b.serveHere(order{Addr: "10.77.0.2:4433", Secret: secret})
	client := a.dialFrom(order{Addr: "10.77.0.2:4433"})
	client.do(order{Do: "get", Bytes: 8 * MiB})
	client.passed(2 * MiB)
	first.kill()
	second := b.serveHere(order{Addr: "10.77.0.2:4433", Secret: secret})
	if r := client.try(order{Do: "wait"}); !r.Lost {
		t.Errorf("the download ended with %q, want a stateless reset", r.Error)
	}
	if n := second.stats().Endpoint.DatagramsIn; n == 0 || n > 8 {
		t.Errorf("the new server has received %d datagrams", n)
	}
	client.do(order{Do: "dial", Addr: "10.77.0.2:4433"})
	client.fetch(MiB)
}

// A server is killed while it is sent something.
func TestNamespacesKillAServerUnderATransfer(t *testing.T) {
	a, b := two(t, 1500)
	a.rate("e0", 50)
	secret := [32]byte{7}
	first := b.serveHere(order{Addr: "10.77.0.2:4433", Secret: secret})
	client := a.dialFrom(order{Addr: "10.77.0.2:4433"})
	client.do(order{Do: "put", Bytes: 8 * MiB})
	client.passed(2 * MiB)
	first.kill()
	b.serveHere(order{Addr: "10.77.0.2:4433", Secret: secret})
	if r := client.try(order{Do: "wait"}); !r.Lost {
		t.Errorf("the upload ended with %q, want a stateless reset", r.Error)
	}
	client.do(order{Do: "dial", Addr: "10.77.0.2:4433"})
	client.do(order{Do: "put", Bytes: MiB})
	client.wantSum(MiB)
}

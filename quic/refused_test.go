package quic

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// closedPort is an address on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	e, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return e.Addr().String()
}

func needRefusals(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("this system does not tell which datagram was refused")
	}
}

// patientConfig does not let a handshake time out: only a refusal ends it.
func patientConfig() *Config { return &Config{HandshakeTimeout: time.Hour, MaxIdleTimeout: time.Hour} }

func TestDialToAClosedPortIsRefused(t *testing.T) {
	needRefusals(t)
	addr := closedPort(t)
	shared, err := NewEndpoint("[::]:0", nil) // dual stack
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	for name, dial := range map[string]func() (*Conn, error){
		"own socket":    func() (*Conn, error) { return Dial(context.Background(), addr, clientTLS(), patientConfig()) },
		"shared socket": func() (*Conn, error) { return shared.Dial(context.Background(), addr, clientTLS(), patientConfig()) },
	} {
		_, err := dial()
		var d *DialError
		if !errors.As(err, &d) || !errors.Is(err, ErrRefused) || !errors.Is(err, syscall.ECONNREFUSED) || d.Answered || d.Timeout() {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(err.Error(), "nobody listens on UDP port") {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v after %v", name, err, d.After)
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if len(shared.dials) > 0 {
		t.Errorf("%d connections are still watched", len(shared.dials))
	}
}

// TestARefusedAddressMakesWayForTheNext: with another address left, one refusal is enough.
func TestARefusedAddressMakesWayForTheNext(t *testing.T) {
	needRefusals(t)
	e := listen(t, nil)
	go echo(e)
	closed := netip.MustParseAddrPort(closedPort(t))
	open := netip.MustParseAddrPort(e.Addr().String())
	var tried []destination
	c, err := dialAddrs(context.Background(), "test.example:443", []netip.AddrPort{closed, open}, func(ctx context.Context, to destination) (*Conn, error) {
		tried = append(tried, to)
		conf, err := patientConfig().withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		client, err := NewEndpoint("127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		tlsConf := clientTLS()
		tlsConf.ServerName = "localhost"
		return client.dial(ctx, to, tlsConf, &conf)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tried) != 2 || tried[0].refusals != 1 || tried[1].refusals != refusals {
		t.Errorf("tried %+v", tried)
	}
	s, err := c.OpenStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	s.WriteFinal([]byte("second"))
	if got, err := io.ReadAll(s); string(got) != "second" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestRefusalsDisturbNoOtherConnection: the system reports a refusal as the error of any call on the socket.
func TestRefusalsDisturbNoOtherConnection(t *testing.T) {
	needRefusals(t)
	e := listen(t, nil)
	go echo(e)
	client, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := client.Dial(testContext(t), e.Addr().String(), clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	addr := closedPort(t)
	go func() {
		_, err := client.Dial(context.Background(), addr, clientTLS(), patientConfig())
		ended <- err
	}()
	for {
		s, err := c.OpenStream(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		s.WriteFinal([]byte("still here"))
		if got, err := io.ReadAll(s); string(got) != "still here" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, ErrRefused) {
				t.Errorf("the other dial: %v", err)
			}
			return
		default:
		}
	}
}

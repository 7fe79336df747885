package quic

import (
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/godwit-net/godwit/internal/udp"
)

// transfer uploads n bytes over c, which is connected to the other end, and returns when they have arrived.
func transfer(t *testing.T, c, other *Conn, n int) {
	t.Helper()
	arrived := make(chan int64)
	go func() {
		s, err := other.AcceptStream(t.Context())
		if err != nil {
			t.Error(err)
			arrived <- 0
			return
		}
		got, _ := io.Copy(io.Discard, s)
		arrived <- got
	}()
	s, err := c.OpenUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteFinal(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if got := <-arrived; got != int64(n) {
		t.Fatalf("%d bytes arrived of %d", got, n)
	}
}

func TestDatagramsGrowAndAreMarked(t *testing.T) {
	for _, c := range []struct {
		name string
		conf Config
		size int
		ecn  string
	}{
		{"by default", Config{}, 1452, "capable"},
		{"jumbo frames", Config{MaxDatagramSize: 9000}, 9000, "capable"},
		{"neither", Config{MaxDatagramSize: 1200, ECN: NoECN}, 1200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := pair(t, &c.conf, nil)
			transfer(t, client, server, 8<<20)
			s := client.Stats()
			if s.DatagramSize != c.size {
				t.Errorf("datagrams of %d bytes, want %d", s.DatagramSize, c.size)
			}
			if client.ep.sock.Features().ECN && s.ECN != c.ecn {
				t.Errorf("the path is %q, want %q", s.ECN, c.ecn)
			}
		})
	}
}

func TestAnInterfaceThatRefusesDatagramsIsBelieved(t *testing.T) {
	client, server := pair(t, nil, nil)
	transfer(t, client, server, 1<<20)
	size := client.Stats().DatagramSize
	if size != 1452 {
		t.Fatalf("datagrams of %d bytes", size)
	}
	client.mu.Lock()
	for client.sending { // its token holder composes; wait for it to put the token down
		client.sent.wait(&client.mu, t.Context().Done())
	}
	client.mu.Unlock()
	client.tooLong(size)
	if got := client.Stats().DatagramSize; got != 1200 {
		t.Errorf("after a refusal datagrams have %d bytes", got)
	}
	transfer(t, client, server, 1<<20)
}

func TestPathKnobsAreChecked(t *testing.T) {
	for _, c := range []Config{{MaxDatagramSize: 1199}, {MaxDatagramSize: 9001}, {MaxDatagramSize: -1}, {ECN: NoECN + 1}} {
		if _, err := c.withDefaults(); err == nil || !strings.HasPrefix(err.Error(), "quic: Config.") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestRefusedDatagramsAreTheirConnections(t *testing.T) {
	e := listen(t, nil)
	client, _ := pair(t, nil, nil)
	o := newOutbox()
	defer o.free()
	long := udp.Message{Payload: make([]byte, 1<<17), Segment: 1 << 17, Remote: e.sock.LocalAddr()}
	o.msgs = append(o.msgs, long, long)
	o.via = append(o.via, netip.AddrPort{}, netip.AddrPort{})
	o.from = append(o.from, client, nil)
	client.mu.Lock()
	client.again = false
	client.mu.Unlock()
	e.send(o)
	client.mu.Lock()
	defer client.mu.Unlock()
	if !client.again {
		t.Error("nobody told the connection")
	}
}

package udp

import (
	"bytes"
	"net/netip"
	"testing"
)

// closedPort is an address on which nobody listens.
func closedPort(t *testing.T, ip string) netip.AddrPort {
	s := open(t, ip, Config{})
	addr := s.LocalAddr()
	s.Close()
	return addr
}

func TestRefusalsAreTold(t *testing.T) {
	for _, c := range []struct{ name, bind, closed string }{
		{"IPv4", "127.0.0.1", "127.0.0.1"},
		{"IPv6", "::1", "::1"},
		{"IPv4 from a dual-stack socket", "::", "127.0.0.1"},
		{"IPv6 from a dual-stack socket", "::", "::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := open(t, c.bind, Config{})
			if !client.Features().RecvMmsg {
				t.Skip("the kernel has no batched calls")
			}
			gone := closedPort(t, c.closed)
			r := client.NewReader()
			client.WatchRefusals(true)
			long := bytes.Repeat([]byte("a datagram to nobody "), 50)
			send(t, client, Message{Payload: long, Remote: gone})
			msgs, err := r.Read()
			if err != nil || len(msgs) > 0 {
				t.Fatalf("%d messages, %v", len(msgs), err)
			}
			if got := r.Refused(); len(got) != 1 || got[0].Remote != gone || !bytes.Equal(got[0].Quote, long[:maxQuote]) {
				t.Fatalf("refused: %v, want %v", got, gone)
			}
		})
	}
}

// TestRefusalsCostOthersNothing: the kernel reports a refusal as the error of whatever call comes next.
func TestRefusalsCostOthersNothing(t *testing.T) {
	client, server := open(t, "127.0.0.1", Config{}), open(t, "127.0.0.1", Config{})
	if !client.Features().RecvMmsg {
		t.Skip("the kernel has no batched calls")
	}
	gone := closedPort(t, "127.0.0.1")
	client.WatchRefusals(true)
	var msgs []Message
	for i := range 20 {
		msgs = append(msgs, Message{Payload: []byte{1, byte(i)}, Remote: gone}, Message{Payload: []byte{2, byte(i)}, Remote: server.LocalAddr()})
	}
	send(t, client, msgs...)
	for i, m := range receive(t, server.NewReader(), 20) {
		if !bytes.Equal(m.Payload, []byte{2, byte(i)}) {
			t.Fatalf("message %d is %x", i, m.Payload)
		}
	}
	if n := client.Stats().Dropped; n > 0 {
		t.Errorf("%d were dropped", n)
	}
	r := client.NewReader()
	for told := 0; told < 20; told += len(r.Refused()) {
		if _, err := r.Read(); err != nil {
			t.Fatal(err)
		}
	}
	client.WatchRefusals(false)
	send(t, client, Message{Payload: []byte("unheard"), Remote: gone})
	send(t, server, Message{Payload: []byte("heard"), Remote: client.LocalAddr()})
	got, err := r.Read()
	if err != nil || len(got) != 1 || string(got[0].Payload) != "heard" || len(r.Refused()) > 0 {
		t.Errorf("%v, %v, refused %v", got, err, r.Refused())
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	client := open(t, "127.0.0.1", Config{})
	if !client.Features().RecvMmsg {
		t.Skip("the kernel has no batched calls")
	}
	gone := closedPort(t, "127.0.0.1")
	client.WatchRefusals(true)
	const sent = 3*maxRefusals + 1
	for range sent {
		send(t, client, Message{Payload: []byte("nobody"), Remote: gone})
	}
	r := client.NewReader()
	for told := 0; told < sent; told += len(r.Refused()) {
		if _, err := r.Read(); err != nil || len(r.Refused()) > maxRefusals {
			t.Fatalf("%d refusals at once, %v", len(r.Refused()), err)
		}
	}
}

package hostile

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// Two servers with one secret take each other for a client: whatever one of them says is sent to the other, from an address at which
// the other's answers go back. Resets answer resets until they are too short, and nothing answers Version Negotiation.
func TestServersDoNotAnswerEachOtherForEver(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	servers := [2]victim{serve(t, godwit(t), "--secret", secret), serve(t, godwit(t), "--secret", secret)}
	if !servers[0].ours() {
		t.Skip("needs two servers of ours")
	}
	hello, err := newClient(servers[0].addr, netip.Addr{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer hello.close()
	hello.src = randomID(20) // long enough for a client's first destination
	first := hello.packet(wire.InitialSpace, append(wire.AppendCryptoHeader(nil, 0, len(hello.hello)), hello.hello...))
	for _, c := range []struct {
		sentence string
		packet   []byte
		most     int // datagrams that the servers say to each other
		must     bool
	}{
		{"a packet of no connection", randomShort(1472), 23, true}, // 43 bytes, and each time one less, to 21
		{"a packet of an unknown version", strange(randomID(8), randomID(8), 0x1a2a3a4a, 1200), 1, true},
		{"one with IDs as long as can be", strange(randomID(20), randomID(20), 0xfaceb00c, 1472), 1, true},
		{"a Version Negotiation packet", wire.AppendVersionNegotiation(nil, 0xff, []byte("12345678"), []byte("12345678"), []uint32{1, 2}), 0, false},
		{"a Retry packet", append(wire.AppendRetry(nil, []byte("12345678"), []byte("12345678"), make([]byte, 1200)), make([]byte, 16)...), 0, false},
		{"a first packet, to which the one says more than the other understands", first, 60, true},
	} {
		if n := volley(t, servers, c.packet, c.most, c.must); n > c.most || c.must && n == 0 {
			t.Errorf("%s: %d datagrams or more, at most %d", c.sentence, n, c.most)
		} else {
			t.Logf("%s: %d datagrams", c.sentence, n)
		}
	}
}

// volley sends packet to the first server and passes on what they say to each other, as long as it is not more than most. It
// returns how many datagrams that were. Where there has to be an answer it waits for it.
func volley(t *testing.T, servers [2]victim, packet []byte, most int, must bool) (n int) {
	var conns [2]*net.UDPConn
	for i := range conns {
		c, err := open(servers[i].addr, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	conns[0].Write(packet)
	for silent := 0; n <= most && (silent < 2 || must && n == 0 && silent < 60); {
		silent++
		for i, from := range conns {
			if b := next(from, 150*time.Millisecond); b != nil {
				silent = 0
				n++
				conns[1-i].Write(b)
			}
		}
	}
	return n
}

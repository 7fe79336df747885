package quic

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/engine"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/udp"
	"github.com/godwit-net/godwit/internal/wire"
)

func TestAServerMayWantEveryAddressProved(t *testing.T) {
	for _, c := range []struct {
		sentence string
		when     AddressValidation
		retries  bool
	}{
		{"always", ValidateAlways, true},
		{"never", ValidateNever, false},
		{"not while nobody attacks", ValidateAuto, false},
	} {
		e := listen(t, &Config{AddressValidation: c.when, Logger: quiet()})
		client := dial(t, e, nil)
		s, err := e.Accept(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		streams(t, client, s)
		if n := e.Stats().Dropped[engine.AnswerRetry]; (n > 0) != c.retries {
			t.Errorf("%s: %d Retry packets", c.sentence, n)
		}
	}
}

func TestATokenSparesTheRetry(t *testing.T) {
	// Rules: 9000:8.1.3/6
	e := listen(t, &Config{AddressValidation: ValidateAlways, Logger: quiet()})
	conf := &Config{TokenStore: NewTokenStore(0)}
	first := int64(0) // a first flight of several datagrams is answered as often
	for i := range 5 {
		c := dial(t, e, conf)
		eventually(t, "a token comes", func() bool { return conf.TokenStore.len() == 1 })
		c.Close()
		n := e.Stats().Dropped[engine.AnswerRetry]
		if i == 0 {
			first = n
		}
		if n == 0 || n != first {
			t.Errorf("%d Retry packets for %d connections", n, i+1)
		}
	}
}

func TestATokenGoesToTheServerThatGaveIt(t *testing.T) {
	// Rules: 9000:8.1.3/7
	// RFC 9000, section 8.1.3: "A client MUST NOT include a token that is not applicable to the server that it is connecting to, unless
	// the client has the knowledge that the server that issued the token and the server the client is connecting to are jointly
	// managing the tokens."
	conf := &Config{TokenStore: NewTokenStore(0)}
	always := &Config{AddressValidation: ValidateAlways, Logger: quiet()}
	a, b := listen(t, always), listen(t, always)
	for i, e := range []*Endpoint{a, b} {
		dial(t, e, conf)
		eventually(t, "each server's token is kept by itself", func() bool { return conf.TokenStore.len() == i+1 })
	}
	other := clientTLS()
	other.ServerName, other.InsecureSkipVerify = "other.example", true
	c, err := Dial(testContext(t), a.Addr().String(), other, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "so is that of another name for the same server", func() bool { return conf.TokenStore.len() == 3 })
}

// forged is the first datagram of the i-th client that is not there.
func forged(i int) udp.Message {
	dst := []byte{byte(i >> 8), byte(i), 3, 4, 5, 6, 7, 8}
	b, at := wire.AppendLongHeader(nil, wire.LongHeader{
		Type: wire.PacketInitial, Version: wire.Version1, DstID: dst, SrcID: []byte("client")}, 0, 1)
	off := len(b) - 1
	b = append(wire.AppendCryptoHeader(b, 5, 1), 1) // a ClientHello with a gap: the handshake waits for the rest
	b = append(b, make([]byte, wire.MinInitialSize-seal.Overhead-len(b))...)
	wire.SetLength(b, at, len(b)-off+seal.Overhead)
	client, _ := seal.Initial(dst)
	b = client.Seal(append(b, make([]byte, seal.Overhead)...)[:len(b)], off, 1, 0)
	addr := netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)})
	return udp.Message{Payload: b, Remote: netip.AddrPortFrom(addr, 9)}
}

// Initial packets that are not authentic begin nothing, and do not stand in the way of those that are.
func TestForgedInitialPacketsCostNoConnection(t *testing.T) {
	const count = 1000
	e := listen(t, nil)
	for i := range count / 50 {
		msgs := make([]udp.Message, 50)
		for j := range msgs {
			msgs[j] = forged(i*50 + j)
			msgs[j].Payload[600+j] ^= 1
		}
		e.receive(clock(), &intake{sock: e.sock}, msgs)
	}
	s := e.Stats()
	if s.Open != 0 || s.HandshakesFailed != 0 || s.Dropped[engine.DropForged] != count {
		t.Errorf("%+v", s)
	}
	e.mu.Lock()
	if e.halfOpen != 0 || len(e.conns) != 0 || e.demux.Len() != 0 || e.workers != 0 {
		t.Errorf("%d handshakes, %d connections, %d IDs, %d workers", e.halfOpen, len(e.conns), e.demux.Len(), e.workers)
	}
	e.mu.Unlock()
	genuine := forged(7) // and to the same ID
	e.receive(clock(), &intake{sock: e.sock}, []udp.Message{genuine})
	if n := e.Stats().Open; n != 1 {
		t.Errorf("%d connections for an authentic packet", n)
	}
}

// 10,000 Initial packets from addresses that nobody is at, each of which would begin a connection.
func TestClientsProveTheirAddressInAFlood(t *testing.T) {
	const attempts, batch = 10_000, 50
	// However long this machine takes, no handshake ends meanwhile and makes room for another that proves nothing.
	e := listen(t, &Config{HandshakeTimeout: time.Hour, MaxIdleTimeout: time.Hour})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range attempts / batch {
		msgs := make([]udp.Message, batch)
		for j := range msgs {
			msgs[j] = forged(i*batch + j)
		}
		e.receive(clock(), &intake{sock: e.sock}, msgs)
	}
	open := e.Stats().Open
	if open != engine.MaxUnvalidated {
		t.Errorf("%d connections began", open)
	}
	if n := e.Stats().Dropped[engine.AnswerRetry]; n != attempts-engine.MaxUnvalidated {
		t.Errorf("%d of %d were answered with Retry", n, attempts)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("the flood holds %d KiB", held>>10)
	if held > 32<<20 {
		t.Errorf("the flood holds %d KiB", held>>10)
	}
	client := dial(t, e, nil)
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	streams(t, client, s)
	if n := e.Stats().Dropped[engine.AnswerRetry]; n <= attempts-engine.MaxUnvalidated {
		t.Error("the one who means it came in without a Retry")
	}
}

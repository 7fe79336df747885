package engine

import (
	"bytes"
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// A forged Initial packet costs what telling it from an authentic one costs, its keys, and is forgotten. What a connection
// costs is for comparison.
func TestAForgedInitialPacketCostsNoConnection(t *testing.T) {
	a := Acceptor{Server: true}
	genuine := firstInitial("original", "", true)
	forged := bytes.Clone(genuine)
	forged[1000] ^= 1
	reply, buf := make([]byte, 1200), make([]byte, 1200)
	in := Path{Local: serverAddr, Remote: clientAddr}
	judge := func(datagram []byte) Verdict {
		copy(buf, datagram)
		return a.Receive(1e9, Datagram{Payload: buf, Path: in}, reply, 3)
	}
	drop := testing.AllocsPerRun(100, func() {
		if v := judge(forged); v.Kind != Drop || v.Reason != DropForged {
			t.Fatalf("%+v", v)
		}
	})
	config := &Config{TLS: serverTLS()}
	begin := testing.AllocsPerRun(100, func() {
		v := judge(genuine)
		c, err := NewServer(1e9, config, v.Incoming)
		if err != nil {
			t.Fatal(err)
		}
		c.Receive(1e9, Datagram{Payload: buf, Path: in})
	})
	if t.Logf("a forged packet: %v allocations, a connection: %v", drop, begin); drop > 5 || drop > begin/5 {
		t.Errorf("a forged packet: %v allocations, a connection: %v", drop, begin)
	}
	if a.spent.young != nil {
		t.Error("something is kept")
	}
}

// The keys that the Acceptor derived are the connection's, and the packet that it opened is not opened again, nor another in
// its place.
func TestAConnectionTakesWhatTheAcceptorHasOpened(t *testing.T) {
	begin := func() (*Conn, []byte) {
		a, first := Acceptor{Server: true}, firstInitial("original", "", true)
		path := Path{Local: serverAddr, Remote: clientAddr}
		v := a.Receive(1e9, Datagram{Payload: first, Path: path}, make([]byte, 1200), 3)
		c, err := NewServer(1e9, &Config{TLS: serverTLS()}, v.Incoming)
		if err != nil {
			t.Fatal(err)
		}
		if c.spaces[wire.InitialSpace].read != v.Incoming.first.keys {
			t.Error("keys are derived twice")
		}
		return c, first
	}
	c, first := begin()
	c.Receive(1e9, Datagram{Payload: bytes.Clone(first), Path: c.path.Path})
	if n := c.Stats().PacketsReceived; n != 1 {
		t.Errorf("of the datagram %d packets are taken", n)
	}
	c.Receive(1e9, Datagram{Payload: bytes.Clone(first), Path: c.path.Path})
	if n := c.Stats().PacketsReceived; n != 1 {
		t.Error("what is decrypted is taken twice")
	}
	c, first = begin()
	first[len(first)-1] ^= 1
	c.Receive(1e9, Datagram{Payload: first, Path: c.path.Path})
	if n := c.Stats().PacketsReceived; n != 0 || c.Err() == nil {
		t.Error("another packet is taken for it")
	}
}

func BenchmarkForgedInitial(b *testing.B) {
	a := Acceptor{Server: true}
	forged, reply, buf := firstInitial("original", "", true), make([]byte, 1200), make([]byte, 1200)
	forged[1000] ^= 1
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, forged)
		a.Receive(1e9, Datagram{Payload: buf, Path: Path{Remote: clientAddr}}, reply, 3)
	}
}

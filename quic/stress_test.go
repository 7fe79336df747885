package quic

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAnythingGoes lets many goroutines use, abuse and close streams and connections at once. What is checked is that
// every call comes back, that nothing panics, and that nothing is left at the end.
func TestAnythingGoes(t *testing.T) {
	server := listen(t, &Config{MaxStreams: 8, Windows: Windows{StreamWindow: 32 << 10, ConnWindow: 64 << 10}})
	go func() {
		for {
			c, err := server.Accept(testContext(t))
			if err != nil {
				return
			}
			c.HandleStreams(func(s *Stream) { abuse(s, uint64(s.ID())) })
		}
	}()
	client, err := NewEndpoint("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			c, err := client.Dial(testContext(t), server.Addr().String(), clientTLS(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			var streams sync.WaitGroup
			for j := range 40 {
				streams.Go(func() {
					s, err := c.OpenStream(testContext(t))
					if err != nil {
						return
					}
					abuse(s, uint64(100*i+j))
				})
			}
			if i%3 == 0 {
				c.CloseWithError(uint64(i), "in the middle of it")
			}
			streams.Wait()
			c.Close()
		})
	}
	all.Wait()
	for _, e := range []*Endpoint{client, server} {
		e.Close()
		if s := e.Stats(); s.Open != 0 || s.Panicked != 0 {
			t.Errorf("left: %+v", s)
		}
	}
}

// abuse does a random but repeatable sequence of things to a stream, and ends both parts of it.
func abuse(s *Stream, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 48<<10)
	for range 1 + r.IntN(12) {
		switch r.IntN(9) {
		case 0, 1, 2:
			s.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			s.Write(buf[:r.IntN(len(buf))])
		case 3, 4, 5:
			s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			s.Read(buf[:r.IntN(len(buf))])
		case 6:
			s.AfterReadable(func() {})
		case 7:
			s.Context().Err()
		case 8:
			switch r.IntN(4) {
			case 0:
				s.Reset(1)
			case 1:
				s.StopReading(2)
			case 2:
				s.Close()
			case 3:
				s.SetDeadline(time.Now())
			}
		}
	}
	s.SetDeadline(time.Time{})
	s.Close()
	s.StopReading(3)
}

// A relay is a NAT between a client and a server: it can forget its binding, and lose datagrams.
type relay struct {
	inside  *net.UDPConn // what the client talks to
	client  atomic.Pointer[net.UDPAddr]
	outside atomic.Pointer[net.UDPConn] // what the server sees
	server  *net.UDPAddr
	every   int // one datagram in so many is lost, at random, in each direction; 0: none
}

func newRelay(t *testing.T, server net.Addr, every int) *relay {
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	inside, err := net.ListenUDP("udp", local)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{inside: inside, server: server.(*net.UDPAddr), every: every}
	t.Cleanup(func() { inside.Close() })
	r.rebind(t)
	go func() {
		b := make([]byte, 64<<10)
		for loss := r.loss(1); ; {
			n, from, err := inside.ReadFromUDP(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			r.client.Store(from)
			if !loss() {
				r.outside.Load().WriteToUDP(b[:n], r.server)
			}
		}
	}()
	return r
}

// loss says of one datagram after another whether it gets lost. Strict turns would not do: they can fall into step with
// the probes, and lose every acknowledgment there is.
func (r *relay) loss(seed uint64) func() bool {
	dice := rand.New(rand.NewPCG(seed, 2))
	return func() bool { return r.every > 0 && dice.IntN(r.every) == 0 }
}

// rebind takes a new port towards the server; what still comes to the old one is lost.
func (r *relay) rebind(t *testing.T) {
	outside, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outside.Close() })
	if old := r.outside.Swap(outside); old != nil {
		old.Close()
	}
	go func() {
		b := make([]byte, 64<<10)
		for loss := r.loss(2); ; {
			n, _, err := outside.ReadFromUDP(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if n > 0 && !loss() {
				r.inside.WriteToUDP(b[:n], r.client.Load())
			}
		}
	}()
}

func TestConnectionFollowsItsClientToAnotherPort(t *testing.T) {
	e := listen(t, nil)
	nat := newRelay(t, e.Addr(), 0)
	c, err := Dial(testContext(t), nat.inside.LocalAddr().String(), clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := e.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := streams(t, c, s)
	before := s.RemoteAddr().String()
	nat.rebind(t)
	if _, err := ours.WriteFinal([]byte("I have moved")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(theirs); string(got) != "I have moved" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := theirs.WriteFinal([]byte("noted")); err != nil {
		t.Fatal(err)
	}
	ours.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(ours); string(got) != "noted" || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q, %v", got, err)
	}
	if after := s.RemoteAddr().String(); after == before || after != nat.outside.Load().LocalAddr().String() {
		t.Errorf("the server sends to %s, the client is at %v", after, nat.outside.Load().LocalAddr())
	}
	if n := s.Stats().PathChanges; n != 1 {
		t.Errorf("%d path changes", n)
	}
}

func TestTransfersSurviveLoss(t *testing.T) {
	for _, every := range []int{5, 20, 100} {
		e := listen(t, nil)
		go echo(e)
		nat := newRelay(t, e.Addr(), every)
		c, err := Dial(testContext(t), nat.inside.LocalAddr().String(), clientTLS(), nil)
		if err != nil {
			t.Fatalf("one in %d lost: %v", every, err)
		}
		s, err := c.OpenStream(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		want := randomBytes(256 << 10)
		go s.WriteFinal(want)
		if got, err := io.ReadAll(s); !bytes.Equal(got, want) || err != nil {
			t.Errorf("one in %d lost: %d bytes came back of %d, %v", every, len(got), len(want), err)
		}
		if lost := c.Stats().PacketsLost; lost == 0 && every < 100 {
			t.Errorf("one in %d lost, and nobody noticed", every)
		}
		c.Close()
	}
}

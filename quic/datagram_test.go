package quic

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

func taking() *Config { return &Config{Protocol: Protocol{Datagrams: true}} }

func TestDatagramsArriveWhole(t *testing.T) {
	c, s := pair(t, taking(), taking())
	ctx := testContext(t)
	for _, dir := range []struct{ from, to *Conn }{{c, s}, {s, c}} {
		for _, p := range [][]byte{[]byte("hello"), {}, bytes.Repeat([]byte{7}, dir.from.MaxDatagramSize())} {
			if err := dir.from.SendDatagram(p); err != nil {
				t.Fatal(err)
			}
			if got, err := dir.to.ReceiveDatagram(ctx); err != nil || !bytes.Equal(got, p) {
				t.Errorf("%d bytes arrive as %d, %v", len(p), len(got), err)
			}
		}
	}
	if n, err := c.SendDatagrams([][]byte{[]byte("one"), []byte("two")}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	into := make([][]byte, 8)
	for got := 0; got < 2; {
		n, err := s.ReceiveDatagrams(ctx, into)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
}

func TestDatagramsThatCannotBeSent(t *testing.T) {
	c, s := pair(t, taking(), nil)
	if err := c.SendDatagram([]byte("x")); !errors.Is(err, ErrNoDatagrams) || c.MaxDatagramSize() != 0 {
		t.Errorf("to a peer that takes none: %v", err)
	}
	if err := s.SendDatagram(make([]byte, 65536)); !errors.Is(err, ErrDatagramTooLarge) {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.ReceiveDatagram(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is done: %v", err)
	}
	s.CloseWithError(7, "")
	var end *ApplicationError
	if _, err := c.ReceiveDatagram(testContext(t)); !errors.As(err, &end) || end.Code != 7 {
		t.Errorf("the end of the connection: %v", err)
	}
	if err := c.SendDatagram([]byte("x")); !errors.As(err, &end) {
		t.Errorf("after it: %v", err)
	}
}

func TestDatagramsAreCounted(t *testing.T) {
	c, s := pair(t, taking(), taking())
	if err := c.SendDatagram(make([]byte, 65536)); !errors.Is(err, ErrDatagramTooLarge) {
		t.Fatal(err)
	}
	const sent = 1000
	list := make([][]byte, sent) // more than a queue holds, all at once
	for i := range list {
		list[i] = make([]byte, 100)
	}
	if n, err := c.SendDatagrams(list); n != sent || err != nil {
		t.Fatal(n, err)
	}
	ours := c.Stats
	eventually(t, "every datagram has been sent or dropped", func() bool {
		d := ours().Datagrams
		return d.Sent+d.DroppedSending == sent
	})
	if d := ours().Datagrams; d.TooLarge != 1 || d.DroppedSending < sent/2 || c.ep.Stats().Datagrams != d {
		t.Errorf("the connection says %+v, its endpoint %+v", d, c.ep.Stats().Datagrams)
	}
	taken := int64(0)
	eventually(t, "each that was received is taken or dropped, and counted", func() bool {
		n, err := s.ReceiveDatagrams(testContext(t), make([][]byte, 300))
		if err != nil {
			t.Fatal(err)
		}
		taken += int64(n)
		d := s.Stats().Datagrams
		return d.Received == taken+d.DroppedReceiving && d.Received <= ours().Datagrams.Sent && s.ep.Stats().Datagrams == d
	})
}

// TestDatagramsAllocateNothing counts the allocations of both ends, their readers included.
func TestDatagramsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	c, s := pair(t, taking(), taking())
	ctx := testContext(t)
	list, into := make([][]byte, 64), make([][]byte, 64)
	for i := range list {
		list[i] = make([]byte, 1000)
	}
	there := func(from, to *Conn) {
		if n, err := from.SendDatagrams(list); n != len(list) || err != nil {
			t.Fatal(n, err)
		}
		// The first that come answer: those that are lost are not waited for.
		if _, err := to.ReceiveDatagrams(ctx, into); err != nil {
			t.Fatal(err)
		}
	}
	exchange := func() { there(c, s); there(s, c) }
	for range 300 {
		exchange()
	}
	before := c.Stats().Datagrams.Sent
	if n := allocates(exchange); n > 0 {
		t.Errorf("%v allocations for two batches of %d datagrams, there and back", n, len(list))
	}
	if sent := c.Stats().Datagrams.Sent - before; sent < 300 {
		t.Errorf("only %d datagrams were sent", sent)
	}
}

// AfterDatagram calls when there is something to take, whether it comes before or after, and at the end.
func TestAfterDatagram(t *testing.T) {
	c, s := pair(t, taking(), taking())
	if !c.TakesDatagrams() {
		t.Error("they are not taken")
	}
	ready := make(chan bool, 1)
	for range 3 {
		c.AfterDatagram(func() { t.Error("a function that was replaced is called") })
		c.AfterDatagram(func() { ready <- true })
		s.SendDatagram([]byte("x"))
		<-ready
		c.AfterDatagram(func() { ready <- true }) // it is still there
		<-ready
		if p, err := c.ReceiveDatagram(t.Context()); err != nil || string(p) != "x" {
			t.Fatal(p, err)
		}
	}
	c.AfterDatagram(func() { ready <- true })
	c.Close()
	<-ready
}

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

package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	quicgoquic "github.com/quic-go/quic-go"

	"github.com/godwit-net/godwit/quic"
)

// Resets that deliver the beginning of a stream (RESET_STREAM_AT), with quic-go: more is promised than any window holds at first, and
// the reset is on its way before it is read.

const resetCode = 42

func promised() []byte { return bytes.Repeat([]byte("promised "), 150_000) }

// wantPromised reads a stream to its reset, and returns what the error is.
func wantPromised(t *testing.T, r io.Reader) error {
	t.Helper()
	got, err := io.ReadAll(r)
	if want := promised(); !bytes.HasPrefix(got, want) {
		t.Errorf("%d bytes were read, %d promised", len(got), len(want))
	}
	return err
}

func TestResetsThatDeliverWithQuicGo(t *testing.T) {
	conf := &quicgoquic.Config{EnableStreamResetPartialDelivery: true}
	t.Run("quic-go resets", func(t *testing.T) {
		l, err := quicgoquic.ListenAddr("127.0.0.1:0", protocol(ca.server(), "reset"), conf)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			c, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			if !c.ConnectionState().SupportsStreamResetPartialDelivery.Remote {
				t.Error("quic-go does not see that we know RESET_STREAM_AT")
			}
			s, err := c.OpenUniStreamSync(context.Background())
			if err != nil {
				return
			}
			s.Write(promised())
			s.SetReliableBoundary()
			s.CancelWrite(resetCode)
		}()
		c, err := quic.Dial(within(t, patience), l.Addr().String(), protocol(ca.client(), "reset"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.AcceptStream(within(t, patience))
		if err != nil {
			t.Fatal(err)
		}
		var reset *quic.StreamError
		if err := wantPromised(t, s); !errors.As(err, &reset) || reset.Code != resetCode || !reset.Remote {
			t.Errorf("the stream ends with %v", err)
		}
	})
	t.Run("Godwit resets", func(t *testing.T) {
		e, err := quic.Listen("127.0.0.1:0", protocol(ca.server(), "reset"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		go func() {
			c, err := e.Accept(context.Background())
			if err != nil {
				return
			}
			if !c.ResetsDeliver() {
				t.Error("we do not see that quic-go knows RESET_STREAM_AT")
			}
			s, err := c.OpenUniStream(context.Background())
			if err != nil {
				return
			}
			s.Write(promised())
			s.SetReliableBoundary()
			s.Reset(resetCode)
		}()
		c, err := quicgoquic.DialAddr(within(t, patience), e.Addr().String(), protocol(ca.client(), "reset"), conf)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseWithError(0, "")
		s, err := c.AcceptUniStream(within(t, patience))
		if err != nil {
			t.Fatal(err)
		}
		var reset *quicgoquic.StreamError
		if err := wantPromised(t, s); !errors.As(err, &reset) || reset.ErrorCode != resetCode || !reset.Remote {
			t.Errorf("the stream ends with %v", err)
		}
	})
	t.Run("quic-go does not know it", func(t *testing.T) {
		e, err := quic.Listen("127.0.0.1:0", protocol(ca.server(), "reset"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		c, err := quicgoquic.DialAddr(within(t, patience), e.Addr().String(), protocol(ca.client(), "reset"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseWithError(0, "")
		ours, err := e.Accept(within(t, patience))
		if err != nil {
			t.Fatal(err)
		}
		s, err := ours.OpenUniStream(within(t, patience))
		if err != nil || ours.ResetsDeliver() {
			t.Fatalf("%v; it is taken to know RESET_STREAM_AT: %v", err, ours.ResetsDeliver())
		}
		s.Write([]byte("x"))
		s.SetReliableBoundary()
		s.Reset(resetCode)
		theirs, err := c.AcceptUniStream(within(t, patience))
		if err != nil {
			t.Fatal(err)
		}
		var reset *quicgoquic.StreamError
		if _, err := io.ReadAll(theirs); !errors.As(err, &reset) || reset.ErrorCode != resetCode {
			t.Errorf("the stream ends with %v", err)
		}
	})
}

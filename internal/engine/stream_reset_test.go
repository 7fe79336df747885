package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

func TestNothingFollowsAReset(t *testing.T) {
	// Rules: 9000:3.3/2
	// RFC 9000, section 3.3: a sender MUST NOT send a STREAM frame "after sending a RESET_STREAM frame". The stream stands
	// in the queue of those with data when it is reset, as the congestion window was full.
	x := newExchange(t, false).handshake()
	id := x.open()
	x.conn.Write(x.now, id, make([]byte, 60<<10))
	x.drain()
	if x.conn.streams.data.n != 1 {
		t.Fatal("all of it went out at once; the story needs a stream that waits")
	}
	sent := x.conn.streams.byID[id].send.next
	x.conn.Reset(x.now, id, 4)
	x.queue = nil
	for range 10 {
		x.advance(20 * time.Millisecond)
		x.ack(wire.AppSpace)
	}
	for i, f := range x.queue {
		if strings.HasPrefix(f.text, "stream") {
			t.Errorf("it sent %s", f.text)
		}
		if strings.HasPrefix(f.text, "reset_stream") && (i == 0 || f.text != x.queue[0].text) {
			if want := "reset_stream 0 code=0x4 size=" + itoa(sent); f.text != want {
				t.Errorf("it sent %s, want %s", f.text, want)
			}
		}
	}
	x.wantAmong("the reset names what was sent", "reset_stream 0 code=0x4 size="+itoa(sent))
}

func itoa(n int64) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func TestAcknowledgedBytesAreNotRepeatedAsAnEmptyFrame(t *testing.T) {
	// Rules: 9000:13.3/6
	// Bytes thought lost stand in the queue again when the acknowledgment comes after all.
	x := newExchange(t, false).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abc"))
	x.drain()
	s := x.conn.streams.byID[id]
	x.conn.settleStream(s, x.queue[0].number, &fact, recovery.Probed)
	if s.queued&inDataQueue == 0 {
		t.Fatal("it does not stand in the queue")
	}
	s.send.settleData(&x.conn.pool, x.queue[0].number, fact, recovery.Acked)
	x.queue = nil
	x.drain()
	x.wantNothing("there is nothing to say")
}

var fact = recovery.Fact{Kind: factStream, ID: 0, Start: 0, End: 3}

func TestBytesWrittenAtTheLimitAreAnnouncedAsBlocked(t *testing.T) {
	// Rules: 9000:4.1/4, 9000:19.13/1
	// RFC 9000, section 4.1: "A sender SHOULD send a STREAM_DATA_BLOCKED or DATA_BLOCKED frame to indicate to the receiver
	// that it has data to write but is blocked by flow control limits."
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) {
		p.InitialMaxStreamDataBidiRemote, p.InitialMaxStreamDataUni = 10, 0
	})).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("0123456789"))
	x.drain()
	x.want("what the limit allows goes", wire.AppSpace, "stream 0 [0,10)")
	x.wantNothing("and that was all there is")
	x.conn.Write(x.now, id, []byte("a"))
	x.drain()
	x.want("a byte more, and the peer hears of it", wire.AppSpace, "stream_data_blocked 0 10")
	x.conn.Write(x.now, id, []byte("b"))
	x.drain()
	x.wantNothing("once for each limit")

	id, _ = x.conn.Open(x.now, true)
	x.conn.Write(x.now, id, []byte("a"))
	x.conn.Finish(x.now, id)
	x.drain()
	x.want("a stream may be blocked from the start", wire.AppSpace, "stream_data_blocked 2 0")
}

func TestResetOfAStreamThatIsAllHereIsIgnored(t *testing.T) {
	// RFC 9000, section 3.2, of a RESET_STREAM after all data: "An implementation is free to manage this situation as it
	// chooses."
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", true))
	x.receive(wire.AppSpace, wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 1, FinalSize: 3}))
	x.wantRead("every byte is read", 0, "abc", true)
}

func TestFramesAfterAResetAreHarmless(t *testing.T) {
	// Rules: 9000:4.5/1, 9000:4.5/3
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false))
	x.receive(wire.AppSpace, wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 1, FinalSize: 6}))
	x.receive(wire.AppSpace, streamFrame(0, 3, "def", true), streamFrame(0, 0, "abc", false))
	x.receive(wire.AppSpace, wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 2, FinalSize: 6}))
	if x.conn.Err() != nil {
		t.Fatal(x.conn.Err())
	}
	if _, _, err := x.read64(0); err == nil || err.(*StreamError).Code != 1 {
		t.Errorf("Read says %v", err)
	}
	if got := x.conn.flow.received; got != 6 {
		t.Errorf("the stream counts as %d bytes", got)
	}
	x.receive(wire.AppSpace, streamFrame(0, 6, "g", false))
	x.wantClose("a byte beyond the final size", wire.FinalSizeError)
}

func TestStoppedBytesCountAndGiveTheWindowBack(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.conn.config.StreamWindow = 1 << 16
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false))
	x.conn.Stop(x.now, 0, 1)
	x.receive(wire.AppSpace, streamFrame(0, 1000, "x", false))
	if f := &x.conn.flow; f.received != 1001 || f.consumed != 1001 {
		t.Errorf("%d bytes received, %d given back; want 1001", f.received, f.consumed)
	}
	if n := len(x.conn.streams.byID[0].recv.buf.chunks); n > 4 {
		t.Errorf("bytes that nobody will read are kept in %d chunks", n)
	}
	x.receive(wire.AppSpace, streamFrame(0, 1001, "", true))
	x.conn.Finish(x.now, 0)
	x.drain()
	x.ack(wire.AppSpace)
	x.wantEvent("with its end the stream is over", EventStreamDone)
}

func TestAStoppedStreamHasNoEnd(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false))
	for _, arrives := range []func(){
		func() { x.conn.Stop(x.now, 0, 9) },
		func() { x.receive(wire.AppSpace, streamFrame(0, 3, "d", true)) },
		func() {
			x.receive(wire.AppSpace, wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 1, FinalSize: 4}))
		},
	} {
		arrives()
		_, fin, err := x.read64(0)
		if e, ok := err.(*StreamError); !ok || fin || e.Code != 9 || e.Remote {
			t.Errorf("Read says fin=%v, %v; who stopped has not seen the end", fin, err)
		}
	}
}

func TestStopSendingAfterTheEndMakesAReset(t *testing.T) {
	// Rules: 9000:3.5/3
	x := newExchange(t, false).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abc"))
	x.conn.Finish(x.now, id)
	x.drain()
	x.want("all is sent", wire.AppSpace, "stream 0 [0,3) fin")
	x.receive(wire.AppSpace, wire.AppendStopSending(nil, wire.StopSending{ID: id, Code: 3}))
	x.want("but not acknowledged, so that a reset is better", wire.AppSpace, "reset_stream 0 code=0x3 size=3")
	x.wantEvent("the application learns", EventStreamStopped)
	x.receive(wire.AppSpace, wire.AppendStopSending(nil, wire.StopSending{ID: id, Code: 4}))
	x.wantNothing("a second request changes nothing")
}

func TestOpenBeforeTheHandshakeIsToldLater(t *testing.T) {
	x := newExchange(t, false)
	if _, ok := x.conn.Open(x.now, false); ok {
		t.Fatal("a stream is to be had before the peer has said how many")
	}
	x.playHandshake()
	x.wantEvent("with the peer's parameters there are streams", EventStreamsAvailable)
}

func TestTheWindowGrowsForAFastReader(t *testing.T) {
	x := newExchange(t, true, withConfig(func(c *Config) {
		c.StreamWindow, c.MaxStreamWindow, c.ConnWindow, c.MaxConnWindow = 4000, 16000, 6000, 24000
	})).handshake()
	for range 10 { // makes the round-trip time 50 ms
		x.conn.idle.pingDue = true
		x.drain()
		x.advance(50 * time.Millisecond)
		x.ack(wire.AppSpace)
	}
	x.receive(wire.AppSpace, streamFrame(0, 0, "", false))
	s, b := x.conn.streams.byID[0], make([]byte, 1000)
	read := func(n int, pause time.Duration) {
		for range n {
			x.receive(wire.AppSpace, streamFrame(0, s.recv.end, string(b), false))
			x.conn.Read(x.now, 0, b)
			x.drain()
			x.advance(pause)
		}
	}
	read(20, 500*time.Millisecond)
	if s.recv.window.size != 4000 {
		t.Errorf("a slow reader's window is %d", s.recv.window.size)
	}
	read(100, time.Millisecond/10)
	if s.recv.window.size != 16000 {
		t.Errorf("a fast reader's window is %d, want the largest", s.recv.window.size)
	}
	if got := x.conn.flow.window.size; got != 24000 {
		t.Errorf("the connection's window is %d, want half as much again", got)
	}
}

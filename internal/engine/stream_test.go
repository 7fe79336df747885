package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

func streamFrame(id, off int64, data string, fin bool) []byte {
	return append(wire.AppendStreamHeader(nil, wire.StreamHeader{ID: id, Offset: off, Length: len(data), Fin: fin}), data...)
}

func (x *exchange) read64(id int64) (string, bool, error) {
	b := make([]byte, 64)
	n, fin, err := x.conn.Read(x.now, id, b)
	x.drain()
	return string(b[:n]), fin, err
}

func (x *exchange) wantRead(sentence string, id int64, want string, wantFin bool) {
	x.t.Helper()
	if got, fin, err := x.read64(id); err != nil || got != want || fin != wantFin {
		x.t.Fatalf("%s: got %q fin=%v %v, want %q fin=%v", sentence, got, fin, err, want, wantFin)
	}
}

func TestStreamDataIsReadInOrder(t *testing.T) {
	// Rules: 9000:2.2/1
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 3, "def", false))
	x.wantEvent("the stream is announced", EventStreamOpened)
	x.wantRead("bytes behind a gap are not there yet", 0, "", false)
	x.receive(wire.AppSpace, streamFrame(0, 2, "cd", false))
	x.wantRead("nor are those that only narrow it", 0, "", false)
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false))
	x.wantEvent("then the gap closes", EventReadable)
	x.wantRead("and all comes at once", 0, "abcdef", false)
	x.receive(wire.AppSpace, streamFrame(0, 0, "abcdef", false), streamFrame(0, 6, "", true))
	x.wantRead("a repetition is not read twice, and the end is seen", 0, "", true)
}

func TestOpeningAStreamOpensTheLowerOnes(t *testing.T) {
	// Rules: 9000:3.2/1
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(8, 0, "x", true))
	var opened []int64
	for _, e := range x.events {
		if e.Kind == EventStreamOpened {
			opened = append(opened, e.Stream)
		}
	}
	if len(opened) != 3 || opened[0] != 0 || opened[1] != 4 || opened[2] != 8 {
		t.Fatalf("opened %v, want 0, 4, 8 in order", opened)
	}
}

func TestFinalSizeCannotChange(t *testing.T) {
	// Rules: 9000:4.5/3
	for _, c := range []struct {
		sentence string
		frames   [][]byte
	}{
		{"bytes beyond the end", [][]byte{streamFrame(0, 0, "abc", true), streamFrame(0, 3, "d", false)}},
		{"another end", [][]byte{streamFrame(0, 0, "abc", true), streamFrame(0, 0, "ab", true)}},
		{"an end before what was received", [][]byte{streamFrame(0, 0, "abc", false), streamFrame(0, 0, "ab", true)}},
		{"a reset of another size", [][]byte{streamFrame(0, 0, "abc", true),
			wire.AppendResetStream(nil, wire.ResetStream{ID: 0, FinalSize: 2})}},
		{"a reset below what was received", [][]byte{streamFrame(0, 0, "abc", false),
			wire.AppendResetStream(nil, wire.ResetStream{ID: 0, FinalSize: 2})}},
	} {
		x := newExchange(t, true).handshake()
		x.receive(wire.AppSpace, c.frames...)
		x.wantClose(c.sentence, wire.FinalSizeError)
	}
}

func TestConnectionWindowIsEnforced(t *testing.T) {
	// Rules: 9000:4.1/2, 9000:19.9/2
	x := newExchange(t, true).handshake()
	for id := int64(0); id < 3; id++ {
		// Each stream within its own window of 64 KiB, together beyond the connection's 128 KiB.
		x.receive(wire.AppSpace, streamFrame(id*4, 1<<16-1, "x", false))
	}
	x.wantClose("the third stream is too much", wire.FlowControlError)
}

func TestResetIsReadOnceAndGivesItsWindowBack(t *testing.T) {
	// Rules: 9000:4.5/1
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 5, FinalSize: 1 << 16}))
	if e := x.wantEvent("the reset is told", EventStreamReset); e.Code != 5 {
		t.Errorf("with code %d", e.Code)
	}
	x.wantAmong("what the stream reserved goes back to the connection", "max_data 196608")
	if _, _, err := x.read64(0); err == nil || err.(*StreamError).Code != 5 {
		t.Errorf("Read says %v", err)
	}
}

func TestStopSendingMakesAReset(t *testing.T) {
	// Rules: 9000:3.5/2, 9000:3.5/4
	x := newExchange(t, false).handshake()
	id, _ := x.conn.Open(x.now, false)
	x.conn.Write(x.now, id, []byte("hello"))
	x.drain()
	x.want("data goes out", wire.AppSpace, "stream 0 [0,5)")
	x.receive(wire.AppSpace, wire.AppendStopSending(nil, wire.StopSending{ID: id, Code: 8}))
	x.want("the request is met with a reset of the same code", wire.AppSpace, "reset_stream 0 code=0x8 size=5")
	if _, err := x.conn.Write(x.now, id, []byte("more")); err == nil || err.(*StreamError).Code != 8 {
		t.Errorf("Write says %v", err)
	}
}

func TestStopAsksAndForgets(t *testing.T) {
	// Rules: 9000:3.5/1
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false))
	x.conn.Stop(x.now, 0, 9)
	x.drain()
	x.want("the peer is asked to stop", wire.AppSpace, "stop_sending 0 code=0x9")
	x.conn.Reset(x.now, 0, 9)
	x.drain()
	x.want("our part is abandoned too", wire.AppSpace, "reset_stream 0 code=0x9 size=0")
	x.receive(wire.AppSpace, wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 9, FinalSize: 3}))
	x.ack(wire.AppSpace)
	x.wantEvent("with both parts ended the stream is forgotten", EventStreamDone)
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", true))
	if x.conn.Err() != nil {
		t.Errorf("a late frame of a forgotten stream: %v", x.conn.Err())
	}
}

func TestFlowControlHoldsUsBackAndSaysSo(t *testing.T) {
	// Rules: 9000:2.2/3, 9000:4.1/1, 9000:19.10/3, 9000:19.13/1
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.InitialMaxStreamDataBidiRemote = 10 })).handshake()
	id, _ := x.conn.Open(x.now, false)
	x.conn.Write(x.now, id, []byte("0123456789abcdef"))
	x.drain()
	x.want("what the limit allows goes", wire.AppSpace, "stream 0 [0,10)")
	x.want("and that it is not all", wire.AppSpace, "stream_data_blocked 0 10")
	x.receive(wire.AppSpace, wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: id, Max: 12}))
	x.want("a higher limit lets more go", wire.AppSpace, "stream 0 [10,12)")
}

func TestConnectionFlowControlHoldsUsBack(t *testing.T) {
	// Rules: 9000:2.2/3, 9000:4.1/1, 9000:19.9/1, 9000:19.12/1
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.InitialMaxData = 10 })).handshake()
	a, _ := x.conn.Open(x.now, false)
	b, _ := x.conn.Open(x.now, false)
	x.conn.Write(x.now, a, []byte("0123456"))
	x.conn.Write(x.now, b, []byte("0123456"))
	x.drain()
	x.want("the first stream goes", wire.AppSpace, "stream 0 [0,7)")
	x.want("of the second what is left", wire.AppSpace, "stream 4 [0,3)")
	x.wantAmong("the peer is told", "data_blocked 10")
	x.receive(wire.AppSpace, wire.AppendMaxData(nil, 11))
	x.want("a higher limit lets more go", wire.AppSpace, "stream 4 [3,4)")
}

func TestStreamLimitHoldsUsBack(t *testing.T) {
	// Rules: 9000:4.6/2, 9000:4.6/5, 9000:19.11/3, 9000:19.14/1
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.InitialMaxStreamsBidi = 1 })).handshake()
	if _, ok := x.conn.Open(x.now, false); !ok {
		t.Fatal("the first stream is refused")
	}
	if _, ok := x.conn.Open(x.now, false); ok {
		t.Fatal("the second stream is allowed")
	}
	x.drain()
	x.want("the peer is told", wire.AppSpace, "streams_blocked 1 uni=false")
	x.receive(wire.AppSpace, wire.AppendMaxStreams(nil, wire.MaxStreams{Max: 2}))
	x.wantEvent("the application is told", EventStreamsAvailable)
	if _, ok := x.conn.Open(x.now, false); !ok {
		t.Fatal("the limit was raised in vain")
	}
}

func TestEndedStreamsMakeRoomForOthers(t *testing.T) {
	// Rules: 9000:4.6/6
	x := newExchange(t, true, withConfig(func(c *Config) { c.MaxStreamsUni = 2 })).handshake()
	x.receive(wire.AppSpace, streamFrame(2, 0, "x", true))
	x.wantRead("the stream is read to its end", 2, "x", true)
	x.wantAmong("and another one allowed", "max_streams 3 uni=true")
}

// TestLostInformationIsSentAgain tells the story of each retransmittable frame twice: lost, and probed for.
func TestLostInformationIsSentAgain(t *testing.T) {
	// Rules: 9000:13.3/1
	for _, c := range []struct {
		name    string
		trigger func(x *exchange)
		want    string
	}{
		{"stream data", func(x *exchange) { x.conn.Write(x.now, x.open(), []byte("abc")) }, "stream 0 [0,3)"},
		{"the end of a stream", func(x *exchange) { x.conn.Finish(x.now, x.open()) }, "stream 0 [0,0) fin"},
		{"RESET_STREAM", func(x *exchange) { x.conn.Reset(x.now, x.open(), 4) }, "reset_stream 0 code=0x4 size=0"},
		{"STOP_SENDING", func(x *exchange) { x.conn.Stop(x.now, x.open(), 4) }, "stop_sending 0 code=0x4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newExchange(t, false).handshake()
			c.trigger(x)
			x.drain()
			x.want("it is sent", wire.AppSpace, c.want)
			lost := x.seen[wire.AppSpace].End() - 1
			for range 4 {
				x.conn.Write(x.now, x.open(), []byte("later"))
				x.drain()
			}
			x.seen[wire.AppSpace].Sub(lost, lost+1)
			x.queue = nil
			x.ack(wire.AppSpace)
			x.wantAmong("lost, it is sent again", c.want)
		})
		t.Run(c.name+" by probe", func(t *testing.T) {
			x := newExchange(t, false).handshake()
			c.trigger(x)
			x.drain()
			x.want("it is sent", wire.AppSpace, c.want)
			for x.conn.ledger.PTOCount() == 0 {
				x.advanceToDeadline()
			}
			x.wantAmong("a probe carries it again", c.want)
		})
	}
}

func (x *exchange) open() int64 {
	id, ok := x.conn.Open(x.now, false)
	if !ok {
		x.t.Fatal("no stream to be had")
	}
	return id
}

func TestWriteStopsAtTheSendBuffer(t *testing.T) {
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) {
		p.InitialMaxData, p.InitialMaxStreamDataBidiRemote = 1<<40, 1<<40
	})).handshake()
	id := x.open()
	n, err := x.conn.Write(x.now, id, make([]byte, maxSendBuffer+1))
	if err != nil || n != minSendBuffer {
		t.Fatalf("wrote %d, %v; want %d", n, err, minSendBuffer)
	}
	x.drain()
	for range 20 {
		x.advance(10 * time.Millisecond)
		x.ack(wire.AppSpace)
	}
	x.wantEvent("acknowledged bytes make room", EventWritable)
}

func TestStreamIslandsAreBounded(t *testing.T) {
	// Rules: 9000:21.7/1
	x := newExchange(t, true).handshake()
	for i := int64(0); i <= maxStreamRanges && x.conn.Err() == nil; i++ {
		x.receive(wire.AppSpace, streamFrame(0, 1+2*i, "x", false))
	}
	x.wantClose("a stream of islands", wire.InternalError)
}

func TestSentValSettles(t *testing.T) {
	var v sentVal
	v.set()
	v.sentIn(5)
	v.settle(5, recovery.Lost)
	if !v.isUnsent() {
		t.Error("lost, it is not to be sent again")
	}
	v.sentIn(6)
	v.settle(5, recovery.Lost)
	if v.isUnsent() {
		t.Error("an older packet's loss counts although a newer one carried it")
	}
	v.settleLatest(5, recovery.Acked)
	if v.hasArrived() {
		t.Error("an older packet, with an older value, counts as the latest")
	}
	v.settle(5, recovery.Acked)
	if !v.hasArrived() {
		t.Error("a late acknowledgment of the older packet does not count")
	}
}

// TestAcknowledgedOldLimitDoesNotHideANewOne: were the acknowledgment of an older MAX_STREAM_DATA taken for the newer one,
// the loss of that would leave the peer blocked for ever.
func TestAcknowledgedOldLimitDoesNotHideANewOne(t *testing.T) {
	// Rules: 9000:4.2/1
	x := newExchange(t, true).handshake()
	data := make([]byte, 1000)
	var limits []sentFrame
	for off := int64(0); len(limits) < 2; off += 1000 {
		x.receive(wire.AppSpace, streamFrame(0, off, string(data), false))
		b := make([]byte, 1000)
		x.conn.Read(x.now, 0, b)
		x.drain()
		for _, f := range x.queue {
			if strings.HasPrefix(f.text, "max_stream_data") {
				limits = append(limits, f)
			}
		}
		x.queue = nil
	}
	// The packet with the first limit arrived, the one with the second did not.
	x.receive(wire.AppSpace, wire.AppendAck(nil, wire.Ack{}, []rangeOf{{Start: limits[0].number, End: limits[0].number + 1}}, 100))
	for x.conn.ledger.PTOCount() == 0 {
		x.advanceToDeadline()
	}
	x.wantAmong("the second limit is told again", limits[1].text)
}

func TestUnsentBytesAreCounted(t *testing.T) {
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.InitialMaxStreamDataBidiRemote = 10 })).handshake()
	want := func(sentence string, n int64) {
		t.Helper()
		if got := x.conn.Stats().Unsent; got != n {
			t.Errorf("%s: %d bytes unsent, want %d", sentence, got, n)
		}
	}
	id, _ := x.conn.Open(x.now, false)
	x.conn.Write(x.now, id, make([]byte, 14))
	want("written", 14)
	x.drain()
	want("the peer allows ten", 4)
	x.receive(wire.AppSpace, wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: id, Max: 12}))
	want("and two more", 2)
	x.conn.Reset(x.now, id, 1)
	want("nobody waits for them", 0)
}

package engine

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// What RFC 9000, sections 2 to 4 and 19.4 to 19.14, demand of streams and of flow control, as far as no other test says it.

func resetFrame(id int64, code uint64, size int64) []byte {
	return wire.AppendResetStream(nil, wire.ResetStream{ID: id, Code: code, FinalSize: size})
}

func stopFrame(id int64, code uint64) []byte {
	return wire.AppendStopSending(nil, wire.StopSending{ID: id, Code: code})
}

// texts returns the frames that wait, ACKs aside, and forgets them.
func (x *exchange) texts() (all []string) {
	for _, f := range x.queue {
		if !strings.HasPrefix(f.text, "ack") {
			all = append(all, f.text)
		}
	}
	x.queue = nil
	return all
}

func TestFramesOfStreamsThatDoNotGoThatWayClose(t *testing.T) {
	const mine, theirs = 3, 2 // unidirectional streams of the server, which we are, and of the client
	for _, c := range []struct {
		sentence string
		frame    []byte
	}{
		// Rules: 9000:19.4/1
		{"RESET_STREAM for a send-only stream", resetFrame(mine, 0, 0)},
		// Rules: 9000:19.5/2
		{"STOP_SENDING for a receive-only stream", stopFrame(theirs, 0)},
		// Rules: 9000:19.5/1
		{"STOP_SENDING for a stream that we have not opened", stopFrame(1, 0)},
		// Rules: 9000:19.8/1
		{"STREAM for a stream that we have not opened", streamFrame(1, 0, "x", false)},
		// Rules: 9000:19.8/1
		{"STREAM for a send-only stream", streamFrame(mine, 0, "x", false)},
		// Rules: 9000:19.10/1
		{"MAX_STREAM_DATA for a stream that we have not opened", wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: 1, Max: 9})},
		// Rules: 9000:19.10/2
		{"MAX_STREAM_DATA for a receive-only stream", wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: theirs, Max: 9})},
		// Rules: 9000:19.13/2
		{"STREAM_DATA_BLOCKED for a send-only stream", wire.AppendStreamDataBlocked(nil, wire.StreamDataBlocked{ID: mine})},
	} {
		x := newExchange(t, true).handshake()
		if id, _ := x.conn.Open(x.now, true); id != mine {
			t.Fatalf("our first unidirectional stream is %d", id)
		}
		x.receive(wire.AppSpace, c.frame)
		x.wantClose(c.sentence, wire.StreamStateError)
	}
}

func TestStreamsBeyondTheLimitCloseWhateverFrameNamesThem(t *testing.T) {
	// Rules: 9000:4.6/3, 9000:19.11/4
	for _, frame := range [][]byte{
		streamFrame(40, 0, "x", false), streamFrame(42, 0, "x", false), resetFrame(40, 0, 0), stopFrame(40, 0),
		wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: 40, Max: 9}),
		wire.AppendStreamDataBlocked(nil, wire.StreamDataBlocked{ID: 42}),
	} {
		x := newExchange(t, true).handshake()
		x.receive(wire.AppSpace, streamFrame(36, 0, "the tenth", false))
		if x.conn.Err() != nil {
			t.Fatalf("the last stream that is allowed: %v", x.conn.Err())
		}
		x.receive(wire.AppSpace, frame)
		x.wantClose(describeAll(frame)[0], wire.StreamLimitError)
	}
}

func TestFinalSizesThatCannotBeClose(t *testing.T) {
	// Rules: 9000:4.5/3, 9000:4.1/2
	for _, c := range []struct {
		sentence string
		frames   [][]byte
		want     wire.ErrorCode
	}{
		{"a reset below what was received", [][]byte{streamFrame(0, 0, "abc", false), resetFrame(0, 0, 2)}, wire.FinalSizeError},
		{"a reset with another size than the FIN's", [][]byte{streamFrame(0, 5, "", true), resetFrame(0, 0, 6)}, wire.FinalSizeError},
		{"a second FIN elsewhere", [][]byte{streamFrame(0, 5, "", true), streamFrame(0, 4, "", true)}, wire.FinalSizeError},
		{"a FIN below what was received", [][]byte{streamFrame(0, 0, "abc", false), streamFrame(0, 0, "a", true)}, wire.FinalSizeError},
		{"bytes beyond a FIN", [][]byte{streamFrame(0, 0, "abc", true), streamFrame(0, 3, "d", false)}, wire.FinalSizeError},
		{"a reset whose size is beyond the stream's limit", [][]byte{resetFrame(0, 0, 1<<16+1)}, wire.FlowControlError},
		{"an empty FIN beyond the stream's limit", [][]byte{streamFrame(0, 1<<16+1, "", true)}, wire.FlowControlError},
		{"a reset whose size, with what came on others, is beyond the connection's", [][]byte{
			streamFrame(0, 1<<16-1, "x", false), streamFrame(4, 1<<16-1, "x", false), resetFrame(8, 0, 1)}, wire.FlowControlError},
	} {
		x := newExchange(t, true).handshake()
		x.receive(wire.AppSpace, c.frames...)
		x.wantClose(c.sentence, c.want)
	}
}

func TestStreamIDsAreNotReused(t *testing.T) {
	// Rules: 9000:2.1/1
	x := newExchange(t, false).handshake()
	seen := map[int64]bool{}
	for range 8 {
		for _, uni := range []bool{false, true} {
			id, ok := x.conn.Open(x.now, uni)
			if !ok || seen[id] || isUni(id) != uni || id&serverInitiated != 0 {
				t.Fatalf("stream %d of %v", id, seen)
			}
			seen[id] = true
			x.conn.Reset(x.now, id, 0)
			x.drain()
			if !uni {
				x.receive(wire.AppSpace, resetFrame(id, 0, 0))
				x.read64(id)
			}
			x.ack(wire.AppSpace)
			if x.conn.streams.byID[id] != nil {
				t.Fatalf("stream %d is not over", id)
			}
		}
	}
}

func TestBytesSentAgainAreTheSameBytes(t *testing.T) {
	// Rules: 9000:2.2/2
	x := newExchange(t, false).handshake()
	text := bytes.Repeat([]byte("no byte of this changes. "), 200)
	id := x.open()
	got := make([]byte, len(text))
	copies := 0
	take := func() {
		for _, f := range x.queue {
			if s, n := wire.ConsumeStream(f.raw); n > 0 && strings.HasPrefix(f.text, "stream ") {
				if old := got[s.Offset:][:len(s.Data)]; !bytes.Equal(old, make([]byte, len(old))) && !bytes.Equal(old, s.Data) {
					t.Fatalf("at %d it sent %q, and then %q", s.Offset, old, s.Data)
				}
				copies += copy(got[s.Offset:], s.Data)
			}
		}
		x.queue = nil
	}
	x.conn.Write(x.now, id, text)
	for range 8 {
		x.drain()
		take()
		x.advanceToDeadline() // no acknowledgment comes: everything is probed for
		take()
	}
	if !bytes.Equal(got, text) || copies < 2*len(text)/3 || copies == len(text) {
		t.Errorf("%d bytes were sent for %d", copies, len(text))
	}
}

func TestNothingIsSentForAPartThatHasEnded(t *testing.T) {
	// Rules: 9000:3.3/1
	for _, c := range []struct {
		sentence string
		end      func(x *exchange, id int64)
	}{
		{"all data was received", func(x *exchange, id int64) { x.conn.Finish(x.now, id) }},
		{"the reset was received", func(x *exchange, id int64) { x.conn.Reset(x.now, id, 7) }},
	} {
		x := newExchange(t, false).handshake()
		id := x.open()
		x.conn.Write(x.now, id, []byte("abc"))
		x.drain()
		c.end(x, id)
		x.drain()
		x.ack(wire.AppSpace)
		x.queue = nil
		if !x.conn.streams.byID[id].send.state.terminal() {
			t.Fatalf("%s: the state is %v", c.sentence, x.conn.streams.byID[id].send.state)
		}
		x.conn.Reset(x.now, id, 9)
		x.conn.Write(x.now, id, []byte("more"))
		x.receive(wire.AppSpace, stopFrame(id, 8), wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: id, Max: 1 << 30}))
		x.advance(5 * time.Second)
		x.wantNothing(c.sentence)
	}
}

func TestNothingIsWrittenBehindTheEnd(t *testing.T) {
	// Rules: 9000:4.5/2
	x := newExchange(t, false).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abc"))
	x.conn.Finish(x.now, id)
	if n, err := x.conn.Write(x.now, id, []byte("def")); n != 0 || err != ErrStreamFinished {
		t.Errorf("%d bytes were taken: %v", n, err)
	}
	x.drain()
	if got := x.texts(); len(got) != 1 || got[0] != "stream 0 [0,3) fin" {
		t.Errorf("it sent %q", got)
	}
}

func TestAResetStreamIsNotStopped(t *testing.T) {
	// Rules: 9000:3.5/5
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false), resetFrame(0, 1, 3))
	x.conn.Stop(x.now, 0, 9)
	x.drain()
	for _, text := range x.texts() {
		if strings.HasPrefix(text, "stop_sending") {
			t.Errorf("it sent %s", text)
		}
	}
	// One that is on its way when the reset comes is not sent again.
	x = newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false))
	x.conn.Stop(x.now, 0, 9)
	x.drain()
	x.want("before the reset it is sent", wire.AppSpace, "stop_sending 0 code=0x9")
	x.receive(wire.AppSpace, resetFrame(0, 1, 3))
	x.queue = nil
	x.advance(time.Second)
	for _, text := range x.texts() {
		if strings.HasPrefix(text, "stop_sending") {
			t.Errorf("it sent %s again", text)
		}
	}
}

func TestLimitsThatDoNotGrowAreIgnored(t *testing.T) {
	// Rules: 9000:4.1/3, 9000:4.6/4, 9000:13.3/5, 9000:19.11/2
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) {
		p.InitialMaxData, p.InitialMaxStreamDataBidiRemote, p.InitialMaxStreamsBidi = 100, 50, 3
	})).handshake()
	id := x.open()
	x.receive(wire.AppSpace, wire.AppendMaxData(nil, 5), wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: id, Max: 6}),
		wire.AppendMaxStreams(nil, wire.MaxStreams{Max: 1}))
	if x.conn.Err() != nil {
		t.Fatal(x.conn.Err())
	}
	x.conn.Write(x.now, id, make([]byte, 60))
	second := x.open()
	x.conn.Write(x.now, second, make([]byte, 60))
	x.drain()
	if got := strings.Join(x.texts(), ", "); !strings.HasPrefix(got, "stream 0 [0,50), stream 4 [0,50), ") {
		t.Errorf("it sent %q", got)
	}
}

func TestTheNewLimitOfAStreamThatHasItsSizeIsNotSent(t *testing.T) {
	// Rules: 9000:13.3/2
	for _, end := range [][]byte{streamFrame(0, 40_001, "", true), resetFrame(0, 1, 40_001)} {
		x := newExchange(t, true).handshake()
		x.receive(wire.AppSpace, streamFrame(0, 0, strings.Repeat("x", 1000), false))
		x.conn.streams.byID[0].recv.window.announce.set() // a limit that waits for its packet, or was lost
		x.conn.touch(x.conn.streams.byID[0])
		x.conn.Receive(x.now, Datagram{Payload: x.packet(wire.AppSpace, end), Path: x.path})
		x.drain()
		x.advance(time.Second)
		for _, text := range x.texts() {
			if strings.HasPrefix(text, "max_stream_data") {
				t.Errorf("after %s it sent %s", describeAll(end)[0], text)
			}
		}
	}
}

func TestLimitsAreRaisedWithoutBeingAskedFor(t *testing.T) {
	// Rules: 9000:4.2/1
	x := newExchange(t, true).handshake()
	buf := make([]byte, 2000)
	raised := map[string]bool{}
	for off := int64(0); off < 1<<17; off += 1000 {
		x.receive(wire.AppSpace, streamFrame(0, off, strings.Repeat("x", 1000), false))
		if x.conn.Err() != nil {
			t.Fatalf("after %d bytes that were read at once: %v", off, x.conn.Err())
		}
		x.conn.Read(x.now, 0, buf)
		x.drain()
		for _, text := range x.texts() {
			kind, _, _ := strings.Cut(text, " ")
			raised[kind] = true
		}
	}
	if !raised["max_stream_data"] || !raised["max_data"] {
		t.Errorf("it sent %v", raised)
	}
}

func TestOneDirectionEndsAndTheOtherKeepsItsLimits(t *testing.T) {
	// Rules: 9000:4.4/1
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, resetFrame(0, 1, 0))
	x.read64(0)
	x.conn.Write(x.now, 0, []byte("an answer all the same"))
	x.drain()
	x.want("our part goes on", wire.AppSpace, "stream 0 [0,22)")
	x = newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false), stopFrame(0, 3))
	x.drain()
	x.ack(wire.AppSpace)
	x.receive(wire.AppSpace, streamFrame(0, 1<<16, "x", false))
	x.wantClose("the peer's part is limited as before", wire.FlowControlError)
}

func TestABlockedSenderSaysSoOnceForEachLimit(t *testing.T) {
	// Rules: 9000:19.12/1, 9000:19.13/1, 9000:19.14/1
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.InitialMaxStreamsUni = 0 })).handshake()
	if _, ok := x.conn.Open(x.now, true); ok {
		t.Fatal("the limit is 0")
	}
	x.drain()
	if got := fmt.Sprint(x.texts()); got != "[streams_blocked 0 uni=true]" {
		t.Errorf("it sent %s", got)
	}
}

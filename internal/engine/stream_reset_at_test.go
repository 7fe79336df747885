package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

// knowsResetAt has the peer announce reset_stream_at.
var knowsResetAt = withParams(func(p *wire.TransportParams) { p.ResetStreamAt = true })

func resetAt(id int64, code uint64, size, reliable int64) []byte {
	return wire.AppendResetStreamAt(nil, wire.ResetStreamAt{
		ResetStream: wire.ResetStream{ID: id, Code: code, FinalSize: size}, ReliableSize: reliable,
	})
}

// wantReset expects Read to return the peer's reset.
func (x *exchange) wantReset(sentence string, id int64, code uint64) {
	x.t.Helper()
	text, _, err := x.read64(id)
	if e, ok := err.(*StreamError); !ok || e.Code != code || !e.Remote {
		x.t.Fatalf("%s: Read returns %q, %v", sentence, text, err)
	}
}

func TestWhatWasPromisedIsDeliveredBeforeTheReset(t *testing.T) {
	x := newExchange(t, false, knowsResetAt).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abc"))
	x.conn.SetBoundary(id)
	x.conn.Write(x.now, id, []byte("def"))
	x.conn.Reset(x.now, id, 7)
	x.drain()
	x.want("nothing beyond the boundary is sent for the first time", wire.AppSpace, "stream 0 [0,3)")
	x.want("and the reset goes along", wire.AppSpace, "reset_stream_at 0 code=0x7 size=3 reliable=3")
	if _, err := x.conn.Write(x.now, id, []byte("g")); err == nil || err.(*StreamError).Code != 7 {
		t.Errorf("a write after the reset: %v", err)
	}
	x.conn.Reset(x.now, id, 8)
	x.drain()
	x.wantNothing("a second reset changes nothing")
	if s := x.conn.streams.byID[id].send.state; s != sendDataSent {
		t.Errorf("the sending part is in %v", s)
	}
	x.ack(wire.AppSpace)
	if s := x.conn.streams.byID[id].send.state; s != sendDataRecvd {
		t.Errorf("when all is acknowledged the sending part is in %v", s)
	}
}

func TestABoundaryBelowWhatWasSentLimitsWhatIsRepeated(t *testing.T) {
	x := newExchange(t, false, knowsResetAt).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abc"))
	x.conn.SetBoundary(id)
	x.conn.Write(x.now, id, []byte("def"))
	x.drain()
	x.want("all is sent", wire.AppSpace, "stream 0 [0,6)")
	x.conn.Reset(x.now, id, 7)
	x.drain()
	x.want("the final size counts all of it", wire.AppSpace, "reset_stream_at 0 code=0x7 size=6 reliable=3")
	x.advanceToDeadline()
	x.advanceToDeadline()
	again := x.queue
	x.wantAmong("the reset is repeated", "reset_stream_at 0 code=0x7 size=6 reliable=3")
	x.queue = again
	x.wantAmong("and the bytes below the boundary", "stream 0 [0,3)")
	for _, f := range again {
		if strings.HasSuffix(f.text, ",6)") {
			t.Errorf("it sent %s again", f.text)
		}
	}
}

func TestWhereTheEndStoodTheResetAtStands(t *testing.T) {
	x := newExchange(t, false, knowsResetAt).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abc"))
	x.conn.SetBoundary(id)
	x.conn.Finish(x.now, id)
	x.drain()
	x.want("the stream ends", wire.AppSpace, "stream 0 [0,3) fin")
	x.conn.Reset(x.now, id, 7)
	x.drain()
	x.want("and is reset all the same", wire.AppSpace, "reset_stream_at 0 code=0x7 size=3 reliable=3")
	x.receive(wire.AppSpace, streamFrame(id, 0, "", true))
	x.read64(id)
	x.ack(wire.AppSpace)
	x.wantEvent("then it is over", EventStreamDone)
}

func TestAResetAtWaitsForFlowControl(t *testing.T) {
	// Section 4: "Consequently, the sender might need to defer sending RESET_STREAM_AT until enough stream or connection-level flow
	// control credit is available."
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) {
		p.ResetStreamAt, p.InitialMaxStreamDataBidiRemote = true, 4
	})).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abcdef"))
	x.conn.SetBoundary(id)
	x.conn.Write(x.now, id, []byte("ghi"))
	x.conn.Reset(x.now, id, 7)
	x.drain()
	x.want("what the limit allows is sent", wire.AppSpace, "stream 0 [0,4)")
	x.want("and the peer told of it", wire.AppSpace, "stream_data_blocked 0 4")
	x.wantNothing("the reset is not")
	if got := x.conn.Stats().Unsent; got != 2 {
		t.Errorf("%d bytes wait", got)
	}
	x.receive(wire.AppSpace, wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: id, Max: 100}))
	x.want("with the credit goes the rest", wire.AppSpace, "stream 0 [4,6)")
	x.want("and the reset", wire.AppSpace, "reset_stream_at 0 code=0x7 size=6 reliable=6")
}

func TestWithoutThePeersConsentAResetPromisesNothing(t *testing.T) {
	for _, c := range []struct {
		name     string
		opts     []option
		boundary bool
	}{{"the peer does not know it", nil, true}, {"there is no boundary", []option{knowsResetAt}, false}} {
		x := newExchange(t, false, c.opts...).handshake()
		id := x.open()
		if c.boundary {
			x.conn.SetBoundary(id) // of nothing
		}
		x.conn.Write(x.now, id, []byte("abc"))
		if c.boundary {
			x.conn.SetBoundary(id)
		}
		x.conn.Reset(x.now, id, 7)
		x.drain()
		x.want(c.name, wire.AppSpace, "reset_stream 0 code=0x7 size=0")
		x.ack(wire.AppSpace)
		if s := x.conn.streams.byID[id].send.state; s != sendResetRecvd {
			t.Errorf("%s: %v", c.name, s)
		}
	}
}

func TestStopSendingWithdrawsThePromise(t *testing.T) {
	// Section 5.4: "endpoints SHOULD send a RESET_STREAM frame, since the peer has already indicated that it does not intend to
	// process any further data." Section 5.2: "the initiator MUST NOT change the Application Error Code or the Final Size."
	x := newExchange(t, false, knowsResetAt).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abc"))
	x.conn.SetBoundary(id)
	x.conn.Reset(x.now, id, 7)
	x.drain()
	x.want("the bytes", wire.AppSpace, "stream 0 [0,3)")
	x.want("and the reset behind them", wire.AppSpace, "reset_stream_at 0 code=0x7 size=3 reliable=3")
	before := x.packetSeen()
	x.receive(wire.AppSpace, wire.AppendStopSending(nil, wire.StopSending{ID: id, Code: 9}))
	x.want("whose code stays", wire.AppSpace, "reset_stream 0 code=0x7 size=3")
	x.receive(wire.AppSpace, wire.AppendAck(nil, wire.Ack{}, before, 1000))
	if s := x.conn.streams.byID[id].send.state; s != sendResetSent {
		t.Errorf("an acknowledgment of the larger promise is taken for one of the smaller: %v", s)
	}
	x.ack(wire.AppSpace)
	if s := x.conn.streams.byID[id].send.state; s != sendResetRecvd {
		t.Errorf("with the acknowledgment it is in %v", s)
	}
}

// packetSeen returns the numbers of the packets that the connection has sent so far.
func (x *exchange) packetSeen() (seen []rangeOf) { return append(seen, x.seen[wire.AppSpace]...) }

func TestThePeersPromiseIsReadBeforeItsReset(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, resetAt(0, 7, 6, 4))
	x.wantRead("nothing is here yet", 0, "", false)
	x.receive(wire.AppSpace, streamFrame(0, 2, "cdef", false))
	x.wantRead("there is a gap", 0, "", false)
	x.receive(wire.AppSpace, streamFrame(0, 0, "ab", false))
	for _, e := range x.events {
		if e.Kind == EventStreamReset {
			t.Error("the reset is told before there is nothing else to read")
		}
	}
	x.wantEvent("the bytes are told of", EventReadable)
	b := make([]byte, 3)
	if n, fin, err := x.conn.Read(x.now, 0, b); n != 3 || fin || err != nil {
		t.Fatalf("Read: %d, %v, %v", n, fin, err)
	}
	x.wantRead("as far as was promised", 0, "d", false)
	if e := x.wantEvent("then the reset", EventStreamReset); e.Code != 7 {
		t.Errorf("with code %d", e.Code)
	}
	if !x.conn.Readable(0) {
		t.Error("the reset is not readable")
	}
	x.wantReset("which Read returns", 0, 7)
	if f := &x.conn.flow; f.received != 6 || f.consumed != 6 {
		t.Errorf("of %d bytes %d went back to the window", f.received, f.consumed)
	}
}

func TestAPromiseThatIsKeptAlreadyIsAReset(t *testing.T) {
	for name, c := range map[string]struct {
		before []byte
		read   string
		frame  []byte
	}{
		"all of it was read":   {streamFrame(0, 0, "abcd", false), "abcd", resetAt(0, 7, 6, 4)},
		"more of it was read":  {streamFrame(0, 0, "abcd", false), "abcd", resetAt(0, 7, 6, 2)},
		"nothing was promised": {streamFrame(0, 0, "", false), "", resetAt(0, 7, 6, 0)},
	} {
		x := newExchange(t, true).handshake()
		x.receive(wire.AppSpace, c.before)
		x.wantRead(name, 0, c.read, false)
		x.receive(wire.AppSpace, c.frame)
		x.wantEvent(name, EventStreamReset)
		x.wantReset(name, 0, 7)
		if f := &x.conn.flow; f.received != 6 || f.consumed != 6 {
			t.Errorf("%s: of %d bytes %d went back to the window", name, f.received, f.consumed)
		}
	}
}

func TestPromisesOnlyBecomeSmaller(t *testing.T) {
	// Section 5.2: "The receiver MUST ignore any RESET_STREAM_AT frame that increases the Reliable Size."
	for name, c := range map[string]struct {
		first, second []byte
		want          string
	}{
		"smaller":    {resetAt(0, 7, 6, 4), resetAt(0, 7, 6, 2), "ab"},
		"larger":     {resetAt(0, 7, 6, 2), resetAt(0, 7, 6, 4), "ab"},
		"the same":   {resetAt(0, 7, 6, 3), resetAt(0, 7, 6, 3), "abc"},
		"none, then": {resetAt(0, 7, 6, 0), resetAt(0, 7, 6, 4), ""},
		"then none":  {resetAt(0, 7, 6, 4), wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 7, FinalSize: 6}), ""},
	} {
		x := newExchange(t, true).handshake()
		x.receive(wire.AppSpace, c.first)
		x.receive(wire.AppSpace, c.second)
		x.receive(wire.AppSpace, streamFrame(0, 0, "abcdef", false))
		if c.want != "" {
			x.wantRead(name, 0, c.want, false)
		}
		x.wantReset(name, 0, 7)
		if f := &x.conn.flow; f.received != 6 || f.consumed != 6 {
			t.Errorf("%s: of %d bytes %d went back to the window", name, f.received, f.consumed)
		}
	}
}

func TestAPromiseBehindTheEndShortensTheStream(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 4, "ef", true))
	x.receive(wire.AppSpace, resetAt(0, 7, 6, 3), streamFrame(0, 0, "abcd", false))
	x.wantRead("the promise", 0, "abc", false)
	x.wantReset("and the reset", 0, 7)

	x = newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "abcdef", true), resetAt(0, 7, 6, 3))
	x.wantRead("a stream that is all here ends as it did", 0, "abcdef", true)
}

func TestResetsThatContradict(t *testing.T) {
	plain := func(code uint64, size int64) []byte {
		return wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: code, FinalSize: size})
	}
	for name, c := range map[string]struct {
		frames [][]byte
		want   wire.ErrorCode
	}{
		"another code":                     {[][]byte{resetAt(0, 7, 6, 4), resetAt(0, 8, 6, 2)}, wire.StreamStateError},
		"another code without a promise":   {[][]byte{resetAt(0, 7, 6, 4), plain(8, 6)}, wire.StreamStateError},
		"another code with a promise":      {[][]byte{plain(7, 6), resetAt(0, 8, 6, 2)}, wire.StreamStateError},
		"another size":                     {[][]byte{resetAt(0, 7, 6, 4), resetAt(0, 7, 7, 2)}, wire.FinalSizeError},
		"another size without a promise":   {[][]byte{resetAt(0, 7, 6, 4), plain(7, 5)}, wire.FinalSizeError},
		"another end":                      {[][]byte{resetAt(0, 7, 6, 4), streamFrame(0, 5, "", true)}, wire.FinalSizeError},
		"a byte beyond the end":            {[][]byte{resetAt(0, 7, 6, 4), streamFrame(0, 6, "g", false)}, wire.FinalSizeError},
		"an end below what was received":   {[][]byte{streamFrame(0, 0, "abc", false), resetAt(0, 7, 2, 1)}, wire.FinalSizeError},
		"a promise of more than there is":  {[][]byte{{0x24, 0, 7, 4, 5}}, wire.FrameEncodingError},
		"beyond the stream's window":       {[][]byte{resetAt(0, 7, 1<<16+1, 0)}, wire.FlowControlError},
		"beyond the window with a promise": {[][]byte{resetAt(0, 7, 1<<16+1, 1)}, wire.FlowControlError},
		"on a stream that is ours":         {[][]byte{resetAt(1, 7, 6, 4)}, wire.StreamStateError},
		"on a stream that only sends":      {[][]byte{resetAt(3, 7, 6, 4)}, wire.StreamStateError},
	} {
		x := newExchange(t, true).handshake()
		x.receive(wire.AppSpace, c.frames...)
		x.wantClose(name, c.want)
	}

	x := newExchange(t, true)
	x.early(ping)
	x.receive(wire.InitialSpace, resetAt(0, 7, 6, 4))
	x.wantClose("before there is application data", wire.ProtocolViolation)
}

func TestTheConnectionsWindowCountsResetsThatPromise(t *testing.T) {
	x := newExchange(t, true).handshake()
	for id := range int64(3) { // each within its own window of 64 KiB, together beyond the connection's 128 KiB
		x.receive(wire.AppSpace, resetAt(id<<2, 7, 60<<10, 1))
	}
	x.wantClose("their final sizes are more than the window", wire.FlowControlError)
}

func TestWhoStopsReadingNeedsNoPromise(t *testing.T) {
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "ab", false), resetAt(0, 7, 6, 4))
	x.conn.Stop(x.now, 0, 9)
	x.conn.Finish(x.now, 0)
	x.drain()
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "stop_sending") {
			t.Error("the peer is asked to stop what it has stopped")
		}
	}
	x.ack(wire.AppSpace)
	x.wantEvent("the stream is over", EventStreamDone)
	if f := &x.conn.flow; f.received != 6 || f.consumed != 6 {
		t.Errorf("of %d bytes %d went back to the window", f.received, f.consumed)
	}
	x.receive(wire.AppSpace, streamFrame(0, 2, "cd", false))
	if x.conn.Err() != nil {
		t.Error(x.conn.Err())
	}

	x = newExchange(t, true).handshake()
	x.receive(wire.AppSpace, streamFrame(0, 0, "ab", false))
	x.conn.Stop(x.now, 0, 9)
	x.conn.Finish(x.now, 0)
	x.receive(wire.AppSpace, resetAt(0, 7, 6, 4))
	x.ack(wire.AppSpace)
	x.wantEvent("nor does who stopped before", EventStreamDone)
	if f := &x.conn.flow; f.received != 6 || f.consumed != 6 {
		t.Errorf("of %d bytes %d went back to the window", f.received, f.consumed)
	}
}

func TestAResetThatWasNotReadDoesNotHideTheEndOfTheConnection(t *testing.T) {
	for name, reset := range map[string][]byte{
		"plain":          wire.AppendResetStream(nil, wire.ResetStream{ID: 0, Code: 1, FinalSize: 6}),
		"with a promise": resetAt(0, 1, 6, 2),
	} {
		x := newExchange(t, true).handshake()
		x.receive(wire.AppSpace, streamFrame(0, 0, "abc", false))
		x.receive(wire.AppSpace, reset)
		x.receive(wire.AppSpace, wire.AppendConnectionClose(nil, wire.ConnectionClose{App: true, Code: 3}))
		text, fin, err := x.read64(0)
		if name == "with a promise" {
			if text != "ab" || fin || err != nil {
				t.Errorf("%s: Read returns %q, %v, %v first", name, text, fin, err)
			}
			text, fin, err = x.read64(0)
		}
		if err == nil || text != "" || fin {
			t.Errorf("%s: Read returns %q, %v, %v; want an error", name, text, fin, err)
		}
	}
}

func TestPromisesAreKeptThroughLoss(t *testing.T) {
	for seed := range uint32(8) {
		p := newPair(t, nil, nil)
		p.handshake()
		n := uint32(0)
		p.rewrite = func(*Datagram) bool { n++; return (n+seed)*2654435761>>24 > 80 } // three in ten are lost
		text := strings.Repeat("what was promised ", 2000)
		id, _ := p.client.Open(p.now, true)
		p.client.Write(p.now, id, []byte(text))
		p.client.SetBoundary(id)
		p.client.Write(p.now, id, make([]byte, 10_000))
		for range 3 {
			p.step()
		}
		p.client.Reset(p.now, id, 7)
		var got []byte
		var err error
		b := make([]byte, 1000)
		p.until("the reset is read", func() bool {
			for err == nil {
				var n int
				if n, _, err = p.server.Read(p.now, id, b); err == ErrUnknownStream {
					err = nil
					return false
				}
				if got = append(got, b[:n]...); n == 0 && err == nil {
					return false
				}
			}
			return true
		})
		if e, ok := err.(*StreamError); !ok || e.Code != 7 || string(got) != text {
			t.Errorf("seed %d: %d bytes of %d, %v", seed, len(got), len(text), err)
		}
		p.until("both ends are done with the stream", func() bool {
			return p.client.streams.byID[id] == nil && p.server.streams.byID[id] == nil
		})
	}
}

func TestResetsThatPromiseInEarlyData(t *testing.T) {
	for name, c := range map[string]struct {
		edit           func(w *earlyWorld)
		accepted, kept bool
	}{
		"accepted": {func(*earlyWorld) {}, true, true},
		"rejected": {func(w *earlyWorld) { w.server.Early.Admit = func([]byte) bool { return false } }, false, true},
	} {
		w := newEarlyWorld(t)
		w.visit()
		c.edit(w)
		p := w.dial()
		if !p.client.ResetsDeliver() {
			t.Fatal("it is not remembered that the server knows RESET_STREAM_AT")
		}
		id, _ := p.client.Open(p.now, false)
		p.client.Write(p.now, id, []byte("early"))
		p.client.SetBoundary(id)
		p.client.Write(p.now, id, []byte(" and never"))
		p.client.Reset(p.now, id, 7)
		var got []byte
		b := make([]byte, 64)
		p.until("the reset is read", func() bool {
			if p.server == nil {
				return false
			}
			n, _, err := p.server.Read(p.now, id, b)
			got = append(got, b[:n]...)
			e, ok := err.(*StreamError)
			return ok && e.Code == 7
		})
		if string(got) != "early" || p.server.Early() != c.accepted {
			t.Errorf("%s: %q was read; early: %v", name, got, p.server.Early())
		}
	}
}

func TestAServerThatForgotHowToBeResetGetsAPlainReset(t *testing.T) {
	w := newEarlyWorld(t)
	w.visit()
	w.server.Early = nil
	p := w.dial()
	id, _ := p.client.Open(p.now, false)
	p.client.Write(p.now, id, []byte("early"))
	p.client.SetBoundary(id)
	p.client.Reset(p.now, id, 7)
	p.drain(p.client)
	first := p.inFlight[0]
	p.inFlight = p.inFlight[1:]
	p.deliver(first)
	p.server.params.ResetStreamAt = false // before it answers
	p.until("0-RTT is rejected", func() bool { return p.client.early.progress == earlyRejected })
	if s := p.client.streams.byID[id].send.state; p.client.ResetsDeliver() || s != sendResetSent {
		t.Errorf("the sending part is in %v; the server knows RESET_STREAM_AT: %v", s, p.client.ResetsDeliver())
	}
	p.until("the server has the reset", func() bool {
		_, _, err := p.server.Read(p.now, id, make([]byte, 9))
		e, ok := err.(*StreamError)
		return ok && e.Code == 7
	})
}

func TestAServerThatAcceptsEarlyDataStillKnowsResetStreamAt(t *testing.T) {
	before := wire.TransportParams{ResetStreamAt: true}
	if name := reduced(&before, &wire.TransportParams{}); name != "reset_stream_at" {
		t.Errorf("%q is less", name)
	}
	if name := reduced(&wire.TransportParams{}, &before); name != "" {
		t.Errorf("%q is not less", name)
	}
}

func TestALostResetAtIsOfNoInterestOnceTheStreamIsOver(t *testing.T) {
	x := newExchange(t, false, knowsResetAt).handshake()
	id := x.open()
	x.conn.Write(x.now, id, []byte("abc"))
	x.conn.SetBoundary(id)
	x.conn.Reset(x.now, id, 7)
	x.drain()
	x.ack(wire.AppSpace)
	x.queue = nil
	x.advance(5 * time.Second)
	for _, f := range x.queue {
		if strings.HasPrefix(f.text, "reset_stream") || strings.HasPrefix(f.text, "stream ") {
			t.Errorf("it sent %s", f.text)
		}
	}
}

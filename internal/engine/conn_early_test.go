package engine

import (
	"bytes"
	"crypto/tls"
	"slices"
	"testing"

	"github.com/godwit-net/godwit/internal/instant"
	"github.com/godwit-net/godwit/internal/seal"
	"github.com/godwit-net/godwit/internal/wire"
)

// An earlyWorld is a client's session cache and a server's Config, between which connections come and go.
type earlyWorld struct {
	t              *testing.T
	client, server Config
	used           map[string]bool // marks that were admitted
	issued         byte
}

func newEarlyWorld(t *testing.T) *earlyWorld {
	w := &earlyWorld{t: t, used: map[string]bool{}}
	w.client.TLS, w.server.TLS = clientTLS(), serverTLS()
	w.client.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	w.client.Early = &EarlyConfig{}
	w.server.Early = &EarlyConfig{
		State: []byte("state"),
		Mark:  func() []byte { w.issued++; return []byte{w.issued} },
		Admit: func(mark []byte) bool {
			first := !w.used[string(mark)]
			w.used[string(mark)] = true
			return first && len(mark) == 1
		},
	}
	return w
}

// visit makes a connection through which the client gets a session.
func (w *earlyWorld) visit() {
	w.t.Helper()
	p := w.dial()
	p.handshake()
	p.client.LearnEarlyState([]byte("learned"))
	for range 20 {
		p.step()
	}
	p.client.LearnEarlyState([]byte("learned"))
}

// dial makes a pair; each has Configs of its own, as the world's are then.
func (w *earlyWorld) dial() *pair {
	client, server := w.client, w.server
	return newPair(w.t, &client, &server)
}

// say opens a stream and writes text to it, whole.
func say(p *pair, text string) int64 {
	p.t.Helper()
	id, ok := p.client.Open(p.now, false)
	if !ok {
		p.t.Fatal("no stream to be had")
	}
	if n, err := p.client.Write(p.now, id, []byte(text)); err != nil || n < len(text) {
		p.t.Fatalf("%d bytes were written: %v", n, err)
	}
	if err := p.client.Finish(p.now, id); err != nil {
		p.t.Fatal(err)
	}
	return id
}

// hear reads a stream on the server until its end.
func hear(p *pair, id int64) string {
	p.t.Helper()
	var got []byte
	buf := make([]byte, 1<<16)
	p.until("the stream ends", func() bool {
		if p.server == nil {
			return false
		}
		for {
			n, fin, err := p.server.Read(p.now, id, buf)
			if err != nil && err != ErrUnknownStream {
				p.t.Fatal(err)
			}
			got = append(got, buf[:n]...)
			if fin || n == 0 {
				return fin
			}
		}
	})
	return string(got)
}

func has(events []Event, kind EventKind) bool {
	return slices.ContainsFunc(events, func(e Event) bool { return e.Kind == kind })
}

func TestEarlyDataArrivesBeforeTheHandshakeIsDone(t *testing.T) {
	// Rules: 9000:13.2.6/3, 9001:4.9.3/2
	w := newEarlyWorld(t)
	w.visit()
	p := w.dial()
	if !p.client.Early() || string(p.client.EarlyState()) != "learned" {
		t.Fatalf("early: %v, state %q", p.client.Early(), p.client.EarlyState())
	}
	text := string(bytes.Repeat([]byte("early "), 1000)) // several packets
	id := say(p, text)
	if got := hear(p, id); got != text {
		t.Error("other bytes came out")
	}
	if p.now.Sub(1e9) != p.delay || p.server.HandshakeDone() {
		t.Errorf("it took %v, and the server's handshake is done: %v", p.now.Sub(1e9), p.server.HandshakeDone())
	}
	p.handshake()
	p.until("everything is acknowledged", func() bool { return p.client.Stats().InFlight == 0 })
	if !p.client.Early() || !p.server.Early() || p.client.Stats().PacketsLost != 0 {
		t.Errorf("client early %v, server %v, %d packets lost", p.client.Early(), p.server.Early(), p.client.Stats().PacketsLost)
	}
	if !has(p.events[p.server], EventEarlyData) {
		t.Error("the server's application was not told")
	}
	// RFC 9001, section 4.9.3: the keys are gone soon after.
	for p.step() && p.server.early.dropAt != instant.Never {
	}
	if p.server.early.read != nil {
		t.Error("the server keeps the keys of 0-RTT")
	}
}

func TestEarlyDataThatIsRejectedIsSentAgain(t *testing.T) {
	// Rules: 9000:7.4.1/5, 9000:7.4.1/8, 9001:4.6.2/1, 9001:4.6.2/3
	for _, c := range []struct {
		name string
		edit func(w *earlyWorld)
	}{
		{"0-RTT is off", func(w *earlyWorld) { w.server.Early = nil }},
		{"the mark is refused", func(w *earlyWorld) { w.server.Early.Admit = func([]byte) bool { return false } }},
		{"the application promises something else", func(w *earlyWorld) { w.server.Early.State = []byte("other") }},
		{"a limit is smaller", func(w *earlyWorld) { w.server.StreamWindow, w.server.ConnWindow = 1000, 2000 }},
		{"fewer streams", func(w *earlyWorld) { w.server.MaxStreamsBidi = 1 }},
		{"the ticket is of no use", func(w *earlyWorld) { w.server.TLS.SetSessionTicketKeys([][32]byte{{9}}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newEarlyWorld(t)
			w.visit()
			c.edit(w)
			p := w.dial()
			if !p.client.Early() {
				t.Fatal("0-RTT was not tried")
			}
			texts := []string{string(bytes.Repeat([]byte("early "), 1000)), "one", "two"}
			var ids []int64
			for _, text := range texts {
				ids = append(ids, say(p, text))
			}
			for i, id := range ids {
				if got := hear(p, id); got != texts[i] {
					t.Errorf("stream %d: %d bytes came out", id, len(got))
				}
				if !p.server.HandshakeDone() {
					t.Error("a rejected 0-RTT packet was processed")
				}
				if err := p.server.Finish(p.now, id); err != nil { // so that the next may come
					t.Fatal(err)
				}
			}
			if p.client.Early() || p.server.Early() || !has(p.events[p.client], EventEarlyRejected) {
				t.Errorf("client early %v, server %v", p.client.Early(), p.server.Early())
			}
			p.until("everything is acknowledged", func() bool { return p.client.Stats().InFlight == 0 })
			if p.client.Err() != nil || p.server.Err() != nil {
				t.Errorf("client: %v, server: %v", p.client.Err(), p.server.Err())
			}
		})
	}
}

// crypto/tls, as a client, computes the binder of its second ClientHello while early_data still stands in it, and then takes that
// out: every server refuses it. What can be done is that the next connection does not fall into the same hole.
func TestAHelloRetryRequestEndsOneConnectionWithEarlyDataAtMost(t *testing.T) {
	w := newEarlyWorld(t)
	w.visit()
	w.server.TLS.CurvePreferences = []tls.CurveID{tls.CurveP521}
	p := w.dial()
	say(p, "early")
	p.until("the connection ends or the data arrives", func() bool {
		return p.client.Err() != nil || p.server != nil && p.server.HandshakeDone()
	})
	if p.server.Early() {
		t.Error("0-RTT was accepted in spite of a HelloRetryRequest")
	}
	p = w.dial()
	if p.client.Early() {
		t.Error("the same session is tried again")
	}
	p.handshake()
}

// A captured flight is replayed: to the same server, and to another that shares tickets and marks with it.
func TestAReplayedFlightIsNotProcessed(t *testing.T) {
	// Rules: 9001:9.2/1
	w := newEarlyWorld(t)
	w.visit()
	p := w.dial()
	var flight []Datagram
	p.rewrite = func(d *Datagram) bool {
		if d.Path.Remote == clientAddr && p.now == 1e9 {
			flight = append(flight, Datagram{Payload: bytes.Clone(d.Payload), Path: d.Path})
		}
		return true
	}
	id := say(p, "buy one")
	if hear(p, id) != "buy one" {
		t.Fatal("the genuine flight was not processed")
	}
	if len(flight) == 0 {
		t.Fatal("nothing was captured")
	}
	second := w.server
	for _, config := range []*Config{p.serverConfig, &second} {
		config.Seed = [32]byte{byte(len(w.used)), 77}
		v := p.acceptor.Receive(p.now, flight[0], p.buf, 7)
		s, err := NewServer(p.now, config, v.Incoming)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range flight {
			s.Receive(p.now, Datagram{Payload: bytes.Clone(d.Payload), Path: d.Path})
			for s.Compose(p.now, p.buf).Size > 0 {
			}
		}
		for e, ok := s.Event(); ok; e, ok = s.Event() {
			if e.Kind == EventStreamOpened || e.Kind == EventEarlyData {
				t.Errorf("the replay led to event %d", e.Kind)
			}
		}
		if s.Early() {
			t.Error("the replay was accepted")
		}
	}
}

func TestEarlyDataIsLostAndSentAgain(t *testing.T) {
	// Rules: 9000:17.2.3/1, 9000:17.2.3/2
	w := newEarlyWorld(t)
	w.visit()
	p := w.dial()
	n := 0
	p.rewrite = func(d *Datagram) bool { // every second datagram of the client's first flight is lost, but the first is not
		if d.Path.Remote == clientAddr && p.now == 1e9 {
			n++
			return n%2 == 1
		}
		return true
	}
	text := string(bytes.Repeat([]byte("early "), 2000))
	if hear(p, say(p, text)) != text {
		t.Error("other bytes came out")
	}
	if n < 4 || !p.server.Early() {
		t.Errorf("%d datagrams were sent early; accepted %v", n, p.server.Early())
	}
}

// 0-RTT packets may come before the rest of the ClientHello: a few are kept.
func TestEarlyDataThatOvertakesTheClientHelloIsKept(t *testing.T) {
	w := newEarlyWorld(t)
	w.visit()
	p := w.dial()
	var held *Datagram
	p.rewrite = func(d *Datagram) bool {
		// The ClientHello takes more than one datagram: the second comes last.
		if p.now == 1e9 && d.Path.Remote == clientAddr && wire.IsLong(d.Payload[0]) {
			if h, _ := wire.ConsumeLongHeader(d.Payload); h.Type == wire.PacketInitial && len(p.inFlight) > 0 && held == nil {
				held = &Datagram{Payload: bytes.Clone(d.Payload), Path: d.Path}
				return false
			}
		}
		return true
	}
	id := say(p, string(bytes.Repeat([]byte("x"), 3000)))
	p.drain(p.client)
	if held == nil {
		t.Skip("the ClientHello fits one datagram")
	}
	p.inFlight = append(p.inFlight, flight{at: p.now.Add(p.delay), toServer: true, d: *held})
	if got := hear(p, id); len(got) != 3000 {
		t.Errorf("%d bytes came out", len(got))
	}
	if p.now.Sub(1e9) != p.delay {
		t.Error("something was sent again")
	}
}

func TestAServerThatAcceptsEarlyDataReducesNoLimit(t *testing.T) {
	// Rules: 9000:7.4.1/6
	for name, raise := range map[string]func(p *wire.TransportParams){
		"initial_max_data":                    func(p *wire.TransportParams) { p.InitialMaxData++ },
		"initial_max_streams_bidi":            func(p *wire.TransportParams) { p.InitialMaxStreamsBidi++ },
		"initial_max_stream_data_bidi_remote": func(p *wire.TransportParams) { p.InitialMaxStreamDataBidiRemote++ },
		"active_connection_id_limit":          func(p *wire.TransportParams) { p.ActiveConnIDLimit++ },
	} {
		w := newEarlyWorld(t)
		w.visit()
		p := w.dial()
		p.drain(p.client)
		// It is as if the server had promised more: its own check does not know.
		raise(&p.client.early.limits.remembered)
		p.until("the client objects", func() bool { return p.client.Err() != nil })
		err, ok := p.client.Err().(*TransportError)
		if !ok || err.Code != wire.ProtocolViolation {
			t.Errorf("%s: %v", name, p.client.Err())
		}
	}
}

func TestEveryLimitThatMayNotBeReducedIsLookedAt(t *testing.T) {
	// Rules: 9000:7.4.1/6, 9221:3/6, 9221:3/7
	before := wire.TransportParams{ActiveConnIDLimit: 4, InitialMaxData: 5, InitialMaxStreamDataBidiLocal: 5, InitialMaxStreamDataBidiRemote: 5,
		InitialMaxStreamDataUni: 5, InitialMaxStreamsBidi: 5, InitialMaxStreamsUni: 5, MaxDatagramFrameSize: 5}
	if name := reduced(&before, &before); name != "" {
		t.Errorf("%s is not smaller than itself", name)
	}
	for want, reduce := range map[string]func(p *wire.TransportParams){
		"active_connection_id_limit":          func(p *wire.TransportParams) { p.ActiveConnIDLimit-- },
		"initial_max_data":                    func(p *wire.TransportParams) { p.InitialMaxData-- },
		"initial_max_stream_data_bidi_local":  func(p *wire.TransportParams) { p.InitialMaxStreamDataBidiLocal-- },
		"initial_max_stream_data_bidi_remote": func(p *wire.TransportParams) { p.InitialMaxStreamDataBidiRemote-- },
		"initial_max_stream_data_uni":         func(p *wire.TransportParams) { p.InitialMaxStreamDataUni-- },
		"initial_max_streams_bidi":            func(p *wire.TransportParams) { p.InitialMaxStreamsBidi-- },
		"initial_max_streams_uni":             func(p *wire.TransportParams) { p.InitialMaxStreamsUni-- },
		"max_datagram_frame_size":             func(p *wire.TransportParams) { p.MaxDatagramFrameSize-- },
	} {
		now := before
		reduce(&now)
		if name := reduced(&before, &now); name != want {
			t.Errorf("%q is smaller, and not %q", want, name)
		}
	}
}

func TestFramesThatMayNotBeInEarlyPackets(t *testing.T) {
	// Rules: 9000:12.4/3, 9001:8.3/2
	for _, frame := range [][]byte{
		wire.AppendCryptoHeader(nil, 0, 0),
		{byte(wire.FrameAck), 0, 0, 0, 0},
		{byte(wire.FrameHandshakeDone)},
		wire.AppendNewToken(nil, []byte("token")),
		wire.AppendPathResponse(nil, [8]byte{1}),
		wire.AppendRetireConnectionID(nil, 0),
	} {
		w := newEarlyWorld(t)
		w.visit()
		p := w.dial()
		p.until("the server has the keys", func() bool { return p.server != nil && p.server.early.read != nil })
		keys := p.client.spaces[wire.AppSpace].write
		number := p.client.ledger.Next(wire.AppSpace) + 10
		h := wire.LongHeader{Type: wire.Packet0RTT, Version: wire.Version1,
			DstID: p.client.ids.original.Bytes(), SrcID: p.client.ids.local[0].id.Bytes()}
		b, at := wire.AppendLongHeader(nil, h, number, 4)
		off := len(b) - 4
		b = append(b, frame...)
		b = append(b, 0, 0, 0, 0)
		wire.SetLength(b, at, len(b)-off+seal.Overhead)
		b = keys.Seal(append(b, make([]byte, 16)...)[:len(b)], off, 4, number)
		p.server.Receive(p.now, Datagram{Payload: b, Path: Path{Local: serverAddr, Remote: clientAddr}})
		err, ok := p.server.Err().(*TransportError)
		if !ok || err.Code != wire.ProtocolViolation {
			t.Errorf("%s frame: %v", wire.FrameName(uint64(frame[0])), p.server.Err())
		}
	}
}

func TestAcknowledgmentOfRejectedEarlyDataIsAViolation(t *testing.T) {
	// Rules: 9001:4.6.2/2
	e := earlyState{firstAfter: 3}
	if e.acknowledged(3) != nil || e.acknowledged(2) == nil {
		t.Error("the first packet after 0-RTT is 3")
	}
}

func TestStoredSessionsThatAreGarbageAllowNothing(t *testing.T) {
	w := newEarlyWorld(t)
	p := w.dial()
	good, ok := p.client.storeEarly()
	if !ok {
		t.Fatal("nothing to store")
	}
	for n := range good {
		if p.client.resumeEarly(good[:n]) {
			t.Errorf("%d of %d bytes are enough", n, len(good))
		}
	}
	if p.client.resumeEarly(good) {
		t.Error("a server without a stream or a byte is of use to 0-RTT")
	}
}

func TestEarlyDataIsOffUnlessAskedFor(t *testing.T) {
	// Rules: 9001:5.6/1
	w := newEarlyWorld(t)
	w.client.Early, w.server.Early = nil, nil
	w.visit()
	p := w.dial()
	if p.client.Early() {
		t.Error("0-RTT was tried")
	}
	p.handshake()
	if !p.client.TLS().DidResume {
		t.Error("the session was not resumed")
	}
}

// FuzzStored hands both ends whatever may have been kept with a session: of what is accepted every block is whole.
func FuzzStored(f *testing.F) {
	p := wire.DefaultTransportParams()
	p.InitialMaxData, p.InitialMaxStreamsBidi = 1<<20, 10
	good := appendBlock([]byte{1}, p.AppendTo(nil, 0))
	good = appendBlock(good, []byte("state"))
	f.Add(append(good, "mark"...))
	f.Add(good[:len(good)-1])
	f.Add([]byte{1, 0xc0})
	f.Fuzz(func(t *testing.T, stored []byte) {
		if block, rest, ok := consumeBlock(stored); ok && !bytes.HasSuffix(stored, rest) {
			t.Fatalf("%x is taken apart into %x and %x", stored, block, rest)
		} else if again, tail, _ := consumeBlock(append(appendBlock(nil, block), rest...)); ok && (!bytes.Equal(again, block) || !bytes.Equal(tail, rest)) {
			t.Fatalf("%x became %x, and %x became %x", block, again, rest, tail)
		}
		for _, server := range []bool{false, true} {
			c := &Conn{server: server, config: Config{Early: &EarlyConfig{
				State: []byte("state"),
				Admit: func(mark []byte) bool {
					if !bytes.HasSuffix(stored, mark) {
						t.Fatalf("%x is not the end of %x", mark, stored)
					}
					return true
				},
			}}}
			c.version.original, c.params = wire.Version1, wire.DefaultTransportParams()
			if ok := c.resumeEarly(stored); ok && !server && !bytes.Contains(stored, c.early.resumed) {
				t.Fatalf("%x is in no part of %x", c.early.resumed, stored)
			}
		}
	})
}

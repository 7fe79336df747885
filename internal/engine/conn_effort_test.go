package engine

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/rangeset"
	"github.com/godwit-net/godwit/internal/wire"
)

// repeat makes n frames of one.
func repeat(frame []byte, n int) (b []byte) {
	for range n {
		b = append(b, frame...)
	}
	return b
}

// TestWhatChangesNothingIsBounded floods a server with frames that change nothing, a hundred to a packet or fewer. It closes before
// much more of them came than it says, and not before.
func TestWhatChangesNothingIsBounded(t *testing.T) {
	// Rules: 9000:21.9/1
	stream := wire.AppendStream(nil, wire.Stream{ID: 0, Data: []byte("once")})
	for _, c := range []struct {
		sentence string
		frame    []byte
		each     int // frames in a packet
	}{
		{"PING", []byte{byte(wire.FramePing)}, 100},
		{"PING, one in a packet", []byte{byte(wire.FramePing)}, 1},
		{"padding alone", []byte{0, 0, 0, 0}, 1},
		{"empty STREAM frames", wire.AppendStream(nil, wire.Stream{ID: 0}), 100},
		{"the same bytes again and again", stream, 100},
		{"an acknowledgment that is known", wire.AppendAck(nil, wire.Ack{}, rangeset.Set{{Start: 0, End: 1}}, 100), 50},
		{"MAX_DATA that raises nothing", wire.AppendMaxData(nil, 1), 100},
		{"MAX_STREAM_DATA that raises nothing", wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: 0, Max: 1}), 100},
		{"MAX_STREAMS that raises nothing", wire.AppendMaxStreams(nil, wire.MaxStreams{Max: 1}), 100},
		{"STREAM_DATA_BLOCKED", wire.AppendStreamDataBlocked(nil, wire.StreamDataBlocked{ID: 0, Limit: 4}), 100},
		{"STREAMS_BLOCKED", wire.AppendStreamsBlocked(nil, wire.StreamsBlocked{Limit: 1}), 100},
		{"STOP_SENDING, repeated", wire.AppendStopSending(nil, wire.StopSending{ID: 0}), 100},
		{"a reset that is known", wire.AppendResetStream(nil, wire.ResetStream{ID: 4, FinalSize: 0}), 100},
		{"empty datagrams", wire.AppendDatagram(nil, nil), 100},
		{"PATH_CHALLENGE", wire.AppendPathChallenge(nil, [8]byte{1}), 50},
		{"PATH_RESPONSE that nobody asked for", wire.AppendPathResponse(nil, [8]byte{1}), 50},
	} {
		x := newExchange(t, true, withConfig(func(c *Config) { c.MaxDatagramFrame = 65535 })).handshake()
		x.receive(wire.AppSpace, stream, wire.AppendStopSending(nil, wire.StopSending{ID: 0}),
			wire.AppendResetStream(nil, wire.ResetStream{ID: 4}))
		packet, sent := repeat(c.frame, c.each), 0
		for ; sent < maxWasted && x.conn.Err() == nil; sent += c.each {
			x.receive(wire.AppSpace, packet)
			x.queue, x.story = nil, nil
		}
		if x.conn.Err() != nil {
			t.Errorf("%s: closed after %d frames: %v", c.sentence, sent, x.conn.Err())
			continue
		}
		for range 10 {
			x.receive(wire.AppSpace, packet)
		}
		x.wantClose(c.sentence, wire.ProtocolViolation)
	}
}

// TestEffortIsForgiven: what the limit is not for. The peer pings for ever, but not fast; it sends a window twice; it has little
// frames beside ones that count; it changes its keys now and then.
func TestEffortIsForgiven(t *testing.T) {
	data := make([]byte, 1000)
	for _, c := range []struct {
		sentence string
		run      func(x *exchange)
	}{
		{"a ping every millisecond", func(x *exchange) {
			for range 3 * maxWasted {
				x.now = x.now.Add(time.Millisecond)
				x.receive(wire.AppSpace, []byte{byte(wire.FramePing)})
				x.queue, x.story = nil, nil
			}
		}},
		{"a window that comes twice", func(x *exchange) {
			const window = 3 * maxWasted
			buf := make([]byte, 4096)
			for range 2 {
				for at := range int64(window) {
					x.receive(wire.AppSpace, wire.AppendStream(nil, wire.Stream{ID: 0, Offset: 1000 * at, Data: data}))
					for n := 1; n > 0; {
						n, _, _ = x.conn.Read(x.now, 0, buf)
					}
					x.queue, x.story = nil, nil
				}
			}
		}},
		{"a lost window that comes but for its beginning", func(x *exchange) {
			x.receive(wire.AppSpace, wire.AppendStream(nil, wire.Stream{ID: 0, Offset: 2*maxWasted + 10, Data: data[:1]}))
			for at := range int64(2 * maxWasted) {
				x.receive(wire.AppSpace, wire.AppendStream(nil, wire.Stream{ID: 0, Offset: 5 + at, Data: data[:1]}))
				x.queue, x.story = nil, nil
			}
		}},
		{"little frames beside what counts", func(x *exchange) {
			for at := range int64(2 * maxWasted) {
				x.receive(wire.AppSpace, wire.AppendStream(nil, wire.Stream{ID: 0, Offset: at, Data: data[:1]}), repeat(wire.AppendMaxData(nil, 1), paidFor))
				x.queue, x.story = nil, nil
			}
		}},
	} {
		x := newExchange(t, true, withConfig(func(c *Config) {
			c.StreamWindow, c.ConnWindow = 1<<20, 1<<20
		})).handshake()
		if c.run(x); x.conn.Err() != nil {
			t.Errorf("%s: %v", c.sentence, x.conn.Err())
		}
	}
}

// Updates of the keys count as what they cost: a peer gets no more of them than of other frames that bring nothing, however
// fast it acknowledges.
func TestKeyUpdatesAreBounded(t *testing.T) {
	x := newExchange(t, true).handshake()
	n := 0
	for ; x.conn.Err() == nil && n < 2*maxWasted/keyUpdateCost; n++ {
		x.use(x.keyPhase().next())
		x.receive(wire.AppSpace, ping)
		x.receive(wire.AppSpace, ping) // which has both acknowledged, in the new phase
		x.ack(wire.AppSpace)
		x.queue, x.story = nil, nil
	}
	if n < maxWasted/keyUpdateCost/2 || n > maxWasted/keyUpdateCost+10 {
		t.Errorf("closed after %d updates: %v", n, x.conn.Err())
	}
}

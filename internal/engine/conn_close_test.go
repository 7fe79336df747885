package engine

import (
	"testing"
	"time"

	"github.com/godwit-net/godwit/internal/wire"
)

var ping = []byte{byte(wire.FramePing)}

func TestCloseAnnouncesItselfAndBacksOff(t *testing.T) {
	// Rules: 9000:10.2/3, 9000:10.2.1/1, 9000:11.1/2
	// "An endpoint SHOULD limit the rate at which it generates packets in the closing state." RFC 9000, section 10.2.1
	for _, server := range []bool{false, true} {
		x := newExchange(t, server).handshake()
		x.conn.Close(x.now, 7, "bye")
		x.drain()
		x.want("closing announces itself", wire.AppSpace, "connection_close code=0x7 app=true")
		x.wantEvent("the application learns of it", EventClosed)
		for i, answered := range []bool{true, false, true, false, false, false, true} {
			x.receive(wire.AppSpace, ping)
			if answered {
				x.want("a packet is answered by another close, ever more rarely", wire.AppSpace, "connection_close code=0x7 app=true")
			} else {
				x.wantNothing("not every packet is answered")
			}
			_ = i
		}
		x.advance(time.Minute)
		x.wantEvent("the closing period ends", EventDrained)
		x.wantNothing("and nothing is said any more")
	}
}

func TestPeersCloseIsNotAnswered(t *testing.T) {
	// Rules: 9000:10.2.2/1, 9000:10.2.2/2
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, wire.AppendConnectionClose(nil, wire.ConnectionClose{App: true, Code: 9, Reason: []byte("done")}))
	x.wantEvent("the application learns of it", EventClosed)
	if e, ok := x.conn.Err().(*ApplicationError); !ok || e.Code != 9 || e.Reason != "done" || !e.Remote {
		t.Errorf("the error is %v", x.conn.Err())
	}
	x.receive(wire.AppSpace, ping)
	x.wantNothing("a draining endpoint is silent")
	x.advance(time.Minute)
	x.wantEvent("the draining period ends", EventDrained)
}

func TestIdleTimeoutIsSilent(t *testing.T) {
	x := newExchange(t, false, withConfig(func(c *Config) { c.MaxIdleTimeout = 5 * time.Second })).handshake()
	x.advance(6 * time.Second)
	if x.conn.Err() != ErrIdleTimeout {
		t.Fatalf("the error is %v", x.conn.Err())
	}
	x.wantEvent("it is over at once", EventDrained)
	x.wantNothing("nothing is sent")
}

func TestKeepAlivePreventsTheIdleTimeout(t *testing.T) {
	x := newExchange(t, false, withConfig(func(c *Config) { c.MaxIdleTimeout, c.KeepAlive = 5*time.Second, time.Second })).handshake()
	for range 10 {
		x.advance(1100 * time.Millisecond)
		x.want("a second of silence ends with a PING", wire.AppSpace, "ping")
		x.ack(wire.AppSpace)
		x.queue = nil
	}
	if x.conn.Err() != nil {
		t.Fatal(x.conn.Err())
	}
}

func TestAConnectionFadesOnceInTheIdleTimeout(t *testing.T) {
	x := newExchange(t, false, withConfig(func(c *Config) { c.MaxIdleTimeout = 5 * time.Second })).handshake()
	for range 3 {
		if x.advance(2 * time.Second); x.conn.Fading(x.now) {
			t.Error("it fades early")
		}
		if x.advance(600 * time.Millisecond); !x.conn.Fading(x.now) {
			t.Error("half of the timeout is over")
		}
		x.conn.Ping(x.now)
		x.drain()
		x.want("it asks for a sign of life", wire.AppSpace, "ping")
		if x.advance(10 * time.Millisecond); x.conn.Fading(x.now) {
			t.Error("it has asked")
		}
		x.ack(wire.AppSpace)
		x.queue = nil
	}
	if x.conn.Err() != nil {
		t.Fatal(x.conn.Err())
	}
}

func TestHandshakeTimeout(t *testing.T) {
	x := newExchange(t, false)
	x.drain()
	x.advance(11 * time.Second)
	if x.conn.Err() != ErrHandshakeTimeout {
		t.Fatalf("the error is %v", x.conn.Err())
	}
}

func TestStatelessResetEndsTheConnection(t *testing.T) {
	// Rules: 9000:10.3.1/1, 9000:10.3.1/4
	token := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.HasResetToken, p.ResetToken = true, token })).handshake()
	b := append([]byte{0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, make([]byte, 20)...)
	x.receiveDatagram(append(b, token[:]...))
	if x.conn.Err() != ErrStatelessReset {
		t.Fatalf("the error is %v", x.conn.Err())
	}
}

func TestProtocolErrorsCloseWithTheirCode(t *testing.T) {
	// Rules: 9000:4.1/2, 9000:4.6/3, 9000:11/1, 9000:11/2, 9000:11.1/1, 9000:12.4/2, 9000:12.4/4, 9000:13.1/2
	// Rules: 9000:19.5/1, 9000:19.7/2, 9000:19.7/4, 9000:19.8/1, 9000:19.10/2, 9000:19.10/4, 9000:19.11/4, 9000:19.16/1
	// Rules: 9000:19.20/2, 9000:10.3/1
	for _, c := range []struct {
		sentence string
		server   bool
		frame    []byte
		want     wire.ErrorCode
	}{
		{"a packet without frames", true, nil, wire.ProtocolViolation},
		{"an unknown frame type", true, []byte{0x21}, wire.FrameEncodingError},
		{"a truncated frame", true, []byte{byte(wire.FrameMaxData), 0xc0}, wire.FrameEncodingError},
		{"a frame type in a longer encoding", true, []byte{0x40, 0x01}, wire.ProtocolViolation},
		{"HANDSHAKE_DONE from a client", true, []byte{byte(wire.FrameHandshakeDone)}, wire.ProtocolViolation},
		{"NEW_TOKEN from a client", true, wire.AppendNewToken(nil, []byte("t")), wire.ProtocolViolation},
		{"an empty NEW_TOKEN", false, []byte{byte(wire.FrameNewToken), 0}, wire.FrameEncodingError},
		{"a stream beyond the limit", true, append(wire.AppendStreamHeader(nil, wire.StreamHeader{ID: 40, Length: 1}), 'x'), wire.StreamLimitError},
		{"data beyond the stream's limit", true, append(wire.AppendStreamHeader(nil, wire.StreamHeader{ID: 0, Offset: 1 << 16, Length: 1}), 'x'), wire.FlowControlError},
		{"data on a stream that we have not opened", true, append(wire.AppendStreamHeader(nil, wire.StreamHeader{ID: 1, Length: 1}), 'x'), wire.StreamStateError},
		{"data on a stream that only we send on", true, append(wire.AppendStreamHeader(nil, wire.StreamHeader{ID: 3, Length: 1}), 'x'), wire.StreamStateError},
		{"MAX_STREAM_DATA for a stream that only the peer sends on", true, wire.AppendMaxStreamData(nil, wire.MaxStreamData{ID: 2, Max: 9}), wire.StreamStateError},
		{"STOP_SENDING for a stream that we have not opened", true, wire.AppendStopSending(nil, wire.StopSending{ID: 1}), wire.StreamStateError},
		{"an ACK of a packet never sent", true, wire.AppendAck(nil, wire.Ack{}, []rangeOf{{Start: 900, End: 901}}, 100), wire.ProtocolViolation},
		{"the retirement of an ID never issued", true, wire.AppendRetireConnectionID(nil, 99), wire.ProtocolViolation},
	} {
		x := newExchange(t, c.server).handshake()
		b := x.packet(wire.AppSpace, c.frame)
		if c.frame == nil {
			b = x.emptyPacket()
		}
		x.receiveDatagram(b)
		x.wantClose(c.sentence, c.want)
	}
}

func TestWhatArrivedBeforeThePeersCloseCanBeRead(t *testing.T) {
	x := newExchange(t, false).handshake()
	whole, part := x.open(), x.open()
	x.receive(wire.AppSpace, streamFrame(whole, 0, "all of it", true), streamFrame(part, 0, "a beginning", false),
		wire.AppendConnectionClose(nil, wire.ConnectionClose{App: true, Code: 0x100}))
	x.wantEvent("the connection is over", EventClosed)
	x.wantRead("the stream that was complete is", whole, "all of it", true)
	x.wantRead("of the other there is what came", part, "a beginning", false)
	if _, _, err := x.read64(part); err == nil || err.(*ApplicationError).Code != 0x100 {
		t.Errorf("and then the reason: %v", err)
	}

	x = newExchange(t, false).handshake()
	id := x.open()
	x.receive(wire.AppSpace, streamFrame(id, 0, "unwanted", true))
	x.conn.Close(x.now, 0, "")
	if _, _, err := x.read64(id); err == nil {
		t.Error("bytes are handed out after we closed ourselves")
	}
}

func TestAPingIsSentOnceItIsWanted(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.drain()
	x.ack(wire.AppSpace)
	x.drain()
	before := len(x.sizes)
	x.conn.Ping(x.now)
	x.drain()
	x.drain()
	if n := len(x.sizes) - before; n != 1 {
		t.Errorf("%d datagrams, want 1", n)
	}
	x.conn.Close(x.now, 0, "")
	x.drain()
	before = len(x.sizes)
	x.conn.Ping(x.now)
	if x.drain(); len(x.sizes) != before {
		t.Error("a PING after the end")
	}
}

package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/godwit-net/godwit/internal/wire"
)

// TestFramesComeInTheirPackets goes through RFC 9000, table 3, in the two long-header packets.
func TestFramesComeInTheirPackets(t *testing.T) {
	// Rules: 9000:12.4/3, 9000:17.2.4/1
	allowed := map[uint64]bool{
		wire.FramePadding: true, wire.FramePing: true, wire.FrameAck: true, wire.FrameAckECN: true, wire.FrameCrypto: true,
		wire.FrameConnectionClose: true,
	}
	for _, space := range []wire.Space{wire.InitialSpace, wire.HandshakeSpace} {
		for typ := uint64(0); typ <= wire.FrameHandshakeDone; typ++ {
			x := newExchange(t, false)
			x.early(ping)
			x.receive(space, append([]byte{byte(typ)}, make([]byte, 40)...))
			e, ok := x.conn.Err().(*TransportError)
			refused := ok && e.Code == wire.ProtocolViolation && strings.Contains(e.Reason, "frame in a packet of type")
			if refused == allowed[typ] {
				t.Errorf("%s in a packet of the %s space: %v", wire.FrameName(typ), space, x.conn.Err())
			}
		}
	}
}

func TestATokenForLaterIsIgnored(t *testing.T) {
	x := newExchange(t, false).handshake()
	x.receive(wire.AppSpace, wire.AppendNewToken(nil, []byte("for the next connection")))
	if x.conn.Err() != nil {
		t.Error(x.conn.Err())
	}
}

func TestAFaultNamesItsFrame(t *testing.T) {
	// RFC 9000, section 19.19: "the type of frame that triggered the error".
	x := newExchange(t, true).handshake()
	x.receive(wire.AppSpace, ping, streamFrame(1, 0, "x", false), ping)
	x.wantClose("data on a stream that we have not opened", wire.StreamStateError)
	f := x.wantAmong("the close names it", "connection_close code=0x5 app=false")
	if c, _ := wire.ConsumeConnectionClose(f.raw); c.FrameType&^7 != wire.FrameStream {
		t.Errorf("as frame type %#x", c.FrameType)
	}
}

func TestDatagramsAreNoLargerThanThePeerTakes(t *testing.T) {
	// Rules: 9000:14.2/3
	// RFC 9000, section 18.2, max_udp_payload_size: "UDP datagrams with payloads larger than this limit are not likely to be
	// processed by the receiver."
	for _, c := range []struct {
		theirs int64
		want   int
	}{{65527, 1452}, {1300, 1300}, {1200, 1200}} {
		x := newExchange(t, false, withParams(func(p *wire.TransportParams) { p.MaxUDPPayloadSize = c.theirs })).handshake()
		x.pour(200_000)
		if got := slices.Max(x.sizes); got != c.want {
			t.Errorf("a peer that takes %d bytes is sent %d, want %d", c.theirs, got, c.want)
		}
	}
}

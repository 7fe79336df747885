package wire

import "github.com/godwit-net/godwit/internal/varint"

// Frame types (RFC 9000, table 3; RFC 9221, section 4; draft-ietf-quic-ack-frequency;
// draft-ietf-quic-reliable-stream-reset). All but ACK_FREQUENCY are one byte on the wire.
const (
	FramePadding            uint64 = 0x00
	FramePing               uint64 = 0x01
	FrameAck                uint64 = 0x02
	FrameAckECN             uint64 = 0x03
	FrameResetStream        uint64 = 0x04
	FrameStopSending        uint64 = 0x05
	FrameCrypto             uint64 = 0x06
	FrameNewToken           uint64 = 0x07
	FrameStream             uint64 = 0x08 // to 0x0f: the bits are StreamFin, StreamLen and StreamOff
	FrameMaxData            uint64 = 0x10
	FrameMaxStreamData      uint64 = 0x11
	FrameMaxStreamsBidi     uint64 = 0x12
	FrameMaxStreamsUni      uint64 = 0x13
	FrameDataBlocked        uint64 = 0x14
	FrameStreamDataBlocked  uint64 = 0x15
	FrameStreamsBlockedBidi uint64 = 0x16
	FrameStreamsBlockedUni  uint64 = 0x17
	FrameNewConnectionID    uint64 = 0x18
	FrameRetireConnectionID uint64 = 0x19
	FramePathChallenge      uint64 = 0x1a
	FramePathResponse       uint64 = 0x1b
	FrameConnectionClose    uint64 = 0x1c
	FrameConnectionCloseApp uint64 = 0x1d
	FrameHandshakeDone      uint64 = 0x1e
	FrameImmediateAck       uint64 = 0x1f
	FrameResetStreamAt      uint64 = 0x24
	FrameDatagram           uint64 = 0x30
	FrameDatagramLen        uint64 = 0x31
	FrameAckFrequency       uint64 = 0xaf
)

// Bits of a STREAM frame's type (RFC 9000, section 19.8).
const (
	StreamFin = 0x01
	StreamLen = 0x02
	StreamOff = 0x04
)

// MaxStreamCount is the largest number of streams of one type: "This value cannot exceed 2^60, as it is not possible to
// encode stream IDs larger than 2^62-1." (RFC 9000, section 19.11)
const MaxStreamCount = 1 << 60

// ConsumeFrameType reads the type of the frame at the start of b. "To ensure simple and efficient implementations of
// frame parsing, a frame type MUST use the shortest possible encoding" (RFC 9000, section 12.4): a longer one, which may
// be treated as PROTOCOL_VIOLATION, yields n = -1 like a truncated one.
//
// A switch over b[0] needs none of this, since a known type is one byte and a longer encoding of it begins with another
// byte; what falls to the default is read with this to report it.
func ConsumeFrameType(b []byte) (t uint64, n int) {
	t, n = varint.Consume(b)
	if n < 0 || n != varint.Len(t) {
		return t, -1
	}
	return t, n
}

// FrameName returns the name of a frame type in qlog, "unknown" for types that this package does not know.
func FrameName(t uint64) string {
	if t < uint64(len(frameNames)) {
		return frameNames[t]
	}
	switch t {
	case FrameDatagram, FrameDatagramLen:
		return "datagram"
	case FrameImmediateAck:
		return "immediate_ack"
	case FrameResetStreamAt:
		return "reset_stream_at"
	case FrameAckFrequency:
		return "ack_frequency"
	}
	return "unknown"
}

var frameNames = [...]string{
	FramePadding:            "padding",
	FramePing:               "ping",
	FrameAck:                "ack",
	FrameAckECN:             "ack",
	FrameResetStream:        "reset_stream",
	FrameStopSending:        "stop_sending",
	FrameCrypto:             "crypto",
	FrameNewToken:           "new_token",
	FrameStream:             "stream",
	FrameStream + 1:         "stream",
	FrameStream + 2:         "stream",
	FrameStream + 3:         "stream",
	FrameStream + 4:         "stream",
	FrameStream + 5:         "stream",
	FrameStream + 6:         "stream",
	FrameStream + 7:         "stream",
	FrameMaxData:            "max_data",
	FrameMaxStreamData:      "max_stream_data",
	FrameMaxStreamsBidi:     "max_streams",
	FrameMaxStreamsUni:      "max_streams",
	FrameDataBlocked:        "data_blocked",
	FrameStreamDataBlocked:  "stream_data_blocked",
	FrameStreamsBlockedBidi: "streams_blocked",
	FrameStreamsBlockedUni:  "streams_blocked",
	FrameNewConnectionID:    "new_connection_id",
	FrameRetireConnectionID: "retire_connection_id",
	FramePathChallenge:      "path_challenge",
	FramePathResponse:       "path_response",
	FrameConnectionClose:    "connection_close",
	FrameConnectionCloseApp: "connection_close",
	FrameHandshakeDone:      "handshake_done",
}

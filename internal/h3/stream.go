package h3

import "github.com/godwit-net/godwit/internal/varint"

// StreamType is the type of a unidirectional stream (RFC 9114, section 6.2; RFC 9204, section 4.2).
type StreamType uint64

const (
	StreamControl      StreamType = 0x00
	StreamPush         StreamType = 0x01
	StreamQPACKEncoder StreamType = 0x02
	StreamQPACKDecoder StreamType = 0x03
)

// String returns the type's name as qlog writes it.
func (t StreamType) String() string {
	switch t {
	case StreamControl:
		return "control"
	case StreamPush:
		return "push"
	case StreamQPACKEncoder:
		return "qpack_encode"
	case StreamQPACKDecoder:
		return "qpack_decode"
	}
	if isGrease(uint64(t)) {
		return "reserved"
	}
	return "unknown"
}

// Critical reports whether closing a stream of this type ends the connection.
func (t StreamType) Critical() bool {
	return t == StreamControl || t == StreamQPACKEncoder || t == StreamQPACKDecoder
}

// MaxStreamTypeLen is the length in bytes of the longest unidirectional stream header.
const MaxStreamTypeLen = 8

// ConsumeStreamType reads the header of a unidirectional stream. n = 0: b ends inside it. "A receiver MUST tolerate
// unidirectional streams being closed or reset prior to the reception of the unidirectional stream header" (RFC 9114,
// section 6.2), so a stream that ends there is no error.
func ConsumeStreamType(b []byte) (t StreamType, n int) {
	v, n := varint.Consume(b)
	if n < 0 {
		return 0, 0
	}
	return StreamType(v), n
}

// AppendStreamType appends the header of a unidirectional stream.
func AppendStreamType(b []byte, t StreamType) []byte { return varint.Append(b, uint64(t)) }

// UniStreams watches over the unidirectional streams that the peer opens on one connection.
type UniStreams struct {
	// Server says that we are the server.
	Server bool

	seen [4]bool // by type: the critical streams that were opened
}

// Open judges a stream whose type has been read. An error of the stream, not of the connection, is for types that we do
// not know: "Recipients of unknown stream types MUST either abort reading of the stream or discard incoming data [...]
// If reading is aborted, the recipient SHOULD use the H3_STREAM_CREATION_ERROR error code", and "MUST NOT consider
// unknown stream types to be a connection error of any kind" (RFC 9114, section 6.2).
func (u *UniStreams) Open(t StreamType) error {
	switch {
	case t == StreamPush && u.Server:
		// "Only servers can push; if a server receives a client-initiated push stream, this MUST be treated as a
		// connection error of type H3_STREAM_CREATION_ERROR" (section 6.2.2).
		return connError(H3StreamCreationError, "push stream from a client")
	case t == StreamPush:
		// "A client MUST treat receipt of a push stream as a connection error of type H3_ID_ERROR when no MAX_PUSH_ID
		// frame has been sent" (section 4.6). We never send one.
		return connError(H3IDError, "push stream, but no push was allowed")
	case !t.Critical():
		return streamError(H3StreamCreationError, "unknown stream type")
	case u.seen[t]:
		// "Only one control stream per peer is permitted; receipt of a second stream claiming to be a control stream MUST
		// be treated as a connection error of type H3_STREAM_CREATION_ERROR" (section 6.2.1); RFC 9204, section 4.2, says
		// the same about the other two.
		return connError(H3StreamCreationError, "second "+t.String()+" stream")
	}
	u.seen[t] = true
	return nil
}

// Closed judges the end or the reset of a stream of this type, by either side: "If either control stream is closed at any
// point, this MUST be treated as a connection error of type H3_CLOSED_CRITICAL_STREAM" (RFC 9114, section 6.2.1), and
// so for the QPACK streams (RFC 9204, section 4.2). It holds for our own critical streams that the peer stops, too.
func (t StreamType) Closed() error {
	if t.Critical() {
		return connError(H3ClosedCriticalStream, t.String()+" stream closed")
	}
	return nil
}

// ErrServerBidi is for a bidirectional stream that a server opens: "Clients MUST treat receipt of a server-initiated
// bidirectional stream as a connection error of type H3_STREAM_CREATION_ERROR" (RFC 9114, section 6.1).
var ErrServerBidi = connError(H3StreamCreationError, "bidirectional stream from a server")

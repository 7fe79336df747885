package h3

import "github.com/godwit-net/godwit/internal/varint"

// MaxRequestID is the identifier in a server's first GOAWAY of a graceful shutdown: every request stream lies below it,
// so nothing is refused yet and the client only learns that it must stop opening streams (RFC 9114, section 5.2).
const MaxRequestID = 1<<62 - 4

// MaxPushID is the same for a client's GOAWAY.
const MaxPushID = 1<<62 - 1

// GoAway is what one side has announced with its GOAWAY frames. The zero value: nothing.
type GoAway struct {
	id  int64
	set bool
}

// ID returns the identifier of the last frame; ok is false while there was none.
func (g *GoAway) ID() (id int64, ok bool) { return g.id, g.set }

// Rejects reports whether the request stream or push with this identifier is not going to be processed: "Requests or
// pushes with the indicated identifier or greater are rejected [...] by the sender of the GOAWAY" (RFC 9114, section 5.2).
func (g *GoAway) Rejects(id int64) bool { return g.set && id >= g.id }

// Receive notes a received frame's identifier. fromServer: it is the ID of a client-initiated bidirectional stream;
// otherwise a push ID.
func (g *GoAway) Receive(id int64, fromServer bool) error {
	if fromServer && id%4 != 0 {
		// "A client MUST treat receipt of a GOAWAY frame containing a stream ID of any other type as a connection error
		// of type H3_ID_ERROR" (section 7.2.6).
		return connError(H3IDError, "GOAWAY with an ID that is no request stream's")
	}
	if g.set && id > g.id {
		// "Receiving a GOAWAY containing a larger identifier than previously received MUST be treated as a connection
		// error of type H3_ID_ERROR" (section 5.2).
		return connError(H3IDError, "GOAWAY with a larger ID than before")
	}
	g.id, g.set = id, true
	return nil
}

// AppendFrame notes that we announce id and appends the GOAWAY frame. It panics if id is above an earlier one.
func (g *GoAway) AppendFrame(b []byte, id int64) []byte {
	if g.set && id > g.id {
		panic("BUG: GOAWAY identifier increases")
	}
	g.id, g.set = id, true
	b = AppendFrameHeader(b, FrameHeader{FrameGoAway, int64(varint.Len(uint64(id)))})
	return varint.Append(b, uint64(id))
}

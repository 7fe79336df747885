package wire

import "github.com/godwit-net/godwit/internal/varint"

// NewConnectionID is a NEW_CONNECTION_ID frame (RFC 9000, section 19.15).
type NewConnectionID struct {
	Seq, RetirePriorTo int64
	ID                 ConnID
	ResetToken         [16]byte
}

// ConsumeNewConnectionID reads the NEW_CONNECTION_ID frame at the start of b. Of the Length field: "Values less than 1
// and greater than 20 are invalid and MUST be treated as a connection error of type FRAME_ENCODING_ERROR", as must
// "receiving a value in the Retire Prior To field that is greater than that in the Sequence Number field".
func ConsumeNewConnectionID(b []byte) (NewConnectionID, int) {
	f := afterType(b)
	c := NewConnectionID{Seq: f.int(), RetirePriorTo: f.int()}
	id := f.bytes(uint64(f.byte()))
	c.ResetToken = f.token()
	if f.failed() || len(id) == 0 || len(id) > MaxConnIDLen || c.RetirePriorTo > c.Seq {
		return NewConnectionID{}, -1
	}
	c.ID = MakeConnID(id)
	return c, f.at
}

// AppendNewConnectionID appends a NEW_CONNECTION_ID frame.
func AppendNewConnectionID(b []byte, c NewConnectionID) []byte {
	if c.ID.Len() == 0 || c.RetirePriorTo > c.Seq {
		panic("BUG: a NEW_CONNECTION_ID frame that its receiver must reject")
	}
	b = append(b, byte(FrameNewConnectionID))
	b = varint.Append(b, uint64(c.Seq))
	b = varint.Append(b, uint64(c.RetirePriorTo))
	b = append(b, byte(c.ID.Len()))
	b = c.ID.AppendTo(b)
	return append(b, c.ResetToken[:]...)
}

// ConsumeRetireConnectionID reads the RETIRE_CONNECTION_ID frame at the start of b (RFC 9000, section 19.16): the
// sequence number of the connection ID that its sender no longer uses.
func ConsumeRetireConnectionID(b []byte) (seq int64, n int) { return consumeInt(b) }

// AppendRetireConnectionID appends a RETIRE_CONNECTION_ID frame.
func AppendRetireConnectionID(b []byte, seq int64) []byte {
	return appendInt(b, FrameRetireConnectionID, seq)
}

package h3

import "github.com/godwit-net/godwit/internal/varint"

// ControlStream reads the peer's control stream, after its stream type (RFC 9114, section 6.2.1).
type ControlStream struct {
	// Server says that we are the server, so the peer is a client.
	Server bool

	// GoAway is what the peer announced.
	GoAway GoAway

	settings  bool  // SETTINGS has arrived
	maxPushID int64 // the peer's MAX_PUSH_ID plus 1; 0: none
	skip      int64 // bytes of a frame of unknown type still to be discarded
	skipType  FrameType
}

// ControlFrame is a frame of the control stream that has passed all checks. Only the fields that matter to Type are set.
type ControlFrame struct {
	Type     FrameType
	Length   int64    // of the payload, in bytes; 0 for all but the first portion of a discarded frame
	Settings Settings // FrameSettings
	ID       int64    // FrameGoAway, FrameMaxPushID; the stream of a FramePriorityUpdateRequest
	Priority Priority // FramePriorityUpdateRequest
	Origins  []string // FrameOrigin
}

// Consume reads the next frame from the start of b. n = 0: more bytes are needed, never more than MaxControlFrame in
// all. Otherwise n bytes are done with. Frames of unknown type are discarded in portions, each reported as a frame of
// that type; to ignore types that one does not know is all that it takes.
func (c *ControlStream) Consume(b []byte) (f ControlFrame, n int, err error) {
	if c.skip > 0 {
		n = int(min(c.skip, int64(len(b))))
		c.skip -= int64(n)
		return ControlFrame{Type: c.skipType}, n, nil
	}
	h, n := ConsumeFrameHeader(b)
	if n == 0 {
		return f, 0, nil
	}
	known, err := c.check(h)
	if err != nil {
		return f, 0, err
	}
	f.Type, f.Length = h.Type, h.Length
	if !known {
		c.skip, c.skipType = h.Length, h.Type
		return f, n, nil
	}
	if int64(len(b)-n) < h.Length {
		return ControlFrame{}, 0, nil
	}
	payload := b[n : n+int(h.Length)]
	if err := c.receive(&f, payload); err != nil {
		return ControlFrame{}, 0, err
	}
	return f, n + len(payload), nil
}

// check judges a frame by its header. known is false for types that are to be ignored.
func (c *ControlStream) check(h FrameHeader) (known bool, err error) {
	if !c.settings && h.Type != FrameSettings {
		// "If the first frame of the control stream is any other frame type, this MUST be treated as a connection error
		// of type H3_MISSING_SETTINGS" (section 6.2.1): unknown types, too.
		return false, connError(H3MissingSettings, "the control stream does not begin with SETTINGS")
	}
	most := int64(maxIDPayload)
	switch h.Type {
	case FrameSettings:
		if c.settings {
			return true, connError(H3FrameUnexpected, "second SETTINGS frame")
		}
		most = MaxSettingsPayload
	case FrameCancelPush, FrameGoAway:
	case FrameMaxPushID:
		if !c.Server {
			return true, connError(H3FrameUnexpected, "MAX_PUSH_ID from a server")
		}
	case FramePriorityUpdateRequest, FramePriorityUpdatePush:
		if !c.Server {
			return true, connError(H3FrameUnexpected, "PRIORITY_UPDATE from a server")
		}
		most = MaxPriorityUpdatePayload
	case FrameOrigin:
		// It tells, and binds nobody: "the ORIGIN frame is sent from servers to clients on the server's control stream"
		// (RFC 9412, section 2). What a client says, and what is too long to be held, is discarded.
		return !c.Server && h.Length <= MaxSettingsPayload, nil
	case FrameData, FrameHeaders, FramePushPromise:
		return true, connError(H3FrameUnexpected, h.Type.String()+" frame on the control stream")
	default:
		if h.Type.forbidden() {
			return false, errHTTP2Frame
		}
		return false, nil
	}
	switch {
	case h.Length <= most:
		return true, nil
	case most == maxIDPayload:
		return true, errIDPayload
	}
	return true, connError(H3ExcessiveLoad, h.Type.String()+" frame is too long")
}

// receive takes a known frame's payload.
func (c *ControlStream) receive(f *ControlFrame, payload []byte) (err error) {
	switch f.Type {
	case FrameSettings:
		c.settings = true
		f.Settings, err = ConsumeSettings(payload)
		return err
	case FramePriorityUpdateRequest, FramePriorityUpdatePush:
		return c.receivePriorityUpdate(f, payload)
	case FrameOrigin:
		f.Origins, err = consumeOrigins(payload)
		return err
	}
	if f.ID, err = consumeID(payload); err != nil {
		return err
	}
	switch f.Type {
	case FrameGoAway:
		return c.GoAway.Receive(f.ID, !c.Server)
	case FrameMaxPushID:
		// "A MAX_PUSH_ID frame cannot reduce the maximum push ID; receipt of a MAX_PUSH_ID frame that contains a smaller
		// value than previously received MUST be treated as a connection error of type H3_ID_ERROR" (section 7.2.7).
		if f.ID+1 < c.maxPushID {
			return connError(H3IDError, "MAX_PUSH_ID decreases")
		}
		c.maxPushID = f.ID + 1
	case FrameCancelPush:
		// A server errs if the push "has not yet been mentioned by a PUSH_PROMISE frame", a client if it is "greater than
		// currently allowed on the connection" (section 7.2.3). We neither promise pushes nor allow any.
		return connError(H3IDError, "CANCEL_PUSH of a push that does not exist")
	}
	return nil
}

// receivePriorityUpdate reads a Prioritized Element ID and a Priority Field Value (RFC 9218, section 7.2).
func (c *ControlStream) receivePriorityUpdate(f *ControlFrame, payload []byte) error {
	id, n := varint.Consume(payload)
	if n < 0 {
		return connError(H3FrameError, "PRIORITY_UPDATE without an element ID")
	}
	// "If a server receives a PRIORITY_UPDATE (type=0xF0701) with a push ID that is greater than the maximum push ID or
	// that has not yet been promised, this MUST be treated as a connection error of type H3_ID_ERROR." We promise none.
	if f.Type == FramePriorityUpdatePush {
		return connError(H3IDError, "PRIORITY_UPDATE of a push that does not exist")
	}
	// "If a server receives a PRIORITY_UPDATE (type=0xF0700) for a stream ID that is not a request stream, this MUST be
	// treated as a connection error of type H3_ID_ERROR."
	if id%4 != 0 {
		return connError(H3IDError, "PRIORITY_UPDATE of a stream that is no request stream")
	}
	f.ID = int64(id)
	// "Failure to parse the Priority Field Value MAY be treated as a connection error": it is not; defaults hold.
	f.Priority, _ = ParsePriority(string(payload[n:]))
	return nil
}

var errHTTP2Frame = connError(H3FrameUnexpected, "frame type of HTTP/2")

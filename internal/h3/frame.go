package h3

import "github.com/godwit-net/godwit/internal/varint"

// FrameType is the type of an HTTP/3 frame (RFC 9114, section 7.2; RFC 9218, section 7.2).
type FrameType uint64

const (
	FrameData                  FrameType = 0x00
	FrameHeaders               FrameType = 0x01
	FrameCancelPush            FrameType = 0x03
	FrameSettings              FrameType = 0x04
	FramePushPromise           FrameType = 0x05
	FrameGoAway                FrameType = 0x07
	FrameOrigin                FrameType = 0x0c // RFC 9412
	FrameMaxPushID             FrameType = 0x0d
	FramePriorityUpdateRequest FrameType = 0xf0700
	FramePriorityUpdatePush    FrameType = 0xf0701
)

// String returns the type's name as qlog writes it: "data", "headers", ...; "reserved" for both kinds of reserved types.
func (t FrameType) String() string {
	switch t {
	case FrameData:
		return "data"
	case FrameHeaders:
		return "headers"
	case FrameCancelPush:
		return "cancel_push"
	case FrameSettings:
		return "settings"
	case FramePushPromise:
		return "push_promise"
	case FrameGoAway:
		return "goaway"
	case FrameMaxPushID:
		return "max_push_id"
	case FramePriorityUpdateRequest, FramePriorityUpdatePush:
		return "priority_update"
	}
	if t.forbidden() || isGrease(uint64(t)) {
		return "reserved"
	}
	return "unknown"
}

// forbidden reports whether t is one of HTTP/2's types without a successor: "These frame types MUST NOT be sent, and
// their receipt MUST be treated as a connection error of type H3_FRAME_UNEXPECTED" (RFC 9114, section 7.2.8).
func (t FrameType) forbidden() bool {
	switch t {
	case 0x02, 0x06, 0x08, 0x09: // PRIORITY, PING, WINDOW_UPDATE, CONTINUATION
		return true
	}
	return false
}

// isGrease reports whether v has "the format 0x1f * N + 0x21 for non-negative integer values of N", reserved among frame
// types, stream types, settings and error codes "to exercise the requirement that unknown types be ignored".
func isGrease(v uint64) bool { return v >= 0x21 && (v-0x21)%0x1f == 0 }

// Grease returns the reserved value number n%1000 of a registry (RFC 9114, sections 6.2.3, 7.2.4.1, 7.2.8 and 8.1).
func Grease(n uint64) uint64 { return 0x21 + 0x1f*(n%1000) }

// MaxFrameHeader is the length in bytes of the longest frame header.
const MaxFrameHeader = 16

// FrameHeader begins a frame; Length bytes of payload follow.
type FrameHeader struct {
	Type   FrameType
	Length int64
}

// ConsumeFrameHeader reads a frame header from the start of b. n = 0: b ends inside the header. Two variable-length
// integers cannot be malformed; whether the frame may stand where it does is for Message and ControlStream to say.
func ConsumeFrameHeader(b []byte) (h FrameHeader, n int) {
	t, n := varint.Consume(b)
	if n < 0 {
		return h, 0
	}
	length, m := varint.Consume(b[n:])
	if m < 0 {
		return h, 0
	}
	return FrameHeader{FrameType(t), int64(length)}, n + m
}

// AppendFrameHeader appends the header of a frame whose payload the caller appends.
func AppendFrameHeader(b []byte, h FrameHeader) []byte {
	return varint.Append(varint.Append(b, uint64(h.Type)), uint64(h.Length))
}

// Len returns the length of the header as AppendFrameHeader writes it, in bytes.
func (h FrameHeader) Len() int { return varint.Len(uint64(h.Type)) + varint.Len(uint64(h.Length)) }

// consumeID reads a payload that is one identifier and nothing else, as in CANCEL_PUSH, GOAWAY and MAX_PUSH_ID: "Each
// frame's payload MUST contain exactly the fields identified in its description" (RFC 9114, section 7.1).
func consumeID(payload []byte) (int64, error) {
	id, n := varint.Consume(payload)
	if n < 0 || n != len(payload) {
		return 0, errIDPayload
	}
	return int64(id), nil
}

// maxIDPayload is the length in bytes of the longest identifier.
const maxIDPayload = 8

var errIDPayload = connError(H3FrameError, "the payload is not exactly one identifier")

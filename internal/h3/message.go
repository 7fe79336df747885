package h3

// MessageState is where a request or response stream stands while we read it.
type MessageState uint8

const (
	RequestStart    MessageState = iota // nothing read; HEADERS must come
	RequestBody                         // header section read: DATA, or HEADERS with trailers
	RequestTrailed                      // trailers read; no more of the message may come
	ResponseStart                       // nothing read, or interim responses only; HEADERS must come
	ResponseBody                        // final header section read
	ResponseTrailed                     // trailers read
	TunnelData                          // CONNECT has completed: DATA only (RFC 9114, section 4.4)
	MessageEnded                        // the stream has ended where it may
	numMessageStates
)

func (s MessageState) String() string {
	return [...]string{"RequestStart", "RequestBody", "RequestTrailed", "ResponseStart", "ResponseBody", "ResponseTrailed",
		"TunnelData", "MessageEnded"}[s]
}

// MessagePart says what an accepted frame is to the message.
type MessagePart uint8

const (
	PartIgnored  MessagePart = iota // discard the payload: unknown or reserved type
	PartHeaders                     // a header section
	PartData                        // content
	PartTrailers                    // a trailer section
)

func (p MessagePart) String() string {
	return [...]string{"ignored", "headers", "data", "trailers"}[p]
}

// messageInput is a column of the grammar: a class of frame types, or the end of the stream.
type messageInput uint8

const (
	inputHeaders messageInput = iota
	inputData
	inputPushPromise
	inputControl // frames that belong on the control stream
	inputHTTP2   // frame types of HTTP/2 that are reserved
	inputUnknown
	inputFin
	numMessageInputs
)

func messageInputOf(t FrameType) messageInput {
	switch t {
	case FrameHeaders:
		return inputHeaders
	case FrameData:
		return inputData
	case FramePushPromise:
		return inputPushPromise
	case FrameCancelPush, FrameSettings, FrameGoAway, FrameMaxPushID, FramePriorityUpdateRequest, FramePriorityUpdatePush:
		return inputControl
	}
	if t.forbidden() {
		return inputHTTP2
	}
	return inputUnknown
}

// messageStep is a cell of the grammar: an error, or the next state and what the frame is.
type messageStep struct {
	next MessageState
	part MessagePart
	err  *Error
}

var (
	// "Receipt of an invalid sequence of frames MUST be treated as a connection error of type H3_FRAME_UNEXPECTED. In
	// particular, a DATA frame before any HEADERS frame, or a HEADERS or DATA frame after the trailing HEADERS frame, is
	// considered invalid" (RFC 9114, section 4.1).
	errDataFirst     = connError(H3FrameUnexpected, "DATA before HEADERS")
	errAfterTrailers = connError(H3FrameUnexpected, "frame of a message after its trailers")

	// "Receipt of any other known frame type MUST be treated as a connection error of type H3_FRAME_UNEXPECTED" (4.4).
	errTunnelFrame = connError(H3FrameUnexpected, "frame other than DATA in a tunnel")

	errControlFrame = connError(H3FrameUnexpected, "frame of the control stream on a request stream")

	// "A server MUST treat the receipt of a PUSH_PROMISE frame as a connection error of type H3_FRAME_UNEXPECTED", and "A
	// client MUST treat receipt of a PUSH_PROMISE frame that contains a larger push ID than the client has advertised as
	// a connection error of H3_ID_ERROR" (section 7.2.5): we advertise none.
	errPushFromClient = connError(H3FrameUnexpected, "PUSH_PROMISE from a client")
	errPushRefused    = connError(H3IDError, "PUSH_PROMISE, but no push was allowed")

	// "If a client-initiated stream terminates without enough of the HTTP message to provide a complete response, the
	// server SHOULD abort its response stream with the error code H3_REQUEST_INCOMPLETE" (section 4.1).
	errRequestIncomplete = streamError(H3RequestIncomplete, "the stream ends before the request's header section")

	// The other way round RFC 9114 names no code; the response is malformed (section 4.1.2).
	errResponseIncomplete = streamError(H3MessageError, "the stream ends before a final response")

	errEnded = connError(H3FrameUnexpected, "frame after the end of the stream")
)

// messageGrammar is RFC 9114, section 4.1, and Table 1 of section 7. testdata/message.golden shows it whole.
var messageGrammar = [numMessageStates][numMessageInputs]messageStep{
	RequestStart: {
		inputHeaders:     {RequestBody, PartHeaders, nil},
		inputData:        {err: errDataFirst},
		inputPushPromise: {err: errPushFromClient},
		inputControl:     {err: errControlFrame},
		inputHTTP2:       {err: errHTTP2Frame},
		inputUnknown:     {RequestStart, PartIgnored, nil},
		inputFin:         {err: errRequestIncomplete},
	},
	RequestBody: {
		inputHeaders:     {RequestTrailed, PartTrailers, nil},
		inputData:        {RequestBody, PartData, nil},
		inputPushPromise: {err: errPushFromClient},
		inputControl:     {err: errControlFrame},
		inputHTTP2:       {err: errHTTP2Frame},
		inputUnknown:     {RequestBody, PartIgnored, nil},
		inputFin:         {MessageEnded, PartIgnored, nil},
	},
	RequestTrailed: {
		inputHeaders:     {err: errAfterTrailers},
		inputData:        {err: errAfterTrailers},
		inputPushPromise: {err: errPushFromClient},
		inputControl:     {err: errControlFrame},
		inputHTTP2:       {err: errHTTP2Frame},
		inputUnknown:     {RequestTrailed, PartIgnored, nil},
		inputFin:         {MessageEnded, PartIgnored, nil},
	},
	ResponseStart: {
		inputHeaders:     {ResponseBody, PartHeaders, nil},
		inputData:        {err: errDataFirst},
		inputPushPromise: {err: errPushRefused},
		inputControl:     {err: errControlFrame},
		inputHTTP2:       {err: errHTTP2Frame},
		inputUnknown:     {ResponseStart, PartIgnored, nil},
		inputFin:         {err: errResponseIncomplete},
	},
	ResponseBody: {
		inputHeaders:     {ResponseTrailed, PartTrailers, nil},
		inputData:        {ResponseBody, PartData, nil},
		inputPushPromise: {err: errPushRefused},
		inputControl:     {err: errControlFrame},
		inputHTTP2:       {err: errHTTP2Frame},
		inputUnknown:     {ResponseBody, PartIgnored, nil},
		inputFin:         {MessageEnded, PartIgnored, nil},
	},
	ResponseTrailed: {
		inputHeaders:     {err: errAfterTrailers},
		inputData:        {err: errAfterTrailers},
		inputPushPromise: {err: errPushRefused},
		inputControl:     {err: errControlFrame},
		inputHTTP2:       {err: errHTTP2Frame},
		inputUnknown:     {ResponseTrailed, PartIgnored, nil},
		inputFin:         {MessageEnded, PartIgnored, nil},
	},
	TunnelData: {
		inputHeaders:     {err: errTunnelFrame},
		inputData:        {TunnelData, PartData, nil},
		inputPushPromise: {err: errTunnelFrame},
		inputControl:     {err: errTunnelFrame},
		inputHTTP2:       {err: errHTTP2Frame},
		inputUnknown:     {TunnelData, PartIgnored, nil},
		inputFin:         {MessageEnded, PartIgnored, nil},
	},
	MessageEnded: {
		inputHeaders:     {err: errEnded},
		inputData:        {err: errEnded},
		inputPushPromise: {err: errEnded},
		inputControl:     {err: errEnded},
		inputHTTP2:       {err: errHTTP2Frame},
		inputUnknown:     {err: errEnded},
		inputFin:         {MessageEnded, PartIgnored, nil},
	},
}

// Message follows the frames of the message that we read from a request stream. Start with &Message{State: RequestStart}
// at a server and ResponseStart at a client.
type Message struct{ State MessageState }

// Frame judges the next frame by its type and says what it is. On an error the state does not change.
func (m *Message) Frame(t FrameType) (MessagePart, error) { return m.step(messageInputOf(t)) }

// Fin judges the end of the stream, after a whole frame. For an end inside a frame there is ErrTruncatedFrame.
func (m *Message) Fin() error {
	_, err := m.step(inputFin)
	return err
}

func (m *Message) step(in messageInput) (MessagePart, error) {
	s := &messageGrammar[m.State][in]
	if s.err != nil {
		return PartIgnored, s.err
	}
	m.State = s.next
	return s.part, nil
}

// Interim says that the header section just read was an interim (1xx) response: another one must come. "A response MAY
// consist of multiple messages when and only when one or more interim responses [...] precede a final response to the same
// request" (RFC 9114, section 4.1).
func (m *Message) Interim() {
	if m.State != ResponseBody {
		panic("BUG: interim response in state " + m.State.String())
	}
	m.State = ResponseStart
}

// Tunnel says that the stream has become a tunnel: "Once the CONNECT method has completed, only DATA frames are permitted
// to be sent on the stream" (RFC 9114, section 4.4).
func (m *Message) Tunnel() {
	if m.State != RequestBody && m.State != ResponseBody {
		panic("BUG: tunnel in state " + m.State.String())
	}
	m.State = TunnelData
}

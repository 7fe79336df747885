package engine

// The two halves of a stream are the machines that RFC 9000 draws in figures 2 and 3. They are tables here, printed in
// full, every state with every input, in testdata/stream_states.golden.

// sendState is the state of a sending part (RFC 9000, section 3.1).
type sendState uint8

const (
	// sendReady: we accept bytes from the application; "Ready" and "Send" differ only in whether a frame has gone out,
	// which nothing here depends on, so one state stands for both.
	sendReady sendState = iota
	// sendDataSent: the application finished; bytes and the FIN are sent, and sent again, until they arrive. Or it abandoned the
	// stream but for its beginning, and RESET_STREAM_AT stands in for the FIN.
	sendDataSent
	// sendDataRecvd: all has arrived. Terminal.
	sendDataRecvd
	// sendResetSent: we abandoned the stream; RESET_STREAM is sent until it arrives.
	sendResetSent
	// sendResetRecvd: the reset has arrived. Terminal.
	sendResetRecvd
	// sendNone: the stream has no sending part.
	sendNone
	numSendStates
)

// sendInput is what can happen to a sending part.
type sendInput uint8

const (
	inFinish   sendInput = iota // the application wrote its last byte
	inReset                     // the application, or the peer's STOP_SENDING, abandons it
	inResetAt                   // the application abandons it, but for its beginning
	inAllAcked                  // every byte and the FIN are acknowledged
	inResetAcked
	numSendInputs
)

// recvState is the state of a receiving part (RFC 9000, section 3.2).
type recvState uint8

const (
	// recvRecv: bytes arrive; how many there will be is not known.
	recvRecv recvState = iota
	// recvSizeKnown: the final size is known, some bytes are missing; after a RESET_STREAM_AT, some of those that it promised.
	recvSizeKnown
	// recvDataRecvd: every byte that was promised is here; the application has not read them all.
	recvDataRecvd
	// recvDataRead: the application has read the end. Terminal.
	recvDataRead
	// recvResetRecvd: the peer abandoned the stream, and there is nothing more to read; the application does not know yet.
	recvResetRecvd
	// recvResetRead: the application knows. Terminal.
	recvResetRead
	// recvNone: the stream has no receiving part.
	recvNone
	numRecvStates
)

// recvInput is what can happen to a receiving part.
type recvInput uint8

const (
	inFin          recvInput = iota // the final size became known by a FIN
	inAllData                       // the last missing byte came
	inAppReadEnd                    // the application read the last byte, or does not want any
	inPeerReset                     // RESET_STREAM came
	inPeerResetAt                   // RESET_STREAM_AT came, and some of what it promises has not been read
	inReadReliable                  // the application read all that a RESET_STREAM_AT promised
	inAppSawReset                   // the application was told, or does not want to know
	numRecvInputs
)

// A cell of a table is the next state plus one; zero is an input that changes nothing in that state.
var sendTable = [numSendStates][numSendInputs]sendState{
	sendReady:     {inFinish: sendDataSent + 1, inReset: sendResetSent + 1, inResetAt: sendDataSent + 1},
	sendDataSent:  {inReset: sendResetSent + 1, inResetAt: sendDataSent + 1, inAllAcked: sendDataRecvd + 1},
	sendResetSent: {inResetAcked: sendResetRecvd + 1, inAllAcked: sendDataRecvd + 1},
}

// A RESET_STREAM in "Data Recvd" is ignored, for every byte is here: "An implementation is free to manage this situation
// as it chooses." (RFC 9000, section 3.2)
var recvTable = [numRecvStates][numRecvInputs]recvState{
	recvRecv:       {inFin: recvSizeKnown + 1, inPeerReset: recvResetRecvd + 1, inPeerResetAt: recvSizeKnown + 1},
	recvSizeKnown:  {inAllData: recvDataRecvd + 1, inPeerReset: recvResetRecvd + 1, inPeerResetAt: recvSizeKnown + 1},
	recvDataRecvd:  {inAppReadEnd: recvDataRead + 1, inReadReliable: recvResetRecvd + 1},
	recvResetRecvd: {inAppSawReset: recvResetRead + 1},
}

// on moves the machine and reports whether the input meant anything in this state.
func (s *sendState) on(in sendInput) bool {
	next := sendTable[*s][in]
	if next == 0 {
		return false
	}
	*s = next - 1
	return true
}

func (s sendState) terminal() bool {
	return s == sendDataRecvd || s == sendResetRecvd || s == sendNone
}

// on moves the machine and reports whether the input meant anything in this state.
func (s *recvState) on(in recvInput) bool {
	next := recvTable[*s][in]
	if next == 0 {
		return false
	}
	*s = next - 1
	return true
}

func (s recvState) terminal() bool {
	return s == recvDataRead || s == recvResetRead || s == recvNone
}

func (s sendState) String() string {
	return [...]string{"ready", "data_sent", "data_recvd", "reset_sent", "reset_recvd", "none"}[s]
}

func (s recvState) String() string {
	return [...]string{"recv", "size_known", "data_recvd", "data_read", "reset_recvd", "reset_read", "none"}[s]
}

func (i sendInput) String() string {
	return [...]string{"finish", "reset", "reset_at", "all_acked", "reset_acked"}[i]
}

func (i recvInput) String() string {
	return [...]string{"fin", "all_data", "app_read_end", "peer_reset", "peer_reset_at", "read_reliable", "app_saw_reset"}[i]
}

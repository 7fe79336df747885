package qlog

import (
	"time"

	"github.com/godwit-net/godwit/internal/rangeset"
)

// Frame is a QUIC frame as a trace shows it. Type is the draft's name, and only the fields that matter for it are read:
//
//	padding               Length bytes
//	ping, handshake_done  nothing
//	ack                   Ranges in any order, Delay; with ECN: ECT0, ECT1, CE
//	reset_stream          ID, Code, Length (the final size)
//	reset_stream_at       ID, Code, Length (the final size), Max (the reliable size)
//	stop_sending          ID, Code
//	crypto                Offset, Length
//	new_token             Length of the token, or Bytes
//	stream                ID, Offset, Length, Fin
//	max_data              Max
//	max_stream_data       ID, Max
//	max_streams           Uni, Max
//	data_blocked          Max (the limit)
//	stream_data_blocked   ID, Max
//	streams_blocked       Uni, Max
//	new_connection_id     Seq, RetirePriorTo, Bytes (the connection ID)
//	retire_connection_id  Seq
//	path_challenge        Bytes
//	path_response         Bytes
//	connection_close      App, Code, Reason; ID (the type of the frame at fault, unless App)
//	datagram              Length
//	unknown               Code (the type)
//
// Lengths and offsets are in bytes.
type Frame struct {
	Type                    string
	ID, Offset, Length, Max int64
	Fin                     bool
	Code                    uint64
	Reason                  string
	Ranges                  []rangeset.Range // half-open; not kept
	Delay                   time.Duration
	ECN                     bool
	ECT0, ECT1, CE          uint64
	Bytes                   []byte // not kept
	Seq, RetirePriorTo      int64
	Uni                     bool
	App                     bool
}

// frames writes the list of a packet's frames; an empty one is left out.
func (t *Trace) frames(list []Frame) {
	if len(list) == 0 {
		return
	}
	t.e.list("frames")
	for i := range list {
		t.e.open("")
		t.frame(&list[i])
		t.e.close()
	}
	t.e.endList()
}

// frame writes the members of one $QuicFrame: the one protocol switch of this package.
func (t *Trace) frame(f *Frame) {
	e := &t.e
	e.text("frame_type", f.Type)
	switch f.Type {
	case "padding", "datagram":
		e.raw(f.Length)
	case "ack":
		e.ack(f)
	case "reset_stream":
		e.int("stream_id", f.ID)
		t.applicationError("error", f.Code)
		e.int("final_size", f.Length)
	case "reset_stream_at":
		e.int("stream_id", f.ID)
		t.applicationError("error", f.Code)
		e.int("final_size", f.Length)
		e.int("reliable_size", f.Max)
	case "stop_sending":
		e.int("stream_id", f.ID)
		t.applicationError("error", f.Code)
	case "crypto":
		e.int("offset", f.Offset)
		e.payload(f.Length)
	case "new_token":
		e.token(f)
	case "stream":
		e.int("stream_id", f.ID)
		e.int("offset", f.Offset)
		if f.Fin {
			e.bool("fin", true)
		}
		e.payload(f.Length)
	case "max_data":
		e.int("maximum", f.Max)
	case "max_stream_data":
		e.int("stream_id", f.ID)
		e.int("maximum", f.Max)
	case "max_streams":
		e.streamType(f.Uni)
		e.int("maximum", f.Max)
	case "data_blocked":
		e.int("limit", f.Max)
	case "stream_data_blocked":
		e.int("stream_id", f.ID)
		e.int("limit", f.Max)
	case "streams_blocked":
		e.streamType(f.Uni)
		e.int("limit", f.Max)
	case "new_connection_id":
		e.int("sequence_number", f.Seq)
		e.int("retire_prior_to", f.RetirePriorTo)
		e.int("connection_id_length", int64(len(f.Bytes)))
		e.hex("connection_id", f.Bytes)
	case "retire_connection_id":
		e.int("sequence_number", f.Seq)
	case "path_challenge", "path_response":
		e.hex("data", f.Bytes)
	case "connection_close":
		t.connectionClose(f)
	case "unknown":
		e.uint("frame_type_bytes", f.Code)
	}
}

func (e *encoder) ack(f *Frame) {
	e.duration("ack_delay", f.Delay)
	e.list("acked_ranges")
	for _, r := range f.Ranges {
		e.list("")
		e.int("", r.Start)
		if r.End-1 > r.Start {
			e.int("", r.End-1) // the draft's ranges include their end
		}
		e.endList()
	}
	e.endList()
	if f.ECN {
		e.uint("ect1", f.ECT1)
		e.uint("ect0", f.ECT0)
		e.uint("ce", f.CE)
	}
}

// token does not write the token itself: it is a capability, and traces are passed around.
func (e *encoder) token(f *Frame) {
	n := f.Length
	if n == 0 {
		n = int64(len(f.Bytes))
	}
	e.open("token")
	e.raw(n)
	e.close()
}

func (e *encoder) streamType(uni bool) {
	if uni {
		e.text("stream_type", "unidirectional")
	} else {
		e.text("stream_type", "bidirectional")
	}
}

// payload writes a RawInfo that knows how much data a frame carries, not how long its header is.
func (e *encoder) payload(length int64) {
	e.open("raw")
	e.int("payload_length", length)
	e.close()
}

func (t *Trace) connectionClose(f *Frame) {
	e := &t.e
	if f.App {
		e.text("error_space", "application")
		t.applicationError("error", f.Code)
	} else {
		e.text("error_space", "transport")
		e.transportError("error", f.Code)
	}
	if f.Reason != "" {
		e.text("reason", f.Reason)
	}
	if !f.App {
		e.int("trigger_frame_type", f.ID)
	}
}
